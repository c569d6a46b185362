"""Who needs coaching: where learners stand at a quiz, and where coaching stands with them.

An item is a learner at a quiz. Practice runs never count. Whether the latest graded attempt is low
is decided by a rule, a setting:

- `either`: the score is under the threshold, or the vendor says "not passed",
- `threshold`: the score is under the threshold; without a percentage, as the vendor says,
- `vendor`: the vendor says "not passed"; where the vendor says nothing, the threshold.

The state of an item is one of

- `new`: low, and not flagged since the latest attempt,
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
    Float,
    FromClause,
    Integer,
    Select,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    not_,
    null,
    or_,
    select,
    text,
    true,
    union_all,
)

from shared.bulk import encode, given, table_of
from shared.figures import percent
from shared.models import ACTIVE as IS_ACTIVE
from shared.models import (
    AuditLog,
    CoachingCase,
    Learner,
    Quiz,
    QuizAttempt,
    QuizStanding,
    QuizThreshold,
)
from shared.queries import row_of, rows_of
from shared.queries.people import Who, people, same_account
from shared.settings import CoachingRule

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
PROBLEM_TAKERS, PROBLEM_SHARE = 5, 0.5
"""Of at least so many takers more than this share low: look at the quiz, not at the people."""
SEVERAL = 3
"""A learner who is low at so many quizzes is looked at as a person."""
TREND = 8
"""How many of the last scores are drawn beside an item."""
OTHER_OWNER = "a colleague"
"""What a manager reads in place of an owner other than themselves."""

standing = table_of(QuizStanding).c
learner = table_of(Learner).c
attempt = table_of(QuizAttempt).c
quiz = table_of(Quiz).c
threshold = table_of(QuizThreshold).c
coached = table_of(CoachingCase).c
audit = table_of(AuditLog).c


class Taker(NamedTuple):
    """A learner at a quiz, as a vendor calls them."""

    vendor: str
    user_id: str
    quiz_id: str


class Filters(NamedTuple):
    """What the queue is asked for.

    `default_pct` is the threshold of a quiz that has none of its own; `quiz` is vendor and id.
    `since` limits new and closed items by their latest attempt; a case that is active stays
    whatever the window. With `problems`, new items are listed too where most people fail.
    `manager` is who asks, unless that is a lead: of a case they read no notes, and owner and reason
    only where they are the owner.
    """

    who: Who = Who()
    quiz: tuple[str, str] | None = None
    owner: str | None = None
    since: datetime | None = None
    default_pct: float = 70
    rule: CoachingRule = "either"
    problems: bool = False
    manager: str | None = None


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


class QuizFigures(NamedTuple):
    """A graded quiz over learners who are there. `share` is percent of the takers who are low at
    their latest attempt; `own_pct` is set here, `retake_pct` the vendor's. `problem`, and the
    figures behind it, are over all teams; the others over the teams that are asked about."""

    vendor: str
    quiz_id: str
    quiz_name: str
    takers: int
    low: int
    share: float
    threshold_pct: float
    own_pct: float | None
    retake_pct: float | None
    problem: bool
    all_takers: int
    all_share: float


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


class Preview(NamedTuple):
    """Of a quiz's takers, how many are low now, and how many would be then."""

    takers: int
    now: int
    then: int


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


class Standing(NamedTuple):
    """Where a learner stands at a quiz."""

    vendor: str
    user_id: str
    quiz_id: str
    quiz_name: str
    latest_pct: float | None
    passed: bool | None
    low: bool
    passes: bool
    submitted_at: datetime


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
    query = select(row).where(*_is(row.c, taker))
    return row_of(Item, connection.execute(query))


def quizzes(
    connection: Connection,
    default_pct: float,
    rule: CoachingRule = "either",
    who: Who = Who(),  # noqa: B008
) -> Sequence[QuizFigures]:
    """Every graded quiz that learners of `who` have taken."""
    found = _by_quiz(default_pct, rule).subquery()
    all_teams = (found.c.takers.label("all_takers"), found.c.share.label("all_share"))
    query = select(found, *all_teams)
    if who.teams is not None:
        own = _by_quiz_of(Filters(who, default_pct=default_pct, rule=rule)).subquery()
        counted_here = ("takers", "low", "share")
        rest = (column for column in found.c if column.name not in counted_here)
        query = select(*rest, *(own.c[name] for name in counted_here), *all_teams)
        query = query.join_from(found, own, same_quiz(own.c, found.c))
    query = query.order_by(found.c.quiz_name, found.c.vendor, found.c.quiz_id)
    return rows_of(QuizFigures, connection.execute(query))


def _by_quiz_of(filters: Filters) -> Select[Any]:
    row = standings(filters).subquery().c
    low, takers = func.sum(case((row.low, 1), else_=0)), func.count()
    return select(
        row.vendor,
        row.quiz_id,
        takers.label("takers"),
        cast(low, Integer).label("low"),
        (100.0 * low / takers).label("share"),
    ).group_by(row.vendor, row.quiz_id)


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


def preview(
    connection: Connection,
    default_pct: float,
    of: tuple[str, str],
    pct: float | None,
    rule: CoachingRule = "either",
) -> Preview:
    """What another threshold of a quiz would flag. `pct` None is without one of its own: the
    vendor's or else the default."""
    row = standings(Filters(default_pct=default_pct, rule=rule)).subquery().c
    other = func.coalesce(row.retake_pct, _pct(default_pct)) if pct is None else _pct(pct)
    then = is_low(row, other, rule)
    query = select(
        func.count().label("takers"),
        func.coalesce(func.sum(case((row.low, 1), else_=0)), 0).label("now"),
        func.coalesce(func.sum(case((then, 1), else_=0)), 0).label("then"),
    ).where(row.vendor == of[0], row.quiz_id == of[1])
    return rows_of(Preview, connection.execute(query))[0]


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
    result = result_of(attempt, _pct(threshold_pct), rule).label("result")
    query = select(*columns, result).where(*_is(attempt, taker))
    newest = (attempt.submitted_at.desc(), attempt.event_key.desc())
    return rows_of(Attempt, connection.execute(query.order_by(*newest).limit(limit)))


def rounds(connection: Connection, taker: Taker) -> Sequence[Case]:
    """The cases of one taker, newest first."""
    query = select(*coached).where(*_is(coached, taker)).order_by(coached.id.desc())
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


# Where learners stand


def standings(filters: Filters) -> Select[Any]:
    """Where each learner of `filters.who` stands at each quiz with a graded attempt."""
    row = _judged_scores(filters.default_pct, filters.rule).subquery().c
    person = people(filters.who).subquery().c
    vendor = filters.who.vendor
    return (
        select(
            *row,
            *(person[name] for name in ("person", "name", "email", "team_id", "key")),
        )
        .join(table_of(Learner), same_account(learner, row))
        .join(person.person.table, person.person == learner.person)
        .where(true() if vendor is None else row.vendor == vendor)
    )


def standing_of(
    connection: Connection,
    taker: Taker,
    default_pct: float,
    rule: CoachingRule = "either",
    who: Who | None = None,
) -> Standing | None:
    """Where one taker stands; None without a graded attempt, or if the learner is not of `who`. One
    look-up, for a transaction that holds the store's write lock."""
    row = _judged_scores(default_pct, rule).subquery().c
    query = select(*(row[name] for name in Standing._fields)).where(*_is(row, taker))
    if who is not None:
        query = query.where(_is_of(who, taker))
    return row_of(Standing, connection.execute(query))


def reaches(connection: Connection, who: Who, taker: Taker) -> bool:
    """Whether a taker is a learner of `who`."""
    return bool(connection.scalar(select(_is_of(who, taker))))


def _is_of(who: Who, taker: Taker) -> ColumnElement[bool]:
    person = people(who).subquery().c
    account = table_of(Learner).alias().c
    of_taker = and_(account.vendor == taker.vendor, account.user_id == taker.user_id)
    return select(person.person).where(account.person == person.person, of_taker).exists()


STANDING = (
    "vendor",
    "user_id",
    "quiz_id",
    "tries",
    "practice_runs",
    "latest_pct",
    "best_pct",
    "passed",
    "submitted_at",
)


def _judged_scores(default_pct: float, rule: CoachingRule) -> Select[Any]:
    limit = _limit(default_pct)
    low = is_low(standing, limit, rule)
    return (
        select(
            *(standing[name] for name in STANDING),
            func.coalesce(quiz.quiz_name, standing.quiz_id).label("quiz_name"),
            limit.label("threshold_pct"),
            threshold.threshold_pct.label("own_pct"),
            quiz.retake_pct,
            low.label("low"),
            passes(standing, low).label("passes"),
        )
        .join_from(table_of(QuizStanding), table_of(Quiz), same_quiz(quiz, standing), isouter=True)
        .join(table_of(QuizThreshold), same_quiz(threshold, standing), isouter=True)
        .where(standing.tries > 0)
    )


def _limit(default_pct: float) -> ColumnElement[float]:
    return func.coalesce(threshold.threshold_pct, quiz.retake_pct, _pct(default_pct))


def is_low(row: Any, limit: Any, rule: CoachingRule = "either") -> ColumnElement[bool]:
    """Whether the latest attempt of a standing is low."""
    return _is_low(row.latest_pct, row.passed, limit, rule)


def _is_low(pct: Any, passed: Any, limit: Any, rule: CoachingRule) -> ColumnElement[bool]:
    under, refused = pct < limit, passed.is_(False)
    low: Mapping[CoachingRule, ColumnElement[Any]] = {
        "either": or_(under, refused),
        "threshold": case((pct.is_(None), refused), else_=under),
        "vendor": case((passed.is_(None), under), else_=refused),
    }
    return func.coalesce(low[rule], false())


def passes(row: Any, low: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether a score, or the vendor, says that the latest attempt is good enough."""
    return and_(not_(low), or_(row.latest_pct.isnot(None), row.passed.isnot(None)))


def same_quiz(one: Any, other: Any) -> ColumnElement[bool]:
    """Whether two rows are of one quiz of one vendor."""
    return and_(one.vendor == other.vendor, one.quiz_id == other.quiz_id)


def result_of(attempt: Any, limit: Any, rule: CoachingRule = "either") -> ColumnElement[str | None]:
    """The result of an attempt: `practice`, `low`, `passed`; None if nothing tells."""
    pct = percent(attempt)
    return case(
        (attempt.graded.is_(False), "practice"),
        (_is_low(pct, attempt.passed, limit, rule), "low"),
        (or_(pct.isnot(None), attempt.passed.isnot(None)), "passed"),
    )


def _pct(value: float) -> ColumnElement[float]:
    return literal(value, Float)


def _is(row: Any, taker: Taker) -> list[ColumnElement[bool]]:
    return [row[name] == value for name, value in taker._asdict().items()]


# Where coaching stands


def _judged(filters: Filters) -> Select[Any]:
    """Every standing with its latest case, and the state that the two make."""
    stands = standings(filters).subquery()
    latest = _latest_cases(filters.manager).subquery()
    row, state = stands.c, _state(stands.c, latest.c)
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


def _state(row: Any, latest: Any) -> ColumnElement[Any]:
    active = latest.status.in_(ACTIVE)
    unanswered = or_(latest.case_id.is_(None), row.submitted_at > latest.closed_at)
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
        query = query.where(or_(active, row.submitted_at >= filters.since))
        # The same of a standing alone: what is old and not active needs no more look-ups.
        query = query.where(or_(row.submitted_at >= filters.since, _is_active(row)))
    return query


def _is_active(row: Any) -> ColumnElement[bool]:
    of_taker = and_(same_account(coached, row), same_quiz(coached, row))
    return select(coached.id).where(of_taker, text(IS_ACTIVE)).exists()


def _with_problem(filters: Filters, found: FromClause) -> Select[Any]:
    """With whether most people, over all teams, fail the quiz."""
    by_quiz = _by_quiz(filters.default_pct, filters.rule).subquery()
    problem = func.coalesce(by_quiz.c.problem, false()).label("problem")
    return select(*found.c, problem).join_from(
        found, by_quiz, same_quiz(by_quiz.c, found.c), isouter=True
    )


def _hidden(filters: Filters, row: Any) -> ColumnElement[bool]:
    """Whether an item is new at a quiz that most people fail, and not asked for."""
    if filters.problems or filters.quiz:
        return false()
    return and_(row.problem, func.coalesce(row.state, "") == "new")


def _by_quiz(default_pct: float, rule: CoachingRule) -> Select[Any]:
    """Over learners who are there. Equal results are counted first, by the index that has them in
    order, and leavers' results subtracted: person by person it took ten times as long."""
    alike = union_all(_results(), _results_of_leavers()).subquery()
    row, limit = alike.c, _limit(default_pct)
    takers = cast(func.sum(row.takers), Integer)
    low = cast(func.sum(case((is_low(row, limit, rule), row.takers), else_=0)), Integer)
    problem = and_(takers >= PROBLEM_TAKERS, low > PROBLEM_SHARE * takers)
    return (
        select(
            row.vendor,
            row.quiz_id,
            func.max(func.coalesce(quiz.quiz_name, row.quiz_id)).label("quiz_name"),
            takers.label("takers"),
            low.label("low"),
            (100.0 * low / takers).label("share"),
            func.max(limit).label("threshold_pct"),
            func.max(threshold.threshold_pct).label("own_pct"),
            func.max(quiz.retake_pct).label("retake_pct"),
            problem.label("problem"),
        )
        .join_from(alike, table_of(Quiz), same_quiz(quiz, row), isouter=True)
        .join(table_of(QuizThreshold), same_quiz(threshold, row), isouter=True)
        .group_by(row.vendor, row.quiz_id)
        .having(takers > 0)
    )


RESULT = (standing.vendor, standing.quiz_id, standing.latest_pct, standing.passed)


def _results() -> Select[Any]:
    results = select(*RESULT, func.count().label("takers")).where(standing.tries > 0)
    return results.group_by(*RESULT)


def _results_of_leavers() -> Select[Any]:
    person = people(Who(leavers=True)).subquery().c
    return (
        select(*RESULT, (-func.count()).label("takers"))
        .join(table_of(Learner), same_account(learner, standing))
        .join(person.person.table, person.person == learner.person)
        .where(standing.tries > 0, not_(person.active))
        .group_by(*RESULT)
    )
