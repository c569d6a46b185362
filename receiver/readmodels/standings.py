"""Where each learner stood, and when: made from progress and attempts, in their transaction.

A standing is a function of rows that do not care about the order of their arrival, so neither
does it. The writer must hold the store's write lock (`shared.database.hold_write_lock`): two
transactions that do not see each other would both make a standing without the other's part.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Update,
    and_,
    case,
    func,
    or_,
    select,
    true,
    union,
    update,
)

from receiver.readmodels import blocks
from shared.bulk import (
    Row,
    Upsert,
    encode,
    given,
    insert_into,
    insert_rows,
    layers,
    table_of,
    upsert,
)
from shared.figures import COMPLETE_PCT, exact, percent
from shared.models import LearnerStanding, ModuleProgress, ModuleStanding, QuizAttempt, QuizStanding

SLOT_MINUTES = 15

module = table_of(ModuleStanding).c
learner = table_of(LearnerStanding).c
attempt = table_of(QuizAttempt).c
progress = table_of(ModuleProgress).c

TOTALS = ("progress_pct", "time_spent_sec")
MODULE = ("vendor", "user_id", "module_id", "slot", *TOTALS)
LEARNER = ("vendor", "user_id", "slot", "points", "modules", "completed", "time_spent_sec")
TAKER = ("vendor", "user_id", "quiz_id")
QUIZ = (
    *TAKER,
    "tries",
    "practice_runs",
    "latest_pct",
    "best_pct",
    "passed",
    "submitted_at",
)


def follow(connection: Connection, progress: Iterable[Row], attempts: Iterable[Row]) -> None:
    """Bring the standings up to date with what was just folded in.

    `progress`: (vendor, user_id, module_id, progress_pct, time_spent_sec, at) of each fact about
    learners who moved before their latest standing (`receiver.readmodels.moves`); `attempts`:
    (vendor, user_id, quiz_id) of each.
    """
    marks = [_in_slot(row) for row in progress]
    if marks:
        _follow_modules(connection, marks)
        _follow_learners(connection, {(*row[:2], row[3]) for row in marks})
    if takers := {tuple(row) for row in attempts}:
        statement = _quizzes(connection.dialect.name)
        connection.execute(statement, {"rows": encode(takers)})


def mark(connection: Connection, progress: Iterable[Row]) -> None:
    """Keep only the totals of each quarter hour, as `rebuild` does before `make_all`."""
    marks = largest(map(_in_slot, progress))
    upsert(connection, _mark(connection.dialect.name), marks, key_columns=4)


def make_all(connection: Connection) -> None:
    """Make every standing from all progress that was marked and from all attempts."""
    dialect = connection.dialect.name
    connection.execute(_run_up())
    connection.execute(_all_learners(dialect))
    blocks.make_all(connection)
    connection.execute(_all_quizzes(dialect))


def largest(rows: Iterable[Row]) -> Iterable[Row]:
    """One row for each key, with the larger of its totals, the last two columns."""
    found: dict[Row, tuple[float, int]] = {}
    for row in rows:
        key, (pct, seconds) = row[:-2], row[-2:]
        before = found.get(key, (pct, seconds))
        found[key] = max(pct, before[0]), max(seconds, before[1])
    return [(*key, *totals) for key, totals in found.items()]


def slot_of(at: datetime) -> datetime:
    """The begin of the quarter hour, UTC."""
    minute = at.minute - at.minute % SLOT_MINUTES
    return at.replace(minute=minute, second=0, microsecond=0)


def _in_slot(row: Row) -> Row:
    return (*row[:3], slot_of(row[5]), row[3], row[4])


# Modules: running totals, the larger of a quarter hour and of what came before


def _follow_modules(connection: Connection, marks: Iterable[Row]) -> None:
    dialect = connection.dialect.name
    for layer in layers(marks, 3):
        rows = {"rows": encode(layer)}
        connection.execute(_extend(dialect), rows)
        connection.execute(_raise_later(dialect), rows)


@cache
def _extend(dialect: str) -> Upsert:
    """A mark, or what the learner had before if that is more."""
    new = _marks(dialect)
    totals = [_larger_of(new[name], _latest(module[name], new)) for name in TOTALS]
    rows = select(*(new[name] for name in MODULE[:4]), *totals).where(true())
    statement = insert_into(dialect, ModuleStanding).from_select(MODULE, rows)
    return statement.on_conflict_do_update(
        index_elements=list(MODULE[:4]),
        set_={name: statement.excluded[name] for name in TOTALS},
    )


def _latest(column: Any, at: Any) -> ColumnElement[Any]:
    """A learner's total in a module at the end of a quarter hour; 0 before any."""
    earlier = table_of(ModuleStanding).alias()
    latest = (
        select(earlier.c[column.key])
        .where(_same(earlier.c, at, MODULE[:3]), earlier.c.slot <= at.slot)
        .order_by(earlier.c.slot.desc())
        .limit(1)
        .scalar_subquery()
    )
    return func.coalesce(latest, 0)


@cache
def _raise_later(dialect: str) -> Update:
    """A late mark lifts the later ones that are below it."""
    new = _marks(dialect)
    return (
        update(table_of(ModuleStanding))
        .where(_same(module, new, MODULE[:3]), module.slot > new.slot)
        .where(or_(*(module[name] < new[name] for name in TOTALS)))
        .values({name: _larger_of(new[name], module[name]) for name in TOTALS})
    )


def _marks(dialect: str) -> Any:
    return given(dialect, [module[name] for name in MODULE]).subquery("given").c


@cache
def _mark(dialect: str) -> Upsert:
    statement = insert_rows(dialect, ModuleStanding, MODULE)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=list(MODULE[:4]),
        set_={name: _larger_of(new[name], module[name]) for name in TOTALS},
    )


def _run_up() -> Update:
    """Marks into running totals, all at once."""
    window: Any = {"partition_by": [module[name] for name in MODULE[:3]], "order_by": module.slot}
    so_far = select(
        *(module[name] for name in MODULE[:4]),
        *(func.max(module[name]).over(**window).label(name) for name in TOTALS),
    ).subquery()
    return (
        update(table_of(ModuleStanding))
        .where(_same(module, so_far.c, MODULE[:4]))
        .where(or_(*(module[name] < so_far.c[name] for name in TOTALS)))
        .values({name: so_far.c[name] for name in TOTALS})
    )


# Learners: sums over their modules


def _follow_learners(connection: Connection, moved: set[tuple[Any, ...]]) -> None:
    connection.execute(_sums(connection.dialect.name), {"rows": encode(moved)})
    blocks.follow(connection, moved)


@cache
def _sums(dialect: str) -> Upsert:
    """The quarter hours in which a learner moved, and the later ones, summed up again."""
    moved = given(dialect, [learner[name] for name in LEARNER[:3]]).cte("moved")
    later = select(*(learner[name] for name in LEARNER[:3])).join(
        moved, and_(_same(learner, moved.c, LEARNER[:2]), learner.slot > moved.c.slot)
    )
    due = union(select(moved), later).cte("due")
    at = due.c
    then = table_of(ModuleStanding).alias()
    latest = (
        select(func.max(module.slot))
        .where(_same(module, progress, MODULE[:3]), module.slot <= at.slot)
        .correlate(table_of(ModuleProgress), due)
        .scalar_subquery()
    )
    rows = (
        select(at.vendor, at.user_id, at.slot, *_summed(then.c))
        .join_from(due, table_of(ModuleProgress), _same(progress, at, LEARNER[:2]))
        .join(then, and_(_same(then.c, progress, MODULE[:3]), then.c.slot == latest))
        .where(true())
        .group_by(at.vendor, at.user_id, at.slot)
    )
    return _taken(insert_into(dialect, LearnerStanding).from_select(LEARNER, rows), LEARNER, 3)


def _summed(row: Any) -> list[ColumnElement[Any]]:
    return [
        exact(func.sum(row.progress_pct)),
        func.count(),
        func.sum(case((row.progress_pct >= COMPLETE_PCT, 1), else_=0)),
        func.sum(row.time_spent_sec),
    ]


def _all_learners(dialect: str) -> Upsert:
    """Running sums of what each quarter hour added, for all learners at once."""
    steps = _steps().subquery()
    person = [steps.c.vendor, steps.c.user_id]
    added = [func.sum(steps.c[name]).label(name) for name in LEARNER[3:]]
    slots = select(*person, steps.c.slot, *added).group_by(*person, steps.c.slot).subquery()
    window: Any = {"partition_by": [slots.c.vendor, slots.c.user_id], "order_by": slots.c.slot}
    points, *counts = (func.sum(slots.c[name]).over(**window) for name in LEARNER[3:])
    key = (slots.c[name] for name in LEARNER[:3])
    rows = select(*key, exact(points), *counts)
    return insert_into(dialect, LearnerStanding).from_select(LEARNER, rows)


def _steps() -> Select[Any]:
    """What each row of a module's standing adds to the one before."""
    window: Any = {"partition_by": [module[name] for name in MODULE[:3]], "order_by": module.slot}

    def before(column: Any) -> ColumnElement[Any]:
        return func.lag(column, 1, 0).over(**window)

    def complete(pct: Any) -> ColumnElement[Any]:
        return case((pct >= COMPLETE_PCT, 1), else_=0)

    first = func.row_number().over(**window)
    return select(
        *(module[name] for name in LEARNER[:3]),
        (module.progress_pct - before(module.progress_pct)).label("points"),
        case((first == 1, 1), else_=0).label("modules"),
        (complete(module.progress_pct) - complete(before(module.progress_pct))).label("completed"),
        (module.time_spent_sec - before(module.time_spent_sec)).label("time_spent_sec"),
    )


# Quizzes: the attempts of a learner in order of time


@cache
def _quizzes(dialect: str) -> Upsert:
    takers = given(dialect, [attempt[name] for name in TAKER]).subquery("given")
    # A join, as SQLite would look at every attempt there is for an EXISTS.
    return _quizzes_of(dialect, _ranked().join(takers, _same(attempt, takers.c, TAKER)))


def _all_quizzes(dialect: str) -> Upsert:
    return _quizzes_of(dialect, _ranked())


def _quizzes_of(dialect: str, attempts: Select[Any]) -> Upsert:
    ranked = attempts.subquery()
    of_taker = [ranked.c[name] for name in TAKER]
    rows = select(*of_taker, *_in_order(ranked)).where(true()).group_by(*of_taker)
    return _taken(insert_into(dialect, QuizStanding).from_select(QUIZ, rows), QUIZ, 3)


def _ranked() -> Select[Any]:
    order = (attempt.submitted_at, attempt.event_key)
    group: Any = {"partition_by": [*(attempt[name] for name in TAKER), attempt.graded]}
    newest = func.row_number().over(**group, order_by=[column.desc() for column in order])
    return select(
        *(attempt[name] for name in TAKER),
        attempt.graded,
        attempt.passed,
        attempt.submitted_at,
        percent(attempt).label("pct"),
        newest.label("newest"),
    )


def _in_order(ranked: FromClause) -> list[ColumnElement[Any]]:
    row = ranked.c

    def at(place: Any, value: Any) -> ColumnElement[Any]:
        return func.max(case((and_(row.graded, place), value)))

    passed = case((row.passed.is_(True), 1), (row.passed.is_(False), 0))
    return [
        func.sum(case((row.graded, 1), else_=0)),
        func.sum(case((row.graded, 0), else_=1)),
        at(row.newest == 1, row.pct),
        at(true(), row.pct),
        at(row.newest == 1, passed) == 1,
        at(row.newest == 1, row.submitted_at),
    ]


def _taken(statement: Upsert, columns: tuple[str, ...], key_columns: int) -> Upsert:
    """What stands there already gives way to what was made now."""
    return statement.on_conflict_do_update(
        index_elements=list(columns[:key_columns]),
        set_={name: statement.excluded[name] for name in columns[key_columns:]},
    )


def _same(one: Any, other: Any, columns: Iterable[str]) -> ColumnElement[bool]:
    return and_(*(one[name] == other[name] for name in columns))


def _larger_of(one: Any, other: Any) -> ColumnElement[Any]:
    return case((one > other, one), else_=other)
