"""Event → read models: a fold that does not care about order.

Progress merges by the larger value, a roster change by the later event time (a tie:
deprovisioned wins), an attempt or completion by its event key. Late retries, duplicates,
replays and `rebuild` therefore all give the same tables.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, tuple_
from sqlmodel import SQLModel

from shared.bulk import Row, Upsert, insert_rows, table_of, upsert
from shared.models import (
    Certification,
    CourseCompletion,
    Learner,
    ModuleProgress,
    ModuleProgressDaily,
    QuizAttempt,
)

READ_MODELS: Sequence[type[SQLModel]] = (
    Learner,
    ModuleProgress,
    ModuleProgressDaily,
    QuizAttempt,
    CourseCompletion,
    Certification,
)


class Provisioned(NamedTuple):
    """Somebody joined, or their role or team changed."""

    vendor: str
    user_id: str
    email: str | None
    name: str | None
    role: str | None
    team_id: str | None
    provisioned_at: datetime


class Deprovisioned(NamedTuple):
    """Somebody left."""

    vendor: str
    user_id: str
    email: str | None
    deprovisioned_at: datetime


class Progressed(NamedTuple):
    """Running totals of a learner in a module."""

    vendor: str
    user_id: str
    module_id: str
    module_name: str | None
    progress_pct: float
    time_spent_sec: int
    updated_at: datetime


class Attempted(NamedTuple):
    """A quiz was submitted."""

    vendor: str
    event_key: str
    user_id: str
    quiz_id: str
    quiz_name: str | None
    score: float | None
    max_score: float | None
    passed: bool | None
    graded: bool
    submitted_at: datetime


class Completed(NamedTuple):
    """A course was completed."""

    vendor: str
    event_key: str
    user_id: str
    course_id: str
    course_name: str | None
    score: float | None
    completed_at: datetime


class Expired(NamedTuple):
    """A certificate ran out."""

    vendor: str
    user_id: str
    cert_name: str
    expired_at: datetime
    renewal_deadline: datetime | None


Fact = Provisioned | Deprovisioned | Progressed | Attempted | Completed | Expired


def project(connection: Connection, facts: Iterable[Fact]) -> None:
    """Fold facts into the read models, in the caller's transaction.

    The tables are written in one order, so that two receivers cannot deadlock.
    """
    by_kind: dict[type, list[Any]] = defaultdict(list)
    for fact in facts:
        by_kind[type(fact)].append(fact)
    for kind, write in _WRITERS.items():
        if rows := by_kind.get(kind):
            write(connection, rows)


def clear(connection: Connection) -> None:
    """Empty the read models, for `rebuild`."""
    for model in READ_MODELS:
        connection.execute(table_of(model).delete())


def _write_provisioned(connection: Connection, facts: list[Provisioned]) -> None:
    statement = _provision(connection.dialect.name)
    upsert(connection, statement, ((*fact, True) for fact in facts), key_columns=2)


@cache
def _provision(dialect: str) -> Upsert:
    old = table_of(Learner).c
    statement = insert_rows(dialect, Learner, (*Provisioned._fields, "active"))
    new = statement.excluded
    profile = ("email", "name", "role", "team_id")
    newer = or_(old.provisioned_at.is_(None), _after(new, old, by=("provisioned_at", *profile)))
    taken = {name: case((newer, new[name]), else_=old[name]) for name in profile}
    joined = case((newer, new.provisioned_at), else_=old.provisioned_at)
    return statement.on_conflict_do_update(
        index_elements=["vendor", "user_id"],
        set_=taken | {"provisioned_at": joined, "active": _is_active(joined, old.deprovisioned_at)},
    )


def _write_deprovisioned(connection: Connection, facts: list[Deprovisioned]) -> None:
    statement = _deprovision(connection.dialect.name)
    upsert(connection, statement, ((*fact, False) for fact in facts), key_columns=2)


@cache
def _deprovision(dialect: str) -> Upsert:
    old = table_of(Learner).c
    statement = insert_rows(dialect, Learner, (*Deprovisioned._fields, "active"))
    new = statement.excluded
    later = or_(old.deprovisioned_at.is_(None), new.deprovisioned_at > old.deprovisioned_at)
    left = case((later, new.deprovisioned_at), else_=old.deprovisioned_at)
    # The e-mail of a leaver counts only while no provisioning has told a better one.
    newer = and_(old.provisioned_at.is_(None), _after(new, old, by=("deprovisioned_at", "email")))
    return statement.on_conflict_do_update(
        index_elements=["vendor", "user_id"],
        set_={
            "email": case((newer, new.email), else_=old.email),
            "deprovisioned_at": left,
            "active": _is_active(old.provisioned_at, left),
        },
    )


def _is_active(joined: Any, left: Any) -> ColumnElement[bool]:
    return and_(joined.isnot(None), or_(left.is_(None), joined > left))


def _write_progress(connection: Connection, facts: list[Progressed]) -> None:
    dialect = connection.dialect.name
    upsert(connection, _progress(dialect), facts, key_columns=3)
    upsert(connection, _daily(dialect), map(_of_the_day, facts), key_columns=4)


@cache
def _progress(dialect: str) -> Upsert:
    old = table_of(ModuleProgress).c
    statement = insert_rows(dialect, ModuleProgress, Progressed._fields)
    new = statement.excluded
    newer = _after(new, old, by=("updated_at", "module_name"))
    return statement.on_conflict_do_update(
        index_elements=["vendor", "user_id", "module_id"],
        set_={
            "module_name": case((newer, new.module_name), else_=old.module_name),
            "updated_at": _larger(new.updated_at, old.updated_at),
            **_larger_totals(new, old),
        },
    )


@cache
def _daily(dialect: str) -> Upsert:
    columns = ("vendor", "user_id", "module_id", "day", "progress_pct", "time_spent_sec")
    statement = insert_rows(dialect, ModuleProgressDaily, columns)
    return statement.on_conflict_do_update(
        index_elements=list(columns[:4]),
        set_=_larger_totals(statement.excluded, table_of(ModuleProgressDaily).c),
    )


def _of_the_day(fact: Progressed) -> Row:
    day = fact.updated_at.astimezone(UTC).date()
    return (*fact[:3], day, fact.progress_pct, fact.time_spent_sec)


def _write_expiry(connection: Connection, facts: list[Expired]) -> None:
    upsert(connection, _expiry(connection.dialect.name), facts, key_columns=3)


@cache
def _expiry(dialect: str) -> Upsert:
    old = table_of(Certification).c
    statement = insert_rows(dialect, Certification, Expired._fields)
    new = statement.excluded
    later = or_(
        new.expired_at > old.expired_at,
        and_(
            new.expired_at == old.expired_at,
            or_(old.renewal_deadline.is_(None), new.renewal_deadline > old.renewal_deadline),
        ),
    )
    return statement.on_conflict_do_update(
        index_elements=["vendor", "user_id", "cert_name"],
        set_={
            "expired_at": case((later, new.expired_at), else_=old.expired_at),
            "renewal_deadline": case((later, new.renewal_deadline), else_=old.renewal_deadline),
        },
    )


def _write_attempts(connection: Connection, facts: list[Attempted]) -> None:
    upsert(connection, _once(connection.dialect.name, QuizAttempt), facts, key_columns=2)


def _write_completions(connection: Connection, facts: list[Completed]) -> None:
    upsert(connection, _once(connection.dialect.name, CourseCompletion), facts, key_columns=2)


@cache
def _once(dialect: str, model: type[SQLModel]) -> Upsert:
    columns = table_of(model).columns.keys()
    return insert_rows(dialect, model, columns).on_conflict_do_nothing()


def _larger(new: Any, old: Any) -> ColumnElement[Any]:
    return case((new > old, new), else_=old)


def _larger_totals(new: Any, old: Any) -> dict[str, ColumnElement[Any]]:
    return {name: _larger(new[name], old[name]) for name in ("progress_pct", "time_spent_sec")}


def _after(new: Any, old: Any, by: tuple[str, ...]) -> ColumnElement[bool]:
    """Whether `new` comes after `old`: by time, and for one time by the words, so that a tie
    falls the same way in whatever order the two arrive."""
    time, *words = by

    def rank(row: Any) -> Any:
        return tuple_(row[time], *(func.coalesce(row[name], "") for name in words))

    after: ColumnElement[bool] = rank(new) > rank(old)
    return after


_WRITERS: dict[type, Any] = {
    Provisioned: _write_provisioned,
    Deprovisioned: _write_deprovisioned,
    Progressed: _write_progress,
    Attempted: _write_attempts,
    Completed: _write_completions,
    Expired: _write_expiry,
}
