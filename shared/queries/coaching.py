"""Who needs coaching: where people stand at a quiz, and where coaching stands with them.

An item is a learner at a quiz. It is low if the latest graded score is under the threshold or the
vendor marked it as not passed; practice runs never count. Its state is one of

- `new`: low, and nobody has flagged it since the latest attempt,
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
    or_,
    select,
    text,
    true,
    union_all,
)

from shared.bulk import encode, given, table_of
from shared.figures import percent
from shared.models import ACTIVE as IN_HAND
from shared.models import (
    AuditLog,
    CoachingCase,
    Learner,
    Quiz,
    QuizAttempt,
    QuizStanding,
    QuizThreshold,
)
from shared.queries import AnyRow
from shared.queries.people import Who, people, same_account

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
"""Somebody who is low at so many quizzes is to be looked at as a person."""
TREND = 8
"""How many of the last scores are drawn beside an item."""

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
    `since` limits new and closed items by their latest attempt: what somebody has promised to do
    does not go with time. With `problems`, new items are listed too where most people fail.
    """

    who: Who = Who()
    quiz: tuple[str, str] | None = None
    owner: str | None = None
    since: datetime | None = None
    default_pct: float = 70
    problems: bool = False


def items(
    connection: Connection, filters: Filters, view: str = "all", limit: int = 500
) -> Sequence[AnyRow]:
    """The items of a view, what to do first before the rest.

    Rows: vendor, user_id, quiz_id, quiz_name; person, name, email, team_id, key (of `people`);
    tries, practice_runs, latest_pct, best_pct (percent, None without a
    score), passed, submitted_at (of the latest attempt); threshold_pct, retake_pct (the vendor's),
    low, passes; state, again (new after an earlier round), problem (of a quiz that most people
    fail); of the latest case, None without one: case_id, version, status, owner, due, notes,
    outcome, opened_at, opened_by, flagged_pct, closed_at, updated_at, updated_by, passed_pct,
    passed_at.
    """
    found = _told_apart(filters, _listed(filters).subquery()).subquery()
    in_view = (found.c.state.in_(VIEWS[view]), not_(_hidden(filters, found.c)))
    query = select(found).where(*in_view).order_by(*_order(view, found.c)).limit(limit)
    return connection.execute(query).all()


def _order(view: str, row: Any) -> list[ColumnElement[Any]]:
    key = [row.vendor, row.user_id, row.quiz_id]
    if view == "ready":
        return [row.submitted_at.desc(), *key]
    if view == "closed":
        return [row.closed_at.desc(), *key]
    lowest = [func.coalesce(row.latest_pct, 0), row.submitted_at.desc(), *key]
    return [row.due.is_(None), row.due, *lowest] if view == "progress" else lowest


def counts(connection: Connection, filters: Filters, recent: datetime, today: date) -> AnyRow:
    """The figures over all items, without a limit.

    new, people and quizzes (of the new), fresh (new since `recent`), hidden (new at quizzes that
    most people fail, so not listed), progress, overdue (of them, due before `today`), ready,
    closed, and all that are listed.
    """
    names = ("vendor", "quiz_id", "person", "submitted_at", "due", "state")
    listed = _listed(filters).subquery().c
    # Apart: else SQLite works out the state of an item anew for each figure.
    some = select(*(listed[name] for name in names)).where(listed.state.isnot(None))
    row = _told_apart(filters, some.cte("some").prefix_with("MATERIALIZED")).subquery().c
    hidden = _hidden(filters, row)
    is_new = and_(row.state == "new", not_(hidden))
    busy = row.state.in_(ACTIVE)

    def those(which: ColumnElement[bool]) -> ColumnElement[Any]:
        return cast(func.coalesce(func.sum(case((which, 1), else_=0)), 0), Integer)

    def different(what: Any) -> ColumnElement[Any]:
        return func.count(func.distinct(case((is_new, what))))

    query = select(
        those(is_new).label("new"),
        different(row.person).label("people"),
        different(row.vendor + "/" + row.quiz_id).label("quizzes"),
        those(and_(is_new, row.submitted_at >= recent)).label("fresh"),
        those(and_(row.state == "new", hidden)).label("hidden"),
        those(busy).label("progress"),
        those(and_(busy, row.due < today)).label("overdue"),
        those(row.state == "ready").label("ready"),
        those(row.state == "closed").label("closed"),
        those(not_(hidden)).label("all"),
    )
    return connection.execute(query).one()


def item(connection: Connection, filters: Filters, taker: Taker) -> AnyRow | None:
    """One item, whatever its state (None if it needs nothing), also of somebody who has left."""
    anybody = filters._replace(who=filters.who._replace(leavers=True))
    row = _judged(anybody).subquery()
    query = select(row).where(*_is(row.c, taker))
    return connection.execute(query).one_or_none()


def quizzes(connection: Connection, default_pct: float) -> Sequence[AnyRow]:
    """Every graded quiz: vendor, quiz_id, quiz_name, takers, low (how many are low at their
    latest), share (percent of the takers), threshold_pct, own_pct (set here, or None), retake_pct
    (the vendor's, or None), problem."""
    found = _by_quiz(default_pct).subquery()
    query = select(found).order_by(found.c.quiz_name, found.c.vendor, found.c.quiz_id)
    return connection.execute(query).all()


def people_failing(
    connection: Connection, filters: Filters, least: int = SEVERAL, limit: int = 100
) -> Sequence[AnyRow]:
    """People who are low at `least` quizzes or more: person, name, email, team_id, key, low (at
    how many), new (of them not flagged), lowest_pct; those who are low at most quizzes first."""
    row = _listed(filters).subquery().c
    low = func.count()
    query = (
        select(
            row.person,
            *(func.max(row[name]).label(name) for name in ("name", "email", "team_id", "key")),
            low.label("low"),
            cast(func.sum(case((row.state == "new", 1), else_=0)), Integer).label("new"),
            func.min(row.latest_pct).label("lowest_pct"),
        )
        .where(row.low)
        .group_by(row.person)
        .having(low >= least)
        .order_by(low.desc(), row.person)
        .limit(limit)
    )
    return connection.execute(query).all()


def low_of(connection: Connection, filters: Filters, persons: Sequence[str]) -> Sequence[AnyRow]:
    """The low items of these people, flagged or not, also at quizzes that most people fail."""
    found = _listed(filters).subquery()
    query = select(found).where(found.c.low, found.c.person.in_(persons))
    query = query.order_by(found.c.person, found.c.quiz_name, found.c.vendor, found.c.quiz_id)
    return connection.execute(query).all()


def preview(
    connection: Connection, default_pct: float, of: tuple[str, str], pct: float | None
) -> AnyRow:
    """What another threshold of a quiz would flag: takers, now and then (how many are low).

    `pct` None is without one of its own: the vendor's or else the default.
    """
    row = stood(default_pct, Who()).subquery().c
    other = func.coalesce(row.retake_pct, _pct(default_pct)) if pct is None else _pct(pct)
    then = is_low(row, other)
    query = select(
        func.count().label("takers"),
        func.coalesce(func.sum(case((row.low, 1), else_=0)), 0).label("now"),
        func.coalesce(func.sum(case((then, 1), else_=0)), 0).label("then"),
    ).where(row.vendor == of[0], row.quiz_id == of[1])
    return connection.execute(query).one()


def scores(connection: Connection, takers: Sequence[Taker]) -> Mapping[Taker, Sequence[float]]:
    """The last graded scores of each, percent, the oldest first."""
    if not takers:
        return {}
    columns = [attempt[name] for name in Taker._fields]
    asked = given(connection.dialect.name, columns).subquery("given")
    newest = func.row_number().over(
        partition_by=columns, order_by=(attempt.submitted_at.desc(), attempt.event_key.desc())
    )
    ranked = (
        select(*columns, percent(attempt).label("pct"), newest.label("newest"))
        .join(asked, and_(*(attempt[name] == asked.c[name] for name in Taker._fields)))
        .where(attempt.graded, attempt.score.isnot(None))
        .subquery()
    )
    query = select(ranked).where(ranked.c.newest <= TREND).order_by(ranked.c.newest.desc())
    found: dict[Taker, list[float]] = {}
    for row in connection.execute(query, {"rows": encode(takers)}):
        found.setdefault(Taker(*row[:3]), []).append(row.pct)
    return found


def attempts(
    connection: Connection, taker: Taker, threshold_pct: float, limit: int = 200
) -> Sequence[AnyRow]:
    """The latest attempts of one, practice too, newest first: submitted_at, pct, result."""
    columns = (attempt.submitted_at, percent(attempt).label("pct"))
    result = result_of(attempt, _pct(threshold_pct)).label("result")
    query = select(*columns, result).where(*_is(attempt, taker))
    newest = (attempt.submitted_at.desc(), attempt.event_key.desc())
    return connection.execute(query.order_by(*newest).limit(limit)).all()


def rounds(connection: Connection, taker: Taker) -> Sequence[AnyRow]:
    """The cases of one, newest first."""
    query = select(*coached).where(*_is(coached, taker)).order_by(coached.id.desc())
    return connection.execute(query).all()


def history(connection: Connection, case_ids: Sequence[int]) -> Sequence[AnyRow]:
    """What was done to these cases, newest first: at, actor, action, subject, detail."""
    columns = (audit.at, audit.actor, audit.action, audit.subject, audit.detail)
    subjects = [f"case {case_id}" for case_id in case_ids]
    query = select(*columns).where(audit.subject.in_(subjects)).order_by(audit.id.desc())
    return connection.execute(query).all()


def owners(connection: Connection) -> Sequence[str]:
    """Everybody who owns or owned a case."""
    query = select(coached.owner).where(coached.owner.isnot(None)).distinct()
    return connection.scalars(query.order_by(coached.owner)).all()


# Where people stand


def stood(default_pct: float, who: Who) -> Select[Any]:
    """Where everybody asked about stands at each quiz with a graded attempt, by its threshold."""
    row = _judged_scores(default_pct).subquery().c
    person = people(who).subquery().c
    return (
        select(
            *row,
            *(person[name] for name in ("person", "name", "email", "team_id", "key")),
        )
        .join(table_of(Learner), same_account(learner, row))
        .join(person.person.table, person.person == learner.person)
        .where(true() if who.vendor is None else row.vendor == who.vendor)
    )


def standing_of(connection: Connection, taker: Taker, default_pct: float) -> AnyRow | None:
    """Where one stands at a quiz: quiz_name, latest_pct, low, passes, submitted_at; name, email.
    None without a graded attempt. One look-up, for whoever holds the store's write lock."""
    row = _judged_scores(default_pct).subquery().c
    query = select(*row, learner.name, learner.email).join(
        table_of(Learner), same_account(learner, row)
    )
    return connection.execute(query.where(*_is(row, taker))).one_or_none()


def _judged_scores(default_pct: float) -> Select[Any]:
    limit = _limit(default_pct)
    low = is_low(standing, limit)
    answered = or_(standing.latest_pct.isnot(None), standing.passed.isnot(None))
    return (
        select(
            *standing,
            func.coalesce(quiz.quiz_name, standing.quiz_id).label("quiz_name"),
            limit.label("threshold_pct"),
            threshold.threshold_pct.label("own_pct"),
            quiz.retake_pct,
            low.label("low"),
            and_(not_(low), answered).label("passes"),
        )
        .join_from(table_of(QuizStanding), table_of(Quiz), same_quiz(quiz, standing), isouter=True)
        .join(table_of(QuizThreshold), same_quiz(threshold, standing), isouter=True)
        .where(standing.tries > 0)
    )


def _limit(default_pct: float) -> ColumnElement[float]:
    return func.coalesce(threshold.threshold_pct, quiz.retake_pct, _pct(default_pct))


def is_low(row: Any, limit: Any) -> ColumnElement[bool]:
    """Whether the latest score is under a threshold, or the vendor called it not passed."""
    return func.coalesce(or_(row.latest_pct < limit, row.passed.is_(False)), false())


def same_quiz(one: Any, other: Any) -> ColumnElement[bool]:
    """Whether two rows are of one quiz of one vendor."""
    return and_(one.vendor == other.vendor, one.quiz_id == other.quiz_id)


def result_of(attempt: Any, limit: Any) -> ColumnElement[str | None]:
    """What came of an attempt: `practice`; `low`, under the threshold or not passed as the vendor
    says; `passed`; None if nothing tells."""
    pct = percent(attempt)
    return case(
        (attempt.graded.is_(False), "practice"),
        (or_(pct < limit, attempt.passed.is_(False)), "low"),
        (or_(pct >= limit, attempt.passed.is_(True)), "passed"),
    )


def _pct(value: float) -> ColumnElement[float]:
    return literal(value, Float)


def _is(row: Any, taker: Taker) -> list[ColumnElement[bool]]:
    return [row[name] == value for name, value in taker._asdict().items()]


# Where coaching stands


def _judged(filters: Filters) -> Select[Any]:
    """Everybody's standing with their latest case, and the state that the two make."""
    stands = stood(filters.default_pct, filters.who).subquery()
    latest = _latest_cases().subquery()
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


def _latest_cases() -> Select[Any]:
    newest = select(func.max(coached.id)).group_by(*(coached[name] for name in Taker._fields))
    rest = [column for column in coached if column.name != "id"]
    return select(coached.id.label("case_id"), *rest).where(coached.id.in_(newest))


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
        busy = and_(row.status.isnot(None), row.status.in_(ACTIVE))
        query = query.where(or_(busy, row.submitted_at >= filters.since))
        # The same of a standing alone: what is old and not in hand needs no more look-ups.
        query = query.where(or_(row.submitted_at >= filters.since, _is_in_hand(row)))
    return query


def _is_in_hand(row: Any) -> ColumnElement[bool]:
    of_taker = and_(same_account(coached, row), same_quiz(coached, row))
    return select(coached.id).where(of_taker, text(IN_HAND)).exists()


def _told_apart(filters: Filters, found: FromClause) -> Select[Any]:
    """With whether most people fail the quiz."""
    by_quiz = _by_quiz(filters.default_pct).subquery()
    problem = func.coalesce(by_quiz.c.problem, false()).label("problem")
    return select(*found.c, problem).join_from(
        found, by_quiz, same_quiz(by_quiz.c, found.c), isouter=True
    )


def _hidden(filters: Filters, row: Any) -> ColumnElement[bool]:
    """Whether an item is new at a quiz that most people fail, which nobody has asked for."""
    if filters.problems or filters.quiz:
        return false()
    return and_(row.problem, func.coalesce(row.state, "") == "new")


def _by_quiz(default_pct: float) -> Select[Any]:
    """Over those who are there. Equal results are counted first, by the index that has them in
    order, and those of who has left taken off: person by person it took ten times as long."""
    alike = union_all(_results(), _results_of_leavers()).subquery()
    row, limit = alike.c, _limit(default_pct)
    takers = cast(func.sum(row.takers), Integer)
    low = cast(func.sum(case((is_low(row, limit), row.takers), else_=0)), Integer)
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
