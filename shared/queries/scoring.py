"""The score: what scores, its weights, and how the points of a person come about."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    FromClause,
    Select,
    and_,
    case,
    cast,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    true,
    union_all,
)

from shared.audit import note
from shared.bulk import table_of
from shared.figures import COMPLETE_PCT, exact
from shared.models import (
    Activity,
    CourseCompletion,
    Delivery,
    Event,
    Learner,
    Module,
    ModuleStanding,
    Quiz,
    QuizAttempt,
    QuizThreshold,
    ScoreWeight,
)
from shared.queries import rows_of
from shared.queries.imports import brought_by
from shared.queries.people import same_account
from shared.queries.quiz_standings import result_of
from shared.queries.spells import FOREVER, moment
from shared.queries.windows import Window
from shared.scoring import DEFAULT, Rules, Weight, rules_of
from shared.setting_types import CoachingRule

learner = table_of(Learner).c
completion = table_of(CourseCompletion).c
attempt = table_of(QuizAttempt).c
quiz = table_of(Quiz).c
threshold = table_of(QuizThreshold).c
activity = table_of(Activity).c
standing = table_of(ModuleStanding).c
module = table_of(Module).c
event = table_of(Event).c
delivery = table_of(Delivery).c
weight = table_of(ScoreWeight).c

AnyColumn = ColumnElement[Any]


# Weights


def rules(
    connection: Connection,
    pass_pct: float = DEFAULT.pass_pct,
    judged_by: CoachingRule = DEFAULT.judged_by,
) -> Rules:
    """The company's rules; `DEFAULT` until it sets some."""
    query = select(weight.kind, weight.event_type, weight.points)
    weights = rows_of(Weight, connection.execute(query))
    return rules_of(weights or DEFAULT.weights, pass_pct, judged_by)


def set_rules(connection: Connection, actor: str, new: Rules) -> None:
    """Replace the company's weights, in the caller's transaction, with an entry in the audit log
    that names the points before and after."""
    before = rules(connection)
    connection.execute(delete(table_of(ScoreWeight)))
    connection.execute(
        insert(table_of(ScoreWeight)),
        [{**one._asdict(), "updated_at": datetime.now(UTC), "updated_by": actor}
         for one in new.weights],
    )  # fmt: skip
    if before.weights != new.weights:
        note(connection, actor, "set_weights", None, f"{in_words(before)} → {in_words(new)}")


def in_words(of: Rules) -> str:
    """`progress 1, course 100, deal.won 50`."""
    return ", ".join(f"{one.event_type or one.kind} {one.points:g}" for one in of.weights)


def event_types(connection: Connection, limit: int = 100) -> Sequence[str]:
    """The event types of Standard Webhooks that can score: the types that named a person."""
    query = select(activity.kind).distinct().order_by(activity.kind).limit(limit)
    return connection.scalars(query).all()


# What scores, beside progress


def achievements(
    of: Rules, vendor: str | None = None, since: datetime | None = None, person: str | None = None
) -> FromClause | None:
    """A row for each thing that scores: person, vendor, kind, what (id), event_key, at, points.
    None if only progress in modules scores.

    A course counts at its first completion and a quiz at its first pass; events each count.
    """
    branches = [
        *([_courses(of)] if of.points("course") else []),
        *([_passes(of)] if of.points("quiz") else []),
        *([_first_tries(of)] if of.points("first_try") else []),
        *([_events(of)] if of.events() else []),
    ]
    chosen = []
    for one in branches:
        row = one.selected_columns
        chosen.append(
            one.where(true() if vendor is None else row.vendor == vendor)
            .where(true() if since is None else row["at"] >= since)
            .where(true() if person is None else row.person == person)
        )
    return union_all(*chosen).subquery("achievement") if chosen else None


def _row(kind: str, vendor: Any, what: Any, key: Any, at: Any, points: Any) -> Select[Any]:
    columns = {"person": learner.person, "vendor": vendor, "kind": literal(kind), "what": what,
               "event_key": key, "at": at, "points": cast(points, Float)}  # fmt: skip
    return select(*(column.label(name) for name, column in columns.items()))


def _courses(of: Rules) -> Select[Any]:
    earlier = table_of(CourseCompletion).alias().c
    again = (
        select(earlier.event_key)
        .where(same_account(earlier, completion), earlier.course_id == completion.course_id)
        .where(_before(earlier, completion, "completed_at"))
        .exists()
    )
    row = _row(
        "course", completion.vendor, completion.course_id, completion.event_key,
        completion.completed_at, literal(of.points("course")),
    )  # fmt: skip
    return row.join_from(
        table_of(CourseCompletion), table_of(Learner), same_account(learner, completion)
    ).where(~again)


def _passes(of: Rules) -> Select[Any]:
    earlier = table_of(QuizAttempt).alias().c
    return _attempts("quiz", of, earlier, _passed(earlier, of))


def _first_tries(of: Rules) -> Select[Any]:
    return _attempts("first_try", of, table_of(QuizAttempt).alias().c, true())


def _attempts(kind: str, of: Rules, earlier: Any, spoils: AnyColumn) -> Select[Any]:
    """Passed attempts without an earlier one of the same learner that spoils it."""
    spoiled = (
        select(earlier.event_key)
        .where(same_account(earlier, attempt), earlier.quiz_id == attempt.quiz_id)
        .where(earlier.graded, _before(earlier, attempt, "submitted_at"), spoils)
        .exists()
    )
    row = _row(
        kind, attempt.vendor, attempt.quiz_id, attempt.event_key, attempt.submitted_at,
        literal(of.points(kind)),
    )  # fmt: skip
    return row.join_from(
        table_of(QuizAttempt), table_of(Learner), same_account(learner, attempt)
    ).where(attempt.graded, _passed(attempt, of), ~spoiled)


def _passed(row: Any, of: Rules) -> AnyColumn:
    """As coaching judges an attempt, so that no one is coached at a quiz for which they have
    points."""
    own = select(threshold.threshold_pct).where(
        threshold.vendor == row.vendor, threshold.quiz_id == row.quiz_id
    )
    of_vendor = select(quiz.retake_pct).where(
        quiz.vendor == row.vendor, quiz.quiz_id == row.quiz_id
    )
    limit = func.coalesce(own.scalar_subquery(), of_vendor.scalar_subquery(), of.pass_pct)
    return result_of(row, limit, of.judged_by) == "passed"


def _events(of: Rules) -> Select[Any]:
    points = case(*((activity.kind == kind, points) for kind, points in of.events().items()))
    columns = {"person": activity.person, "vendor": activity.vendor, "kind": literal("event"),
               "what": activity.kind, "event_key": activity.event_key,
               "at": activity.happened_at, "points": cast(points, Float)}  # fmt: skip
    return select(*(column.label(name) for name, column in columns.items())).where(
        activity.kind.in_(list(of.events()))
    )


def _before(one: Any, other: Any, time: str) -> AnyColumn:
    at, limit = one[time], other[time]
    return or_(at < limit, and_(at == limit, one.event_key < other.event_key))


# How points come about


class Points(NamedTuple):
    """Something that gave a person points: `what` is its name, `delivery_id` the delivery that
    brought it, None once that has gone by age, below zero if an import did. Progress is by quarter
    hour: `at` is its begin."""

    at: datetime
    kind: str
    vendor: str
    what: str
    points: float
    delivery_id: int | None


def points(
    connection: Connection,
    rules: Rules,
    window: Window,
    person: str,
    vendor: str | None = None,
    module_id: tuple[str, str] | None = None,
) -> Sequence[Points]:
    """How the score of a person in a window comes about, the latest first. The points of all rows
    are the score on the board."""
    parts = [_steps(rules, person)]
    found = None if module_id else achievements(rules, vendor, window.since, person)
    if found is not None:
        parts.append(_named(found))
    row = union_all(*parts).subquery().c
    query = (
        select(*(column for column in row if column.name != "id"))
        .where(row.points > 0)
        .where(row["at"] >= window.since if window.since else true())
        .where(row["at"] < window.until if window.until else true())
        .where(row.vendor == vendor if vendor else true())
        .where(_is_module(row, module_id))
        .order_by(row["at"].desc(), row.kind, row.what)
    )
    return rows_of(Points, connection.execute(query))


def _is_module(row: Any, module_id: tuple[str, str] | None) -> AnyColumn:
    return and_(row.vendor == module_id[0], row.id == module_id[1]) if module_id else true()


def _steps(of: Rules, person: str) -> Select[Any]:
    """What each quarter hour added to a module."""
    own: Any = {
        "partition_by": [standing.vendor, standing.user_id, standing.module_id],
        "order_by": standing.slot,
    }
    before = func.lag(standing.progress_pct, 1, 0).over(**own)
    until = func.coalesce(func.lead(standing.slot).over(**own), moment(FOREVER))
    step: Any = (
        select(
            standing.vendor, standing.user_id, standing.module_id, standing.slot,
            (standing.progress_pct - before).label("gained"),
            case((and_(standing.progress_pct >= COMPLETE_PCT, before < COMPLETE_PCT), 1),
                 else_=0).label("completed"),
            until.label("until"),
        )
        .join_from(table_of(ModuleStanding), table_of(Learner), same_account(learner, standing))
        .where(learner.person == person)
        .subquery("step").c
    )  # fmt: skip
    given = [
        select(*step, literal("progress").label("kind"), (step.gained * of.points("progress"))
               .label("points")),
        select(*step, literal("module").label("kind"), (step.completed * of.points("module"))
               .label("points")),
    ]  # fmt: skip
    row: Any = union_all(*given).subquery("given").c
    name = select(module.module_name).where(
        module.vendor == row.vendor, module.module_id == row.module_id
    )
    return select(
        row.slot.label("at"),
        row.kind,
        row.vendor,
        row.module_id.label("id"),
        func.coalesce(name.scalar_subquery(), row.module_id).label("what"),
        exact(row.points).label("points"),
        _delivery_of_step(row).label("delivery_id"),
    )


def _delivery_of_step(row: Any) -> AnyColumn:
    """The latest delivery of the quarter hour that names the module. Each event of a module makes a
    standing of its quarter hour, so none lies between it and the next one."""
    return (
        select(brought_by())
        .join_from(
            table_of(Event), table_of(Delivery), delivery.id == event.delivery_id, isouter=True
        )
        .where(brought_by().isnot(None))
        .where(event.vendor == row.vendor, event.user_id == row.user_id)
        .where(event.occurred_at >= row.slot, event.occurred_at < row.until)
        .where(event.payload.contains('"' + row.module_id + '"'))
        .order_by(event.occurred_at.desc(), event.id.desc())
        .limit(1)
        .scalar_subquery()
    )


def _named(achievement: FromClause) -> Select[Any]:
    row = achievement.c
    course = select(completion.course_name).where(
        completion.vendor == row.vendor, completion.event_key == row.event_key
    )
    of_quiz = select(quiz.quiz_name).where(quiz.vendor == row.vendor, quiz.quiz_id == row.what)
    name = case(
        (row.kind == "course", course.scalar_subquery()),
        (row.kind.in_(("quiz", "first_try")), of_quiz.scalar_subquery()),
    )
    source = (
        select(brought_by())
        .join_from(
            table_of(Event), table_of(Delivery), delivery.id == event.delivery_id, isouter=True
        )
        .where(event.vendor == row.vendor, event.event_key == row.event_key)
    )
    return select(
        row["at"],
        row.kind,
        row.vendor,
        row.what.label("id"),
        func.coalesce(name, row.what).label("what"),
        exact(row.points).label("points"),
        source.scalar_subquery().label("delivery_id"),
    )
