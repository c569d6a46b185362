"""Who needs coaching: the queue, and the cases of its items.

An item is a learner at a quiz; `quiz_standings` says where they stand there. Its state is one of

- `new`: low, and not flagged since the latest attempt, or snoozed until a day that has come,
- `open`, `in_progress`: flagged, as its case says,
- `ready`: flagged, and the latest attempt after that is not low,
- `closed`: its last case has ended, and no later attempt was low.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Select,
    and_,
    case,
    cast,
    false,
    func,
    not_,
    null,
    or_,
    select,
    text,
)

from shared.bulk import encode, given, table_of
from shared.figures import percent
from shared.models import (
    ACTIVE as IS_ACTIVE,
    AuditLog,
    CoachingCase,
    QuizAttempt,
)
from shared.queries import row_of, rows_of
from shared.queries.people import same_account
from shared.queries.quiz_standings import (
    Filters,
    Taker,
    as_pct,
    is_of_taker,
    result_of,
    same_quiz,
    standings,
)
from shared.queries.quizzes import by_quiz
from shared.setting_types import CoachingRule

ACTIVE = ("open", "in_progress")
STATES = ("new", *ACTIVE, "ready", "closed")
VIEWS: Mapping[str, Sequence[str]] = {
    "new": ("new",),
    "progress": ACTIVE,
    "ready": ("ready",),
    "closed": ("closed",),
    "all": STATES,
}
"""The states that each view of the queue lists."""
SEVERAL = 3
"""A learner who is low at so many quizzes is looked at as a person."""
TREND = 8
"""How many of the last scores are drawn beside an item."""
OTHER_OWNER = "a colleague"
"""What a manager reads in place of an owner other than themselves."""

attempt = table_of(QuizAttempt).c
coached = table_of(CoachingCase).c
audit = table_of(AuditLog).c


class Item(NamedTuple):
    """A learner at a quiz.

    Percentages and `passed` (as the vendor says) are of graded attempts, None where nothing tells;
    `submitted_at` is of the latest one, `retake_pct` the vendor's own threshold. `state` is None
    for an item that needs nothing; `again` is new after an earlier round. From `case_id` on the
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
    problem: bool = False
    """Whether most people fail the quiz; left out of a single item."""

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
) -> Sequence[Item]:
    """The items of a view, the most urgent first."""
    found = _with_problem(filters, _listed(filters).subquery()).subquery()
    in_view = (found.c.state.in_(VIEWS[view]), not_(_hidden(filters, found.c)))
    query = select(found).where(*in_view).order_by(*_order(view, found.c))
    return rows_of(Item, connection.execute(query.limit(limit).offset(offset)))


def _order(view: str, row: Any) -> list[ColumnElement[Any]]:
    key = [row.vendor, row.user_id, row.quiz_id]
    if view == "ready":
        return [row.submitted_at.desc(), *key]
    if view == "closed":
        return [row.closed_at.desc(), *key]
    lowest = [func.coalesce(row.latest_pct, 0), row.submitted_at.desc(), *key]
    return [row.due.is_(None), row.due, *lowest] if view == "progress" else lowest


def counts(connection: Connection, filters: Filters, recent: datetime, today: date) -> Counts:
    """The figures over all items: `fresh` since `recent`, `overdue` if due before `today`."""
    names = ("vendor", "quiz_id", "person", "submitted_at", "due", "state")
    listed = _listed(filters).subquery().c
    # Apart: else SQLite works out the state of an item again for each figure.
    some = select(*(listed[name] for name in names)).where(listed.state.isnot(None))
    row = _with_problem(filters, some.cte("some").prefix_with("MATERIALIZED")).subquery().c
    hidden = _hidden(filters, row)
    is_new = and_(row.state == "new", not_(hidden))
    is_active = row.state.in_(ACTIVE)

    def number(which: ColumnElement[bool]) -> ColumnElement[Any]:
        return cast(func.coalesce(func.sum(case((which, 1), else_=0)), 0), Integer)

    def different(what: Any, which: ColumnElement[bool] = is_new) -> ColumnElement[Any]:
        return func.count(func.distinct(case((which, what))))

    query = select(
        number(is_new).label("new"),
        different(row.person).label("people"),
        different(row.vendor + "/" + row.quiz_id).label("quizzes"),
        number(and_(is_new, row.submitted_at >= recent)).label("fresh"),
        number(and_(row.state == "new", hidden)).label("hidden"),
        (different(row.person, row.state == "new") - different(row.person)).label("hidden_people"),
        number(is_active).label("progress"),
        number(and_(is_active, row.due < today)).label("overdue"),
        number(row.state == "ready").label("ready"),
        number(row.state == "closed").label("closed"),
        number(not_(hidden)).label("all"),
    )
    return rows_of(Counts, connection.execute(query))[0]


def item(connection: Connection, filters: Filters, taker: Taker) -> Item | None:
    """One item of `filters.who`, whatever its state (None if it needs nothing), also of a learner
    who has left."""
    with_leavers = filters._replace(who=filters.who._replace(leavers=True))
    row = _judged(with_leavers).subquery()
    query = select(row).where(*is_of_taker(row.c, taker))
    return row_of(Item, connection.execute(query))


def people_failing(
    connection: Connection, filters: Filters, least: int = SEVERAL, limit: int = 100
) -> Sequence[Failing]:
    """People who are low at `least` quizzes or more, the most quizzes first."""
    row = _listed(filters).subquery().c
    low = func.count()
    query = (
        select(
            row.person,
            *(func.max(row[name]).label(name) for name in ("name", "email", "team_id", "key")),
            low.label("low"),
            cast(func.sum(case((row.state == "new", 1), else_=0)), Integer).label("new"),
            func.min(row.latest_pct).label("lowest_pct"),
            func.count().over().label("of"),
        )
        .where(row.low)
        .group_by(row.person)
        .having(low >= least)
        .order_by(low.desc(), row.person)
        .limit(limit)
    )
    return rows_of(Failing, connection.execute(query))


def low_of(connection: Connection, filters: Filters, persons: Sequence[str]) -> Sequence[Item]:
    """The low items of these people, flagged or not, also at quizzes that most people fail."""
    found = _listed(filters).subquery()
    query = select(found).where(found.c.low, found.c.person.in_(persons))
    query = query.order_by(found.c.person, found.c.quiz_name, found.c.vendor, found.c.quiz_id)
    return rows_of(Item, connection.execute(query))


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


def rounds(connection: Connection, taker: Taker) -> Sequence[Case]:
    """The cases of one taker, newest first."""
    query = select(*coached).where(*is_of_taker(coached, taker)).order_by(coached.id.desc())
    return rows_of(Case, connection.execute(query))


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


# Where coaching stands


def _judged(filters: Filters) -> Select[Any]:
    """Every standing with its latest case, and the state that the two make."""
    stands = standings(filters).subquery()
    latest = _latest_cases(filters.manager).subquery()
    row, state = stands.c, _state(stands.c, latest.c, filters.today)
    return select(
        *row,
        state.label("state"),
        and_(state == "new", latest.c.case_id.isnot(None)).label("again"),
        *(column for column in latest.c if column.name not in Taker._fields),
    ).join_from(
        stands,
        latest,
        and_(same_account(latest.c, row), latest.c.quiz_id == row.quiz_id),
        isouter=True,
    )


def _latest_cases(manager: str | None) -> Select[Any]:
    newest = select(func.max(coached.id)).group_by(*(coached[name] for name in Taker._fields))
    hidden = {} if manager is None else _as_seen_by(manager)
    rest = [column for column in coached if column.name not in ("id", *hidden)]
    columns = (coached.id.label("case_id"), *rest, *hidden.values())
    return select(*columns).where(coached.id.in_(newest))


def _as_seen_by(manager: str) -> Mapping[str, ColumnElement[Any]]:
    """What a manager reads in place of these columns: people who work on a case are known only as
    colleagues, and leads' own words not at all."""

    def own_or(other: Any, column: Any) -> ColumnElement[Any]:
        return case((column == manager, column), (column.isnot(None), other)).label(column.name)

    people_of_case = (coached.owner, coached.opened_by, coached.updated_by)
    reason = case((coached.owner == manager, coached.outcome)).label("outcome")
    return {
        **{column.name: own_or(OTHER_OWNER, column) for column in people_of_case},
        "notes": null().label("notes"),
        "outcome": reason,
    }


def _state(row: Any, latest: Any, today: date | None) -> ColumnElement[Any]:
    active = latest.status.in_(ACTIVE)
    is_back = false() if today is None else latest.snoozed_until <= today
    unanswered = or_(latest.case_id.is_(None), row.submitted_at > latest.closed_at, is_back)
    return case(
        (and_(active, row.passes, row.submitted_at > latest.opened_at), "ready"),
        (active, latest.status),
        (and_(row.low, unanswered), "new"),
        (latest.case_id.isnot(None), "closed"),
    )


def _listed(filters: Filters) -> Select[Any]:
    found = _judged(filters).subquery()
    row = found.c
    query = select(found)
    if filters.quiz:
        query = query.where(row.vendor == filters.quiz[0], row.quiz_id == filters.quiz[1])
    if filters.owner:
        query = query.where(row.owner == filters.owner)
    if filters.since:
        active = and_(row.status.isnot(None), row.status.in_(ACTIVE))
        kept = or_(active, _snoozed(row, filters.since))
        query = query.where(or_(kept, row.submitted_at >= filters.since))
        # The same of a standing alone: what is old and not active needs no more look-ups.
        query = query.where(or_(row.submitted_at >= filters.since, _has_case(row, filters.since)))
    return query


def _snoozed(row: Any, since: datetime) -> ColumnElement[bool]:
    """Whether a case was snoozed since then. Else its learner would not be back in the queue if
    their attempt has left the window meanwhile."""
    return and_(row.snoozed_until.isnot(None), row.closed_at >= since)


def _has_case(row: Any, since: datetime) -> ColumnElement[bool]:
    of_taker = and_(same_account(coached, row), same_quiz(coached, row))
    kept = or_(text(IS_ACTIVE), _snoozed(coached, since))
    return select(coached.id).where(of_taker, kept).exists()


def _with_problem(filters: Filters, found: FromClause) -> Select[Any]:
    """With whether most people, over all teams, fail the quiz."""
    quizzes = by_quiz(filters.default_pct, filters.rule).subquery()
    problem = func.coalesce(quizzes.c.problem, false()).label("problem")
    return select(*found.c, problem).join_from(
        found, quizzes, same_quiz(quizzes.c, found.c), isouter=True
    )


def _hidden(filters: Filters, row: Any) -> ColumnElement[bool]:
    """Whether an item is new at a quiz that most people fail, and not asked for."""
    if filters.problems or filters.quiz:
        return false()
    return and_(row.problem, func.coalesce(row.state, "") == "new")
