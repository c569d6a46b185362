"""Entries of the audit log."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, func, or_, select, true

from shared.bulk import table_of
from shared.models import AuditLog, CoachingCase, Learner, Quiz
from shared.queries import rows_of
from shared.queries.people import PersonRow, Who, people, same_account
from shared.queries.quiz_standings import same_quiz
from shared.queries.windows import Window

entry = table_of(AuditLog).c
case_ = table_of(CoachingCase).c
learner = table_of(Learner).c
quiz = table_of(Quiz).c


class Asked(NamedTuple):
    """Which entries; None is any. `words` occur somewhere in an entry, in upper or lower case;
    without `in_detail` the detail, which may name a learner, is not searched."""

    window: Window = Window()
    actor: str | None = None
    action: str | None = None
    words: str | None = None
    in_detail: bool = True


class Entry(NamedTuple):
    """An entry of the log."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str | None
    detail: str | None


@dataclass(frozen=True)
class CoachedRow(PersonRow):
    """Who a case of coaching is about, and on which quiz."""

    case_id: int
    quiz_name: str


def coached(connection: Connection, case_ids: Collection[int], who: Who) -> Sequence[CoachedRow]:
    """Who these cases are about, as far as they are in `who`: the log itself names no learner."""
    person = people(who).subquery()
    name = func.coalesce(quiz.quiz_name, case_.quiz_id).label("quiz_name")
    query = (
        select(person, case_.id.label("case_id"), name)
        .join_from(table_of(CoachingCase), table_of(Learner), same_account(learner, case_))
        .join(person, person.c.person == learner.person)
        .join(table_of(Quiz), same_quiz(quiz, case_), isouter=True)
        .where(case_.id.in_(case_ids))
    )
    return rows_of(CoachedRow, connection.execute(query))


def entries(
    connection: Connection, asked: Asked, limit: int | None = None, offset: int = 0
) -> Sequence[Entry]:
    """The entries that match, the newest first."""
    newest = select(*entry).where(*_matching(asked)).order_by(entry.at.desc(), entry.id.desc())
    return rows_of(Entry, connection.execute(newest.limit(limit).offset(offset)))


def how_many(connection: Connection, asked: Asked) -> int:
    """The number of entries that match."""
    matching = select(func.count()).select_from(table_of(AuditLog)).where(*_matching(asked))
    return connection.scalar(matching) or 0


def _matching(asked: Asked) -> tuple[ColumnElement[bool], ...]:
    return (
        entry.at >= asked.window.since if asked.window.since else true(),
        entry.at < asked.window.until if asked.window.until else true(),
        _equals(entry.actor, asked.actor),
        _equals(entry.action, asked.action),
        _contains(asked.words.strip(), in_detail=asked.in_detail) if asked.words else true(),
    )


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
