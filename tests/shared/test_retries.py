"""Attempt histories, and the state each must give, on a clock that the test moves."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as some

from shared.retries import (
    Attempt,
    Attempts,
    Chain,
    Count,
    Forecast,
    Schedule,
    State,
    Waiting,
    chain,
    counted_suspension,
    forecast,
    silence,
    suspension,
)

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)  # a Tuesday
GAPS = Schedule.of((300, 900, 3600, 21_600), "gaps")
OFFSETS = Schedule.of((300, 900, 3600, 21_600), "offsets")
EXPONENTIAL = Schedule.of((20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600), "gaps")
THRICE = Schedule.of((300, 300, 300), "gaps")


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def refused(*minutes: float) -> list[Attempt]:
    return [Attempt(after(minute), accepted=False) for minute in minutes]


def test_the_two_readings_of_the_published_delays() -> None:
    minutes = [[at.total_seconds() / 60 for at in one.offsets] for one in (GAPS, OFFSETS)]
    assert minutes == [[0, 5, 20, 80, 440], [0, 5, 15, 60, 360]]


@pytest.mark.parametrize(
    ("schedule", "seen", "now", "state", "attempt", "next_due", "last_chance"),
    [
        (GAPS, [0], 1, State.WAITING, 1, 5, 440),
        (GAPS, [0, 5], 6, State.WAITING, 2, 20, 440),
        (GAPS, [0, 5, 20], 30, State.WAITING, 3, 80, 440),
        (GAPS, [0, 5, 20, 80], 100, State.WAITING, 4, 440, 440),
        (GAPS, [0, 5, 20, 80, 440], 441, State.GIVEN_UP, 5, None, 440),
        # Seen at its first and third attempt: the second never arrived.
        (GAPS, [0, 20], 21, State.WAITING, 3, 80, 440),
        # The retry after 5 minutes did not arrive, but later ones may.
        (GAPS, [0], 10, State.OVERDUE, 1, 20, 440),
        (GAPS, [0], 300, State.OVERDUE, 1, 440, 440),
        (GAPS, [0], 600, State.GIVEN_UP, 1, None, 440),
        # Two seconds late each time: the next counts from the latest attempt.
        (GAPS, [0, 5.5, 21], 22, State.WAITING, 3, 81, 441),
        # The same attempt twice.
        (GAPS, [0, 0.1], 1, State.WAITING, 1, 5.1, 440.1),
        (OFFSETS, [0], 1, State.WAITING, 1, 5, 360),
        (OFFSETS, [0, 5, 15], 30, State.WAITING, 3, 60, 360),
        (OFFSETS, [0, 5, 15, 60, 360], 361, State.GIVEN_UP, 5, None, 360),
        (THRICE, [0, 5], 6, State.WAITING, 2, 10, 15),
        (THRICE, [0, 5, 10, 15], 16, State.GIVEN_UP, 4, None, 15),
        (EXPONENTIAL, [0, 1 / 3, 1], 1.1, State.WAITING, 3, 7 / 3, 205),
    ],
)
def test_a_chain_stands_where_its_attempts_and_the_clock_put_it(
    schedule: Schedule,
    seen: list[float],
    now: float,
    state: State,
    attempt: int,
    next_due: float | None,
    last_chance: float,
) -> None:
    found = chain(refused(*seen), schedule, after(now))
    due = None if next_due is None else after(next_due)
    assert found == Chain(state, attempt, len(schedule.offsets), 0, due, after(last_chance))


def test_one_accepted_attempt_recovers_a_chain() -> None:
    found = chain([*refused(0, 5), Attempt(after(20), accepted=True)], GAPS, after(21))
    assert found == Chain(State.RECOVERED, 3, 5, 0, None, None)


@pytest.mark.parametrize(
    ("late", "missed"), [(0, 0), (5, 1), (20.5, 2), (80, 3), (440, 4), (50, 0)]
)
def test_a_first_arrival_late_by_a_step_is_a_later_attempt(late: float, missed: int) -> None:
    found = chain(refused(late), GAPS, after(late), occurred_at=NOON)
    assert (found.missed, found.attempt) == (missed, missed + 1)


def test_on_a_quick_schedule_an_event_in_time_is_no_later_attempt() -> None:
    quick = Schedule.of((5, 15, 60), "gaps")
    at = NOON + timedelta(seconds=1)
    assert chain([Attempt(at, accepted=False)], quick, at, occurred_at=NOON).missed == 0


def test_a_late_first_arrival_keeps_the_chances_of_its_true_place() -> None:
    found = chain(refused(80), GAPS, after(81), occurred_at=NOON)
    assert (found.next_due, found.last_chance) == (after(440), after(440))


attempts = some.lists(
    some.tuples(some.integers(0, 30_000), some.booleans()), min_size=1, max_size=12
).map(lambda drawn: [Attempt(NOON + timedelta(seconds=at), taken) for at, taken in sorted(drawn)])
schedules = some.sampled_from([GAPS, OFFSETS, THRICE, EXPONENTIAL])


@given(attempts, schedules, some.integers(0, 60_000), some.integers(0, 60_000))
def test_a_recovered_chain_stays_recovered(
    seen: list[Attempt], schedule: Schedule, first: int, later: int
) -> None:
    for upto in range(1, len(seen) + 1):
        if chain(seen[:upto], schedule, seen[upto - 1].at).state is State.RECOVERED:
            now = seen[-1].at + timedelta(seconds=first + later)
            assert chain(seen, schedule, now).state is State.RECOVERED


@given(attempts, schedules, some.integers(0, 60_000))
def test_what_is_due_is_never_past_the_last_chance(
    seen: list[Attempt], schedule: Schedule, later: int
) -> None:
    found = chain(seen, schedule, seen[-1].at + timedelta(seconds=later))
    assert 1 <= found.attempt <= found.of
    if found.next_due:
        assert found.last_chance is not None
        assert found.next_due <= found.last_chance


def test_the_forecast_tells_what_a_replay_recovers_from_what_is_lost_and_when() -> None:
    found = forecast(
        [
            Waiting(True, after(440)),
            Waiting(True, after(470)),
            Waiting(True, None),
            Waiting(False, after(450)),
            Waiting(False, after(500)),
            Waiting(False, None),
        ]
    )
    assert found.retried == (2, after(440), after(470))
    assert found.at_risk == (2, after(450), after(500))
    assert (found.quarantined, found.lost, found.events) == (3, 1, 6)
    assert found.first_loss == after(450)


def test_where_all_events_are_in_quarantine_no_retry_that_ends_is_a_loss() -> None:
    found = forecast([Waiting(True, after(440)), Waiting(True, None)])
    assert (found.first_loss, found.lost) == (None, 0)


def test_without_unrecovered_events_nothing_is_lost() -> None:
    assert forecast([]) == Forecast(None, 0, 0, None)


@pytest.mark.parametrize(("hours", "share"), [(0, 0), (12, 0.5), (18, 0.75), (24, 1), (30, 1.25)])
def test_the_suspension_clock_runs_while_every_delivery_fails(hours: float, share: float) -> None:
    found = suspension(NOON, timedelta(hours=24), after(60 * hours))
    assert found is not None
    assert (found.at, found.share) == (after(24 * 60), share)


DAY = timedelta(hours=24)


def test_a_vendor_that_counts_failures_suspends_when_the_first_limit_is_reached() -> None:
    kinds = [Attempts(14_000, 28_000, 28_000), Attempts(9_000, 9_500, 2_000)]
    found = counted_suspension(kinds, DAY, NOON)
    assert found is not None
    assert (found.at, found.counted) == (after(15), Count(9_000, 9_500, DAY))
    assert found.share == pytest.approx(9_000 / 9_500)


@pytest.mark.parametrize(
    ("failed", "hourly", "share"), [(28_000, 0, 1.0), (42_000, 10, 1.5), (27_999, 0, None),
                                    (100, 1_000, None), (0, 0, None)]
)  # fmt: skip
def test_it_suspends_only_at_a_rate_that_reaches_the_limit_within_its_time(
    failed: int, hourly: float, share: float | None
) -> None:
    found = counted_suspension([Attempts(failed, 28_000, hourly)], DAY, NOON)
    assert (found and (found.share, found.at)) == (share and (share, NOON))


def test_there_is_no_suspension_clock_while_deliveries_are_accepted() -> None:
    assert suspension(None, timedelta(hours=24), NOON) is None


OFFICE = {(weekday, hour): 6.0 for weekday in range(5) for hour in range(8, 18)}


def test_an_hour_without_deliveries_is_no_silence_where_six_an_hour_are_usual() -> None:
    assert silence(NOON, OFFICE, after(60)) is None


def test_two_hours_are_a_silence_by_day() -> None:
    found = silence(NOON, OFFICE, after(120))
    assert found == (NOON, 12)


def test_a_night_is_no_silence_where_none_come_by_night() -> None:
    evening = NOON.replace(hour=18)
    assert silence(evening, OFFICE, evening + timedelta(hours=14)) is None


def test_a_weekend_is_no_silence_where_none_come_on_weekends() -> None:
    friday = NOON.replace(day=13, hour=18)
    assert silence(friday, OFFICE, friday + timedelta(hours=62)) is None
