"""Entries of the audit log."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, func, or_, select, true

from shared.bulk import table_of
from shared.models import AuditLog
from shared.queries import rows_of
from shared.queries.windows import Window

entry = table_of(AuditLog).c


class Asked(NamedTuple):
    """Which entries; None is any. `words` occur somewhere in an entry, in upper or lower case;
    without `in_detail` the detail, which may name a learner, is not searched."""

    window: Window = Window()
    actor: str | None = None
    action: str | None = None
    words: str | None = None
    in_detail: bool = True


class Entry(NamedTuple):
    """An entry; `of` counts all entries that match, without a limit."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str | None
    detail: str | None
    of: int


def entries(connection: Connection, asked: Asked, limit: int = 500) -> Sequence[Entry]:
    """The entries that match, the newest first."""
    query = select(*entry, func.count().over().label("of")).where(
        entry.at >= asked.window.since if asked.window.since else true(),
        entry.at < asked.window.until if asked.window.until else true(),
        _equals(entry.actor, asked.actor),
        _equals(entry.action, asked.action),
        _contains(asked.words.strip(), in_detail=asked.in_detail) if asked.words else true(),
    )
    newest = query.order_by(entry.at.desc(), entry.id.desc())
    return rows_of(Entry, connection.execute(newest.limit(limit)))


def actors(connection: Connection) -> Sequence[str]:
    """The actors of all entries."""
    return connection.scalars(select(entry.actor).distinct().order_by(entry.actor)).all()


def actions(connection: Connection) -> Sequence[str]:
    """The actions of all entries."""
    return connection.scalars(select(entry.action).distinct().order_by(entry.action)).all()


def _equals(column: ColumnElement[str], wanted: str | None) -> ColumnElement[bool]:
    return true() if wanted is None else column == wanted


def _contains(words: str, *, in_detail: bool) -> ColumnElement[bool]:
    columns = (entry.actor, entry.action, entry.subject, *((entry.detail,) if in_detail else ()))
    return or_(*(column.icontains(words, autoescape=True) for column in columns))
