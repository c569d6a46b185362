"""Small tables, written down by hand."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Engine, insert
from sqlmodel import SQLModel

from receiver.readmodels.projections import project
from shared.bulk import table_of
from shared.database import write_transaction
from shared.facts import Attempted, Deprovisioned, Fact, Progressed, Provisioned
from shared.models import (
    CoachingCase,
    Delivery,
    DeliveryHourly,
    Event,
)

V = "mindtickle"
NOON = datetime(2025, 11, 22, 12, tzinfo=UTC)
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)


def add(engine: Engine, model: type[SQLModel], rows: Iterable[dict[str, Any]]) -> None:
    with engine.begin() as connection:
        connection.execute(insert(table_of(model)), list(rows))


def fold(engine: Engine, facts: Iterable[Fact]) -> None:
    with write_transaction(engine) as connection:  # a follower may write at the same time
        project(connection, facts)


def people(engine: Engine, *rows: tuple[str, str | None]) -> None:
    """(user_id, team_id); a user id with a minus before it has left."""
    for name, team in rows:
        user = name.lstrip("-")
        fold(engine, [Provisioned(V, user, f"{user}@x.com", None, None, team, LONG_AGO)])
        if name != user:
            fold(engine, [Deprovisioned(V, user, None, LONG_AGO + timedelta(days=1))])


def progress(engine: Engine, *rows: tuple[str, str, date, float, int]) -> None:
    """(user_id, module_id, day, progress_pct, time_spent_sec), as of noon of the day."""
    fold(
        engine,
        [
            Progressed(V, user, module, module.upper(), pct, seconds, noon(day))
            for user, module, day, pct, seconds in rows
        ],
    )


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)


def attempts(engine: Engine, *rows: dict[str, Any]) -> None:
    """Graded attempts of u-1 at q-1 out of 10 points unless a row says otherwise."""
    usual = {"vendor": V, "user_id": "u-1", "quiz_id": "q-1", "quiz_name": "Pricing", "score": 5,
             "max_score": 10, "passed": None, "graded": True, "submitted_at": NOON}  # fmt: skip
    fold(engine, [Attempted(**(usual | {"event_key": f"e-{n}"} | r)) for n, r in enumerate(rows)])


def cases(engine: Engine, *rows: dict[str, Any]) -> None:
    """Open cases of u-1 at q-1, made at noon, with ids from 1 on, unless a row says otherwise."""
    usual = {"vendor": V, "user_id": "u-1", "quiz_id": "q-1", "status": "open", "version": 1}
    usual |= {"opened_at": NOON, "opened_by": "lead", "updated_at": NOON, "updated_by": "lead"}
    for row in rows:
        add(engine, CoachingCase, [usual | row])


def full_hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def deliveries(engine: Engine, *rows: dict[str, Any]) -> None:
    """Deliveries, and their counts by hour as the receiver keeps them."""
    usual = {"vendor": V, "received_at": NOON, "event_key": None, "event_type": "module.progress",
             "outcome": "accepted", "reason": None, "status_code": 200, "duration_ms": 1.0,
             "remote_ip": "127.0.0.1", "body_bytes": 10}  # fmt: skip
    rows = tuple(usual | {"id": n} | row for n, row in enumerate(rows, start=1))
    add(engine, Delivery, rows)
    counts = Counter(
        (
            row["vendor"],
            row["received_at"].replace(minute=0, second=0, microsecond=0),
            row["outcome"],
        )
        for row in rows
        if row.get("replay_of") is None
    )
    add(
        engine,
        DeliveryHourly,
        (
            {"vendor": vendor, "hour": hour, "outcome": outcome, "deliveries": count}
            for (vendor, hour, outcome), count in counts.items()
        ),
    )


def event(engine: Engine, key: str, delivery_id: int) -> None:
    add(
        engine,
        Event,
        [{"vendor": V, "event_key": key, "digest": key, "type": "module.progress",
          "occurred_at": NOON, "received_at": NOON, "payload": "{}", "delivery_id": delivery_id}],
    )  # fmt: skip


def hours(engine: Engine, *rows: tuple[datetime, str, int]) -> None:
    """(hour, outcome, deliveries)."""
    add(
        engine,
        DeliveryHourly,
        (
            {"vendor": V, "hour": hour, "outcome": outcome, "deliveries": deliveries}
            for hour, outcome, deliveries in rows
        ),
    )
