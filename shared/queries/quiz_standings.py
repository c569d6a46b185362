"""Where learners stand at quizzes: their latest graded attempt, against the threshold.

Practice runs never count. Whether the latest graded attempt is low is decided by a rule, a setting:

- `either`: the score is under the threshold, or the vendor says "not passed",
- `threshold`: the score is under the threshold; without a percentage, as the vendor says,
- `vendor`: the vendor says "not passed"; where the vendor says nothing, the threshold.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    Select,
    and_,
    case,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    type_coerce,
)

from shared.bulk import encode, given, table_of
from shared.figures import percent
from shared.models import Learner, Quiz, QuizStanding, QuizThreshold
from shared.queries import row_of
from shared.queries.people import Who, is_of, people, same_account
from shared.setting_types import CoachingRule

standing = table_of(QuizStanding).c
learner = table_of(Learner).c
quiz = table_of(Quiz).c
threshold = table_of(QuizThreshold).c


class Taker(NamedTuple):
    """A learner at a quiz, as a vendor calls them."""

    vendor: str
    user_id: str
    quiz_id: str


class Filters(NamedTuple):
    """What the queue is asked for.

    `default_pct` is the threshold of a quiz that has none of its own; `quiz` is vendor and id.
    `since` limits new items by their latest attempt and closed ones by the end of their case; a
    case that is active stays whatever the window. With `problems`, new items are listed too where
    most people fail. `manager` is who asks, unless that is a lead: of a case they read no notes,
    and owner and reason only where they are the owner. `today` ends snoozes; None ends none, for
    readers that look at no case.
    """

    who: Who = Who()
    quiz: tuple[str, str] | None = None
    owner: str | None = None
    since: datetime | None = None
    default_pct: float = 70
    rule: CoachingRule = "either"
    problems: bool = False
    manager: str | None = None
    today: date | None = None


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


class Mark(NamedTuple):
    """A quiz with a graded attempt, its pass mark and its results: over learners of all teams who
    are there, how many took it, how many of them are low now, and how many percent that is (None
    without any). `own_pct` is set here, `retake_pct` the vendor's; `problem` is whether most
    fail."""

    vendor: str
    quiz_id: str
    threshold_pct: float
    problem: bool
    quiz_name: str
    own_pct: float | None
    retake_pct: float | None
    takers: int
    low: int
    share: float | None

    def names(self) -> dict[str, Any]:
        """What an item shows of its quiz, by column."""
        return {name: getattr(self, name) for name in ("quiz_name", "own_pct", "retake_pct")}


def rows_for(marks: Iterable[Mark]) -> Mapping[str, str]:
    """The parameter of a statement with `standings`."""
    return {"rows": encode(mark[:4] for mark in marks)}


def standings(filters: Filters, dialect: str) -> Select[Any]:
    """Where each learner of `filters.who` stands at each quiz of `rows_for`, and whose they are. To
    look a pass mark up for each learner would take longer than everything else."""
    # Materialized, as SQLite would take each value out of the JSON again for each standing.
    mark = _marked(dialect).cte("mark").prefix_with("MATERIALIZED").c
    low = is_low(standing, mark.threshold_pct, filters.rule)
    vendor = filters.who.vendor
    return (
        select(
            *(standing[name] for name in STANDING),
            mark.threshold_pct,
            type_coerce(mark.problem, Boolean).label("problem"),
            low.label("low"),
            passes(standing, low).label("passes"),
            learner.person,
        )
        .join_from(mark.vendor.table, table_of(QuizStanding), same_quiz(standing, mark))
        .join(table_of(Learner), same_account(learner, standing))
        .where(standing.tries > 0, is_of(learner, filters.who))
        .where(true() if vendor is None else standing.vendor == vendor)
    )


def _marked(dialect: str) -> Select[Any]:
    problem: Column[bool] = Column("problem", Boolean)
    return given(dialect, [quiz.vendor, quiz.quiz_id, threshold.threshold_pct, problem])


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
    query = select(*(row[name] for name in Standing._fields)).where(*is_of_taker(row, taker))
    if who is not None:
        query = query.where(_reaches(who, taker))
    return row_of(Standing, connection.execute(query))


def reaches(connection: Connection, who: Who, taker: Taker) -> bool:
    """Whether a taker is a learner of `who`."""
    return bool(connection.scalar(select(_reaches(who, taker))))


def _reaches(who: Who, taker: Taker) -> ColumnElement[bool]:
    person = people(who).subquery().c
    account = table_of(Learner).alias().c
    of_taker = and_(account.vendor == taker.vendor, account.user_id == taker.user_id)
    return select(person.person).where(account.person == person.person, of_taker).exists()


STANDING = (
    "vendor",
    "user_id",
    "quiz_id",
    "tries",
    "latest_pct",
    "passed",
    "submitted_at",
)


def _judged_scores(default_pct: float, rule: CoachingRule) -> Select[Any]:
    limit = limit_of(default_pct)
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


def limit_of(default_pct: float) -> ColumnElement[float]:
    return func.coalesce(threshold.threshold_pct, quiz.retake_pct, as_pct(default_pct))


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


def as_pct(value: float) -> ColumnElement[float]:
    return literal(value, Float)


def is_of_taker(row: Any, taker: Taker) -> list[ColumnElement[bool]]:
    return [row[name] == value for name, value in taker._asdict().items()]
