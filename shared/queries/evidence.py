"""What a diagnosis is drawn from."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, select
from sqlmodel import SQLModel

from shared.bulk import table_of
from shared.diagnosis import Evidence, Failing, Failures, Kept, Lag
from shared.models import CourseCompletion, Delivery, DeliveryHourly, Event, Learner, QuizAttempt
from shared.outcomes import Outcome
from shared.queries import AnyRow, deliveries, failures
from shared.retries import Attempt, Chain, State, chain, forecast, silence, suspension
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
TIMED_BY_SIGNING = ("module.progress", "quiz.submitted")
"""Events without a time of their own: theirs is the moment of signing."""


def gather(
    connection: Connection, vendor: VendorFacts, since: datetime, now: datetime, settings: Settings
) -> Evidence:
    """Everything there is to say about a vendor since the start of a window."""
    failing = _failing(connection, vendor.slug)
    last = deliveries.last(connection, vendor.slug)
    chains = [one for _, one in unrecovered_chains(connection, vendor, since, now)]
    return Evidence(
        vendor=vendor,
        failures=_failures(connection, vendor.slug, since),
        failing=failing,
        forecast=forecast(chains),
        suspension=suspension(failing.since if failing else None, vendor.suspend_after, now),
        silence=silence(last, failures.rhythm(connection, vendor.slug, now), now),
        kept=_kept(connection, vendor.slug, since),
        lag=_lag(connection, vendor.slug),
        tolerance_past=timedelta(seconds=settings.timestamp_tolerance_past),
        tolerance_future=timedelta(seconds=settings.timestamp_tolerance_future),
    )


def unrecovered_chains(
    connection: Connection, vendor: VendorFacts, since: datetime, now: datetime
) -> list[tuple[AnyRow, Chain]]:
    """Claimed events that never got in, with where their retries stand; first those that are
    lost first. Looks back for a whole retry span at least."""
    begin = min(since, now - vendor.schedule.span - timedelta(hours=1))
    found = [
        (
            row,
            chain(
                [Attempt(row.first, taken=False), Attempt(row.last, taken=False)],
                vendor.schedule,
                now,
            ),
        )
        for row in failures.unrecovered(connection, vendor.slug, begin)
    ]
    return sorted(found, key=lambda one: (one[1].state is State.GIVEN_UP, one[1].last_chance))


def _failing(connection: Connection, vendor: str) -> Failing | None:
    """A few are needed: one stranger's request between two good deliveries is no failure."""
    row = failures.failing_since(connection, vendor)
    if row is None or row.deliveries < FEW:
        return None
    return Failing(row.since, row.deliveries, row.bad_signature)


def _failures(connection: Connection, vendor: str, since: datetime) -> Mapping[Outcome, Failures]:
    rows = deliveries.causes(connection, since, vendor)
    return {Outcome(row.outcome): Failures(row.deliveries, row.first, row.last) for row in rows}


def _kept(connection: Connection, vendor: str, since: datetime) -> Kept:
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
    return Kept(
        events=connection.scalar(select(func.count()).select_from(some)) or 0,
        provisioned=connection.scalar(provisioned.limit(1)) is not None,
        duplicates=connection.scalar(duplicates) or 0,
        retakes=connection.scalar(select(func.count()).select_from(retaken)) or 0,
        practice=connection.scalar(practice) or 0,
    )


def _recent(model: type[SQLModel], since: ColumnElement[bool]) -> Any:
    """Rows of a time, found by its index: beside a vendor SQLite would look through all of them."""
    return select(table_of(model)).where(since).cte().prefix_with("MATERIALIZED").c


def _lag(connection: Connection, vendor: str) -> Lag | None:
    # By the index of accepted deliveries: no index has a vendor's events in order of arrival.
    latest = (
        select(event.type, event.occurred_at, event.received_at)
        .join_from(
            table_of(Delivery),
            table_of(Event),
            and_(event.vendor == delivery.vendor, event.event_key == delivery.event_key),
        )
        .where(delivery.vendor == vendor, delivery.outcome == Outcome.ACCEPTED)
        .order_by(delivery.received_at.desc())
        .limit(LATEST)
    )
    lags = [
        row.received_at - row.occurred_at
        for row in connection.execute(latest)
        if row.type in TIMED_BY_SIGNING
    ]
    return Lag(min(lags), median(lags)) if len(lags) >= FEW else None
