"""The first lines about deliveries: are we losing anything? Pure functions."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.diagnosis import SELDOM, Finding, Severity, diagnose, stops, why_suspended
from shared.evidence import DOUBTFUL, Evidence, loss_order
from shared.outages import Outage
from shared.outcomes import Outcome
from shared.retries import Ending, Forecast, Schedule
from shared.wording import duration, number_of, remaining, share


class Level(StrEnum):
    """How urgent a verdict is, the most urgent first."""

    DOWN = "down"
    LOSING = "losing"
    """Events are lost, or will be without a fix."""
    FAILING = "failing"
    """Deliveries fail, and a replay recovers all of them."""
    QUIET = "quiet"
    WARNING = "warning"
    CATCHING_UP = "catching up"
    """The cause is fixed; retries or a vendor's next delivery are to come."""
    GOOD = "good"


class Countdown(NamedTuple):
    """What happens when, as `Webhook suspended in 21 h`; `loss` if events go with it."""

    words: str
    loss: bool


class Verdict(NamedTuple):
    """A headline and one or more sentences, of plain text that may quote a payload."""

    level: Level
    headline: str
    why: str
    countdowns: Sequence[Countdown] = ()
    about: tuple[Evidence, Finding | None] | None = None
    """The vendor that the headline names, and what is wrong with it."""


class Standing(StrEnum):
    """How one vendor does, in the word that its card shows."""

    HEALTHY = "Healthy"
    WATCH = "Watch"
    FAILING = "Failing"
    QUIET = "Quiet"


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
    if outages and not outages[-1].over:
        return _down(outages[-1], ordered, clock)
    losing = [one for one in ordered if is_losing(one)]
    fixed = [one for one in ordered if is_fixed(one)]
    quiet = [one for one in ordered if one.silence and not one.failing]
    if losing:
        return _losing(losing, fixed, clock)
    if quiet:
        return _quiet(quiet, fixed, clock)
    if fixed:
        return _fixed(fixed, clock)
    if not traffic.deliveries:
        return _nothing(ordered, traffic, window, clock)
    return _well(ordered, traffic, outages, window, clock)


def is_fixed(evidence: Evidence) -> bool:
    """Whether all that failed is replayed, and only the vendor's next delivery is to come."""
    clock = evidence.suspension
    return evidence.replayed is not None and (clock is None or clock.share < 1)


def is_losing(evidence: Evidence) -> bool:
    """Whether all deliveries of a vendor fail, or something makes it lose events."""
    return not is_fixed(evidence) and bool(evidence.failing or _urgent(evidence))


def standing(evidence: Evidence) -> Standing:
    """A vendor's in one word, which contradicts no verdict."""
    if is_losing(evidence):
        return Standing.FAILING
    if is_fixed(evidence) or _warnings(evidence):
        return Standing.QUIET if evidence.silence else Standing.WATCH
    if not evidence.deliveries:
        return Standing.QUIET
    seldom = evidence.open < SELDOM * evidence.deliveries
    return Standing.HEALTHY if seldom else Standing.WATCH


def _urgent(evidence: Evidence) -> list[Finding]:
    return [one for one in diagnose(evidence) if one.severity is Severity.LOSING]


def _warnings(evidence: Evidence) -> list[Finding]:
    return [one for one in diagnose(evidence) if one.severity is Severity.WARNING]


def _down(outage: Outage, evidence: Sequence[Evidence], clock: Clock) -> Verdict:
    gone = [(outage.begin + one.vendor.schedule.span, one.vendor.name) for one in evidence]
    until = "for some hours"
    if gone:
        at, name = min(gone)
        passed = at <= clock.now
        lost = "have been" if passed else "are"
        until = f"for some time: the first events {lost} lost at {clock.shown(at)} ({name})"
    return Verdict(
        Level.DOWN,
        f"No receiver has been up for {duration(clock.now - outage.begin)}",
        f"Vendors get no answer and try again {until}. Start it with: repboard serve.",
        _countdowns(evidence, clock, named=True),
    )


def _losing(losing: Sequence[Evidence], fixed: Sequence[Evidence], clock: Clock) -> Verdict:
    first, *others = losing
    cause = _cause(first)
    also = [f"{one.vendor.name} as well: {_inside(_why(one, clock), one)}" for one in others]
    level, word = _how_bad(losing)
    return Verdict(
        level,
        f"{word}: {_what(first, cause, clock)}",
        " ".join([_why(first, clock), *also, *(_replayed(one, clock) for one in fixed)]),
        _countdowns(losing, clock, named=bool(others)),
        (first, cause),
    )


def _how_bad(losing: Sequence[Evidence]) -> tuple[Level, str]:
    """What is in quarantine is not lost, whatever the vendor does. What it does not send is."""
    if any(one.forecast.lost or _is_suspended(one) for one in losing):
        return Level.LOSING, "Losing data"
    if any(one.forecast.at_risk for one in losing):
        return Level.LOSING, "Data at risk"
    return Level.FAILING, "Failing, nothing lost yet"


def _is_suspended(evidence: Evidence) -> bool:
    return evidence.suspension is not None and evidence.suspension.share >= 1


def _cause(evidence: Evidence) -> Finding | None:
    """What to fix: a suspension is the consequence of another finding, where there is one."""
    urgent = _urgent(evidence)
    return next((one for one in urgent if one.outcome), urgent[0] if urgent else None)


def _what(evidence: Evidence, cause: Finding | None, clock: Clock) -> str:
    name = evidence.vendor.name
    if evidence.failing:
        return f"{name} has failed for {duration(clock.now - evidence.failing.since)}"
    title = cause.title if cause else ""
    return title if title.startswith(name) else f"{name}, {_inside(title, evidence)}"


def _why(evidence: Evidence, clock: Clock) -> str:
    """What fails, and what becomes of it."""
    return " ".join(filter(None, (_what_fails(evidence, clock), _fate(evidence, clock))))


def _what_fails(evidence: Evidence, clock: Clock) -> str:
    failing, cause = evidence.failing, _cause(evidence)
    if failing:
        because = f": {_inside(cause.title, evidence)}" if cause and cause.outcome else ""
        return (
            f"Every delivery since {clock.shown(failing.since)} failed "
            f"({number_of(failing.events, 'event')}, {number_of(failing.attempts, 'attempt')})"
            f"{because}."
        )
    if cause and cause.kind == "suspended" and evidence.suspension:
        return f"{why_suspended(evidence.suspension)}. {evidence.vendor.reactivate}."
    return cause.evidence if cause else ""


def _fate(evidence: Evidence, clock: Clock) -> str:
    """What a replay recovers, what only a retry can, and what is lost."""
    known, name = evidence.forecast, evidence.vendor.name
    said = []
    if known.quarantined:
        all_of_them = known.quarantined == known.events
        which = _all(known.quarantined) if all_of_them else f"{known.quarantined:,} of them"
        are = "is" if known.quarantined == 1 else "are"
        them = "it" if known.quarantined == 1 else "them"
        said.append(
            f"{which} {are} in quarantine, where a replay recovers {them} once the cause is fixed"
            f"{_doubt(evidence)}{_retries(known, name, clock, is_off=_is_suspended(evidence))}."
        )
    if known.at_risk:
        them = number_of(known.at_risk.events, "event")
        is_not = "is" if known.at_risk.events == 1 else "are"
        said.append(
            f"{them} {is_not} not in quarantine: only a retry recovers "
            f"{'it' if known.at_risk.events == 1 else 'these'}, "
            f"{_when('the last one', known.at_risk, clock)}."
        )
    if known.lost:
        is_lost = "is" if known.lost == 1 else "are"
        said.append(
            f"{number_of(known.lost, 'event')} {is_lost} lost: not in quarantine, and without a "
            "retry."
        )
    return " ".join([*said, _what_stops(evidence, clock)]).strip()


def _what_stops(evidence: Evidence, clock: Clock) -> str:
    """What the vendor does not send once it has suspended the webhook."""
    countdown, name = evidence.suspension, evidence.vendor.name
    if not evidence.failing or countdown is None:
        return ""
    if _is_suspended(evidence):
        return (
            f"{name} has probably suspended the webhook: what happens until you re-activate it is "
            "never sent."
        )
    return (
        f"If this goes on, {name} suspends the webhook at {clock.shown(countdown.at)}: "
        "what happens after that is never sent."
    )


DOUBTS: Mapping[Outcome, str] = {
    Outcome.IP_NOT_ALLOWED: "not if the address was your proxy's",
    Outcome.STALE_TIMESTAMP: "only within a tolerance that covers their age at arrival",
}


def _doubt(evidence: Evidence) -> str:
    """What has to be true for a replay to recover all."""
    found = [
        DOUBTS[outcome]
        for outcome in DOUBTFUL
        if outcome in evidence.failures and evidence.failures[outcome].forecast.quarantined
    ]
    return f" ({'; '.join(found)})" if found else ""


def _retries(known: Forecast, name: str, clock: Clock, *, is_off: bool) -> str:
    """`; MindTickle's own retries of all 35 end between 10:24 and 11:40`."""
    coming = known.retried
    if coming is None or is_off:
        return f"; {name} does not send {'it' if known.quarantined == 1 else 'them'} again"
    of = _all(coming.events).lower() if coming.events == known.quarantined else f"{coming.events:,}"
    return f"; {name}'s own {_when(f'retries of {of} end', coming, clock)}"


def _all(number: int) -> str:
    return "The event" if number == 1 else f"All {number:,}"


def _when(what: str, ending: Ending, clock: Clock) -> str:
    """`… at 10:24`, `… between 10:24 and 11:40`, `… by 11:40` where the first is due."""
    first, last = clock.shown(ending.first), clock.shown(ending.last)
    if ending.first <= clock.now:
        return f"{what} by {last}"
    return f"{what} at {first}" if first == last else f"{what} between {first} and {last}"


def _inside(words: str, evidence: Evidence) -> str:
    """Words as they go on after a colon."""
    name = words.startswith(evidence.vendor.name) or words[1:2].isupper()
    return words if name else words[:1].lower() + words[1:]


def _countdowns(evidence: Sequence[Evidence], clock: Clock, *, named: bool) -> list[Countdown]:
    """What is lost when, and when a vendor stops; `named` after the vendor of each."""
    return [
        countdown
        for one in evidence
        for kind in (_losses, _suspension)
        for countdown in kind(one, clock, named=named)
    ]


def _losses(evidence: Evidence, clock: Clock, *, named: bool) -> list[Countdown]:
    known, whose = evidence.forecast, f"{evidence.vendor.name}: " if named else ""
    found = []
    if known.at_risk:
        events, left = number_of(known.at_risk.events, "event"), clock.left(known.at_risk.first)
        first, last = clock.shown(known.at_risk.first), clock.shown(known.at_risk.last)
        span = f"between {first} and {last}, the first "
        words = f"{events} lost {'' if first == last else span}in {left}"
        found.append(Countdown(f"{whose}{words}", loss=True))
    if known.lost:
        found.append(Countdown(f"{whose}{number_of(known.lost, 'event')} lost", loss=True))
    if known.quarantined:
        words = f"{number_of(known.quarantined, 'event')} in quarantine, for a replay"
        found.append(Countdown(f"{whose}{words}", loss=False))
    return found


def _suspension(evidence: Evidence, clock: Clock, *, named: bool) -> list[Countdown]:
    countdown, whose = evidence.suspension, f"{evidence.vendor.name}: " if named else ""
    if countdown is None:
        return []
    if _is_suspended(evidence):
        return [Countdown(f"{whose}Webhook probably suspended", loss=True)]
    return [Countdown(f"{whose}Webhook suspended in {clock.left(countdown.at)}", loss=False)]


def _fixed(fixed: Sequence[Evidence], clock: Clock) -> Verdict:
    first = fixed[0]
    events = number_of(first.replayed.events if first.replayed else 0, "event")
    return Verdict(
        Level.CATCHING_UP,
        f"Catching up: {events} of {first.vendor.name} replayed",
        " ".join(_replayed(one, clock) for one in fixed),
        [one for known in fixed for one in _suspension(known, clock, named=len(fixed) > 1)],
    )


def _replayed(evidence: Evidence, clock: Clock) -> str:
    replayed, name = evidence.replayed, evidence.vendor.name
    assert replayed is not None  # noqa: S101 (asked for before)
    due = ""
    if replayed.next_due:
        late = replayed.next_due <= clock.now
        due = ", due now" if late else f", due {clock.shown(replayed.next_due)}"
    ends = ", which stops the countdown" if stops(evidence.suspension) else ""
    return (
        f"{name} is fixed: {number_of(replayed.events, 'event')} replayed, waiting for {name}'s "
        f"next delivery{due}{ends}."
    )


def _quiet(quiet: Sequence[Evidence], fixed: Sequence[Evidence], clock: Clock) -> Verdict:
    first = quiet[0]
    silence = first.silence
    assert silence is not None  # noqa: S101 (asked for before)
    also = [f"{one.vendor.name} is quiet as well." for one in quiet[1:]]
    finding = next((one for one in diagnose(first) if one.kind == "silence"), None)
    return Verdict(
        Level.QUIET,
        f"Quiet: no delivery from {first.vendor.name} for {duration(clock.now - silence.since)}",
        " ".join(
            [
                f"About {silence.expected:,.0f} are usual in that time. What a vendor cannot "
                "deliver is lost after its last retry.",
                *also,
                *(_replayed(one, clock) for one in fixed),
            ]
        ),
        about=(first, finding),
    )


def _nothing(evidence: Sequence[Evidence], traffic: Traffic, window: str, clock: Clock) -> Verdict:
    if traffic.last:
        last = f"The last one arrived {duration(clock.now - traffic.last)} ago."
        return Verdict(Level.QUIET, f"Quiet: no delivery in the last {window}", last)
    strangers = sum(one.strangers.total for one in evidence)
    refused = f"{number_of(strangers, 'request')} of strangers refused: no event is lost by that."
    return Verdict(Level.QUIET, "No delivery of a vendor yet", refused if strangers else "")


def _well(
    evidence: Sequence[Evidence],
    traffic: Traffic,
    outages: Sequence[Outage],
    window: str,
    clock: Clock,
) -> Verdict:
    """Nothing is being lost; there can be something to look at. A few failures in much traffic are
    no alarm, but all is well only if no event is left to recover."""
    open_events = sum(one.open for one in evidence)
    failed = number_of(open_events, "failed event")
    last = f"{duration(clock.now - traffic.last)} ago" if traffic.last else "unknown"
    why = [
        f"{share(traffic.accepted, traffic.deliveries)} of "
        f"{number_of(traffic.deliveries, 'delivery')} accepted in the last {window}, the latest "
        f"{last}."
    ]
    warned = [(one, finding) for one in evidence for finding in _warnings(one)]
    if warned:
        one, finding = warned[0]
        why += [f"{other.vendor.name}: {each.title}." for other, each in warned[1:]]
        why += [f"{failed} not recovered."] if open_events else []
        headline = f"Check {one.vendor.name}: {_inside(finding.title, one)}"
        return Verdict(Level.WARNING, headline, " ".join(why), about=warned[0])
    if open_events and open_events >= SELDOM * traffic.deliveries:
        most = max(evidence, key=lambda one: one.open)
        headline = f"Check {most.vendor.name}: {failed} not recovered"
        if most.open < open_events:
            headline = f"Check: {failed} not recovered"
        return Verdict(Level.WARNING, headline, " ".join(why), about=(most, _of_most(most)))
    schedules = [one.vendor.schedule for one in evidence]
    if outages and (until := _retried_by(outages[-1], schedules)) > clock.now:
        down = duration(outages[-1].end - outages[-1].begin)
        why.insert(0, f"Retries bring the events of that time until {clock.shown(until)}.")
        why += [f"{failed} not recovered."] if open_events else []
        return Verdict(
            Level.CATCHING_UP, f"Catching up after {down} without a receiver", " ".join(why)
        )
    if open_events:
        are = "is" if open_events == 1 else "are"
        headline = f"Deliveries are accepted; {failed} {are} not recovered"
        return Verdict(Level.GOOD, headline, " ".join(why))
    every = traffic.accepted == traffic.deliveries
    all_well = f"every delivery accepted in the last {window}" if every else "no event is missing"
    return Verdict(Level.GOOD, f"All well: {all_well}", " ".join(why))


def _of_most(evidence: Evidence) -> Finding | None:
    """The finding on what most of a vendor's open events failed for."""
    by_open = sorted(evidence.failures, key=lambda outcome: -evidence.failures[outcome].open)
    found = {one.outcome: one for one in diagnose(evidence)}
    return next((found[outcome] for outcome in by_open if outcome in found), None)


def _retried_by(outage: Outage, schedules: Sequence[Schedule]) -> datetime:
    """When the last event of an outage has its next attempt: an attempt that failed in it waits
    for the longest gap that begins within its length."""
    length = outage.end - outage.begin
    waits = [
        later - offset
        for schedule in schedules
        for offset, later in zip(schedule.offsets, schedule.offsets[1:], strict=False)
        if offset <= length
    ]
    return outage.end + max(waits, default=length - length)
