"""Who did what."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, func, or_, select, true

from shared.bulk import table_of
from shared.models import AuditLog
from shared.queries import AnyRow
from shared.queries.windows import Window

entry = table_of(AuditLog).c


class Asked(NamedTuple):
    """Which entries; None is any. `words` stand somewhere in an entry, in any case; without
    `in_detail` not in what was written about people."""

    window: Window = Window()
    actor: str | None = None
    action: str | None = None
    words: str | None = None
    in_detail: bool = True


def entries(connection: Connection, asked: Asked, limit: int = 500) -> Sequence[AnyRow]:
    """The newest first: id, at, actor, action, subject, detail, and `of`, how many there are
    without a limit."""
    query = select(*entry, func.count().over().label("of")).where(
        entry.at >= asked.window.since if asked.window.since else true(),
        entry.at < asked.window.until if asked.window.until else true(),
        _is(entry.actor, asked.actor),
        _is(entry.action, asked.action),
        _says(asked.words.strip(), in_detail=asked.in_detail) if asked.words else true(),
    )
    return connection.execute(query.order_by(entry.at.desc(), entry.id.desc()).limit(limit)).all()


def actors(connection: Connection) -> Sequence[str]:
    """Everybody who ever did anything."""
    return connection.scalars(select(entry.actor).distinct().order_by(entry.actor)).all()


def actions(connection: Connection) -> Sequence[str]:
    """Everything that was ever done."""
    return connection.scalars(select(entry.action).distinct().order_by(entry.action)).all()


def _is(column: ColumnElement[str], wanted: str | None) -> ColumnElement[bool]:
    return true() if wanted is None else column == wanted


def _says(words: str, *, in_detail: bool) -> ColumnElement[bool]:
    columns = (entry.actor, entry.action, entry.subject, *((entry.detail,) if in_detail else ()))
    return or_(*(column.icontains(words, autoescape=True) for column in columns))
