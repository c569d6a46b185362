"""Each thing that goes wrong is recognised from its evidence, and from nothing less."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from receiver.vendors import vendor_facts
from shared.diagnosis import Finding, Severity, diagnose
from shared.evidence import Evidence, Failing, Failures, Lag, Stored, Strangers
from shared.outages import Outage
from shared.outcomes import Outcome
from shared.retries import Attempts, Forecast, Silence, counted_suspension, suspension
from shared.settings import ReceiverSettings

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
VENDORS = vendor_facts(ReceiverSettings(_env_file=None))
HEALTHY = Evidence(
    vendor=VENDORS["mindtickle"],
    failures={},
    failing=None,
    forecast=Forecast(),
    suspension=None,
    silence=None,
    stored=Stored(events=200, provisioned=True, duplicates=0, retakes=0, practice=0),
    lag=Lag(timedelta(seconds=1), timedelta(seconds=2)),
    tolerance_past=DAY,
    tolerance_future=timedelta(seconds=300),
)


def failures(count: int = 10) -> Failures:
    return Failures(count, 2 * count, NOON, NOON + timedelta(hours=1), open=count)


def found(**evidence: Any) -> dict[str, Finding]:
    return {finding.kind: finding for finding in diagnose(HEALTHY._replace(**evidence))}


def failing(share: float) -> dict[str, Any]:
    """Every delivery fails, for a share of the time until the vendor suspends."""
    return {
        "failing": Failing(NOON, 5, 10, 10),
        "suspension": suspension(NOON, DAY, NOON + share * DAY),
        "failures": {Outcome.BAD_SIGNATURE: failures(10)},
    }


def test_a_healthy_vendor_has_no_findings() -> None:
    assert found() == {}


def test_failing_signatures_are_a_rotated_secret() -> None:
    finding = found(**failing(0.1))["rotated-secret"]
    assert finding.severity is Severity.LOSING
    assert "MINDTICKLE_WEBHOOK_SECRET" in finding.cure
    assert finding.outcome is Outcome.BAD_SIGNATURE


def test_wrong_signatures_beside_accepted_deliveries_are_no_rotation() -> None:
    seen = found(failures={Outcome.BAD_SIGNATURE: failures()})
    assert "rotated-secret" not in seen
    assert seen["forged"].severity is Severity.NOTE


@pytest.mark.parametrize(("share", "passed"), [(0.5, "50 %"), (0.8, "75 %"), (0.95, "90 %")])
def test_the_suspension_is_announced_at_half_three_quarters_and_nine_tenths(
    share: float, passed: str
) -> None:
    assert passed in found(**failing(share))["suspension-near"].evidence


@pytest.mark.parametrize(
    ("failed", "kind", "says"),
    [(14_000, "suspension-near", "14,000 attempts failed within 24 h; MindTickle suspends "
      "after 28,000."), (30_000, "suspended", "30,000 attempts failed within 24 h")],
)  # fmt: skip
def test_a_vendor_that_counts_failures_is_judged_by_their_number(
    failed: int, kind: str, says: str
) -> None:
    clock = counted_suspension([Attempts(failed, 28_000, 6_000)], DAY, NOON)
    one = found(suspension=clock)[kind]
    assert says in one.evidence
    assert "accepted delivery stops" not in one.cure


def test_before_half_the_time_no_suspension_is_announced() -> None:
    assert "suspension-near" not in found(**failing(0.49))


def test_after_the_time_the_webhook_is_probably_suspended() -> None:
    seen = found(**failing(1.1))
    assert "re-activate" in seen["suspended"].cure
    assert "repboard webhooks reactivate <id>" in seen["suspended"].cure
    assert "suspension-near" not in seen


def down(hours: float, *, over: bool = True) -> Outage:
    return Outage(NOON, NOON + timedelta(hours=hours), over)


@pytest.mark.parametrize(
    ("outage", "success", "since", "after", "expected"),
    [
        (down(28), -1, None, 29, (0, 29 / 24)),
        (down(24), -1, None, 25, (0, 25 / 24)),
        (down(28), 0.01, None, 29, (0, 29 / 24)),  # within the last heartbeat
        (down(23), -1, None, 29, None),  # shorter than the vendor tolerates
        (down(28), 28.5, None, 29, None),  # a delivery passed after it
        (down(28), None, None, 29, None),  # no delivery ever passed
        (down(6, over=False), -1, None, 6, (0, 6 / 24)),
        (down(6), -1, 6.5, 18, (0, 18 / 24)),  # then deliveries failed
        (down(6), -1, 30, 36, (30, 6 / 24)),  # long after it
    ],
)
def test_the_suspension_clock_runs_through_an_outage_that_no_success_followed(
    outage: Outage,
    success: float | None,
    since: float | None,
    after: float,
    expected: tuple[float, float] | None,
) -> None:
    def at(hours: float | None) -> datetime | None:
        return None if hours is None else NOON + timedelta(hours=hours)

    now = NOON + timedelta(hours=after)
    clock = suspension(at(since), DAY, now, [outage], at(success))
    seen = clock and ((clock.since - NOON) / timedelta(hours=1), clock.share)
    assert seen == (expected and pytest.approx(expected))


def test_after_an_outage_as_long_as_the_vendor_tolerates_silence_is_a_suspension() -> None:
    now = NOON + timedelta(hours=29)
    clock = suspension(None, DAY, now, [down(28)], NOON - timedelta(hours=1))
    seen = found(suspension=clock, silence=Silence(NOON, 40))
    assert "No receiver was up for 28 h" in seen["suspended"].evidence
    assert "suspends after 24 h" in seen["suspended"].evidence
    for finding in seen.values():
        assert finding.severity is Severity.LOSING
        assert "re-activate" in finding.cure
        assert "no failure suspended" not in finding.cure


def test_a_silence_while_deliveries_pass_is_no_suspension() -> None:
    finding = found(silence=Silence(NOON, 40.2))["silence"]
    assert finding.severity is Severity.WARNING
    assert "no failure suspended the webhook" in finding.cure
    assert "40 deliveries" in finding.evidence


def test_a_silence_after_the_suspension_time_says_to_reactivate() -> None:
    finding = found(**failing(1.5) | {"silence": Silence(NOON, 40)})["silence"]
    assert finding.severity is Severity.LOSING
    assert "re-activate" in finding.cure


def test_a_roster_that_never_arrived_is_a_missing_subscription() -> None:
    stored = HEALTHY.stored._replace(provisioned=False)
    assert "user.provisioned" in found(stored=stored)["missing-subscription"].cure
    assert found(stored=stored._replace(events=5)) == {}


def test_a_clock_that_creeps_towards_the_future_tolerance_is_a_finding_before_anything_fails() -> (
    None
):
    early = Lag(timedelta(seconds=-120), timedelta(seconds=-80))
    assert found(lag=early)["clock-skew"].severity is Severity.WARNING
    assert found(lag=Lag(timedelta(seconds=-120), timedelta(seconds=-70))) == {}


def test_a_clock_that_creeps_towards_the_past_tolerance_is_judged_by_the_quickest() -> None:
    slow = Lag(timedelta(seconds=100), timedelta(seconds=110))
    assert found(lag=slow) == {}
    assert "clock-skew" in found(lag=slow, tolerance_past=timedelta(seconds=300))


@pytest.mark.parametrize(
    ("events", "accepted", "kind", "severity"),
    [
        (1, 0, "late", Severity.NOTE),
        (4, 10, "late", Severity.NOTE),
        (5, 1_000, "late", Severity.NOTE),
        (5, 100, "clock-skew", Severity.LOSING),
        (10, 0, "clock-skew", Severity.LOSING),
    ],
)
def test_a_few_late_deliveries_are_no_clock_skew_and_their_number_and_share_are_stated(
    events: int, accepted: int, kind: str, severity: Severity
) -> None:
    seen = found(failures={Outcome.STALE_TIMESTAMP: failures(events)}, accepted=accepted)
    assert {name: one.severity for name, one in seen.items()} == {kind: severity}
    assert f"{events} event" in seen[kind].evidence
    assert "% of all deliveries" in seen[kind].evidence


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (Outcome.WRONG_COMPANY, "wrong-company"),
        (Outcome.IP_NOT_ALLOWED, "address-not-allowed"),
        (Outcome.WRONG_CREDENTIALS, "wrong-credentials"),
        (Outcome.UNREADABLE, "unreadable"),
        (Outcome.TOO_LARGE, "too-large"),
    ],
)
def test_every_refusal_has_a_cure_and_says_what_happens_otherwise(
    outcome: Outcome, kind: str
) -> None:
    finding = found(failures={outcome: failures()})[kind]
    assert finding.outcome is outcome
    assert finding.cure
    assert finding.otherwise


@pytest.mark.parametrize(
    ("slug", "outcome", "kind", "setting"),
    [
        ("mindtickle", Outcome.BAD_SIGNATURE, "rotated-secret", "MINDTICKLE_WEBHOOK_SECRET"),
        ("innovative-educators", Outcome.IP_NOT_ALLOWED, "address-not-allowed",
         "INNOVATIVE_EDUCATORS_ALLOWED_IPS"),
        ("innovative-educators", Outcome.IP_NOT_ALLOWED, "address-not-allowed",
         "TRUSTED_PROXY_HOPS"),
        ("lessonly", Outcome.WRONG_CREDENTIALS, "wrong-credentials", "LESSONLY_AUTHORIZATION"),
        ("standard-webhooks", Outcome.BAD_SIGNATURE, "rotated-secret", "STANDARD_WEBHOOKS_SECRET"),
        ("standard-webhooks", Outcome.STALE_TIMESTAMP, "clock-skew", "five minutes"),
    ],
)  # fmt: skip
def test_the_cure_names_the_setting_of_that_vendor(
    slug: str, outcome: Outcome, kind: str, setting: str
) -> None:
    seen = found(
        vendor=VENDORS[slug], failures={outcome: failures()}, failing=Failing(NOON, 3, 3, 3)
    )
    assert setting in seen[kind].cure


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (Outcome.IP_NOT_ALLOWED, "address-not-allowed"),
        (Outcome.WRONG_CREDENTIALS, "wrong-credentials"),
    ],
)
def test_refused_callers_cost_events_only_if_no_delivery_is_accepted(
    outcome: Outcome, kind: str
) -> None:
    """Anyone can call from another address while the vendor's deliveries are accepted."""
    refused = {outcome: failures(7)}
    stranger = found(failures=refused)[kind]
    assert stranger.severity is Severity.WARNING
    assert "7 events, 14 attempts" in stranger.evidence
    assert "while others were accepted" in stranger.evidence
    assert found(failures=refused, failing=Failing(NOON, 9, 9, 0))[kind].severity is Severity.LOSING
    later = Failing(NOON + DAY, 9, 9, 9)  # for another reason, since then
    assert found(failures=refused, failing=later)[kind].severity is Severity.WARNING


def strangers(unlisted: int = 0, *, names_event: bool = True) -> Strangers:
    requests = {Outcome.MISSING_CREDENTIALS: 1_200, Outcome.BAD_SIGNATURE: 4}
    return Strangers(requests, unlisted, names_event)


def test_strangers_requests_are_a_note_with_their_number() -> None:
    finding = found(strangers=strangers(unlisted=1_150))["strangers"]
    assert finding.severity is Severity.NOTE
    assert finding.title == "1,204 requests of strangers refused"
    assert "1,200 had no credential, 4 a wrong one" in finding.evidence
    assert "1,150 of them are only counted" in finding.evidence


def test_a_credential_that_was_never_entered_is_a_hint_while_nothing_was_ever_accepted() -> None:
    nothing = HEALTHY.stored._replace(events=0)
    seen = found(vendor=VENDORS["lessonly"], stored=nothing, strangers=strangers())
    hint = seen["missing-credentials"]
    assert hint.severity is Severity.NOTE
    assert "LESSONLY_AUTHORIZATION" in hint.cure
    assert hint.outcome is Outcome.MISSING_CREDENTIALS
    assert "strangers" not in seen


def test_requests_without_a_credential_are_no_hint_once_deliveries_are_accepted() -> None:
    assert "missing-credentials" not in found(strangers=strangers())


def test_a_credential_that_is_lost_on_the_way_is_a_warning_in_place_of_deliveries() -> None:
    several = strangers()._replace(since_accepted=5)
    seen = found(vendor=VENDORS["lessonly"], strangers=several)
    assert seen["missing-credentials"].severity is Severity.WARNING
    assert "accepted since" in seen["missing-credentials"].evidence
    assert "strangers" not in seen
    one = strangers()._replace(since_accepted=1)
    assert "missing-credentials" not in found(strangers=one)
    assert "missing-credentials" in found(strangers=one, silence=Silence(NOON, 40))


def test_a_silence_with_requests_without_a_credential_points_to_them() -> None:
    one = strangers()._replace(since_accepted=1)
    assert "without a credential" in found(strangers=one, silence=Silence(NOON, 40))["silence"].cure
    assert "reachable" in found(strangers=strangers(), silence=Silence(NOON, 40))["silence"].cure


def test_requests_without_a_credential_or_an_event_are_no_hint() -> None:
    nothing = HEALTHY.stored._replace(events=0)
    seen = found(stored=nothing, strangers=strangers(names_event=False))
    assert "missing-credentials" not in seen


def test_wrong_signatures_beside_accepted_deliveries_come_with_both_numbers() -> None:
    finding = found(failures={Outcome.BAD_SIGNATURE: failures(6)}, accepted=40)["forged"]
    assert "while other deliveries of MindTickle are accepted" in finding.title
    assert "12 well-formed posts" in finding.evidence
    assert "40 deliveries were accepted" in finding.evidence


@pytest.mark.parametrize("slug", ["innovative-educators", "lessonly", "standard-webhooks"])
def test_a_vendor_without_a_roster_lacks_no_subscription_to_one(slug: str) -> None:
    stored = HEALTHY.stored._replace(provisioned=False)
    assert found(vendor=VENDORS[slug], stored=stored) == {}


def test_redeliveries_and_retakes_have_separate_counts() -> None:
    stored = HEALTHY.stored._replace(duplicates=12, retakes=3)
    finding = found(stored=stored)["repeats"]
    assert finding.severity is Severity.NOTE
    assert "12 deliveries" in finding.evidence
    assert "3 learners" in finding.evidence


def test_practice_quizzes_without_a_score_are_a_note() -> None:
    assert found(stored=HEALTHY.stored._replace(practice=7))["practice"].severity is Severity.NOTE


def test_the_most_urgent_stands_first() -> None:
    stored = HEALTHY.stored._replace(provisioned=False, practice=1)
    severities = [one.severity for one in diagnose(HEALTHY._replace(stored=stored, **failing(0.9)))]
    assert severities == sorted(severities, key=list(Severity).index)
    assert severities[0] is Severity.LOSING


@pytest.mark.parametrize(
    ("days", "says"),
    [
        (30, "where a delivery stays for 30 days after its arrival."),
        (0, "where a delivery stays."),
    ],
)
@pytest.mark.parametrize("outcome", [Outcome.BAD_SIGNATURE, Outcome.UNREADABLE])
def test_what_a_replay_recovers_is_said_with_the_days_for_which_deliveries_are_kept(
    outcome: Outcome, days: int, says: str
) -> None:
    settings = ReceiverSettings(_env_file=None, retention_days=days)
    vendor = vendor_facts(settings)["mindtickle"]
    broken = failing(0.1) | {"failures": {outcome: failures()}}
    said = [one.otherwise for one in found(**broken, vendor=vendor).values()]
    assert any(says in one for one in said)
