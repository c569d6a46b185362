"""The first line about deliveries: are we losing anything? Pure functions."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.diagnosis import SELDOM, Finding, Severity, diagnose, why_suspended
from shared.evidence import Evidence, loss_order
from shared.outages import Outage
from shared.wording import duration, number_of, remaining, share


class Level(StrEnum):
    """How urgent a verdict is, the most urgent first."""

    DOWN = "down"
    LOSING = "losing"
    QUIET = "quiet"
    FIXED = "fixed"
    WARNING = "warning"
    GOOD = "good"


class Verdict(NamedTuple):
    """One or more sentences of plain text, which may quote a payload."""

    level: Level
    text: str


class Traffic(NamedTuple):
    """Vendors' deliveries in a window, and the time of the latest one ever."""

    deliveries: int
    accepted: int
    last: datetime | None


class Clock(NamedTuple):
    """The present moment, and the zone of the viewer's clock."""

    now: datetime
    zone: str

    def shown(self, at: datetime) -> str:
        """`09:20` today, `Fri 20 Nov, 09:20` on any other day."""
        there = at.astimezone(ZoneInfo(self.zone))
        today = self.now.astimezone(ZoneInfo(self.zone)).date()
        return (
            f"{there:%H:%M}"
            if there.date() == today
            else f"{there:%a} {there.day} {there:%b, %H:%M}"
        )

    def left(self, until: datetime) -> str:
        return remaining(until - self.now)


def verdict(
    evidence: Sequence[Evidence],
    traffic: Traffic,
    outages: Sequence[Outage],
    window: str,
    clock: Clock,
) -> Verdict:
    """The most urgent that is true of any vendor; `window` is in words, as `24 hours`. The vendor
    whose first loss comes soonest is named first."""
    ordered = sorted(evidence, key=loss_order)
    losing = [text for one in ordered if (text := _losing(one, clock))]
    fixed = [_fixed(one, clock) for one in ordered if is_fixed(one)]
    quiet = [_quiet(one, clock) for one in ordered if one.silence and not one.failing]
    if outages and not outages[-1].over:
        return Verdict(
            Level.DOWN, " ".join([_down(outages[-1], clock), *_countdowns(ordered, clock)])
        )
    if losing:
        return Verdict(Level.LOSING, " ".join(losing + fixed))
    if fixed or quiet:
        return Verdict(Level.QUIET if quiet else Level.FIXED, " ".join(quiet + fixed))
    if not traffic.deliveries:
        return Verdict(Level.QUIET, f"Quiet: no deliveries in the last {window}.")
    return _all_good(ordered, traffic, window, clock)


def is_fixed(evidence: Evidence) -> bool:
    """Whether all that failed is replayed, and only the vendor's next delivery is to come."""
    clock = evidence.suspension
    return evidence.replayed is not None and (clock is None or clock.share < 1)


def _down(outage: Outage, clock: Clock) -> str:
    return (
        f"No receiver is up; the last one was seen {duration(clock.now - outage.begin)} ago. "
        "Vendors get no answer and try again for some hours. Start it with: repboard serve."
    )


def _countdowns(evidence: Sequence[Evidence], clock: Clock) -> list[str]:
    return [
        f"{one.vendor.name} suspends the webhook in {clock.left(one.suspension.at)}."
        if one.suspension.share < 1
        else f"{one.vendor.name} has probably suspended the webhook."
        for one in evidence
        if one.suspension
    ]


def _losing(evidence: Evidence, clock: Clock) -> str | None:
    """None while a vendor loses nothing."""
    urgent = [one for one in diagnose(evidence) if one.severity is Severity.LOSING]
    if is_fixed(evidence) or not (urgent or evidence.failing):
        return None
    if evidence.failing:
        return " ".join(_failing(evidence, urgent, clock))
    (first, *_) = urgent
    if first.kind == "suspended" and evidence.suspension:
        return f"{first.title}. {why_suspended(evidence.suspension)}. {evidence.vendor.reactivate}."
    return f"{evidence.vendor.name}: {first.title}. {first.evidence} {first.otherwise}"


def _failing(evidence: Evidence, urgent: Sequence[Finding], clock: Clock) -> list[str]:
    failing, forecast, countdown = evidence.failing, evidence.forecast, evidence.suspension
    assert failing is not None  # noqa: S101 (asked for before)
    sentences = [
        f"{evidence.vendor.name}: every delivery has failed since {clock.shown(failing.since)} "
        f"({number_of(failing.events, 'event')}, {number_of(failing.attempts, 'attempt')})."
    ]
    if urgent:
        sentences.append(f"{urgent[0].title}.")
    if forecast.first_loss:
        lose = "loses its" if forecast.losing == 1 else "lose their"
        sentences.append(
            f"Fix this within {clock.left(forecast.first_loss)} or {forecast.losing:,} of "
            f"{number_of(forecast.waiting, 'waiting event')} {lose} last retry."
        )
    if countdown and countdown.share < 1:
        sentences.append(f"The webhook is suspended in {clock.left(countdown.at)}.")
    return sentences


def _fixed(evidence: Evidence, clock: Clock) -> str:
    replayed = evidence.replayed
    assert replayed is not None  # noqa: S101 (asked for before)
    due = ""
    if replayed.next_due:
        late = replayed.next_due <= clock.now
        due = ", due now" if late else f", due {clock.shown(replayed.next_due)}"
    stops = ", which stops the countdown" if evidence.suspension else ""
    return (
        f"{evidence.vendor.name}: fixed: {number_of(replayed.events, 'event')} replayed, waiting "
        f"for {evidence.vendor.name}'s next delivery{due}{stops}."
    )


def _quiet(evidence: Evidence, clock: Clock) -> str:
    silence = evidence.silence
    assert silence is not None  # noqa: S101 (asked for before)
    return (
        f"Quiet: no deliveries from {evidence.vendor.name} for "
        f"{duration(clock.now - silence.since)}; about {silence.expected:,.0f} are usual in that "
        "time."
    )


def _all_good(evidence: Sequence[Evidence], traffic: Traffic, window: str, clock: Clock) -> Verdict:
    """`All good` only if no event is left to recover. A few of much traffic are no alarm, but there
    is something to do about them, and the sentence says where."""
    last = f"{duration(clock.now - traffic.last)} ago" if traffic.last else "unknown"
    said = [
        f"Last delivery {last}; {share(traffic.accepted, traffic.deliveries)} of "
        f"{traffic.deliveries:,} accepted in the last {window}."
    ]
    open_events = sum(failures.open for one in evidence for failures in one.failures.values())
    if open_events:
        was = "is" if open_events == 1 else "are"
        said.append(
            f"{number_of(open_events, 'failed event')} {was} not recovered: see Missing events."
        )
    warnings = [
        f"{one.vendor.name}: {finding.title}."
        for one in evidence
        for finding in diagnose(one)
        if finding.severity is Severity.WARNING
    ]
    if warnings or (open_events and open_events >= SELDOM * traffic.deliveries):
        return Verdict(Level.WARNING, " ".join([*said, *warnings]))
    first = "Deliveries are accepted." if open_events else "All good."
    return Verdict(Level.GOOD, " ".join([first, *said]))
