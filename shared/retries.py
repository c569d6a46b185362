"""Where the attempts of one event stand on the vendor's schedule. Pure functions, no clock.

No vendor says how far its retries are. But its schedule is known, and when each attempt arrived:
that gives the next attempt and the last chance.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate
from typing import Literal, NamedTuple, Self

from shared.outages import Outage

NOTHING = timedelta(0)
HOUR = timedelta(hours=1)
WEEK = timedelta(weeks=1)
DRIFT = 0.1
"""How far an attempt may be off its time, as a share of the wait before it …"""
SLACK = timedelta(minutes=1)
"""… and on top, for clocks and queues; never more than half of that wait."""

Reading = Literal["gaps", "offsets"]


class Schedule(NamedTuple):
    """When attempts are due, counted from the first; the first is at zero."""

    offsets: tuple[timedelta, ...]

    @classmethod
    def of(cls, delays_sec: Sequence[int], reading: Reading) -> Self:
        """From published delays in seconds, read as the gap before each retry or as the time
        since the first attempt. MindTickle's guide does not say which it means."""
        times = accumulate(delays_sec) if reading == "gaps" else delays_sec
        return cls((NOTHING, *(timedelta(seconds=sec) for sec in times)))

    @property
    def span(self) -> timedelta:
        """From the first attempt to the last."""
        return self.offsets[-1]

    def tolerance(self, step: int) -> timedelta:
        """How late the attempt at `step` may be and still be that attempt."""
        wait = self.offsets[step] - self.offsets[max(0, step - 1)]
        return min(SLACK, wait / 2) + DRIFT * wait


class Attempt(NamedTuple):
    """One delivery of an event; `accepted` if the event is stored, from the vendor or by replay."""

    at: datetime
    accepted: bool


class State(StrEnum):
    RECOVERED = "recovered"
    WAITING = "waiting"
    OVERDUE = "overdue"
    GIVEN_UP = "given_up"


class Chain(NamedTuple):
    """The attempts of one event, on its vendor's schedule."""

    state: State
    attempt: int
    """Which attempt the latest was, from 1."""
    of: int
    missed: int
    """How many attempts never arrived before the first that did."""
    next_due: datetime | None
    last_chance: datetime | None


def chain(
    attempts: Sequence[Attempt],
    schedule: Schedule,
    now: datetime,
    occurred_at: datetime | None = None,
) -> Chain:
    """Where a chain of one or more attempts, oldest first, stands at `now`.

    `occurred_at` is the event's own time, where the payload has one: a first arrival that is late
    by one of the schedule's steps was not the first attempt.
    """
    missed = _missed(attempts[0].at, occurred_at, schedule)
    start = attempts[0].at - schedule.offsets[missed]
    step = _step(attempts[-1].at - start, schedule)
    seen = Chain(State.RECOVERED, step + 1, len(schedule.offsets), missed, None, None)
    if any(attempt.accepted for attempt in attempts):
        return seen
    # A retry is due after the attempt before it, so drift adds up: count from the latest one.
    start = attempts[-1].at - schedule.offsets[step]
    last_chance = start + schedule.span
    coming = _coming(start, step, schedule, now)
    if coming is None:
        return seen._replace(state=State.GIVEN_UP, last_chance=last_chance)
    return seen._replace(
        state=State.WAITING if coming == step + 1 else State.OVERDUE,
        next_due=start + schedule.offsets[coming],
        last_chance=last_chance,
    )


def _missed(first: datetime, occurred_at: datetime | None, schedule: Schedule) -> int:
    """Which step the first arrival was, by how late it came; 0 if that fits no step."""
    if occurred_at is None:
        return 0
    late = first - occurred_at
    steps = range(1, len(schedule.offsets))
    fitting = (step for step in steps if _fits(late - schedule.offsets[step], step, schedule))
    return next(fitting, 0)


def _fits(off: timedelta, step: int, schedule: Schedule) -> bool:
    return abs(off) <= schedule.tolerance(step)


def _step(elapsed: timedelta, schedule: Schedule) -> int:
    """The last step that was due by then, within its tolerance."""
    due = (
        step
        for step, offset in enumerate(schedule.offsets)
        if offset <= elapsed + schedule.tolerance(step)
    )
    return max(due, default=0)


def _coming(start: datetime, step: int, schedule: Schedule, now: datetime) -> int | None:
    """The next step that is still possible, or None after the last."""
    later = range(step + 1, len(schedule.offsets))
    return next(
        (one for one in later if now <= start + schedule.offsets[one] + schedule.tolerance(one)),
        None,
    )


class Waiting(NamedTuple):
    """An event that is not stored: whether a replay can recover it, as its body is in quarantine,
    and when its last retry is due, if one is to come."""

    quarantined: bool
    last_retry: datetime | None


class Ending(NamedTuple):
    """Events whose retries end, and when they do for the first and for the last of them."""

    events: int
    first: datetime
    last: datetime


class Forecast(NamedTuple):
    """What becomes of the events that are not stored, if the failures go on."""

    at_risk: Ending | None = None
    """Not in quarantine: each is lost with its last retry."""
    lost: int = 0
    """Neither in quarantine nor with a retry to come."""
    quarantined: int = 0
    """A replay recovers these, whatever the vendor does."""
    retried: Ending | None = None
    """Those of them that have a retry to come."""

    @property
    def first_loss(self) -> datetime | None:
        return self.at_risk.first if self.at_risk else None

    @property
    def events(self) -> int:
        """All that are not stored."""
        return self.lost + self.quarantined + (self.at_risk.events if self.at_risk else 0)


def forecast(events: Sequence[Waiting]) -> Forecast:
    """Which events a replay recovers, and which are lost and when."""
    unsafe = [one for one in events if not one.quarantined]
    at_risk = _ending(unsafe)
    return Forecast(
        at_risk,
        len(unsafe) - (at_risk.events if at_risk else 0),
        len(events) - len(unsafe),
        _ending([one for one in events if one.quarantined]),
    )


def _ending(events: Sequence[Waiting]) -> Ending | None:
    """Of those that have a retry to come."""
    due = [one.last_retry for one in events if one.last_retry]
    return Ending(len(due), min(due), max(due)) if due else None


class Count(NamedTuple):
    """Failed attempts within a time, and the number at which a vendor suspends."""

    failed: int
    limit: int
    within: timedelta


class Suspension(NamedTuple):
    """How near a vendor is to its suspension of the webhook: as every delivery fails, or as it
    counts failures."""

    since: datetime
    at: datetime
    share: float
    """Of the time until then, how much has passed; 1 and more: probably suspended."""
    outage: Outage | None = None
    """The outage of ours that it is due to, if it is."""
    counted: Count | None = None
    """The failures, of a vendor that counts them; `since` is when it began to count."""


def suspension(
    failing_since: datetime | None,
    suspend_after: timedelta | None,
    now: datetime,
    outages: Sequence[Outage] = (),
    last_success: datetime | None = None,
) -> Suspension | None:
    """The countdown since every delivery fails; None while deliveries pass.

    In an outage of ours every delivery fails, too. Without a success since, one that is as long as
    the vendor tolerates counts, and so does one that goes on or after which all deliveries fail.
    """
    if suspend_after is None:
        return None
    outage = _unbroken(outages, failing_since, last_success, suspend_after)
    since = outage.begin if outage else failing_since
    if since is None:
        return None
    return Suspension(since, since + suspend_after, (now - since) / suspend_after, outage)


class Attempts(NamedTuple):
    """Failed attempts of a kind within the time that a vendor looks back on, the number at which it
    suspends, and how many an hour there are at present."""

    failed: float
    limit: int
    hourly: float


def counted_suspension(
    kinds: Sequence[Attempts], within: timedelta, now: datetime
) -> Suspension | None:
    """The countdown of a vendor that counts failures, whatever passes between them: the kind that
    reaches its limit first. None if at the present rate none does within that time."""
    reached = [
        (now + max(0.0, one.limit - one.failed) / one.hourly * HOUR, one)
        for one in kinds
        if one.hourly * (within / HOUR) >= one.limit
    ]
    reached += [(now, one) for one in kinds if one.failed >= one.limit]
    if not reached:
        return None
    at, soonest = min(reached)
    count = Count(int(soonest.failed), soonest.limit, within)
    return Suspension(now - within, at, soonest.failed / soonest.limit, counted=count)


HEARTBEAT = timedelta(minutes=1)
"""A delivery may have passed so long after the last heartbeat before an outage."""


def _unbroken(
    outages: Sequence[Outage],
    failing_since: datetime | None,
    last_success: datetime | None,
    suspend_after: timedelta,
) -> Outage | None:
    """The earliest outage that no success followed and that counts for the vendor."""
    if last_success is None:
        return None
    for outage in sorted(outages):
        if last_success > outage.begin + HEARTBEAT:
            continue
        if failing_since is None:
            counts = outage.end - outage.begin >= suspend_after or not outage.over
        else:
            counts = outage.begin <= failing_since <= outage.end + HOUR
        if counts:
            return outage
    return None


UNUSUAL = 10
"""Expected deliveries. If they arrive at random, 10 in a row are absent by chance once in 22,000
times (e to the power of -10)."""

Rhythm = Mapping[tuple[int, int], float]
"""Usual deliveries an hour, by UTC weekday (Monday is 0) and hour."""


class Silence(NamedTuple):
    """No delivery for far longer than is usual at this time of the week."""

    since: datetime
    expected: float
    """How many deliveries are usual in that time."""


def silence(last: datetime | None, rhythm: Rhythm, now: datetime) -> Silence | None:
    """Whether a vendor is unusually quiet since its last delivery."""
    if last is None or now <= last:
        return None
    expected = usual(rhythm, last, now)
    return Silence(last, expected) if expected >= UNUSUAL else None


def next_usual(rhythm: Rhythm, now: datetime) -> datetime | None:
    """When the next delivery comes by the usual traffic; None where nothing is usual."""
    expected, at = 0.0, now
    while at < now + WEEK:
        until = at.replace(minute=0, second=0, microsecond=0) + HOUR
        more = usual(rhythm, at, until)
        if expected + more >= 1:
            return at + (1 - expected) / more * (until - at)
        expected, at = expected + more, until
    return None


def usual(rhythm: Rhythm, begin: datetime, end: datetime) -> float:
    """How many deliveries are usual between two moments."""
    expected, at = 0.0, begin
    while at < end:
        full_hour = at.replace(minute=0, second=0, microsecond=0) + HOUR
        until = min(full_hour, end)
        expected += rhythm.get((at.weekday(), at.hour), 0.0) * ((until - at) / HOUR)
        at = until
    return expected
