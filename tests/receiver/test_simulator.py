import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import Any

import pytest

from receiver.simulator import Plan, Play
from receiver.simulator.base import Delivery, Fault
from receiver.simulator.company import HARD_QUIZ, SLIPPING_TEAM
from receiver.simulator.mindtickle import PART
from receiver.vendors.base import Incoming, Rejected, Unreadable, VendorEvent
from receiver.vendors.mindtickle import EVENT_ID, SIGNATURE, TIMESTAMP, MindTickle
from receiver.vendors.mindtickle.contract import SLUG

START = datetime(2025, 6, 20, 13, 30, tzinfo=UTC)
RETRY_AFTER = tuple(timedelta(minutes=minutes) for minutes in (5, 20, 80, 440))
PLAN = Plan("http://127.0.0.1:8000", SLUG, b"s3cret", RETRY_AFTER)
WINDOW = timedelta(days=PLAN.backfill_days)
ADAPTER = MindTickle([b"s3cret"], "demo", past=2 * 86_400 * 90, future=300)


def history(plan: Plan = PLAN) -> list[Delivery]:
    return list(Play(plan, START).history())


@pytest.fixture(scope="module")
def deliveries() -> list[Delivery]:
    """A history with as much going wrong as is usual."""
    return history()


@pytest.fixture(scope="module")
def calm() -> list[Delivery]:
    """A history in which nothing goes wrong, so that every event comes at its own time."""
    return history(replace(PLAN, faults=0))


@pytest.fixture(scope="module")
def troubled() -> list[Delivery]:
    """A history in which something goes wrong around every event."""
    return history(replace(PLAN, faults=1))


def received(delivery: Delivery) -> VendorEvent:
    headers = {name: value.encode() for name, value in delivery.headers.items()}
    incoming = Incoming(headers, delivery.body, "127.0.0.1", START)
    ADAPTER.authenticate(incoming)
    return ADAPTER.parse(incoming)


def verdict(delivery: Delivery) -> str:
    try:
        received(delivery)
    except Rejected as refused:
        return refused.outcome
    except Unreadable:
        return "unreadable"
    return "accepted"


def good(deliveries: list[Delivery]) -> Iterator[Delivery]:
    return (one for one in deliveries if one.fault is None)


def happened(deliveries: list[Delivery]) -> Iterator[tuple[datetime, str, dict[str, Any]]]:
    for one in good(deliveries):
        body = json.loads(one.body)
        yield one.at, body["event"], body["data"]


def graded(deliveries: list[Delivery]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The graded submissions of each learner × quiz, in order."""
    attempts = defaultdict(list)
    for _, kind, data in happened(deliveries):
        if kind == "quiz.submitted" and data["quizType"] == "graded":
            attempts[data["userId"], data["quizId"]].append(data)
    return attempts


def ticking(step: timedelta, after: datetime = START) -> Any:
    ticks = count(1)
    return lambda: after + step * next(ticks)


def live(plan: Plan, how_many: int) -> list[Delivery]:
    play = Play(plan, START)
    for _ in play.history():
        pass
    return list(islice(play.live(ticking(timedelta(milliseconds=200))), how_many))


def test_the_same_seed_gives_the_same_deliveries(deliveries: list[Delivery]) -> None:
    assert history() == deliveries


def test_another_seed_gives_other_deliveries(deliveries: list[Delivery]) -> None:
    other = history(replace(PLAN, seed=8))
    assert [one.body for one in other] != [one.body for one in deliveries]


def test_a_later_start_gives_other_event_ids(deliveries: list[Delivery]) -> None:
    later = Play(PLAN, START + timedelta(hours=1)).history()
    assert not {one.event_id for one in later} & {one.event_id for one in deliveries}


def test_the_events_are_the_same_with_any_faults(
    deliveries: list[Delivery], troubled: list[Delivery]
) -> None:
    assert {one.event_id for one in good(deliveries)} == {one.event_id for one in good(troubled)}


def test_every_good_delivery_verifies_and_parses(troubled: list[Delivery]) -> None:
    assert {verdict(one) for one in good(troubled)} == {"accepted"}


def test_an_event_is_known_by_the_id_it_was_posted_with(deliveries: list[Delivery]) -> None:
    assert all(received(one).event_key == one.event_id for one in good(deliveries))


def test_no_two_events_share_a_digest(deliveries: list[Delivery]) -> None:
    digests = [received(one).digest for one in good(deliveries)]
    assert len(set(digests)) == len(digests)


def test_ninety_days_of_a_hundred_and_twenty_learners_are_a_few_thousand_deliveries(
    deliveries: list[Delivery],
) -> None:
    assert 5_000 < len(deliveries) < 10_000


def test_a_history_has_every_event_type(deliveries: list[Delivery]) -> None:
    assert {kind for _, kind, _ in happened(deliveries)} == {
        "course.completed",
        "quiz.submitted",
        "user.provisioned",
        "user.deprovisioned",
        "module.progress",
        "certification.expired",
    }


def test_times_lie_within_the_backfill_and_in_order(deliveries: list[Delivery]) -> None:
    times = [one.at for one in deliveries]
    assert times == sorted(times)
    assert times[0] >= START - WINDOW
    assert times[-1] <= START


def test_the_timestamp_header_is_the_events_own_time(deliveries: list[Delivery]) -> None:
    assert all(int(one.headers[TIMESTAMP]) == int(one.at.timestamp()) for one in good(deliveries))


def test_weekdays_are_busier_than_weekends(calm: list[Delivery]) -> None:
    by_weekday = Counter(one.at.weekday() for one in calm)
    assert min(by_weekday[day] for day in range(5)) > 3 * max(by_weekday[5], by_weekday[6])


def test_practice_has_no_score(calm: list[Delivery]) -> None:
    practice = [data for _, _, data in happened(calm) if data.get("quizType") == "practice"]
    assert practice
    assert not any({"score", "maxScore", "passed"} & data.keys() for data in practice)


def test_people_who_fail_retake_and_mostly_improve(calm: list[Delivery]) -> None:
    retaken = [
        tries for tries in graded(calm).values() if len(tries) > 1 and not tries[0]["passed"]
    ]
    better = [tries for tries in retaken if tries[1]["score"] > tries[0]["score"]]
    assert len(retaken) > 20
    assert len(better) > len(retaken) / 2


def test_most_people_fail_the_hard_quiz_at_first(calm: list[Delivery]) -> None:
    first = [tries[0] for (_, quiz), tries in graded(calm).items() if quiz == HARD_QUIZ.id]
    assert sum(not data["passed"] for data in first) > len(first) / 2


def test_a_course_is_completed_again_under_a_new_event_id(calm: list[Delivery]) -> None:
    completions = Counter(
        (data["userId"], data["courseId"])
        for _, kind, data in happened(calm)
        if kind == "course.completed"
    )
    assert max(completions.values()) > 1


def test_progress_never_goes_down(calm: list[Delivery]) -> None:
    totals: dict[tuple[str, str], tuple[int, int]] = {}
    for _, kind, data in happened(calm):
        if kind == "module.progress":
            key, now = (
                (data["userId"], data["moduleId"]),
                (data["progressPct"], data["timeSpentSec"]),
            )
            before = totals.get(key, (0, 0))
            assert now[0] > before[0]
            assert now[1] >= before[1]
            totals[key] = now


def test_some_learners_are_hired_later(calm: list[Delivery]) -> None:
    joined = [at for at, kind, _ in happened(calm) if kind == "user.provisioned"]
    assert any(at > START - WINDOW + timedelta(days=1) for at in joined)


def test_no_event_is_earlier_than_the_hiring(calm: list[Delivery]) -> None:
    joined = {data["userId"]: at for at, kind, data in happened(calm) if kind == "user.provisioned"}
    assert all(at >= joined.get(data["userId"], at) for at, _, data in happened(calm))


def test_no_event_is_later_than_the_leaving(troubled: list[Delivery]) -> None:
    left = {data["userId"]: at for at, kind, data in happened(troubled) if "reason" in data}
    assert left
    assert all(at <= left.get(data["userId"], at) for at, _, data in happened(troubled))


def test_one_or_two_learners_are_unknown_to_the_roster(calm: list[Delivery]) -> None:
    seen = {data["userId"] for _, _, data in happened(calm)}
    known = {data["userId"] for _, kind, data in happened(calm) if kind == "user.provisioned"}
    assert len(seen - known) in (1, 2)


def test_no_two_people_share_an_address(calm: list[Delivery]) -> None:
    emails = [data["email"] for _, kind, data in happened(calm) if kind == "user.provisioned"]
    assert len(set(emails)) == len(emails)


def test_one_team_slips_in_the_last_two_weeks(calm: list[Delivery]) -> None:
    team = {data["userId"] for _, _, data in happened(calm) if data.get("teamId") == SLIPPING_TEAM}
    weeks = Counter(
        (START - at).days // 14 for at, _, data in happened(calm) if data["userId"] in team
    )
    assert weeks[0] < weeks[1] / 2


def test_every_kind_of_fault_occurs_in_a_history(deliveries: list[Delivery]) -> None:
    assert {one.fault for one in deliveries} == {None, *PART.faults}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.DUPLICATE, "accepted"),
        (Fault.LATE_RETRY, "accepted"),
        (Fault.REFUSED_FIRST, "bad_signature"),
        (Fault.FORGED, "bad_signature"),
        (Fault.BROKEN_BODY, "unreadable"),
        (Fault.NO_CREDENTIALS, "missing_credentials"),
        (Fault.UNKNOWN_TYPE, "accepted"),
    ],
)
def test_a_fault_is_what_it_says(troubled: list[Delivery], fault: Fault, expected: str) -> None:
    assert {verdict(one) for one in troubled if one.fault is fault} == {expected}


def test_every_wrongly_signed_attempt_of_a_real_event_is_followed_by_a_good_one(
    troubled: list[Delivery],
) -> None:
    good_at = {one.event_id: one.at for one in good(troubled)}
    refused = [one for one in troubled if one.fault is Fault.REFUSED_FIRST]
    assert refused
    assert all(good_at[one.event_id] > one.at for one in refused)


def test_a_duplicate_is_the_same_request_again(troubled: list[Delivery]) -> None:
    first = {one.event_id: one for one in good(troubled)}
    repeated = [one for one in troubled if one.fault is Fault.DUPLICATE]
    assert all(one.body == first[one.event_id].body for one in repeated)
    assert all(one.headers == first[one.event_id].headers for one in repeated)


def test_a_late_retry_has_a_fresh_signature(troubled: list[Delivery]) -> None:
    first = {one.event_id: one for one in good(troubled)}
    retries = [one for one in troubled if one.fault is Fault.LATE_RETRY]
    assert all(one.body == first[one.event_id].body for one in retries)
    assert all(one.headers[SIGNATURE] != first[one.event_id].headers[SIGNATURE] for one in retries)


def test_without_faults_every_delivery_is_good(calm: list[Delivery]) -> None:
    assert {one.fault for one in calm} == {None}


def test_the_event_id_is_in_the_header(deliveries: list[Delivery]) -> None:
    assert all(one.headers[EVENT_ID] == one.event_id for one in deliveries)


def test_without_a_backfill_only_the_roster_is_sent() -> None:
    plan = replace(PLAN, backfill_days=0, faults=0)
    assert {kind for _, kind, _ in happened(history(plan))} == {"user.provisioned"}


@pytest.mark.parametrize("days", [0, 1, 2, 7])
@pytest.mark.parametrize("learners", [1, 2, 25])
def test_small_companies_and_short_histories_stay_in_their_window(days: int, learners: int) -> None:
    plan = replace(PLAN, backfill_days=days, learners=learners, faults=1)
    for delivery in history(plan):
        assert START - timedelta(days=days) <= delivery.at <= START


def test_live_goes_on_from_the_history() -> None:
    plan = replace(PLAN, learners=30, faults=0)
    totals: dict[tuple[str, str], int] = {}
    for _, kind, data in happened(history(plan) + live(plan, 500)):
        if kind == "module.progress":
            key = (data["userId"], data["moduleId"])
            assert data["progressPct"] > totals.get(key, 0)
            totals[key] = data["progressPct"]


def test_live_events_never_end() -> None:
    plan = replace(PLAN, learners=3, backfill_days=0)
    last = live(plan, 5_000)[-200:]
    assert {"module.progress", "quiz.submitted"} <= {kind for _, kind, _ in happened(last)}


def test_live_deliveries_are_signed_now() -> None:
    first = live(PLAN, 1)[0]
    assert first.headers[TIMESTAMP] == str(int(START.timestamp()))


def test_live_ends_in_time_and_loses_no_event() -> None:
    plan = replace(PLAN, learners=30, backfill_days=0, faults=1)
    until = START + timedelta(hours=1)
    deliveries = list(Play(plan, START).live(ticking(timedelta(seconds=2)), until))
    refused = {one.event_id for one in deliveries if one.fault is Fault.REFUSED_FIRST}
    assert refused
    assert refused <= {one.event_id for one in good(deliveries)}
    assert max(one.at for one in deliveries) <= until
