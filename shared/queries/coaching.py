"""Who needs coaching: the queue, and the cases of its items.

An item is a learner at a quiz; `quiz_standings` says where they stand there. Its state is one of

- `new`: low, and not flagged since the latest attempt, or snoozed until a day that has come,
- `open`, `in_progress`: flagged, as its case says,
- `ready`: flagged, and the latest attempt after that is not low,
- `closed`: its last case has ended, and no later attempt was low.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    case,
    cast,
    func,
    not_,
    select,
)

from shared.bulk import encode, given, table_of
from shared.figures import percent
from shared.models import (
    AuditLog,
    CoachingCase,
    QuizAttempt,
)
from shared.queries import row_of, rows_of
from shared.queries.coaching_states import (
    ACTIVE,
    STATEMENTS,
    asked_for,
    is_hidden,
    is_of_people,
    judged,
    whole,
)
from shared.queries.people import known as known_people
from shared.queries.quiz_standings import (
    Filters,
    Mark,
    Taker,
    as_pct,
    is_of_taker,
    result_of,
    rows_for,
)
from shared.queries.quizzes import marks
from shared.setting_types import CoachingRule

STATES = ("new", *ACTIVE, "ready", "closed")
VIEWS: Mapping[str, Sequence[str]] = {
    "new": ("new",),
    "progress": ACTIVE,
    "ready": ("ready",),
    "closed": ("closed",),
    "all": STATES,
}
"""The states that each view of the queue lists."""
OF_CASES = ("progress", "ready", "closed")
"""The views that list nothing without a case."""
SEVERAL = 3
"""A learner who is low at so many quizzes is looked at as a person."""
TREND = 8
"""How many of the last scores are drawn beside an item."""

attempt = table_of(QuizAttempt).c
coached = table_of(CoachingCase).c
audit = table_of(AuditLog).c


class Item(NamedTuple):
    """A learner at a quiz.

    Percentages and `passed` (as the vendor says) are of graded attempts, None where nothing tells;
    `submitted_at` is of the latest one, `retake_pct` the vendor's own threshold. `state` is None
    for an item that needs nothing; `again` is new after an earlier round; `problem` is whether most
    people fail the quiz. From `case_id` on the
    fields are of the latest case, None without one.
    """

    vendor: str
    user_id: str
    quiz_id: str
    tries: int
    practice_runs: int
    latest_pct: float | None
    best_pct: float | None
    passed: bool | None
    submitted_at: datetime
    quiz_name: str
    threshold_pct: float
    own_pct: float | None
    retake_pct: float | None
    low: bool
    passes: bool
    person: str
    name: str | None
    email: str | None
    team_id: str | None
    key: str
    state: str | None
    again: bool
    case_id: int | None
    status: str | None
    owner: str | None
    due: date | None
    notes: str | None
    outcome: str | None
    opened_at: datetime | None
    opened_by: str | None
    flagged_pct: float | None
    updated_at: datetime | None
    updated_by: str | None
    closed_at: datetime | None
    passed_pct: float | None
    passed_at: datetime | None
    snoozed_until: date | None
    version: int | None
    problem: bool

    @property
    def taker(self) -> Taker:
        return Taker(self.vendor, self.user_id, self.quiz_id)


class Counts(NamedTuple):
    """Figures over all items, without a limit.

    `new` items are listed; they are of so many `people` and `quizzes`, `fresh` of them are recent.
    `hidden` items are new at quizzes that most people fail, so not listed; `hidden_people` have no
    other new item. `overdue` items are in progress, too.
    """

    new: int
    people: int
    quizzes: int
    fresh: int
    hidden: int
    hidden_people: int
    progress: int
    overdue: int
    ready: int
    closed: int
    all: int


class Failing(NamedTuple):
    """A person who is low at several quizzes; `new` of them are not flagged. `of` counts all such
    people without a limit."""

    person: str
    name: str | None
    email: str | None
    team_id: str | None
    key: str
    low: int
    new: int
    lowest_pct: float | None
    of: int


class Scores(NamedTuple):
    """The last graded scores in percent, the oldest first; and the latest one as sent."""

    trend: Sequence[float]
    latest: float | None


class Attempt(NamedTuple):
    """An attempt: `score` as sent, `pct` None without a score or a maximum, `passed` as the vendor
    says, `result` as of `result_of`."""

    submitted_at: datetime
    score: float | None
    pct: float | None
    passed: bool | None
    result: str | None


class Case(NamedTuple):
    """A row of `coaching_case`."""

    id: int
    vendor: str
    user_id: str
    quiz_id: str
    status: str
    owner: str | None
    due: date | None
    notes: str | None
    outcome: str | None
    opened_at: datetime
    opened_by: str
    flagged_pct: float | None
    updated_at: datetime
    updated_by: str
    closed_at: datetime | None
    passed_pct: float | None
    passed_at: datetime | None
    snoozed_until: date | None
    version: int

    @property
    def taker(self) -> Taker:
        return Taker(self.vendor, self.user_id, self.quiz_id)


class Entry(NamedTuple):
    """A line of the audit log."""

    at: datetime
    actor: str
    action: str
    subject: str | None
    detail: str | None


def items(
    connection: Connection,
    filters: Filters,
    view: str = "all",
    limit: int | None = None,
    offset: int = 0,
    known: Sequence[Mark] | None = None,
) -> Sequence[Item]:
    """The items of a view, the most urgent first. `known` are the `marks`, if the caller has
    them."""
    query = _part(filters, connection.dialect.name, view, limit, offset)
    return _read(connection, query, _marks(connection, filters, known))


@lru_cache(STATEMENTS)
def _part(filters: Filters, dialect: str, view: str, limit: int | None, offset: int) -> Select[Any]:
    found = asked_for(filters, dialect, with_case=view in OF_CASES).subquery()
    in_view = (found.c.state.in_(VIEWS[view]), not_(is_hidden(filters, found.c)))
    some = select(found).where(*in_view).order_by(*_order(view, found.c))
    part = some.limit(limit).offset(offset).subquery()
    return whole(part, filters.manager).order_by(*_order(view, part.c))


def _order(view: str, row: Any) -> list[ColumnElement[Any]]:
    key = [row.vendor, row.user_id, row.quiz_id]
    if view == "ready":
        return [row.submitted_at.desc(), *key]
    if view == "closed":
        return [row.closed_at.desc(), *key]
    lowest = [func.coalesce(row.latest_pct, 0), row.submitted_at.desc(), *key]
    return [row.due.is_(None), row.due, *lowest] if view == "progress" else lowest


def _read(connection: Connection, query: Select[Any], known: Sequence[Mark]) -> list[Item]:
    """Items with what names the person and the quiz. A person who is erased meanwhile has none."""
    rows = connection.execute(query, rows_for(known)).mappings().all()
    people = known_people(connection, [row["person"] for row in rows])
    named = {(one.vendor, one.quiz_id): one for one in known}
    return [
        Item(**row, **person.names(), **named[row["vendor"], row["quiz_id"]].names())
        for row in rows
        if (person := people.get(row["person"]))
    ]


def _marks(
    connection: Connection, filters: Filters, known: Sequence[Mark] | None
) -> Sequence[Mark]:
    return marks(connection, filters.default_pct, filters.rule) if known is None else known


def counts(
    connection: Connection,
    filters: Filters,
    recent: datetime,
    today: date,
    known: Sequence[Mark] | None = None,
) -> Counts:
    """The figures over all items: `fresh` since `recent`, `overdue` if due before `today`. `known`
    are the `marks`, if the caller has them."""
    query = _counts(filters, connection.dialect.name, recent, today)
    rows = rows_for(_marks(connection, filters, known))
    (found,) = rows_of(Counts, connection.execute(query, rows))
    # The query gives people with any new item, as it would count the listed ones twice.
    return found._replace(hidden_people=found.hidden_people - found.people)


@lru_cache(STATEMENTS)
def _counts(filters: Filters, dialect: str, recent: datetime, today: date) -> Select[Any]:
    names = ("vendor", "quiz_id", "person", "submitted_at", "due", "state", "problem")
    listed = asked_for(filters, dialect).subquery().c
    # Apart: else SQLite works out the state of an item again for each figure.
    some = select(*(listed[name] for name in names)).where(listed.state.isnot(None))
    row = some.cte("some").prefix_with("MATERIALIZED").c
    hidden = is_hidden(filters, row)
    is_new = and_(row.state == "new", not_(hidden))
    is_active = row.state.in_(ACTIVE)

    def number(which: ColumnElement[bool]) -> ColumnElement[Any]:
        return cast(func.coalesce(func.sum(case((which, 1), else_=0)), 0), Integer)

    def different(what: Any, which: ColumnElement[bool] = is_new) -> ColumnElement[Any]:
        return func.count(func.distinct(case((which, what))))

    return select(
        number(is_new).label("new"),
        different(row.person).label("people"),
        different(row.vendor + "/" + row.quiz_id).label("quizzes"),
        number(and_(is_new, row.submitted_at >= recent)).label("fresh"),
        number(and_(row.state == "new", hidden)).label("hidden"),
        different(row.person, row.state == "new").label("hidden_people"),
        number(is_active).label("progress"),
        number(and_(is_active, row.due < today)).label("overdue"),
        number(row.state == "ready").label("ready"),
        number(row.state == "closed").label("closed"),
        number(not_(hidden)).label("all"),
    )


def item(
    connection: Connection, filters: Filters, taker: Taker, known: Sequence[Mark] | None = None
) -> Item | None:
    """One item of `filters.who`, whatever its state (None if it needs nothing), also of a learner
    who has left. `known` are the `marks`, if the caller has them."""
    with_leavers = filters._replace(who=filters.who._replace(leavers=True))
    row = judged(with_leavers, connection.dialect.name).subquery()
    one = select(row).where(*is_of_taker(row.c, taker)).subquery()
    if known is None:
        of = (taker.vendor, taker.quiz_id)
        known = marks(connection, filters.default_pct, filters.rule, of)
    items = _read(connection, whole(one, filters.manager), known)
    return items[0] if items else None


def people_failing(
    connection: Connection,
    filters: Filters,
    least: int = SEVERAL,
    limit: int = 100,
    known: Sequence[Mark] | None = None,
) -> Sequence[Failing]:
    """People who are low at `least` quizzes or more, the most quizzes first. Quizzes that most
    people fail do not count, as in the queue. `known` are the `marks`, if the caller has them."""
    query = _failing(filters, connection.dialect.name, least, limit)
    rows = connection.execute(query, rows_for(_marks(connection, filters, known))).mappings().all()
    people = known_people(connection, [one["person"] for one in rows])
    return [
        Failing(**one, **person.names()) for one in rows if (person := people.get(one["person"]))
    ]


@lru_cache(STATEMENTS)
def _failing(filters: Filters, dialect: str, least: int, limit: int) -> Select[Any]:
    row = asked_for(filters, dialect).subquery().c
    low = func.count()
    return (
        select(
            row.person,
            low.label("low"),
            cast(func.sum(case((row.state == "new", 1), else_=0)), Integer).label("new"),
            func.min(row.latest_pct).label("lowest_pct"),
            func.count().over().label("of"),
        )
        .where(row.low, is_of_people(filters, row))
        .group_by(row.person)
        .having(low >= least)
        .order_by(low.desc(), row.person)
        .limit(limit)
    )


def low_of(
    connection: Connection,
    filters: Filters,
    persons: Sequence[str],
    known: Sequence[Mark] | None = None,
) -> Sequence[Item]:
    """The low items of these people that `people_failing` counts, flagged or not. `known` are the
    `marks`, if the caller has them."""
    if not persons:
        return []
    found = asked_for(filters, connection.dialect.name).subquery()
    counted = and_(found.c.low, is_of_people(filters, found.c))
    some = select(found).where(counted, found.c.person.in_(persons)).subquery()
    rows = _read(connection, whole(some, filters.manager), _marks(connection, filters, known))
    return sorted(rows, key=lambda row: (row.person, row.quiz_name, row.vendor, row.quiz_id))


def scores(connection: Connection, takers: Sequence[Taker]) -> Mapping[Taker, Scores]:
    """The last graded scores of each."""
    if not takers:
        return {}
    columns = [attempt[name] for name in Taker._fields]
    asked = given(connection.dialect.name, columns).subquery("given")
    newest = func.row_number().over(
        partition_by=columns, order_by=(attempt.submitted_at.desc(), attempt.event_key.desc())
    )
    ranked = (
        select(*columns, attempt.score, percent(attempt).label("pct"), newest.label("newest"))
        .join(asked, and_(*(attempt[name] == asked.c[name] for name in Taker._fields)))
        .where(attempt.graded)
        .subquery()
    )
    query = select(ranked).where(ranked.c.newest <= TREND).order_by(ranked.c.newest.desc())
    found: dict[Taker, list[tuple[float | None, float | None]]] = {}
    for row in connection.execute(query, {"rows": encode(takers)}):
        taker = Taker(row.vendor, row.user_id, row.quiz_id)
        found.setdefault(taker, []).append((row.pct, row.score))
    return {
        taker: Scores([pct for pct, _ in tried if pct is not None], tried[-1][1])
        for taker, tried in found.items()
    }


def attempts(
    connection: Connection,
    taker: Taker,
    threshold_pct: float,
    limit: int = 200,
    rule: CoachingRule = "either",
) -> Sequence[Attempt]:
    """The latest attempts of one taker, practice too, newest first."""
    columns = (attempt.submitted_at, attempt.score, percent(attempt).label("pct"), attempt.passed)
    result = result_of(attempt, as_pct(threshold_pct), rule).label("result")
    query = select(*columns, result).where(*is_of_taker(attempt, taker))
    newest = (attempt.submitted_at.desc(), attempt.event_key.desc())
    return rows_of(Attempt, connection.execute(query.order_by(*newest).limit(limit)))


def rounds(connection: Connection, taker: Taker, limit: int | None = None) -> Sequence[Case]:
    """The cases of one taker, newest first, undone ones too."""
    query = select(*coached).where(*is_of_taker(coached, taker)).order_by(coached.id.desc())
    return rows_of(Case, connection.execute(query.limit(limit)))


def case_of(connection: Connection, case_id: int) -> Case | None:
    return row_of(Case, connection.execute(select(*coached).where(coached.id == case_id)))


def history(connection: Connection, case_ids: Sequence[int]) -> Sequence[Entry]:
    """What was done to these cases, newest first."""
    columns = (audit.at, audit.actor, audit.action, audit.subject, audit.detail)
    subjects = [f"case {case_id}" for case_id in case_ids]
    query = select(*columns).where(audit.subject.in_(subjects)).order_by(audit.id.desc())
    return rows_of(Entry, connection.execute(query))


def owners(connection: Connection) -> Sequence[str]:
    """Everyone who owns or owned a case."""
    query = select(coached.owner).where(coached.owner.isnot(None)).distinct()
    return [owner for owner in connection.scalars(query.order_by(coached.owner)) if owner]
