"""One odd field never costs an event: a field that only describes is absent, and named.

Over every sample of every vendor: each field in turn, at every depth, has each odd value.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Engine

from receiver.metrics import Metrics
from receiver.pipeline import judge
from receiver.readmodels.rebuild import rebuild
from receiver.store import Entry, write_batch
from receiver.vendors.base import Incoming, Vendor
from shared.bulk import table_of
from shared.facts import Fact
from shared.models import (
    Certification,
    Delivery,
    Event,
    Learner,
    ModuleProgress,
    Quiz,
    QuizStanding,
)
from shared.outcomes import Outcome
from shared.queries.certifications import certificates as board_of_certificates
from shared.queries.learner import accounts, certificates, profile
from shared.queries.people import EVERYBODY, Who, people
from tests import playing
from tests.receiver import (
    test_innovative_educators,
    test_lessonly,
    test_mindtickle,
    test_standard_webhooks,
)
from tests.receiver.vendor_cases import NOW, as_written
from tests.stores import empty, follow, row, rows

Path = tuple[str, ...]

ODD: Sequence[Any] = (
    None, True, False, 0, 7, -1, -0.5, 3.5, 1e10, 1e308, int("9" * 400), "", " ", "\ufeff", "text",
    "pass", "85", "85 %", "NaN", "Infinity", "1,5", "PT1H30M", "-PT1H", [], ["rep"], [[]], {},
    {"id": "west"}, {"en-US": {"deep": [1]}}, "0001-01-01", "1970-01-01T00:00:00Z", "9999-12-31",
    "0000-00-00 00:00:00", "2031-01-01T00:00:00Z", "2025-11-22T08:12:30.123456789", 1763800000123,
    100.00000000000001, 101, 103, 201, 1e9 + 1, "x" * 5000, "a\0b", "\u202e", "e\u0301",
)  # fmt: skip
NEEDED: Mapping[str, Sequence[Path]] = {
    "course.completed.json": [("data", "userId"), ("data", "courseId")],
    "quiz.submitted.json": [("data", "userId"), ("data", "quizId")],
    "quiz.submitted.practice.json": [("data", "userId"), ("data", "quizId")],
    "user.provisioned.json": [("data", "userId")],
    "user.deprovisioned.json": [("data", "userId")],
    "module.progress.json": [("data", "userId"), ("data", "moduleId"), ("data", "progressPct")],
    "certification.expired.json": [("data", "userId"), ("data", "certName")],
}
OF_LESSONS: Sequence[Path] = [("user", "id"), ("lesson", "id")]
OF_COURSES: Mapping[str, Sequence[Path]] = {
    "completion.json": [("notifiableId",)],
    "completion.numbers.json": [("notifiableId",)],
    "completion.no-detail.json": [("notifiableId",), ("user",)],
}


class Sample(NamedTuple):
    """A recorded body, and what of it decides over the event."""

    slug: str
    name: str
    body: dict[str, Any]
    needed: Sequence[Path]


def samples() -> Iterator[Sample]:
    for file in sorted((test_mindtickle.SAMPLES).glob("*/*.json")):
        slug, name = file.parent.name, file.name
        of_vendor = {"lessonly": {name: OF_LESSONS}, "innovative-educators": OF_COURSES}
        needed = of_vendor.get(slug, NEEDED).get(name, ())
        yield Sample(slug, name, json.loads(file.read_text()), needed)


SAMPLES = list(samples())
each_sample = pytest.mark.parametrize("sample", SAMPLES, ids=[one.name for one in SAMPLES])
VENDORS: Mapping[str, Vendor] = {
    "mindtickle": test_mindtickle.vendor(company=None),
    "lessonly": test_lessonly.vendor(),
    "innovative-educators": test_innovative_educators.vendor(),
    "standard-webhooks": test_standard_webhooks.vendor(),
}


def incoming(slug: str, body: bytes) -> Incoming:
    made = {
        "mindtickle": test_mindtickle.incoming,
        "lessonly": test_lessonly.incoming,
        "innovative-educators": test_innovative_educators.incoming,
        "standard-webhooks": test_standard_webhooks.incoming,
    }
    return made[slug](body)


def judged(slug: str, body: Any, received_at: datetime = NOW) -> Entry:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return judge(VENDORS[slug], incoming(slug, sent)._replace(received_at=received_at))


def paths(value: Any, above: Path = ()) -> Iterator[Path]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*above, name)
            yield from paths(inner, (*above, name))


def replaced(body: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    name, *rest = path
    return body | {name: replaced(body[name], tuple(rest), value) if rest else value}


def decides(sample: Sample, path: Path) -> bool:
    """Whether a needed field is there, or below."""
    return any(needed[: len(path)] == path for needed in sample.needed)


@each_sample
def test_a_descriptive_field_may_be_anything_and_the_event_is_accepted(
    sample: Sample,
) -> None:
    for path in paths(sample.body):
        if decides(sample, path) or path == ("event",):
            continue
        for value in ODD:
            entry = judged(sample.slug, replaced(sample.body, path, value))
            assert entry.outcome is Outcome.ACCEPTED, (path, value, entry.reason)
            as_written(entry)


@each_sample
def test_a_field_that_the_fact_needs_is_named_by_the_reason_where_it_is_wrong(
    sample: Sample,
) -> None:
    for path in filter(lambda path: decides(sample, path), paths(sample.body)):
        spelled = path[-1] if sample.slug == "mindtickle" else ".".join(path)
        for value in ODD:
            if isinstance(value, dict) and path not in sample.needed:
                continue  # an object without the field: below
            entry = judged(sample.slug, replaced(sample.body, path, value))
            taken = entry.outcome is Outcome.ACCEPTED and path in sample.needed
            said = entry.reason or ""
            assert taken or f" {spelled}" in said, (path, value, entry.reason)
            as_written(entry)
        for value in (None, [], {}, "", " "):
            entry = judged(sample.slug, replaced(sample.body, path, value))
            assert entry.outcome is Outcome.UNREADABLE, (path, value)


@each_sample
def test_all_fields_that_only_describe_may_be_wrong_at_once(sample: Sample) -> None:
    body = sample.body
    for path in reversed(list(paths(sample.body))):
        if not decides(sample, path) and path[-1] not in ("event", "user"):
            body = replaced(body, path, [["odd"]])
    entry = judged(sample.slug, body)
    assert entry.outcome is Outcome.ACCEPTED, entry.reason


def reason(event_type: str, data: Any) -> str:
    entry = judged("mindtickle", playing.body_of(event_type, data))
    assert entry.outcome is Outcome.UNREADABLE
    return entry.reason or ""


def test_a_reason_is_words_about_the_field_in_the_vendors_own_spelling() -> None:
    progress = playing.progress()
    assert reason("module.progress", "text") == "module.progress: data: should be an object."
    assert reason("module.progress", {}) == "module.progress: userId: is missing."
    assert reason("module.progress", progress | {"progressPct": "many"}) == (
        "module.progress: progressPct: should be a number."
    )
    assert reason("module.progress", progress | {"progressPct": 1e10}) == (
        "module.progress: progressPct: should be a percentage from 0 to 100."
    )
    entry = judged("lessonly", playing.lesson(user=[]))
    assert entry.reason == "lesson.completed: user: should be an object."


def test_what_was_ignored_is_named_on_the_delivery_without_its_value() -> None:
    entry = judged("mindtickle", playing.body_of(
        "module.progress", playing.progress(moduleName={"en": "secret"}, timeSpentSec=-1)
    ))  # fmt: skip
    assert entry.reason == (
        "Accepted without moduleName: should be text; "
        "timeSpentSec: should be greater than or equal to 0."
    )
    nested = judged("innovative-educators", playing.course(userDetail__firstName=[1]))
    assert nested.reason == "Accepted without userDetail.firstName: should be text."


def test_an_ordinary_delivery_has_no_reason() -> None:
    for sample in SAMPLES:
        assert judged(sample.slug, sample.body).reason is None


def test_ignored_fields_are_counted_by_names_of_our_own() -> None:
    metrics = Metrics()
    metrics.ignored("lessonly", "lesson.completed", {"lesson.title"})
    text = metrics.text().decode()
    labels = 'event_type="lesson.completed",field="lesson.title",vendor="lessonly"'
    assert f"repboard_fields_ignored_total{{{labels}}} 1.0" in text


# The values that must come out


def said(event_type: str, **data: Any) -> Any:
    ids = {"userId": "u-1", "moduleId": "m-1", "quizId": "q-1", "courseId": "c-1", "certName": "z"}
    entry = judged("mindtickle", playing.body_of(event_type, ids | {"progressPct": 50} | data))
    assert entry.event is not None, entry.reason
    (fact,) = entry.event.facts
    return fact


@pytest.mark.parametrize(
    ("sent", "means"),
    [(103, 100), (100.00000000000001, 100), (100.4, 100), (200, 100), (-0.0000001, 0), (-0.5, 0),
     ("85", 85), ("85.5", 85.5), ("85 %", 85), (" 85% ", 85), ("103", 100)],
)  # fmt: skip
def test_a_percentage_just_out_of_range_is_clamped(sent: Any, means: float) -> None:
    assert said("module.progress", progressPct=sent).progress_pct == means
    entry = judged("lessonly", playing.lesson(score_percent=sent))
    assert entry.event is not None
    assert entry.event.facts[2].score == means  # type: ignore[union-attr]


@pytest.mark.parametrize("sent", [-1, -5, 201, 1e10, "NaN", "inf", "many", "", None, True, "8 5"])
def test_a_percentage_far_out_of_its_range_is_none(sent: Any) -> None:
    assert "progressPct" in reason("module.progress", playing.progress(progressPct=sent))
    entry = judged("lessonly", playing.lesson(score_percent=sent))
    assert entry.event is not None
    assert len(entry.event.facts) == 2  # the lesson is completed all the same


@pytest.mark.parametrize(
    ("maximum", "graded"),
    [(0, False), ("0", False), (-20, True), (True, True), ("", True), ([], True), ("many", True)],
)
def test_a_quiz_worth_nothing_is_ungraded_and_one_without_a_maximum_has_no_percentage(
    maximum: Any, graded: bool
) -> None:
    quiz = said("quiz.submitted", score=0, maxScore=maximum)
    assert (quiz.max_score, quiz.graded) == (None, graded)
    practice = said("quiz.submitted", quizType="PRACTICE", score="", maxScore=maximum, passed="")
    assert (practice.score, practice.passed, practice.graded) == (None, None, False)


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [("PT1H30M", 5400), ("01:30:00", 5400), ("00:10:00", 600), ("100:00:00", 360_000),
     ("0001:30:00.50", 5400), ("P1DT1H", 90_000), (" PT90S ", 90), ("1840", 1840), (12.7, 12)],
)  # fmt: skip
def test_a_duration_is_read_as_seconds(sent: Any, seconds: int) -> None:
    assert said("module.progress", timeSpentSec=sent).time_spent_sec == seconds


@pytest.mark.parametrize("sent", [-1, 1e10, "-PT1H", "PT9999999999H", "P", "1:99:00", "10:00", ""])
def test_a_time_spent_that_cannot_be_is_absent_and_the_progress_counts(sent: Any) -> None:
    fact = said("module.progress", timeSpentSec=sent)
    assert (fact.progress_pct, fact.time_spent_sec) == (50, 0)


@pytest.mark.parametrize(
    "sent",
    ["dana@acme.example\n", "dana@acme.example\r\n", "\tdana@acme.example", "dana@acme.example\x85",
     "\xa0dana@acme.example\u2028", "\ufeffdana@acme.example\u200b", "mailto:dana@acme.example",
     " MAILTO:dana@acme.example ", "da\u200bna@acme.example"],
)  # fmt: skip
def test_an_address_is_the_same_whatever_blanks_are_around_it(sent: str) -> None:
    assert said("user.provisioned", email=sent).email == "dana@acme.example"
    for body in (playing.lesson(user__email=sent), playing.course(user=sent, userDetail=None)):
        slug = "lessonly" if b"lesson" in body else "innovative-educators"
        entry = judged(slug, body)
        assert entry.event is not None
        assert entry.event.facts[0].email == "dana@acme.example"  # type: ignore[union-attr]
    assert entry.event.user_id == "dana@acme.example"


def test_letters_that_look_the_same_are_the_same() -> None:
    apart, composed = "zoe\u0308@acme.example", "zo\xeb@acme.example"
    assert said("user.provisioned", email=apart, teamId="cafe\u0301") == said(
        "user.provisioned", email=composed, teamId="caf\xe9"
    )


@pytest.mark.parametrize("blank", [" ", "\n", "\t", "\r\n", "\xa0", "\u200b", "\ufeff", "\x85"])
def test_spaces_around_an_id_or_a_name_are_removed(blank: str) -> None:
    assert said("user.provisioned", teamId=f"west{blank}", role=f"{blank}rep").team_id == "west"
    plain = said("module.progress", moduleName="M")
    typed = said("module.progress", userId=f"u-1{blank}", moduleId=f"{blank}m-1", moduleName=f"M{blank}")  # noqa: E501  # fmt: skip
    assert typed == plain
    lesson = playing.lesson(user__id=f"88{blank}", lesson__id=f"{blank}4411")
    assert judged("lessonly", lesson).claims == judged("lessonly", playing.lesson()).claims


@pytest.mark.parametrize(
    "sent",
    ["0001-01-01T00:00:00Z", "1601-01-01", "1900-01-01", "1970-01-01", "1970-01-01T00:00:00Z",
     "1980-01-01", "9999-12-31", "9999-12-31T23:59:59Z", "0000-00-00", "yesterday", "", 0, -1, True,
     [], {}],
)  # fmt: skip
def test_a_date_that_stands_for_none_is_absent_and_the_delivery_has_the_time(sent: Any) -> None:
    assert said("course.completed", completedAt=sent).completed_at == NOW
    expired = said("certification.expired", expiredAt=sent, renewalDeadline=sent)
    assert (expired.expired_at, expired.renewal_deadline, expired.expires_at) == (NOW, None, None)
    assert said("user.deprovisioned", deprovisionedAt=sent).deprovisioned_at == NOW


@pytest.mark.parametrize(
    "sent",
    ["2025-11-22T08:12:30", "2025-11-22 08:12:30", "2025-11-22T08:12:30.0000000Z",
     "2025-11-22T08:12:30.000000000+00:00", "2025-11-22T09:12:30+0100", " 2025-11-22T08:12:30Z\n",
     1763799150, 1763799150000, "1763799150"],
)  # fmt: skip
def test_a_time_is_read_in_the_spellings_that_senders_use(sent: Any) -> None:
    at = NOW.replace(hour=8, minute=12, second=30)
    assert said("course.completed", completedAt=sent).completed_at == at


def test_a_byte_order_mark_before_the_json_is_skipped_and_still_signed() -> None:
    body = playing.body_of("module.progress", playing.progress())
    marked = judged("mindtickle", b"\xef\xbb\xbf" + body)
    assert (marked.outcome, marked.reason) == (Outcome.ACCEPTED, None)
    assert marked.event is not None
    assert marked.event.payload == body.decode()
    assert judged("mindtickle", b"\xef\xbb\xbf\xef\xbb\xbf" + body).outcome is Outcome.UNREADABLE


def test_a_body_in_another_encoding_is_named_as_that() -> None:
    body = playing.body_of("user.provisioned", {"userId": "u-1", "role": "X"})
    entry = judged("mindtickle", body.replace(b"X", "é".encode("latin-1")))
    assert (entry.reason or "").startswith("The body is not UTF-8")


# Times from the future


SOON, FAR = NOW + timedelta(days=30), NOW + timedelta(days=365 * 40)


def at(slug: str, body: bytes, received_at: datetime = NOW) -> Sequence[Fact]:
    entry = judged(slug, body, received_at)
    assert entry.event is not None
    assert entry.event.occurred_at <= received_at + timedelta(minutes=5)
    return entry.event.facts


def test_a_time_later_than_its_arrival_counts_as_its_arrival_in_every_fact() -> None:
    for when in (SOON.isoformat(), FAR.isoformat(), "2199-12-31T00:00:00Z"):
        who, done, attempt = at("lessonly", playing.lesson(completed_at=when))
        assert (who.identified_at, done.completed_at, attempt.submitted_at) == (NOW,) * 3  # type: ignore[union-attr]
        who, done = at("innovative-educators", playing.course(timestamp=when))
        assert (who.identified_at, done.completed_at) == (NOW, NOW)  # type: ignore[union-attr]
        assert said("course.completed", completedAt=when).completed_at == NOW
        assert said("user.deprovisioned", deprovisionedAt=when).deprovisioned_at == NOW
        assert said("certification.expired", expiredAt=when).expired_at == NOW


def test_a_time_from_the_future_is_named_on_the_delivery() -> None:
    entry = judged("lessonly", playing.lesson(completed_at=FAR.isoformat()))
    assert entry.reason == (
        "Accepted without completed_at: is later than its arrival, which counts instead."
    )


def test_a_clock_that_is_a_little_ahead_is_believed() -> None:
    ahead = NOW + timedelta(minutes=4, seconds=59)
    assert said("course.completed", completedAt=ahead.isoformat()).completed_at == ahead
    later = NOW + timedelta(minutes=5, seconds=1)
    assert said("course.completed", completedAt=later.isoformat()).completed_at == NOW


def test_an_event_without_facts_counts_its_arrival_too() -> None:
    entry = judged("standard-webhooks", {"type": "a", "timestamp": FAR.isoformat()})
    assert entry.event is not None
    assert entry.event.occurred_at == NOW


def test_a_retry_of_a_lesson_without_a_time_to_go_by_has_the_same_key() -> None:
    for when in (FAR.isoformat(), "yesterday", None):
        body = playing.lesson(completed_at=when)
        first, again = (judged("lessonly", body, NOW + timedelta(hours=hours)) for hours in (0, 1))
        assert first.claims == again.claims
        assert (first.claims.event_key or "").startswith("digest:")


def test_a_departure_or_an_expiry_that_is_announced_for_later_keeps_its_time() -> None:
    left = said("user.deprovisioned", deprovisionedAt=SOON.isoformat())
    assert (left.deprovisioned_at, left.leaves_at) == (NOW, SOON)
    expired = said(
        "certification.expired", expiredAt=SOON.isoformat(), renewalDeadline=FAR.isoformat()
    )
    assert (expired.expired_at, expired.expires_at) == (NOW, SOON)
    assert expired.renewal_deadline == FAR


def test_a_departure_announced_for_another_age_is_ignored_and_begins_at_its_arrival() -> None:
    body = playing.body_of(
        "user.deprovisioned", {"userId": "u-1", "deprovisionedAt": "2099-12-31T00:00:00Z"}
    )
    entry = judged("mindtickle", body)
    assert (entry.reason or "").startswith("Accepted without deprovisionedAt: is later than")
    assert entry.event is not None
    (left,) = entry.event.facts
    assert (left.deprovisioned_at, left.leaves_at) == (NOW, None)  # type: ignore[union-attr]


# The same in a store


def stored(store: Engine, slug: str, *bodies: tuple[bytes, datetime]) -> None:
    for number, (body, received_at) in enumerate(bodies):
        sent = incoming(slug, body)._replace(received_at=received_at)
        if slug == "mindtickle":
            stamp = str(int(received_at.timestamp()))
            sent = test_mindtickle.incoming(body, stamp, event_id=f"{stamp} {number}".encode())
        entry = judge(VENDORS[slug], sent._replace(received_at=received_at))
        assert entry.event is not None, entry.reason
        with store.begin() as connection:
            write_batch(connection, [entry])
    follow(store)


def roster(store: Engine) -> tuple[bool, str]:
    """Whether Dana is on the boards, and what the learner page says of when she left."""
    with store.connect() as connection:
        there = connection.execute(people(Who(leavers=True))).one().active
        left = profile(connection, "mindtickle u-1", Who(leavers=True))
        assert left is not None
        assert [bool(one.active) for one in accounts(connection, left.person)] == [bool(there)]
        return bool(there), str(left.deprovisioned_at)


def left(when: datetime) -> bytes:
    data = {"userId": "u-1", "deprovisionedAt": when.isoformat()}
    return playing.body_of("user.deprovisioned", data)


JOINED = playing.body_of("user.provisioned", {"userId": "u-1", "role": "rep", "teamId": "west"})


def test_an_announced_departure_begins_when_its_time_comes(store: Engine) -> None:
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    stored(store, "mindtickle", (JOINED, now - 9 * hour), (left(now + hour), now - 8 * hour))
    assert roster(store) == (True, str(now + hour))
    rebuild(store)
    assert roster(store) == (True, str(now + hour))
    stored(store, "mindtickle", (left(now - hour), now - 2 * hour))  # then announced: by now over
    assert roster(store) == (False, str(now - hour))


def test_a_later_event_wins_over_an_announced_departure(store: Engine) -> None:
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    events = [(left(now + hour), now - 8 * hour), (JOINED, now - 7 * hour)]
    for order in (events, events[::-1]):
        empty(store)
        stored(store, "mindtickle", *order)
        assert row(store, Learner).active is True
    stored(store, "mindtickle", (left(now - 6 * hour), now - 6 * hour))
    assert roster(store)[0] is False


@pytest.mark.parametrize("year", [2090, 2199])
def test_a_departure_of_another_age_gives_way_to_a_later_join(store: Engine, year: int) -> None:
    absurd = left(NOW.replace(year=year))
    stored(store, "mindtickle", (absurd, NOW), (JOINED, NOW + timedelta(minutes=1)))
    assert roster(store)[0] is True


def test_a_later_event_wins_over_an_announced_expiry(store: Engine) -> None:
    def expired(when: datetime) -> bytes:
        data = {"userId": "u-1", "certName": "z", "expiredAt": when.isoformat()}
        return playing.body_of("certification.expired", data)

    stored(store, "mindtickle", (expired(SOON), NOW))
    assert shown(store) == SOON
    genuine = NOW + timedelta(days=1)
    stored(store, "mindtickle", (expired(genuine), genuine))
    assert shown(store) == genuine
    assert row(store, Certification).expires_at is None


def shown(store: Engine) -> datetime:
    with store.connect() as connection:
        (one,) = certificates(connection, "mindtickle u-1", NOW)
        (other,) = board_of_certificates(connection, EVERYBODY, NOW)
    assert one.expired_at == other.expired_at
    at: datetime = one.expired_at
    return at


def test_a_lesson_from_the_future_freezes_nothing(store: Engine) -> None:
    absurd = playing.lesson(
        completed_at="2031-01-01T00:00:00Z", score_percent=10, lesson__retake_score=99
    )
    genuine = playing.lesson(
        completed_at=(NOW + timedelta(minutes=1)).isoformat(), score_percent=95,
        user__name="New", user__email="new@x.com", lesson__title="New", lesson__retake_score=60,
    )  # fmt: skip
    stored(store, "lessonly", (absurd, NOW), (genuine, NOW + timedelta(minutes=1)))

    def latest() -> tuple[Any, ...]:
        quiz, learner = row(store, Quiz), row(store, Learner)
        standing = row(store, QuizStanding)
        return (quiz.quiz_name, quiz.retake_pct, learner.name, learner.email,
                standing.latest_pct)  # fmt: skip

    assert latest() == ("New", 60, "New", "new@x.com", 95)
    rebuild(store)
    assert latest() == ("New", 60, "New", "new@x.com", 95)


def test_a_rebuild_takes_stored_times_from_the_future_for_their_arrival(store: Engine) -> None:
    stored(store, "mindtickle", (left(NOW), NOW))
    with store.begin() as connection:  # as an earlier version has stored it
        said = {"payload": left(FAR).decode(), "occurred_at": FAR}
        connection.execute(table_of(Event).update().values(said))
    rebuild(store)
    learner = row(store, Learner)
    assert (learner.deprovisioned_at, learner.leaves_at) == (NOW, None)


def test_the_note_stands_on_the_delivery_and_a_duplicate_has_none(store: Engine) -> None:
    body = playing.body_of("module.progress", playing.progress(moduleName=["odd"]))
    twice = judged("mindtickle", body)
    with store.begin() as connection:
        write_batch(connection, [twice, twice])
    follow(store)
    accepted, duplicate = rows(store, Delivery)
    assert accepted.reason == "Accepted without moduleName: should be text."
    assert (duplicate.outcome, duplicate.reason) == (Outcome.DUPLICATE, None)
    assert row(store, ModuleProgress).module_name is None
