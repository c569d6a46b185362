"""Who moved, and by how much, in a window of days."""

from collections.abc import Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Float,
    Integer,
    Numeric,
    Select,
    and_,
    case,
    cast,
    func,
    or_,
    select,
    true,
)

from shared.bulk import table_of
from shared.models import Learner, ModuleProgress, ModuleProgressDaily
from shared.queries import AnyRow

COMPLETE_PCT = 100

daily = table_of(ModuleProgressDaily).c
progress = table_of(ModuleProgress).c
learner = table_of(Learner).c


class Filters(NamedTuple):
    """What a board is limited to: UTC days from `since` to before `until`, None for no limit."""

    since: date | None = None
    until: date | None = None
    team_id: str | None = None
    module_id: str | None = None
    leavers: bool = False


def learners(
    connection: Connection, metric: str, filters: Filters, limit: int = 200
) -> Sequence[AnyRow]:
    """The board of learners: rank, tied, email, name, team_id, active, and every metric; `of` is
    how many there are without the limit.

    gained: percentage points over all modules; completed: modules that reached 100 %; average:
    percent over the modules begun, as of now; time: seconds. Ranks are competition ranks
    (1-2-2-4); ties stand in the order of address, vendor and id.
    """
    board = _board(filters).subquery()
    value = board.c[metric]
    query = (
        select(
            func.rank().over(order_by=value.desc()).label("rank"),
            (func.count().over(partition_by=value) > 1).label("tied"),
            func.count().over().label("of"),
            *board.c,
        )
        .order_by(value.desc(), func.coalesce(board.c.email, board.c.user_id))
        .order_by(board.c.vendor, board.c.user_id)
        .limit(limit)
    )
    return connection.execute(query).all()


def teams(connection: Connection, metric: str, filters: Filters) -> Sequence[AnyRow]:
    """The board of teams, those where nobody moved included: rank by the average of a metric per
    active member, so that size does not win; members, moved (members who did anything in the
    window), total and average."""
    board = _board(filters).subquery()
    members = _members(filters).subquery()
    moved = func.count(board.c.user_id)
    total = func.coalesce(cast(func.sum(board.c[metric]), Float), 0.0)
    # An average progress does not add up: its mean is over those who have begun anything.
    heads = func.nullif(moved, 0) if metric == "average" else func.max(members.c.members)
    average = _exact(func.coalesce(total / heads, 0.0))
    query = (
        select(
            func.rank().over(order_by=average.desc()).label("rank"),
            (func.count().over(partition_by=average) > 1).label("tied"),
            members.c.team_id,
            func.max(members.c.members).label("members"),
            moved.label("moved"),
            total.label("total"),
            average.label("average"),
        )
        .join_from(
            members,
            board,
            and_(members.c.vendor == board.c.vendor, members.c.team_id == board.c.team_id),
            isouter=True,
        )
        .group_by(members.c.vendor, members.c.team_id)
        .order_by(average.desc(), members.c.team_id, members.c.vendor)
    )
    return connection.execute(query).all()


def _members(filters: Filters) -> Select[Any]:
    return (
        select(learner.vendor, learner.team_id, func.count().label("members"))
        .where(true() if filters.leavers else learner.active)
        .where(learner.team_id.isnot(None), _is(learner.team_id, filters.team_id))
        .group_by(learner.vendor, learner.team_id)
    )


def totals(connection: Connection, filters: Filters) -> AnyRow:
    """The figures over a board: active (people who moved), gained, completed, time."""
    board = _board(filters).subquery()
    query = select(
        func.count().label("active"),
        func.coalesce(func.sum(board.c.gained), 0).label("gained"),
        func.coalesce(func.sum(board.c.completed), 0).label("completed"),
        func.coalesce(func.sum(board.c.time), 0).label("time"),
    )
    return connection.execute(query).one()


def by_day(connection: Connection, filters: Filters) -> Sequence[AnyRow]:
    """People who made progress on each UTC day of the window: day, people."""
    people = select(daily.day, daily.vendor, daily.user_id).where(*_days(filters)).distinct()
    counted = _of_people(people, daily, filters).subquery()
    query = select(counted.c.day, func.count().label("people")).group_by(counted.c.day)
    return connection.execute(query.order_by(counted.c.day)).all()


def _board(filters: Filters) -> Select[Any]:
    """One row a learner who has anything in the window, with every metric."""
    moved = _moved(filters).subquery()
    average = (
        select(progress.vendor, progress.user_id, func.avg(progress.progress_pct).label("average"))
        .where(_is(progress.module_id, filters.module_id))
        .group_by(progress.vendor, progress.user_id)
        .subquery()
    )
    query = (
        select(
            moved.c.vendor,
            moved.c.user_id,
            learner.email,
            learner.name,
            learner.team_id,
            func.coalesce(learner.active, True).label("active"),
            moved.c.gained,
            moved.c.completed,
            average.c.average,
            moved.c.time,
        )
        .join(average, _same_person(average.c, moved.c))
        .join(table_of(Learner), _same_person(learner, moved.c), isouter=True)
    )
    return query.where(*_who(filters))


def _moved(filters: Filters) -> Select[Any]:
    """What each learner gained, completed and spent in the window, over all modules."""
    pairs = _pairs(filters).subquery()
    begun = func.coalesce(pairs.c.pct_before, 0.0)
    finished = and_(pairs.c.pct >= COMPLETE_PCT, begun < COMPLETE_PCT)
    return select(
        pairs.c.vendor,
        pairs.c.user_id,
        _exact(func.sum(_rise(pairs.c.pct, begun))).label("gained"),
        cast(func.sum(case((finished, 1), else_=0)), Integer).label("completed"),
        cast(
            func.sum(_rise(pairs.c.seconds, func.coalesce(pairs.c.seconds_before, 0))), BigInteger
        ).label("time"),
    ).group_by(pairs.c.vendor, pairs.c.user_id)


def _pairs(filters: Filters) -> Select[Any]:
    """Learner × module that moved in the window: totals at its end, and those before it."""
    inside = (
        select(
            daily.vendor,
            daily.user_id,
            daily.module_id,
            func.max(daily.progress_pct).label("pct"),
            func.max(daily.time_spent_sec).label("seconds"),
        )
        .where(*_days(filters))
        .group_by(daily.vendor, daily.user_id, daily.module_id)
        .subquery()
    )
    return select(
        *inside.c,
        _before(inside, filters, daily.progress_pct).label("pct_before"),
        _before(inside, filters, daily.time_spent_sec).label("seconds_before"),
    )


def _before(inside: Any, filters: Filters, total: ColumnElement[Any]) -> ColumnElement[Any]:
    earlier = table_of(ModuleProgressDaily).alias()
    column = earlier.c[total.key or ""]
    return (
        select(func.max(column))
        .where(_same_person(earlier.c, inside.c), earlier.c.module_id == inside.c.module_id)
        .where(earlier.c.day < filters.since if filters.since else ~true())
        .scalar_subquery()
    )


def _days(filters: Filters) -> tuple[ColumnElement[bool], ...]:
    since = daily.day >= filters.since if filters.since else true()
    until = daily.day < filters.until if filters.until else true()
    return since, until, _is(daily.module_id, filters.module_id)


def _of_people(query: Select[Any], person: Any, filters: Filters) -> Select[Any]:
    joined = query.join(table_of(Learner), _same_person(learner, person), isouter=True)
    return joined.where(*_who(filters))


def _who(filters: Filters) -> tuple[ColumnElement[bool], ...]:
    """Somebody without a roster event is taken as active."""
    active = true() if filters.leavers else or_(learner.active, learner.active.is_(None))
    return active, _is(learner.team_id, filters.team_id)


def _is(column: Any, wanted: str | None) -> ColumnElement[bool]:
    return true() if wanted is None else column == wanted


def _same_person(one: Any, other: Any) -> ColumnElement[bool]:
    return and_(one.vendor == other.vendor, one.user_id == other.user_id)


def _exact(value: Any) -> ColumnElement[Any]:
    """Without the noise of binary fractions, so that equal figures are ties."""
    rounded: ColumnElement[Any] = cast(func.round(cast(value, Numeric), 6), Float)
    return rounded


def _rise(end: Any, start: Any) -> ColumnElement[Any]:
    return case((end > start, end - start), else_=0)
