"""The first line of Deliveries, on a clock that the test sets."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shared.evidence import Evidence, Failing, Failures, Replayed, by_first_loss
from shared.outages import Outage
from shared.outcomes import Outcome
from shared.retries import Forecast, Silence, suspension
from shared.verdict import Clock, Level, Traffic, Verdict, verdict
from tests.shared.test_diagnosis import HEALTHY, VENDORS

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata")
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
NOW = datetime(2026, 3, 9, 8, 30, tzinfo=UTC)  # a Monday
UTC_CLOCK = Clock(NOW, "UTC")
BUSY = Traffic(1_000, 990, NOW - 4 * MINUTE)
LESSONLY = HEALTHY._replace(vendor=VENDORS["lessonly"])


def monday(zone: str) -> Clock:
    """08:30 on a Monday."""
    return Clock(datetime(2026, 3, 9, 8, 30, tzinfo=ZoneInfo(zone)).astimezone(UTC), zone)


def judged(
    *evidence: Evidence,
    traffic: Traffic = BUSY,
    outages: tuple[Outage, ...] = (),
    clock: Clock = UTC_CLOCK,
) -> Verdict:
    return verdict(evidence or (HEALTHY,), traffic, outages, "24 hours", clock)


def failing(
    base: Evidence = HEALTHY,
    events: int = 172,
    first_loss: timedelta | None = 112 * MINUTE,
    since: datetime = NOW - 3 * HOUR,
    now: datetime = NOW,
    **more: Any,
) -> Evidence:
    """Every delivery fails for its signature."""
    refused = Failures(events, 416, since, now - MINUTE, "wrong signature", events)
    losing = min(12, events)
    loss = None if first_loss is None else now + first_loss
    return base._replace(
        failures={Outcome.BAD_SIGNATURE: refused},
        failing=Failing(since, events, 416, 416),
        forecast=Forecast(events, 0, loss, losing),
        suspension=suspension(since, base.vendor.suspend_after, now),
        **more,
    )


def test_all_well_is_green() -> None:
    said = "All good. Last delivery 4 min ago; 99 % of 1,000 accepted in the last 24 hours."
    assert judged() == (Level.GOOD, said)


def few(outcome: Outcome, events: int = 12) -> Evidence:
    """As many as the demo has on an ordinary day."""
    odd = Failures(events, events, NOW - HOUR, NOW, "module.progress: data: missing.", events)
    return HEALTHY._replace(failures={outcome: odd}, accepted=1_000)


@pytest.mark.parametrize(
    "outcome", [one for one in Outcome if one not in ("accepted", "duplicate")]
)
def test_a_few_failures_on_a_busy_day_stay_green_and_are_counted(outcome: Outcome) -> None:
    level, said = judged(few(outcome))
    assert level is Level.GOOD
    assert said == (
        "Deliveries are accepted. Last delivery 4 min ago; 99 % of 1,000 accepted in the last 24 "
        "hours. 12 failed events are not recovered: see Missing events."
    )


def test_it_is_all_good_only_if_no_event_is_left_to_recover() -> None:
    recovered = Failures(3, 5, NOW - HOUR, NOW, "wrong signature", 0)
    healed = HEALTHY._replace(failures={Outcome.BAD_SIGNATURE: recovered}, accepted=1_000)
    assert judged(healed).text.startswith("All good. ")
    assert "All good" not in judged(few(Outcome.UNREADABLE, 1)).text


def test_where_a_large_share_failed_it_is_no_longer_all_good() -> None:
    (level, said) = judged(few(Outcome.TOO_LARGE, 1), traffic=Traffic(1, 0, NOW))
    assert level is Level.WARNING
    assert "0 % of 1 accepted" in said
    assert "1 failed event is not recovered" in said


def test_events_and_attempts_are_told_apart_with_what_is_lost_when() -> None:
    level, said = judged(failing())
    assert level is Level.LOSING
    assert said == (
        "MindTickle: every delivery has failed since 05:30 (172 events, 416 attempts). "
        "The signing secret was probably rotated. "
        "Fix this within 1 h 52 min or 12 of 172 waiting events lose their last retry. "
        "The webhook is suspended in 21 h."
    )


@pytest.mark.parametrize("zone", ZONES)
def test_times_are_on_the_viewers_clock(zone: str) -> None:
    clock = monday(zone)
    today, before = clock.now - 3 * HOUR, clock.now - 10 * HOUR
    assert "since 05:30" in judged(failing(since=today, now=clock.now), clock=clock).text
    said = judged(failing(since=before, now=clock.now), clock=clock).text
    assert "since Sun 8 Mar, 22:30" in said


def test_the_last_moments_are_never_0_min_and_no_time() -> None:
    said = judged(failing(first_loss=-20 * timedelta(seconds=1), events=1)).text
    assert "Fix this within less than a minute or 1 of 1 waiting event loses its last" in said
    assert "(1 event, 416 attempts)" in said


@pytest.mark.parametrize(
    ("mindtickle", "lessonly", "first"),
    [
        ((10, HOUR), (300, 2 * HOUR), "MindTickle"),
        ((300, 2 * HOUR), (10, HOUR), "Seismic"),
        ((300, HOUR), (10, HOUR), "MindTickle"),
        ((10, HOUR), (300, HOUR), "Seismic"),
        ((300, None), (10, HOUR), "Seismic"),
    ],
)
def test_the_vendor_whose_first_loss_comes_soonest_is_named_first_then_the_one_with_more_events(
    mindtickle: tuple[int, timedelta | None], lessonly: tuple[int, timedelta | None], first: str
) -> None:
    both = [failing(HEALTHY, *mindtickle), failing(LESSONLY, *lessonly)]
    assert judged(*both).text.startswith(first)
    assert judged(*reversed(both)).text.startswith(first)


def test_many_events_that_are_not_understood_are_in_the_first_line_with_the_field() -> None:
    odd = Failures(57, 57, NOW - HOUR, NOW, "module.progress: progressPct: is missing.", 57)
    level, said = judged(HEALTHY._replace(failures={Outcome.UNREADABLE: odd}, accepted=300))
    assert level is Level.LOSING
    assert said.startswith("MindTickle: 57 authentic events not understood.")
    assert "57 events, 57 attempts: 16 % of all deliveries" in said
    assert "module.progress: progressPct: is missing" in said
    assert "MindTickle never sends them again" in said


@pytest.mark.parametrize("zone", ZONES)
def test_after_a_complete_replay_the_first_line_says_what_stops_the_countdown(zone: str) -> None:
    clock = monday(zone)
    due = clock.now + 50 * MINUTE
    fixed = failing(now=clock.now, first_loss=None, replayed=Replayed(172, due))
    assert judged(fixed, clock=clock) == (
        Level.FIXED,
        "MindTickle: fixed: 172 events replayed, waiting for MindTickle's next delivery, "
        "due 09:20, which stops the countdown.",
    )


def test_a_fixed_vendor_is_named_after_one_that_loses_events() -> None:
    fixed = failing(first_loss=None, replayed=Replayed(1, None))
    level, said = judged(fixed, failing(LESSONLY))
    assert level is Level.LOSING
    assert said.startswith("Seismic")
    assert "MindTickle: fixed: 1 event replayed, waiting for MindTickle's next delivery," in said


def test_a_fixed_vendor_hides_no_silence_of_another() -> None:
    fixed = failing(first_loss=None, replayed=Replayed(1, None))
    silent = LESSONLY._replace(silence=Silence(NOW - 2 * DAY, 40))
    level, said = judged(fixed, silent)
    assert level is Level.QUIET
    assert said.startswith("Quiet: no deliveries from Seismic Learning (Lessonly) for 48 h;")
    assert "MindTickle: fixed: 1 event replayed" in said


def test_a_replay_after_the_suspension_is_not_yet_the_fix() -> None:
    late = failing(since=NOW - 25 * HOUR, first_loss=None, replayed=Replayed(172, None))
    level, said = judged(late)
    assert level is Level.LOSING
    assert "MindTickle has probably suspended the webhook" in said


def test_after_a_long_outage_the_first_line_is_the_suspension_and_denies_none() -> None:
    outage = Outage(NOW - 29 * HOUR, NOW - HOUR, over=True)
    clock = suspension(None, DAY, NOW, [outage], NOW - 30 * HOUR)
    silent = HEALTHY._replace(suspension=clock, silence=Silence(NOW - 30 * HOUR, 40))
    level, said = judged(silent, outages=(outage,))
    assert level is Level.LOSING
    assert said.startswith("MindTickle has probably suspended the webhook. No receiver was up for")
    assert "28 h" in said
    assert "re-activate" in said
    assert "no suspension" not in said


@pytest.mark.parametrize(
    ("hours", "countdown"),
    [
        (20, "MindTickle suspends the webhook in 4 h."),
        (25, "MindTickle has probably suspended the webhook."),
    ],
)
def test_while_no_receiver_is_up_the_countdown_of_each_vendor_runs(
    hours: int, countdown: str
) -> None:
    outage = Outage(NOW - hours * HOUR, NOW, over=False)
    clock = suspension(None, DAY, NOW, [outage], NOW - (hours + 1) * HOUR)
    level, said = judged(HEALTHY._replace(suspension=clock), outages=(outage,))
    assert level is Level.DOWN
    assert f"the last one was seen {hours} h ago" in said
    assert said.endswith(countdown)


def test_silence_is_quiet() -> None:
    level, said = judged(HEALTHY._replace(silence=Silence(NOW - 5 * HOUR, 40.2)))
    assert level is Level.QUIET
    assert "no deliveries from MindTickle for 5 h; about 40 are usual" in said


def test_causes_are_in_the_order_of_their_first_loss_then_of_their_open_events() -> None:
    def cause(open_events: int, loss: timedelta | None) -> Failures:
        at = None if loss is None else NOW + loss
        return Failures(open_events, open_events, NOW, NOW, None, open_events, at)

    causes = {
        Outcome.UNREADABLE: cause(500, None),
        Outcome.TOO_LARGE: cause(2, HOUR),
        Outcome.BAD_SIGNATURE: cause(9, HOUR),
        Outcome.STALE_TIMESTAMP: cause(1, MINUTE),
    }
    assert [outcome for outcome, _ in sorted(causes.items(), key=by_first_loss)] == [
        Outcome.STALE_TIMESTAMP,
        Outcome.BAD_SIGNATURE,
        Outcome.TOO_LARGE,
        Outcome.UNREADABLE,
    ]
