"""The Lessonly adapter by itself: bytes in, an event or a refusal out."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from hypothesis import assume, given, strategies as st

from receiver.pipeline import judge
from receiver.vendors import lessonly
from receiver.vendors.base import Incoming, SecretDigest, Unreadable, VendorEvent
from shared.facts import Attempted, Completed, Identified, trimmed
from shared.outcomes import Outcome
from tests import playing
from tests.receiver.vendor_cases import NOW, HeaderCases, json_values, kept, only_refuses, served

SLUG = "lessonly"
AUTHORIZATION = "authorization"
AT = datetime(2025, 11, 22, 8, 12, 30, tzinfo=UTC)
SAMPLES = sorted(one.stem for one in (playing.SAMPLES / "lessonly").glob("*.json"))


def incoming(body: bytes, value: bytes | None = playing.AUTHORIZATION.encode()) -> Incoming:
    headers = {} if value is None else {AUTHORIZATION: value}
    return Incoming(headers, body, "127.0.0.1", NOW)


def vendor(values: str = playing.AUTHORIZATION) -> Any:
    return served(SLUG, lessonly_authorization=values)


def parsed(body: bytes) -> VendorEvent:
    event: VendorEvent = vendor().parse(incoming(body))
    return event


def sample(name: str) -> VendorEvent:
    return parsed(playing.sample(SLUG, name))


def said(kind: type, **fields: Any) -> Any:
    """The fact of this kind in a lesson with these fields."""
    (one,) = (fact for fact in parsed(playing.lesson(**fields)).facts if isinstance(fact, kind))
    return one


# Authentication


class TestSecurity(HeaderCases):
    slug = SLUG
    settings: ClassVar = {"lessonly_authorization": playing.AUTHORIZATION}
    wrong = Outcome.WRONG_CREDENTIALS
    credential = AUTHORIZATION

    def genuine(self) -> Incoming:
        return incoming(playing.lesson())

    def forged(self) -> Incoming:
        return incoming(playing.lesson(), b"Bearer value-of-another")

    def misconfigured(self) -> Mapping[str, str]:
        return {"lessonly_authorization": "Bearer retired"}


@pytest.mark.parametrize(
    "value",
    ["Basic dXNlcjpwYXNz", "plain", "Bearer  two  spaces", "schlüssel", "a=b; c=d", "{token}"],
)
def test_the_header_is_compared_as_the_admin_typed_it(value: str) -> None:
    vendor(value).authenticate(incoming(b"", value.encode()))


def test_each_of_several_values_is_admitted_while_one_is_changed() -> None:
    both = vendor("old value, new value")
    for value in (b"old value", b"new value"):
        both.authenticate(incoming(b"", value))


def test_a_secret_that_was_presented_is_kept_only_as_a_digest_with_a_salt_of_its_own() -> None:
    guess = b"Bearer guessed-secret"
    both = [judge(vendor(), incoming(playing.lesson(), guess)).quarantined for _ in range(2)]
    one, other = (one.headers for one in both if one)
    assert one.keys() == {AUTHORIZATION}
    assert one != other
    assert "guessed" not in json.dumps(dict(one))
    assert SecretDigest.read(one[AUTHORIZATION]).is_of(guess)
    assert not SecretDigest.read(one[AUTHORIZATION]).is_of(guess + b"x")


def test_an_authentic_delivery_that_is_not_understood_keeps_no_secret_either() -> None:
    quarantined = judge(vendor(), incoming(b"{}")).quarantined
    assert quarantined is not None
    assert "value-one" not in json.dumps(dict(quarantined.headers))


def test_a_digest_presented_in_place_of_the_value_is_refused() -> None:
    digest = SecretDigest.of(playing.AUTHORIZATION.encode(), b"salt")
    for sent in (str(digest).encode(), digest.digest, digest.digest.hex().encode()):
        entry = judge(vendor(), incoming(playing.lesson(), sent))
        assert entry.outcome is Outcome.WRONG_CREDENTIALS


def test_a_digest_presented_in_place_of_the_value_does_not_pass_when_verified_again() -> None:
    digest = SecretDigest.of(playing.AUTHORIZATION.encode(), b"salt")
    case = TestSecurity()
    again = case.again(incoming(playing.lesson(), str(digest).encode()))
    assert again.outcome is Outcome.WRONG_CREDENTIALS


# What a completed lesson says


def test_a_lesson_with_questions_is_a_completion_and_a_graded_attempt() -> None:
    event = sample("completion")
    key = "88:4411:2025-11-22T08:12:30+00:00"
    assert (event.event_key, event.type, event.company_id) == (key, "lesson.completed", None)
    assert (event.user_id, event.occurred_at) == ("88", AT)
    title = "Handling price objections"
    report = "https://acme.lessonly.com/lesson/4411/report?user=88"
    assert event.facts == (
        Identified(SLUG, "88", "Dana.Reyes@example.com", "Dana Reyes", AT),
        Completed(SLUG, key, "88", "4411", title, 72.5, AT, report),
        Attempted(SLUG, key, "88", "4411", title, 72.5, 100, None, True, AT, 80),
    )


def test_ids_and_numbers_as_strings_mean_the_same() -> None:
    event = sample("completion.strings")
    assert event.event_key == sample("completion").event_key
    (attempt,) = (fact for fact in event.facts if isinstance(fact, Attempted))
    assert (attempt.score, attempt.retake_pct) == (100, 80)


def test_a_lesson_without_questions_is_no_attempt_whatever_the_old_score_says() -> None:
    for event in (sample("completion.no-questions"),
                  parsed(playing.lesson(score_percent=None, score=0.2))):  # fmt: skip
        assert [type(fact) for fact in event.facts] == [Identified, Completed]
        assert event.facts[1].score is None  # type: ignore[union-attr]


def test_a_missing_score_is_no_score() -> None:
    body = json.loads(playing.lesson())
    del body["score_percent"]
    assert len(parsed(json.dumps(body).encode()).facts) == 2


def test_a_score_of_zero_is_one() -> None:
    assert said(Attempted, score_percent=0).score == 0


def test_without_a_retake_score_there_is_none() -> None:
    assert said(Attempted, lesson__retake_score=None).retake_pct is None


@pytest.mark.parametrize(
    "link",
    ["javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "ftp://host/x", "//host/x",
     "/path", "https://", "https:///path", "http:host", "", "   ", "https://[::1", "https://a b/",
     "https://host/\n", "https://host/\"onclick='x'", "https://host/<b>", "https://host\\@evil",
     "https://host/\u202e", "https://host/" + "x" * 2000, 7, None, [], {}],
)  # fmt: skip
def test_a_report_that_is_no_plain_web_address_is_left_out(link: Any) -> None:
    assert said(Completed, report_card_url=link).report_url is None


@pytest.mark.parametrize("link", ["http://host/x", "https://host:8443/a?b=c#d", "HTTPS://Host/"])
def test_a_web_address_of_a_report_is_kept(link: str) -> None:
    assert said(Completed, report_card_url=link).report_url == link


def test_a_hostile_sample_is_kept_as_text_and_without_its_link() -> None:
    who, done, _ = sample("completion.script-link").facts
    assert (who.name, done.report_url) == (  # type: ignore[union-attr]
        '=HYPERLINK("https://evil.example")', None,
    )  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_kept_word_for_word_and_says_the_same_when_read_again(name: str) -> None:
    event = sample(name)
    assert event.payload == playing.sample(SLUG, name).decode()
    again = lessonly.kept_facts(kept(event))
    assert tuple(again) == tuple(event.facts)


# The key


def key(**fields: Any) -> str:
    return parsed(playing.lesson(**fields)).event_key


def test_the_key_tells_apart_who_what_and_when() -> None:
    keys = {key(), key(user__id=89), key(lesson__id=1), key(completed_at="2025-11-22T08:12:31Z"),
            key(completed_at="2025-11-22T08:12:30.001Z")}  # fmt: skip
    assert len(keys) == 5


def test_one_moment_in_another_spelling_is_the_same_key() -> None:
    assert key(completed_at="2025-11-22T09:12:30.000+01:00") == key()


def test_nothing_else_is_part_of_the_key() -> None:
    assert key(score_percent=1, user__name="x", started_at=None) == key()


@pytest.mark.parametrize(
    ("one", "other"), [(("a:b", "c"), ("a", "b:c")), (("a%3Ab", "c"), ("a:b", "c"))]
)
def test_what_joins_the_ids_may_stand_in_them(one: tuple[str, str], other: tuple[str, str]) -> None:
    keys = {key(user__id=user, lesson__id=lesson) for user, lesson in (one, other)}
    assert len(keys) == 2


@given(*[st.tuples(st.text(min_size=1, max_size=9), st.text(min_size=1, max_size=9))] * 2)
def test_two_pairs_of_ids_never_make_one_key(one: tuple[str, str], other: tuple[str, str]) -> None:
    def made(pair: tuple[str, str]) -> str:
        return key(user__id=pair[0].replace("\0", ":"), lesson__id=pair[1].replace("\0", ":"))

    clean = [tuple(trimmed(part.replace("\0", ":")) for part in pair) for pair in (one, other)]
    assume(all(all(pair) for pair in clean))  # a blank is no id
    assert (made(one) == made(other)) == (clean[0] == clean[1])


def test_a_key_that_would_be_too_long_is_hashed_and_stays_distinct() -> None:
    one, other = key(user__id="é" * 255), key(user__id="é" * 254 + "è")
    assert one != other
    assert len(one) == len(other) <= 255
    assert one.startswith("sha256:")


def test_a_refused_delivery_claims_the_key_it_would_have() -> None:
    assert vendor().claims(incoming(playing.lesson())) == (key(), "lesson.completed")
    assert vendor().claims(incoming(b"{}")) == (None, None)


# Undocumented payloads


@pytest.mark.parametrize(
    "fields",
    [{"user": None}, {"user": []}, {"user__id": None}, {"user__id": ""}, {"user__id": True},
     {"lesson": None}, {"lesson__id": None}, {"lesson__id": 1.5}],
)  # fmt: skip
def test_a_lesson_with_a_wrong_field_is_not_understood(fields: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match=r"lesson\.completed: "):
        parsed(playing.lesson(**fields))


@pytest.mark.parametrize("when", [None, "yesterday", "0001-01-01T00:00:00Z"])
def test_a_lesson_without_a_time_was_completed_when_it_came(when: Any) -> None:
    assert said(Completed, completed_at=when).completed_at == NOW


@pytest.mark.parametrize("score", [-1, True, "many"])
def test_a_lesson_with_a_score_that_is_none_is_completed_all_the_same(score: Any) -> None:
    assert said(Completed, score_percent=score).score is None


def test_a_retake_score_that_is_none_is_absent() -> None:
    assert said(Attempted, lesson__retake_score="most").retake_pct is None


def test_custom_fields_may_be_anything() -> None:
    for value in (None, [], "x", {"deep": {"deeper": [1, {"é": None}]}}):
        body = playing.lesson(user__custom_fields=value)
        assert json.loads(parsed(body).payload)["user"]["custom_fields"] == value


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_not_understood(body: bytes) -> None:
    with pytest.raises(Unreadable):
        parsed(body)


FIELDS = ("user__id", "user__name", "user__email", "user", "lesson__id", "lesson__title",
          "lesson__retake_score", "score", "score_percent", "completed_at",
          "report_card_url")  # fmt: skip
bodies = st.builds(
    lambda name, value: playing.lesson(**{name: value}), st.sampled_from(FIELDS), json_values
)


@given(st.binary() | bodies, st.just(playing.AUTHORIZATION.encode()) | st.binary() | st.none())
def test_no_bytes_raise_anything_but_a_refusal(body: bytes, value: bytes | None) -> None:
    only_refuses(vendor(), incoming(body, value))
