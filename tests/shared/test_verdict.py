"""The first line of Deliveries, on a clock that the test sets."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shared.causes import causes
from shared.diagnosis import Severity
from shared.evidence import Evidence, Failing, Failures, Replayed, Strangers
from shared.outages import Outage
from shared.outcomes import Outcome
from shared.retries import Ending, Forecast, Schedule, Silence, suspension
from shared.stopped import Stopped
from shared.verdict import Clock, Countdown, Level, Standing, Traffic, Verdict, standing, verdict
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
    *,
    in_quarantine: int = 0,
    spread: timedelta = 0 * MINUTE,
    since: datetime = NOW - 3 * HOUR,
    now: datetime = NOW,
    **more: Any,
) -> Evidence:
    """Every delivery fails for its signature. The last retries are due from `first_loss` on."""
    known = Forecast(quarantined=events)
    if first_loss is not None:
        first = now + first_loss
        kept = Ending(in_quarantine, first, first + spread) if in_quarantine else None
        unsafe = Ending(events - in_quarantine, first, first + spread)
        at_risk = unsafe if unsafe.events else None
        known = Forecast(at_risk, 0, in_quarantine, kept)
    refused = Failures(events, 416, since, now - MINUTE, "wrong signature", events, known)
    return base._replace(
        failures={Outcome.BAD_SIGNATURE: refused},
        failing=Failing(since, events, 416, 416),
        forecast=known,
        suspension=suspension(since, base.vendor.suspend_after, now),
        **more,
    )


def test_all_well_is_green() -> None:
    all_accepted = Traffic(1_000, 1_000, NOW - 4 * MINUTE)
    assert judged(traffic=all_accepted) == (
        Level.GOOD,
        "All well: every delivery accepted in the last 24 hours",
        "100 % of 1,000 deliveries accepted in the last 24 hours, the latest 4 min ago.",
        (),
        None,
    )


def test_where_all_that_failed_is_recovered_the_headline_claims_no_more() -> None:
    level, headline, why, *_ = judged()
    assert (level, headline) == (Level.GOOD, "All well: no event is missing")
    assert why.startswith("99 % of 1,000 deliveries accepted")


def few(outcome: Outcome, events: int = 12) -> Evidence:
    """As many as the demo has on an ordinary day."""
    odd = Failures(events, events, NOW - HOUR, NOW, "module.progress: data: missing.", events)
    return HEALTHY._replace(failures={outcome: odd}, accepted=1_000)


@pytest.mark.parametrize(
    "outcome", [one for one in Outcome if one not in ("accepted", "duplicate")]
)
def test_a_few_failures_on_a_busy_day_stay_green_and_are_counted(outcome: Outcome) -> None:
    said = judged(few(outcome))
    assert (said.level, said.headline) == (
        Level.GOOD,
        "Deliveries are accepted; 12 failed events are not recovered",
    )
    assert standing(few(outcome)) is Standing.HEALTHY


def test_where_a_large_share_failed_it_is_no_longer_all_well_and_the_cure_is_offered() -> None:
    large = few(Outcome.TOO_LARGE, 1)._replace(accepted=0)
    said = judged(large, traffic=Traffic(1, 0, NOW))
    assert said.level is Level.WARNING
    assert said.headline == "Check MindTickle: 1 failed event not recovered"
    assert "0 % of 1 delivery accepted" in said.why
    assert said.about is not None
    assert said.about[1] is not None
    assert "MAX_BODY_BYTES" in said.about[1].cure
    assert standing(large) is Standing.WATCH
    assert [one.severity for one in causes([large])] == [Severity.WARNING]


def test_the_headline_says_who_fails_for_how_long_and_that_nothing_in_quarantine_is_lost() -> None:
    said = judged(failing(events=35, in_quarantine=35, spread=76 * MINUTE))
    assert (said.level, said.headline) == (
        Level.FAILING,
        "Failing, nothing lost yet: MindTickle has failed for 3 h",
    )
    assert said.why == (
        "Every delivery since 05:30 failed (35 events, 416 attempts): the signing secret was "
        "probably rotated. All 35 are in quarantine, where a replay recovers them once the cause "
        "is fixed; MindTickle's own retries of all 35 end between 10:22 and 11:38. If this "
        "goes on, MindTickle suspends the webhook at Tue 10 Mar, 05:30: what happens after that is "
        "never sent."
    )
    assert list(said.countdowns) == [
        Countdown("35 events in quarantine, for a replay", loss=False),
        Countdown("Webhook suspended in 21 h", loss=False),
    ]
    assert standing(failing()) is Standing.FAILING


def test_what_is_not_in_quarantine_is_at_risk_and_all_of_it_is_counted_with_its_span() -> None:
    said = judged(failing(events=35, in_quarantine=30, spread=76 * MINUTE))
    assert (said.level, said.headline) == (
        Level.LOSING,
        "Data at risk: MindTickle has failed for 3 h",
    )
    assert "30 of them are in quarantine, where a replay recovers them" in said.why
    assert (
        "5 events are not in quarantine: only a retry recovers these, the last one between 10:22 "
        "and 11:38." in said.why
    )
    assert said.countdowns[0] == Countdown(
        "5 events lost between 10:22 and 11:38, the first in 1 h 52 min", loss=True
    )


def test_what_has_no_retry_left_is_lost_only_outside_of_quarantine() -> None:
    rest = Forecast(None, lost=3, quarantined=32)
    said = judged(failing(events=35)._replace(forecast=rest))
    assert said.headline == "Losing data: MindTickle has failed for 3 h"
    assert "32 of them are in quarantine" in said.why
    assert "MindTickle does not send them again" in said.why
    assert "3 events are lost: not in quarantine, and without a retry." in said.why
    assert said.countdowns[0] == Countdown("3 events lost", loss=True)


@pytest.mark.parametrize(
    ("outcome", "doubt"),
    [
        (Outcome.IP_NOT_ALLOWED, "(not if the address was your proxy's)"),
        (Outcome.STALE_TIMESTAMP, "(only within a tolerance that covers their age at arrival)"),
    ],
)
def test_where_a_replay_may_not_recover_an_event_that_is_said_and_its_last_retry_is_a_loss(
    outcome: Outcome, doubt: str
) -> None:
    kept = failing(events=35, in_quarantine=35)
    odd = kept._replace(failures={outcome: kept.failures[Outcome.BAD_SIGNATURE]})
    assert doubt in judged(odd).why
    assert odd.first_loss == NOW + 112 * MINUTE
    assert kept.first_loss == NOW + 21 * HOUR, "what the vendor does not send after a suspension"


def test_while_no_receiver_is_up_the_first_lines_say_when_the_first_event_is_lost() -> None:
    schedule = Schedule.of((60, 300, 1_800, 7_200, 14_400), "gaps")
    evidence = HEALTHY._replace(vendor=replace(HEALTHY.vendor, schedule=schedule))
    outage = Outage(NOW - HOUR, NOW, over=False)
    said = judged(evidence, outages=(outage,))
    assert "try again for some time: the first events are lost at 14:06 (MindTickle)" in said.why


@pytest.mark.parametrize("zone", ZONES)
def test_times_are_on_the_viewers_clock(zone: str) -> None:
    clock = monday(zone)
    today, before = clock.now - 3 * HOUR, clock.now - 10 * HOUR
    assert "since 05:30" in judged(failing(since=today, now=clock.now), clock=clock).why
    said = judged(failing(since=before, now=clock.now), clock=clock).why
    assert "since Sun 8 Mar, 22:30" in said


def test_the_last_moments_are_never_0_min_and_no_time() -> None:
    said = judged(failing(first_loss=-20 * timedelta(seconds=1), events=1))
    assert said.countdowns[0].words == "1 event lost in less than a minute"
    assert "(1 event, 416 attempts)" in said.why


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
    for said in (judged(*both), judged(*reversed(both))):
        assert said.headline.startswith(f"Data at risk: {first}")
        assert "as well: every delivery since 05:30 failed" in said.why
        assert said.countdowns[0].words.startswith(first)


def test_many_events_that_are_not_understood_are_in_the_first_line_with_the_field() -> None:
    odd = Failures(57, 57, NOW - HOUR, NOW, "module.progress: progressPct: is missing.", 57)
    level, headline, why, *_ = judged(
        HEALTHY._replace(
            failures={Outcome.UNREADABLE: odd}, accepted=300, forecast=Forecast(quarantined=57)
        )
    )
    assert level is Level.FAILING
    assert headline == ("Failing, nothing lost yet: MindTickle, 57 authentic events not understood")
    assert "57 events, 57 attempts: 16 % of all deliveries" in why
    assert "module.progress: progressPct: is missing" in why
    assert "All 57 are in quarantine" in why
    assert "MindTickle does not send them again" in why


@pytest.mark.parametrize("zone", ZONES)
def test_after_a_complete_replay_the_first_line_says_what_stops_the_countdown(zone: str) -> None:
    clock = monday(zone)
    due = clock.now + 50 * MINUTE
    fixed = failing(now=clock.now, first_loss=None, replayed=Replayed(172, due))
    said = judged(fixed, clock=clock)
    assert said.level is Level.CATCHING_UP
    assert said.headline == "Catching up: 172 events of MindTickle replayed"
    assert said.why == (
        "MindTickle is fixed: 172 events replayed, waiting for MindTickle's next delivery, due "
        "09:20, which stops the countdown."
    )
    assert standing(fixed) is Standing.WATCH


def test_a_fixed_vendor_is_named_after_one_that_loses_events() -> None:
    fixed = failing(first_loss=None, replayed=Replayed(1, None))
    level, headline, why, *_ = judged(fixed, failing(LESSONLY))
    assert level is Level.LOSING
    assert headline.startswith("Data at risk: Seismic")
    assert "MindTickle is fixed: 1 event replayed, waiting for MindTickle's next delivery," in why


def test_a_fixed_vendor_hides_no_silence_of_another() -> None:
    fixed = failing(first_loss=None, replayed=Replayed(1, None))
    silent = LESSONLY._replace(silence=Silence(NOW - 2 * DAY, 40))
    level, headline, why, *_ = judged(fixed, silent)
    assert level is Level.QUIET
    assert headline == "Quiet: no delivery from Seismic Learning (Lessonly) for 48 h"
    assert "MindTickle is fixed: 1 event replayed" in why
    assert standing(silent) is Standing.QUIET


def test_of_a_suspended_webhook_no_retry_is_promised_and_the_loss_is_named() -> None:
    off = failing(events=35, in_quarantine=35, since=NOW - 25 * HOUR)
    said = judged(off)
    assert said.headline == "Losing data: MindTickle has failed for 25 h"
    assert "MindTickle does not send them again" in said.why
    assert said.why.endswith("what happens until you re-activate it is never sent.")


def test_a_last_retry_that_is_due_has_no_time_in_the_past() -> None:
    late = failing(events=35, in_quarantine=35, first_loss=-MINUTE, spread=76 * MINUTE)
    assert "MindTickle's own retries of all 35 end by 09:45." in judged(late).why


def test_a_replay_after_the_suspension_is_not_yet_the_fix() -> None:
    late = failing(since=NOW - 25 * HOUR, first_loss=None, replayed=Replayed(172, None))
    said = judged(late)
    assert said.level is Level.LOSING
    assert Countdown("Webhook probably suspended", loss=True) in said.countdowns


def test_after_a_long_outage_the_first_line_is_the_suspension_and_denies_none() -> None:
    outage = Outage(NOW - 29 * HOUR, NOW - HOUR, over=True)
    clock = suspension(None, DAY, NOW, [outage], NOW - 30 * HOUR)
    silent = HEALTHY._replace(suspension=clock, silence=Silence(NOW - 30 * HOUR, 40))
    level, headline, why, *_ = judged(silent, outages=(outage,))
    assert level is Level.LOSING
    assert headline == "Losing data: MindTickle has probably suspended the webhook"
    assert why.startswith("No receiver was up for 28 h")
    assert "re-activate" in why
    assert "no failure suspended" not in why


@pytest.mark.parametrize(
    ("hours", "countdown"),
    [
        (20, Countdown("MindTickle: Webhook suspended in 4 h", loss=False)),
        (25, Countdown("MindTickle: Webhook probably suspended", loss=True)),
    ],
)
def test_while_no_receiver_is_up_the_countdown_of_each_vendor_runs(
    hours: int, countdown: Countdown
) -> None:
    outage = Outage(NOW - hours * HOUR, NOW, over=False)
    clock = suspension(None, DAY, NOW, [outage], NOW - (hours + 1) * HOUR)
    said = judged(HEALTHY._replace(suspension=clock), outages=(outage,))
    assert said.level is Level.DOWN
    assert said.headline == f"No receiver has been up for {hours} h"
    assert list(said.countdowns) == [countdown]


def test_silence_is_quiet() -> None:
    said = judged(HEALTHY._replace(silence=Silence(NOW - 5 * HOUR, 40.2)))
    assert (said.level, said.headline) == (
        Level.QUIET,
        "Quiet: no delivery from MindTickle for 5 h",
    )
    assert said.why.startswith("About 40 are usual in that time.")


def test_with_strangers_requests_alone_no_delivery_is_claimed_and_no_loss() -> None:
    unsigned = Strangers({Outcome.MISSING_CREDENTIALS: 57}, 0, names_event=False)
    said = judged(HEALTHY._replace(strangers=unsigned), traffic=Traffic(0, 0, None))
    assert (said.level, said.headline) == (Level.QUIET, "No delivery of a vendor yet")
    assert said.why == "57 requests of strangers refused: no event is lost by that."


@pytest.mark.parametrize(("minutes_ago", "level"), [(20, Level.CATCHING_UP), (190, Level.GOOD)])
def test_after_an_outage_it_is_catching_up_until_each_event_had_its_next_retry(
    minutes_ago: int, level: Level
) -> None:
    schedule = Schedule.of((60, 300, 1_800, 7_200, 14_400), "gaps")
    vendor = replace(HEALTHY.vendor, schedule=schedule)
    end = NOW - minutes_ago * MINUTE
    outage = Outage(end - 42 * MINUTE, end, over=True)
    said = judged(HEALTHY._replace(vendor=vendor), outages=(outage,))
    assert said.level is level
    if level is Level.CATCHING_UP:
        assert said.headline == "Catching up after 42 min without a receiver"
        assert said.why.startswith("Retries bring the events of that time until 10:10.")


def test_causes_are_in_the_order_of_their_first_loss_then_of_severity_and_of_open_events() -> None:
    def cause(open_events: int, loss: timedelta | None) -> Failures:
        known = Forecast()
        if loss is not None:
            known = Forecast(Ending(open_events, NOW + loss, NOW + loss))
        return Failures(open_events, open_events, NOW, NOW, None, open_events, known)

    mindtickle = HEALTHY._replace(
        failures={Outcome.UNREADABLE: cause(500, None), Outcome.TOO_LARGE: cause(2, HOUR)}
    )
    lessonly = LESSONLY._replace(
        failures={
            Outcome.BAD_SIGNATURE: cause(900, None),
            Outcome.WRONG_CREDENTIALS: cause(9, HOUR),
            Outcome.STALE_TIMESTAMP: cause(1, MINUTE),
        }
    )
    assert [(one.vendor.slug, one.outcome) for one in causes([mindtickle, lessonly])] == [
        ("lessonly", Outcome.STALE_TIMESTAMP),
        ("lessonly", Outcome.WRONG_CREDENTIALS),
        ("mindtickle", Outcome.TOO_LARGE),
        ("mindtickle", Outcome.UNREADABLE),
        ("lessonly", Outcome.BAD_SIGNATURE),
    ]


def test_where_a_type_no_longer_arrives_all_is_not_well() -> None:
    types = [Stopped("quiz.submitted", NOW - 70 * HOUR, 20.4)]
    found = judged(HEALTHY._replace(stopped=types))
    assert found.level is Level.WARNING
    assert found.headline == "Check MindTickle: quiz.submitted no longer arrives"
