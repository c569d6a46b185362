"""What people did in the company's history, and what went wrong: dates relative to its end.

Working days count back from the day of the end, so that every history has them all, whatever the
weekday and the hour at which it ends.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any, NamedTuple

from sqlalchemy import Connection

from receiver.simulator.base import HARMLESS, Delivery, Past, Span
from receiver.vendors.mindtickle.contract import SLUG as MINDTICKLE
from shared import certificates, coaching, contests
from shared.contests import Draft
from shared.queries.coaching import rounds
from shared.queries.quiz_standings import Taker
from shared.queries.windows import midnight as day_begins
from shared.settings import Settings

DAY = timedelta(days=1)
SATURDAY = 5

ADMIN = "theo.okonkwo@acme.example"
LEAD = "marta.lindqvist@acme.example"
COACHES = (LEAD, "jonas.weber@acme.example", "sanne.devries@acme.example")


class Trouble(NamedTuple):
    """A time of a working day, so many working days before the end."""

    days_back: int
    begin: time
    end: time

    def before(self, end: datetime) -> Span:
        day = working_day(end.date(), -self.days_back)
        return Span(*(datetime.combine(day, at, UTC) for at in (self.begin, self.end)))


OUTAGE = Trouble(7, time(8, 35), time(11, 20))
"""No receiver was up."""
ROTATION = Trouble(13, time(9, 20), time(15, 50))
"""From the rotation of MindTickle's secret until the admin noticed."""
REPLAYS = ((timedelta(minutes=3), True), (timedelta(minutes=5), False))
"""How long after that the admin replayed, and whether as a dry run."""
RESTART = timedelta(seconds=20)

ZONE = "Europe/Berlin"
"""Of the lead, who made the contests."""
CONTESTS = (
    (-40, Draft("Discovery sprint", date.min, date.min, ZONE), -38, -25),
    (-10, Draft("Race to the quarter's end", date.min, date.min, ZONE, board="teams"), -9, 11),
    (-3, Draft("Modules of the month", date.min, date.min, ZONE, metric="completed"), 6, 33),
)
"""Each contest: the day on which the lead made it, and its first and last day."""
THRESHOLDS = ((-70, "q-07", 80.0), (-45, "q-03", 65.0))
"""On which day the lead gave which quiz which threshold, percent."""

COACHED = 0.5
"""The share of fails after which a lead opens a case."""
UNDECIDED_DAYS = 9
"""A case of a learner who has not passed is dismissed after so many days without an attempt."""
NOTES = (
    "Walk through the last lost deal together.",
    "Knows the product, guesses the prices. Practise with the calculator.",
    "Role play: procurement asks for 20 % off.",
    "Was new to this topic; pair with a colleague for two calls.",
    None,
)
REASONS = (
    "Covered in the one-to-one with the manager.",
    "Changes roles next month; not needed there.",
    "On leave; takes the course again afterwards.",
)
RENEWED_EVERY = 3
"""Of so many expired certificates one is renewed."""


class Act(NamedTuple):
    """What a person did at a time, through the product's own functions."""

    at: datetime
    do: Callable[[Connection], object]


class Attempt(NamedTuple):
    """A graded attempt at a quiz."""

    at: datetime
    passed: bool


def working_day(day: date, number: int) -> date:
    """So many working days after a day, or before it."""
    step = DAY if number > 0 else -DAY
    while number:
        day += step
        if day.weekday() < SATURDAY:
            number -= step.days
    return day


def past(vendor: str, end: datetime) -> Past:
    """What went wrong at a vendor before `end`. All of it was recovered."""
    rotated = ROTATION.before(end) if vendor == MINDTICKLE else Span()
    return Past(OUTAGE.before(end), rotated, HARMLESS)


def acts(
    deliveries: Iterable[Delivery], end: datetime, settings: Settings, dice: Random
) -> Iterator[Act]:
    """What people did, in no order. `deliveries` are MindTickle's, in order of time: people coach
    those who fail."""
    attempts: dict[Taker, list[Attempt]] = defaultdict(list)
    expiries: list[certificates.Expiry] = []
    for event, at in _events(deliveries):
        data = event["data"]
        if event["event"] == "certification.expired":
            expired_at = datetime.fromisoformat(data["expiredAt"])
            expiry = certificates.Expiry(MINDTICKLE, data["userId"], data["certName"], expired_at)
            expiries.append(expiry)
        elif data.get("quizType") == "graded":
            taker = Taker(MINDTICKLE, data["userId"], data["quizId"])
            attempts[taker].append(Attempt(at, data["passed"]))
    yield from _leadership(end)
    yield from _renewals(expiries, dice)
    for taker, tries in attempts.items():
        yield from _coaching(taker, tries, end, settings, dice)


def _events(deliveries: Iterable[Delivery]) -> Iterator[tuple[Mapping[str, Any], datetime]]:
    """Each event, with the time of its last good delivery: it was stored by then."""
    last: dict[str, Delivery] = {one.event_id: one for one in deliveries if one.fault is None}
    for one in sorted(last.values(), key=lambda one: one.at):
        yield json.loads(one.body), one.at


def _leadership(end: datetime) -> Iterator[Act]:
    midnight = datetime.combine(end.date(), time(), UTC)
    for made, draft, first, last in CONTESTS:
        at = midnight + timedelta(days=made, hours=9, minutes=12)
        first_day, last_day = (end.date() + timedelta(days=days) for days in (first, last))
        dated = draft._replace(first_day=first_day, last_day=last_day)
        yield Act(at, _make(dated, at))
        over = day_begins(last_day + DAY, ZONE) + contests.GRACE
        yield Act(over, _store_results(over))
    for day, quiz_id, pct in THRESHOLDS:
        at = midnight + timedelta(days=day, hours=10, minutes=40)
        yield Act(at, _set_threshold(quiz_id, pct))


def _make(draft: Draft, at: datetime) -> Callable[[Connection], object]:
    return lambda connection: contests.create(connection, LEAD, draft, at, None)


def _store_results(at: datetime) -> Callable[[Connection], object]:
    return lambda connection: [
        contests.store_result(connection, one, at) for one in contests.due(connection, at)
    ]


def _set_threshold(quiz_id: str, pct: float) -> Callable[[Connection], object]:
    return lambda connection: coaching.set_threshold(connection, LEAD, MINDTICKLE, quiz_id, pct)


def _renewals(expiries: Sequence[certificates.Expiry], dice: Random) -> Iterator[Act]:
    for expiry in expiries[::RENEWED_EVERY]:
        at = in_office(expiry.expired_at + timedelta(days=dice.randint(3, 12)), dice)
        yield Act(at, _renew(expiry))


def _renew(expiry: certificates.Expiry) -> Callable[[Connection], object]:
    return lambda connection: certificates.mark_renewed(connection, LEAD, expiry)


def in_office(after: datetime, dice: Random) -> datetime:
    """A time in the office hours of the next working day."""
    day = working_day(after.date(), 1)
    return datetime.combine(day, time(dice.randint(8, 11), dice.randint(0, 59)), UTC)


# Coaching


def _coaching(
    taker: Taker, tries: Sequence[Attempt], end: datetime, settings: Settings, dice: Random
) -> Iterator[Act]:
    """One round: flagged after a fail, started, and resolved after the first pass or dismissed."""
    failed = next((place for place, one in enumerate(tries) if not one.passed), None)
    if failed is None or dice.random() >= COACHED:
        return
    coach = dice.choice(COACHES)
    round_ = Round(taker, coach, settings)
    flagged = in_office(tries[failed].at, dice)
    again = next((one.at for one in tries[failed + 1 :]), end)
    if flagged >= again:
        return
    yield Act(flagged, round_.flag(coaching.due_from(flagged.date()), dice.choice(NOTES)))
    started = in_office(flagged + dice.randint(0, 3) * DAY, dice)
    if started < again:
        yield Act(started, round_.change(status="in_progress"))
    passed = next((one.at for one in tries[failed + 1 :] if one.passed), None)
    if passed is not None:
        yield Act(
            in_office(passed + dice.randint(0, 3) * DAY, dice), round_.change(status="resolved")
        )
    else:
        late = tries[-1].at + timedelta(days=UNDECIDED_DAYS)
        reason = dice.choice(REASONS)
        yield Act(in_office(late, dice), round_.change(status="dismissed", outcome=reason))


class Round(NamedTuple):
    """A round of coaching, and who coaches."""

    taker: Taker
    coach: str
    settings: Settings

    def flag(self, due: date, notes: str | None) -> Callable[[Connection], object]:
        def do(connection: Connection) -> None:
            pct, rule = self.settings.coaching_threshold_pct, self.settings.coaching_rule
            coaching.flag(connection, LEAD, [self.taker], pct, self.coach, due, notes, rule)

        return do

    def change(self, **wanted: str) -> Callable[[Connection], object]:
        """Nothing where no case was opened, as the learner was not low any more."""

        def do(connection: Connection) -> None:
            pct, rule = self.settings.coaching_threshold_pct, self.settings.coaching_rule
            for case in rounds(connection, self.taker)[:1]:
                coaching.change(connection, self.coach, case.id, case.version, wanted, pct, rule)

        return do
