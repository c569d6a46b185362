"""What can be filtered by, and how far the store has come."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from shared.bulk import table_of
from shared.models import AuditLog, Delivery, Event, Learner, ModuleProgress
from shared.queries import AnyRow

learner = table_of(Learner).c
progress = table_of(ModuleProgress).c


def teams(connection: Connection) -> Sequence[str]:
    """The teams that anybody is or was in."""
    query = select(learner.team_id).where(learner.team_id.isnot(None)).distinct()
    return connection.scalars(query.order_by(learner.team_id)).all()


def vendors(connection: Connection) -> Sequence[str]:
    """The vendors that any learner is known by."""
    return connection.scalars(select(learner.vendor).distinct().order_by(learner.vendor)).all()


def modules(connection: Connection) -> Sequence[AnyRow]:
    """The modules that anybody has begun: module_id, module_name."""
    name = func.coalesce(func.max(progress.module_name), progress.module_id)
    query = select(progress.module_id, name.label("module_name")).group_by(progress.module_id)
    return connection.execute(query.order_by(name, progress.module_id)).all()


def learners(connection: Connection) -> int:
    """How many people are on the roster and have not left."""
    return connection.scalar(select(func.count()).where(learner.active)) or 0


def newest_event_at(connection: Connection) -> datetime | None:
    """When the newest event was received."""
    event = table_of(Event).c
    return connection.scalar(select(event.received_at).order_by(event.id.desc()).limit(1))


class Version(NamedTuple):
    """The newest event, delivery and entry of the audit log, 0 for none: as long as they stay, so
    does what pages show."""

    event: int
    delivery: int
    note: int


def version(connection: Connection) -> Version:
    """How far the store has come."""
    newest = select(
        *(
            func.coalesce(select(func.max(table_of(model).c.id)).scalar_subquery(), 0)
            for model in (Event, Delivery, AuditLog)
        )
    )
    return Version._make(connection.execute(newest).one())
