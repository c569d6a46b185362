"""The evidence for a diagnosis."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, select, text
from sqlmodel import SQLModel

from shared.bulk import table_of
from shared.evidence import Evidence, Failing, Failures, Lag, Replayed, Stored, Strangers
from shared.models import (
    OF_VENDOR,
    CourseCompletion,
    Delivery,
    DeliveryHourly,
    Event,
    Learner,
    QuizAttempt,
)
from shared.outages import Outage, outages
from shared.outcomes import VERIFIED, Outcome
from shared.queries import deliveries, failures
from shared.queries.failures import Refused
from shared.queries.missing import Missing, last_retry, missing
from shared.retries import (
    Attempt,
    Attempts,
    Chain,
    Rhythm,
    State,
    Suspension,
    Waiting,
    chain,
    counted_suspension,
    forecast,
    next_usual,
    silence,
    suspension,
    usual,
)
from shared.settings import Settings
from shared.vendors import VendorFacts

event = table_of(Event).c
delivery = table_of(Delivery).c
hourly = table_of(DeliveryHourly).c
learner = table_of(Learner).c
completion = table_of(CourseCompletion).c
attempt = table_of(QuizAttempt).c

LATEST = 200
FEW = 5
MISSING = 3
"""Expected deliveries. If they arrive at random, 3 in a row are absent by chance once in 20 times
(e to the power of -3)."""
HOUR = timedelta(hours=1)


def gather(
    connection: Connection, vendor: VendorFacts, since: datetime, now: datetime, settings: Settings
) -> Evidence:
    """The evidence about a vendor since the start of a window."""
    rhythm = failures.rhythm(connection, vendor.slug, now)
    latest = deliveries.latest(connection, vendor.slug)
    last = latest.at if latest else None
    failing = _failing(connection, vendor.slug, last, rhythm, now)
    open_events = missing(connection, _whole_span(vendor, since, now), vendor=vendor.slug)
    # While other deliveries are accepted, those that do not verify need not be the vendor's.
    waiting = [
        (one.outcome, Waiting(one.quarantined, last_retry(one, vendor, now)))
        for one in open_events
        if failing or one.outcome in VERIFIED
    ]
    runs = failures.runs(connection, now - failures.LOOK_BACK)
    return Evidence(
        vendor=vendor,
        failures=_failures(connection, vendor.slug, since, open_events, waiting),
        failing=failing,
        forecast=forecast([one for _, one in waiting]),
        suspension=_suspension(connection, vendor, failing, outages(runs, now), rhythm, now),
        silence=silence(last, rhythm, now),
        stored=_stored(connection, vendor.slug, since),
        lag=_lag(connection, vendor),
        accepted=deliveries.totals(connection, since, vendor.slug).accepted,
        strangers=_strangers(connection, vendor.slug, since),
        replayed=_replayed(connection, vendor, failing.since, rhythm, now) if failing else None,
        restarted_at=max((run.started_at for run in runs), default=None),
        last=latest,
        tolerance_past=timedelta(seconds=settings.timestamp_tolerance_past),
        tolerance_future=timedelta(seconds=settings.timestamp_tolerance_future),
    )


def _suspension(
    connection: Connection,
    vendor: VendorFacts,
    failing: Failing | None,
    ours: Sequence[Outage],
    rhythm: Rhythm,
    now: datetime,
) -> Suspension | None:
    within = vendor.suspend_after
    if within is None or vendor.tolerated is None:
        since = failing.since if failing else None
        last = failures.last_answered(connection, vendor.slug)
        return suspension(since, within, now, ours, last)
    recent = (now - HOUR).replace(minute=0, second=0, microsecond=0)
    answered = Attempts(
        failures.failed_attempts(connection, vendor.slug, now - within),
        vendor.tolerated.answered,
        failures.failed_attempts(connection, vendor.slug, recent) / ((now - recent) / HOUR),
    )
    lost = sum(usual(rhythm, max(one.begin, now - within), one.end) for one in ours
               if one.end > now - within)  # fmt: skip
    is_down = bool(ours) and not ours[-1].over
    each = len(vendor.schedule.offsets)
    unanswered = Attempts(
        lost * each,
        vendor.tolerated.unanswered,
        usual(rhythm, now, now + HOUR) * each if is_down else 0.0,
    )
    return counted_suspension([answered, unanswered], within, now)


def unrecovered_chains(
    connection: Connection, vendor: VendorFacts, since: datetime, now: datetime
) -> list[tuple[Refused, Chain]]:
    """A vendor's events that are not stored, with the state of their retries; those that are lost
    first come first. Looks back for a whole retry span at least."""
    begin = _whole_span(vendor, since, now)
    found = [
        (
            row,
            _chain(row, vendor, now),
        )
        for row in failures.unrecovered(connection, vendor.slug, begin)
    ]
    return sorted(found, key=lambda one: (one[1].state is State.GIVEN_UP, one[1].last_chance))


def _whole_span(vendor: VendorFacts, since: datetime, now: datetime) -> datetime:
    """The start of a window, or of the time in which an event can have a retry to come."""
    return min(since, now - vendor.schedule.span - timedelta(hours=1))


def _chain(row: Refused, vendor: VendorFacts, now: datetime) -> Chain:
    """Where the vendor's retries are. It does not know of a replay."""
    attempts = [Attempt(at, accepted=False) for at in (row.first, row.last)]
    return chain(attempts, vendor.schedule, now)


def _replayed(
    connection: Connection, vendor: VendorFacts, since: datetime, rhythm: Rhythm, now: datetime
) -> Replayed | None:
    """None unless all events that failed since then are stored, some of them by replay."""
    events = failures.replayed(connection, vendor.slug, since)
    if not events or missing(connection, since, vendor=vendor.slug):
        return None
    stored = failures.recovered(connection, vendor.slug, since)
    retries = (_chain(row, vendor, now).next_due for row in stored)
    due = min((at for at in retries if at), default=None)
    return Replayed(events, due or next_usual(rhythm, now))


def _failing(
    connection: Connection, vendor: str, last: datetime | None, rhythm: Rhythm, now: datetime
) -> Failing | None:
    """Anyone can send a few well-formed bodies between two deliveries of the vendor. So it takes a
    few failures, and missing deliveries of the vendor or a long time."""
    row = failures.failing_since(connection, vendor)
    if row is None or last is None or row.attempts < FEW:
        return None
    if last - row.since < HOUR and not _are_missing(connection, vendor, rhythm, now):
        return None
    return Failing(*row)


def _are_missing(connection: Connection, vendor: str, rhythm: Rhythm, now: datetime) -> bool:
    """Whether accepted deliveries are overdue since the last one: by the usual traffic or, before
    there is any, by as many as in the same time before it."""
    last = failures.last_answered(connection, vendor)
    if last is None:
        return True
    if rhythm:
        return usual(rhythm, last, now) >= MISSING
    before = last - (now - last)
    return failures.answered_between(connection, vendor, before, last, MISSING) >= MISSING


def _strangers(connection: Connection, vendor: str, since: datetime) -> Strangers:
    rows = deliveries.strangers(connection, since, vendor)
    events = failures.unsigned_events(connection, vendor, since, LATEST)
    accepted = failures.last_answered(connection, vendor) if events else None
    return Strangers(
        {Outcome(row.outcome): row.requests for row in rows},
        sum(row.unlisted for row in rows),
        names_event=bool(events),
        since_accepted=sum(accepted is None or at > accepted for at in events),
    )


def _failures(
    connection: Connection,
    vendor: str,
    since: datetime,
    open_events: Sequence[Missing],
    waiting: Sequence[tuple[str, Waiting]],
) -> Mapping[Outcome, Failures]:
    open_here = Counter(one.outcome for one in open_events if one.last >= since)
    return {
        Outcome(row.outcome): Failures(
            row.events,
            row.attempts,
            row.first,
            row.last,
            row.reason,
            open_here[row.outcome],
            forecast([one for outcome, one in waiting if outcome == row.outcome]),
        )
        for row in deliveries.causes(connection, since, vendor)
    }


def _stored(connection: Connection, vendor: str, since: datetime) -> Stored:
    some = select(event.id).where(event.vendor == vendor).limit(LATEST).subquery()
    completed = _recent(CourseCompletion, completion.completed_at >= since)
    submitted = _recent(QuizAttempt, attempt.submitted_at >= since)
    provisioned = select(learner.user_id).where(
        learner.vendor == vendor, learner.provisioned_at.isnot(None)
    )
    duplicates = select(func.sum(hourly.deliveries)).where(
        hourly.vendor == vendor, hourly.outcome == Outcome.DUPLICATE, hourly.hour >= since
    )
    retaken = (
        select(completed.user_id)
        .where(completed.vendor == vendor)
        .group_by(completed.user_id, completed.course_id)
        .having(func.count() > 1)
        .subquery()
    )
    practice = select(func.count()).where(submitted.vendor == vendor, ~submitted.graded)
    return Stored(
        events=connection.scalar(select(func.count()).select_from(some)) or 0,
        provisioned=connection.scalar(provisioned.limit(1)) is not None,
        duplicates=connection.scalar(duplicates) or 0,
        retakes=connection.scalar(select(func.count()).select_from(retaken)) or 0,
        practice=connection.scalar(practice) or 0,
    )


def _recent(model: type[SQLModel], since: ColumnElement[bool]) -> Any:
    """Rows of a time, by its index: with a vendor as well, SQLite would read all of them."""
    return select(table_of(model)).where(since).cte().prefix_with("MATERIALIZED").c


def _lag(connection: Connection, vendor: VendorFacts) -> Lag | None:
    # By the index of accepted deliveries: no index orders a vendor's events by arrival.
    latest = (
        select(event.type, event.occurred_at, event.received_at)
        .join_from(
            table_of(Delivery),
            table_of(Event),
            and_(event.vendor == delivery.vendor, event.event_key == delivery.event_key),
        )
        .where(
            text(OF_VENDOR), delivery.vendor == vendor.slug, delivery.outcome == Outcome.ACCEPTED
        )
        .order_by(delivery.received_at.desc())
        .limit(LATEST)
    )
    lags = [
        row.received_at - row.occurred_at
        for row in connection.execute(latest)
        if row.type in vendor.timed_by_signing
    ]
    return Lag(min(lags), median(lags)) if len(lags) >= FEW else None
