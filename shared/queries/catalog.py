"""What can be filtered by, and how far the store has come."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from shared.bulk import table_of
from shared.models import AuditLog, Checkpoint, Delivery, Event, Learner, Module
from shared.queries import row_of, rows_of
from shared.queries.people import Who, people, persons

learner = table_of(Learner).c
module = table_of(Module).c

LATEST = 1_000
"""More events than one transaction stores."""


def teams(connection: Connection) -> Sequence[str]:
    """The teams that a learner is or was in."""
    query = select(learner.team_id).where(learner.team_id.isnot(None)).distinct()
    return connection.scalars(query.order_by(learner.team_id)).all()


class ModuleName(NamedTuple):
    """A module, by its latest name or else its id."""

    vendor: str
    module_id: str
    module_name: str


def modules(connection: Connection) -> Sequence[ModuleName]:
    """The modules that a learner has begun, by name."""
    name = func.coalesce(module.module_name, module.module_id)
    query = select(module.vendor, module.module_id, name.label("module_name"))
    order = (name, module.vendor, module.module_id)
    return rows_of(ModuleName, connection.execute(query.order_by(*order)))


def vendors(connection: Connection) -> Sequence[str]:
    """The vendors that named a learner."""
    return connection.scalars(select(learner.vendor).distinct().order_by(learner.vendor)).all()


class Account(NamedTuple):
    """A learner, as a vendor calls them."""

    vendor: str
    user_id: str


def accounts(connection: Connection) -> Sequence[Account]:
    """Every account of every learner."""
    return rows_of(Account, connection.execute(select(learner.vendor, learner.user_id)))


def learners(connection: Connection, who: Who) -> int:
    """How many people `who` is about."""
    return connection.scalar(select(func.count()).select_from(persons(who).subquery())) or 0


class Own(NamedTuple):
    """A viewer who is on the roster: `key` is vendor and user id of an account of theirs."""

    key: str
    team_id: str | None


def known_by(connection: Connection, address: str) -> Own | None:
    """The learner with this e-mail address, in lower case; None for any other."""
    row = people(Who()).subquery().c
    found = select(row.key, row.team_id).where(func.lower(row.email) == address).limit(1)
    return row_of(Own, connection.execute(found))


def newest_event_at(connection: Connection) -> datetime | None:
    """When the newest event was received, of the latest that were stored: one transaction stores
    many, not in the order of their times."""
    event = table_of(Event).c
    latest = select(event.received_at).order_by(event.id.desc()).limit(LATEST).subquery()
    newest: datetime | None = connection.scalar(select(func.max(latest.c.received_at)))
    return newest


class Version(NamedTuple):
    """The newest event, delivery and entry of the audit log, 0 for none, and the number of changes
    of the read models: as long as they stay, so does what pages show."""

    event: int
    delivery: int
    note: int
    folds: int

    @property
    def models(self) -> tuple[int, int]:
        """The part that says how far the read models and what is done on pages have come: it does
        not move with a delivery that gives no event, of which strangers can send any number."""
        return self.note, self.folds


def version(connection: Connection) -> Version:
    """How far the store has come."""
    columns = (
        *(table_of(model).c.id for model in (Event, Delivery, AuditLog)),
        table_of(Checkpoint).c.folds,
    )
    newest = select(*(func.coalesce(select(func.max(one)).scalar_subquery(), 0) for one in columns))
    return Version._make(connection.execute(newest).one())
