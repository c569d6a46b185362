"""The MindTickle adapter by itself: bytes in, an event or a refusal out."""

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings, strategies as st

from receiver.pipeline import judge
from receiver.vendors import mindtickle
from receiver.vendors.base import Incoming, Rejected, Unreadable, VendorEvent
from receiver.vendors.mindtickle import EVENT_ID, SIGNATURE, TIMESTAMP, MindTickle
from shared.facts import Attempted, Completed, Deprovisioned, Expired, Fact, Progressed, Provisioned
from shared.outcomes import Kind, Outcome
from tests import playing
from tests.receiver.vendor_cases import NOW, SigningCases, json_values, kept, only_refuses

SAMPLES = Path(__file__).parent.parent / "samples"
VECTORS = json.loads((SAMPLES / "mindtickle_vectors.json").read_text())
TYPES = ("course.completed", "quiz.submitted", "user.provisioned", "user.deprovisioned",
         "module.progress", "certification.expired")  # fmt: skip

vector = pytest.mark.parametrize("vector", VECTORS, ids=[one["name"] for one in VECTORS])


def vendor(*secrets: str, company: str | None = "acme") -> MindTickle:
    chosen = secrets or (playing.SECRET,)
    return MindTickle([one.encode() for one in chosen], company, past=86_400, future=300)


def incoming(body: bytes, timestamp: str | None = None, **headers: bytes | None) -> Incoming:
    """A delivery signed at NOW; a header given as None is left out."""
    stamp = timestamp or str(int(NOW.timestamp()))
    sent: dict[str, bytes | None] = {
        SIGNATURE: playing.signature(body, stamp).encode(),
        TIMESTAMP: stamp.encode(),
        EVENT_ID: b"evt-1",
    }
    sent |= {f"x-mt-{name.replace('_', '-')}": value for name, value in headers.items()}
    kept = {name: value for name, value in sent.items() if value is not None}
    return Incoming(kept, body, "127.0.0.1", NOW)


def of_vector(one: dict[str, str], **changed: bytes) -> Incoming:
    parts = {
        "body": base64.b64decode(one["body_base64"]),
        "timestamp": one["timestamp"].encode(),
        "signature": one["signature"].encode(),
    } | changed
    headers = {SIGNATURE: parts["signature"], TIMESTAMP: parts["timestamp"]}
    return Incoming(headers, parts["body"], None, NOW)


def refusal(delivery: Incoming, by: MindTickle | None = None) -> Outcome:
    with pytest.raises(Rejected) as refused:
        (by or vendor()).authenticate(delivery)
    return refused.value.outcome


def parsed(body: bytes, timestamp: str | None = None, **headers: bytes | None) -> VendorEvent:
    return vendor().parse(incoming(body, timestamp, **headers))


def sample(name: str) -> VendorEvent:
    return parsed((SAMPLES / "mindtickle" / f"{name}.json").read_bytes())


def fact(event_type: str, data: dict[str, Any]) -> Any:
    (one,) = parsed(playing.body_of(event_type, data)).facts
    return one


# Authentication


class TestSecurity(SigningCases):
    slug = "mindtickle"
    settings: ClassVar = {"mindtickle_webhook_secret": playing.SECRET}
    wrong = Outcome.BAD_SIGNATURE
    credential = SIGNATURE
    signed = (TIMESTAMP,)

    def genuine(self) -> Incoming:
        return incoming(playing.body_of("module.progress", playing.progress()))

    def forged(self) -> Incoming:
        body = self.genuine().body
        stamp = str(int(NOW.timestamp()))
        return incoming(body, webhook_signature=playing.signature(body, stamp, "another").encode())

    def misconfigured(self) -> Mapping[str, str]:
        return {"mindtickle_webhook_secret": "retired"}


@vector
def test_a_recorded_signature_is_admitted_under_its_secret(vector: dict[str, str]) -> None:
    vendor(vector["secret"]).authenticate(of_vector(vector))


@vector
def test_a_recorded_signature_is_refused_under_another_secret(vector: dict[str, str]) -> None:
    assert refusal(of_vector(vector), vendor("another")) is Outcome.BAD_SIGNATURE


@vector
def test_a_body_with_one_byte_changed_is_refused(vector: dict[str, str]) -> None:
    body = base64.b64decode(vector["body_base64"])
    changed = bytes([body[0] ^ 1]) + body[1:] if body else b"\n"
    delivery = of_vector(vector, body=changed)
    assert refusal(delivery, vendor(vector["secret"])) is Outcome.BAD_SIGNATURE


@vector
def test_a_changed_timestamp_is_refused(vector: dict[str, str]) -> None:
    later = vector["timestamp"].replace("0", "1", 1).encode()
    delivery = of_vector(vector, timestamp=later)
    assert refusal(delivery, vendor(vector["secret"])) is Outcome.BAD_SIGNATURE


def test_each_of_several_secrets_is_admitted_while_one_is_rotated() -> None:
    delivery = incoming(b"{}")
    vendor("new", playing.SECRET).authenticate(delivery)
    vendor(playing.SECRET, "new").authenticate(delivery)
    assert refusal(delivery, vendor("new", "newer")) is Outcome.BAD_SIGNATURE


def aged(by: timedelta) -> Incoming:
    return incoming(b"{}", timestamp=str(int((NOW - by).timestamp())))


def test_a_delivery_as_old_as_the_tolerance_is_admitted_and_an_older_one_refused() -> None:
    vendor().authenticate(aged(timedelta(hours=24)))
    assert refusal(aged(timedelta(hours=24, seconds=1))) is Outcome.STALE_TIMESTAMP


def test_a_delivery_as_early_as_the_tolerance_is_admitted_and_an_earlier_one_refused() -> None:
    vendor().authenticate(aged(timedelta(minutes=-5)))
    assert refusal(aged(timedelta(minutes=-5, seconds=-1))) is Outcome.STALE_TIMESTAMP


@pytest.mark.parametrize(
    "timestamp",
    ["yesterday", "-1763800000", "1763800000.5", "1_763_800_000", "9" * 16, "9" * 5000, "0x6921",
     "2025-13-22T08:26:40Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "nan",
     "1763800000 ", "１７６３８０００００"],
)  # fmt: skip
def test_a_signed_but_unparseable_timestamp_is_refused(timestamp: str) -> None:
    assert refusal(incoming(b"{}", timestamp)) is Outcome.STALE_TIMESTAMP


@pytest.mark.parametrize(
    ("timestamp", "at"),
    [
        ("1763800004", datetime(2025, 11, 22, 8, 26, 44, tzinfo=UTC)),
        ("1763800004123", datetime(2025, 11, 22, 8, 26, 44, 123_000, tzinfo=UTC)),
        ("2025-11-22T08:26:44Z", datetime(2025, 11, 22, 8, 26, 44, tzinfo=UTC)),
        ("2025-11-22T08:26:44.123Z", datetime(2025, 11, 22, 8, 26, 44, 123_000, tzinfo=UTC)),
        ("2025-11-22T09:26:44+01:00", datetime(2025, 11, 22, 8, 26, 44, tzinfo=UTC)),
        ("2025-11-22T08:26:44", datetime(2025, 11, 22, 8, 26, 44, tzinfo=UTC)),
    ],
)
def test_seconds_milliseconds_and_iso_timestamps_mean_the_same_moment(
    timestamp: str, at: datetime
) -> None:
    delivery = incoming(playing.body_of("module.progress", playing.progress()), timestamp)
    vendor().authenticate(delivery)
    assert vendor().parse(delivery).occurred_at == at


accepted_timestamps = st.one_of(
    st.integers(1, 10**16 - 1).map(str),
    st.builds(
        lambda at, form: datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S") + form,
        st.integers(10**9, 7 * 10**9),
        st.sampled_from(["", "Z", ".1Z", ".123456Z", "+01:00", "-0930", ".123+05:45", "-00:00"]),
    ),
)
bodies_with_colons = st.sampled_from(
    ["", "{}", ":", "00", "00:00:{}", "30:00Z:", "Z:{}", '{"event":"a:b","at":"10:00:00Z"}']
)


@given(accepted_timestamps, bodies_with_colons | st.text(max_size=20))
def test_the_signed_text_has_one_reading(timestamp: str, rest: str) -> None:
    ours = MindTickle([playing.SECRET.encode()], None, past=10**10, future=10**10)
    ways = (f"{timestamp}:{rest}").encode().split(b":")
    passing = []
    for cut in range(1, len(ways)):
        header, body = b":".join(ways[:cut]), b":".join(ways[cut:])
        signature = playing.signature(body, header.decode()).encode()
        headers = {SIGNATURE: signature, TIMESTAMP: header}
        entry = judge(ours, Incoming(headers, body, None, NOW))
        if entry.outcome in (Outcome.ACCEPTED, Outcome.UNREADABLE):
            passing.append(header.decode())
        else:
            assert entry.outcome is Outcome.STALE_TIMESTAMP
            assert entry.quarantined is not None
            assert entry.quarantined.kind is not Kind.AUTHENTIC
    assert passing in ([], [timestamp])
    assert passing or _implausible(timestamp)


def _implausible(timestamp: str) -> bool:
    return timestamp.isdigit()  # of random digits many mean a year that is none of ours


@pytest.mark.parametrize(
    "timestamp",
    ["2025-11-22T08", "2025-11-22T08:26", "2025-11-22", "2025-11-22T08:26:44+00", "20251122T082644",
     "2025-11-22T08:26:44+00:00:00", "2025-11-22T08:26Z", "2025-11-22 08:26:44Z",
     "2025-W47-6T08:26:44Z"],
)  # fmt: skip
def test_a_signed_timestamp_of_less_or_more_than_date_time_and_offset_is_refused(
    timestamp: str,
) -> None:
    assert refusal(incoming(b"{}", timestamp)) is Outcome.STALE_TIMESTAMP


@pytest.mark.parametrize("company", ["globex", None, 7, ["acme"], "ACME"])
def test_a_delivery_for_another_company_is_refused(company: Any) -> None:
    with pytest.raises(Rejected) as refused:
        parsed(playing.body_of("module.progress", playing.progress(), company))
    assert refused.value.outcome is Outcome.WRONG_COMPANY


def test_without_a_configured_company_any_is_accepted() -> None:
    body = playing.body_of("module.progress", playing.progress(), "globex")
    assert vendor(company=None).parse(incoming(body)).company_id == "globex"


# What the six events say


def at(hour: int, minute: int = 0, day: int = 22, month: int = 11) -> datetime:
    return datetime(2025, month, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "course.completed",
            Completed("mindtickle", "evt-1", "u-1042", "c-77", "Negotiation basics", 92,
                      at(8, 12).replace(second=30)),
        ),
        (
            "quiz.submitted",
            Attempted("mindtickle", "evt-1", "u-1042", "q-31", "Pricing objections", 14, 20,
                      passed=True, graded=True, submitted_at=NOW),
        ),
        (
            "quiz.submitted.practice",
            Attempted("mindtickle", "evt-1", "u-1042", "q-32", "Pricing warm-up", None, None,
                      passed=None, graded=False, submitted_at=NOW),
        ),
        (
            "user.provisioned",
            Provisioned("mindtickle", "u-1042", "dana.reyes@example.com", None,
                        "account_executive", "west", NOW),
        ),
        (
            "user.deprovisioned",
            Deprovisioned("mindtickle", "u-1042", "dana.reyes@example.com", at(8, 20),
                          "left the company"),
        ),
        (
            "module.progress",
            Progressed("mindtickle", "u-1042", "m-5", "Discovery calls", 62.5, 1840, NOW),
        ),
        (
            "certification.expired",
            Expired("mindtickle", "u-1042", "Product expert 2024", at(0), at(0, month=12)),
        ),
    ],
)  # fmt: skip
def test_a_recorded_event_gives_its_fact(name: str, says: Fact) -> None:
    assert sample(name).facts == (says,)


@pytest.mark.parametrize("name", [*TYPES, "quiz.submitted.practice"])
def test_a_recorded_event_is_kept_word_for_word_and_says_the_same_when_read_again(
    name: str,
) -> None:
    event = sample(name)
    assert event.payload == (SAMPLES / "mindtickle" / f"{name}.json").read_text()
    again = mindtickle.ADAPTER.facts(kept(event))
    assert tuple(again) == tuple(event.facts)


@pytest.mark.parametrize("kind", ["practice", "Practice", "ungraded_practice", "PRACTICE QUIZ"])
def test_a_practice_quiz_is_not_graded_even_if_it_carries_a_score(kind: str) -> None:
    quiz = {"userId": "u-1", "quizId": "q-1", "quizType": kind, "score": 1, "maxScore": 10}
    assert fact("quiz.submitted", quiz | {"passed": False}).graded is False


def test_a_quiz_without_any_scoring_field_is_not_graded() -> None:
    assert fact("quiz.submitted", {"userId": "u-1", "quizId": "q-1"}).graded is False


def test_a_score_without_a_maximum_is_graded() -> None:
    quiz = {"userId": "u-1", "quizId": "q-1", "score": 17}
    assert fact("quiz.submitted", quiz).graded
    assert fact("quiz.submitted", quiz | {"quizType": "practice"}).graded is False


def test_a_quiz_that_only_says_passed_is_graded() -> None:
    assert fact("quiz.submitted", {"userId": "u-1", "quizId": "q-1", "passed": False}).graded


def test_an_unknown_event_type_is_kept_without_facts() -> None:
    event = parsed(b'{"event":"badge.earned","companyId":"acme","data":[1,2]}')
    assert (event.type, event.facts) == ("badge.earned", ())


def test_unknown_fields_change_nothing() -> None:
    more = playing.progress(somethingNew={"deep": [1]})
    assert fact("module.progress", more) == fact("module.progress", playing.progress())


# The idempotency key


def test_the_event_id_header_is_the_key() -> None:
    assert parsed(playing.body_of("x", {}), event_id=b"evt-42").event_key == "evt-42"


@pytest.mark.parametrize("sent", [None, b"", b"\0"])
def test_without_an_event_id_the_key_is_made_from_what_was_signed(sent: bytes | None) -> None:
    body = playing.body_of("x", {})
    event = parsed(body, event_id=sent)
    signed = str(int(NOW.timestamp())).encode() + b":" + body
    assert event.event_key == f"digest:{hashlib.sha256(signed).hexdigest()}"


def test_the_digest_does_not_depend_on_the_event_id_but_on_every_signed_byte() -> None:
    body = playing.body_of("x", {})
    assert parsed(body, event_id=b"a").digest == parsed(body, event_id=b"b").digest
    assert parsed(body).digest != parsed(body + b" ").digest
    assert parsed(body).digest != parsed(body, timestamp="1763800001").digest


def test_overlong_event_ids_are_shortened_and_stay_distinct() -> None:
    body = playing.body_of("x", {})
    longest = parsed(body, event_id=b"a" * 255).event_key
    one, other = (parsed(body, event_id=b"a" * 9000 + end).event_key for end in (b"1", b"2"))
    assert longest == "a" * 255
    assert one != other
    assert len(one) == len(other) <= 255


def test_an_event_id_of_any_bytes_can_be_kept_as_text() -> None:
    key = parsed(playing.body_of("x", {}), event_id=b"\xff\0\xed\xa0\x80").event_key
    assert "\0" not in key
    key.encode()


# Undocumented payloads


@pytest.mark.parametrize(("sent", "means"), [("40", 40), ("62.5", 62.5), (0, 0), (100, 100)])
def test_a_number_may_arrive_as_a_string(sent: Any, means: float) -> None:
    assert fact("module.progress", playing.progress(progressPct=sent)).progress_pct == means


def test_an_id_may_arrive_as_a_number() -> None:
    said = fact("module.progress", playing.progress(userId=1042, moduleId=5))
    assert (said.user_id, said.module_id) == ("1042", "5")


@pytest.mark.parametrize(
    "progress",
    [-1, 200.5, 1e308, "NaN", "nan", "inf", "-inf", "", "forty", None, True, False, [], {}, [40],
     int("9" * 400)],
)  # fmt: skip
def test_a_progress_that_is_no_percentage_is_not_understood(progress: Any) -> None:
    with pytest.raises(Unreadable, match=r"module\.progress: progressPct"):
        parsed(playing.body_of("module.progress", playing.progress(progressPct=progress)))


@pytest.mark.parametrize("seconds", [-1, 1e10, True, "long", []])
def test_a_time_spent_that_is_no_plausible_number_is_absent(seconds: Any) -> None:
    assert fact("module.progress", playing.progress(timeSpentSec=seconds)).time_spent_sec == 0


@pytest.mark.parametrize(
    ("maximum", "graded"), [(0, False), (0.0, False), (-20, True), (True, True)]
)
def test_a_quiz_out_of_nothing_is_ungraded_and_one_without_a_usable_maximum_is_graded(
    maximum: Any, graded: bool
) -> None:
    quiz = {"userId": "u-1", "quizId": "q-1", "score": 1, "maxScore": maximum}
    said = fact("quiz.submitted", quiz)
    assert (said.max_score, said.graded) == (None, graded)


@pytest.mark.parametrize("event_type", TYPES)
@pytest.mark.parametrize("data", [None, [], "text", 7, {}, {"userId": None}, {"userId": ""}])
def test_a_known_event_without_its_learner_is_not_understood(event_type: str, data: Any) -> None:
    with pytest.raises(Unreadable, match=event_type):
        parsed(playing.body_of(event_type, data))


@pytest.mark.parametrize("user_id", [True, 1.5, [], {}, "u" * 256])
def test_a_learner_id_of_a_wrong_kind_is_not_understood(user_id: Any) -> None:
    with pytest.raises(Unreadable, match="userId"):
        parsed(playing.body_of("module.progress", playing.progress(userId=user_id)))


@pytest.mark.parametrize("event_type", TYPES)
def test_null_in_every_field_but_the_ids_is_accepted_or_named(event_type: str) -> None:
    ids = {"userId": "u-1", "courseId": "c-1", "quizId": "q-1", "moduleId": "m-1", "certName": "z"}
    nothing = dict.fromkeys(
        ("courseName", "score", "completedAt", "quizName", "maxScore", "passed", "quizType",
         "email", "role", "teamId", "deprovisionedAt", "moduleName", "timeSpentSec", "expiredAt",
         "renewalDeadline")
    )  # fmt: skip
    said = fact(event_type, ids | nothing | {"progressPct": 0})
    assert said.user_id == "u-1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"hello",
        b"null",
        b"7",
        b'"text"',
        b"[]",
        b'[{"event":"module.progress"}]',
        b"{",
        b'{"event":"x"}{"event":"y"}',
        b'{"event":NaN}',
        b"\xff\xfe",
        b'{"event":"\xff"}',
        b'{"event":"\xed\xa0\x80"}',
        b'{"event":"\\ud800"}',
        b'{"event":"x\0"}',
        b'\xef\xbb\xbf\xef\xbb\xbf{"event":"x"}',
        b'{"n":' + b"9" * 5000 + b"}",
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_body_that_is_no_json_object_is_not_understood(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parsed(body)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_none_costs_its_field_and_not_the_event(number: str) -> None:
    sent = {"userId": "u-1", "quizId": "q-1", "score": "ODD"}
    body = json.dumps({"event": "quiz.submitted", "companyId": "acme", "data": sent}).encode()
    event = parsed(body.replace(b'"ODD"', number.encode()))
    assert [one.field for one in event.ignored] == ["score"]
    unknown = b'{"event":"x","companyId":"acme","data":{"n":%b}}' % number.encode()
    assert parsed(unknown).type == "x"


@pytest.mark.parametrize(
    ("escaped", "name"),
    [
        (rb"Deal \ud83d", "Deal \ufffd"),
        (rb"Deal \uDE00!", "Deal \ufffd!"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\N{GRINNING FACE}"),
        (rb"\ud83d \\ud83d", "\ufffd \\ud83d"),
    ],
)
def test_half_of_a_surrogate_pair_costs_its_sign_and_not_the_event(
    escaped: bytes, name: str
) -> None:
    body = json.dumps(
        {"event": "module.progress", "companyId": "acme", "data": playing.progress(moduleName="N")}
    ).encode()
    event = parsed(body.replace(b'"N"', b'"%b"' % escaped))
    assert [fact.module_name for fact in event.facts if isinstance(fact, Progressed)] == [name]
    assert mindtickle.ADAPTER.facts(kept(event)) == event.facts


@pytest.mark.parametrize("sent", [" acme", "acme\u00a0", "acme\n"])
def test_blanks_around_the_company_do_not_make_it_another(sent: str) -> None:
    body = json.dumps({"event": "x", "companyId": sent, "data": {}}).encode()
    for company in ("acme", " acme "):
        assert vendor(company=company).parse(incoming(body)).company_id == "acme"


@pytest.mark.parametrize("event_type", [None, 7, "", True, [], {}, "x" * 256, "x\0y"])
def test_an_event_without_the_name_of_a_type_is_not_understood(event_type: Any) -> None:
    body = json.dumps({"event": event_type, "companyId": "acme", "data": {}}).encode()
    with pytest.raises(Unreadable, match="event:"):
        parsed(body)


def test_of_a_repeated_key_the_last_one_counts() -> None:
    body = b'{"event":"y","event":"x","companyId":"acme","data":{}}'
    assert parsed(body).type == "x"


def test_a_nul_in_a_text_becomes_something_that_both_stores_can_keep() -> None:
    said = fact("module.progress", playing.progress(userId="u\0", moduleName="a\0b"))
    assert (said.user_id, said.module_name) == ("u\N{REPLACEMENT CHARACTER}", "a\ufffdb")


def test_a_long_name_is_cut_and_an_empty_one_is_none() -> None:
    assert len(fact("module.progress", playing.progress(moduleName="n" * 5000)).module_name) == 200
    assert fact("module.progress", playing.progress(moduleName="")).module_name is None


@pytest.mark.parametrize("when", ["yesterday", "0001-01-01T00:00:00Z", "9999-12-31", -1, True])
def test_an_event_of_an_implausible_time_happened_when_it_was_signed(when: Any) -> None:
    done = {"userId": "u-1", "courseId": "c-1", "completedAt": when}
    assert fact("course.completed", done).completed_at == NOW


def test_a_reason_names_the_problem_without_the_value() -> None:
    with pytest.raises(Unreadable) as unread:
        parsed(playing.body_of("module.progress", playing.progress(progressPct="dana@x.com")))
    assert "dana" not in unread.value.reason


# Anything at all

FIELDS = ("userId", "courseId", "courseName", "score", "completedAt", "quizId", "quizName",
          "maxScore", "passed", "quizType", "email", "role", "teamId", "deprovisionedAt",
          "moduleId", "moduleName", "progressPct", "timeSpentSec", "certName", "expiredAt",
          "renewalDeadline")  # fmt: skip
ids = st.text(min_size=1) | st.integers()
datas = st.fixed_dictionaries(
    {}, optional={name: (ids if name.endswith("Id") else json_values) for name in FIELDS}
)
bodies = st.builds(
    lambda *parts: json.dumps(dict(zip(("event", "companyId", "data"), parts, strict=True))),
    st.sampled_from(TYPES) | json_values,
    st.just("acme") | json_values,
    datas | json_values,
).map(str.encode)
raw_headers = st.dictionaries(
    st.sampled_from([SIGNATURE, TIMESTAMP, EVENT_ID]) | st.text(), st.binary()
)


@given(raw_headers, st.binary() | bodies)
def test_no_bytes_raise_anything_but_a_refusal(headers: dict[str, bytes], body: bytes) -> None:
    only_refuses(vendor(), Incoming(headers, body, None, NOW))


@settings(max_examples=300)
@given(bodies | st.binary(), st.binary())
def test_no_signed_bytes_raise_anything_but_a_refusal(body: bytes, event_id: bytes) -> None:
    only_refuses(vendor(), incoming(body, event_id=event_id))
