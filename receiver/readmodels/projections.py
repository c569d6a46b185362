"""Event → read models: a fold that does not care about order.

Progress merges by the larger value, a roster change by the later event time (a tie:
deprovisioned wins), an attempt or completion by its event key. Standings are made from these
(`receiver.readmodels.standings`). Late retries, duplicates, replays and `rebuild` therefore all
give the same tables.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    exists,
    func,
    or_,
    select,
    tuple_,
)
from sqlmodel import SQLModel

from receiver.readmodels import moves, retakes, standings, teams
from receiver.readmodels.moves import Moves
from shared import bulk
from shared.bulk import Row, Upsert, encode, given, insert_rows, table_of, upsert
from shared.facts import (
    Acted,
    Attempted,
    Completed,
    Deprovisioned,
    Expired,
    Fact,
    Identified,
    Progressed,
    Provisioned,
    person_of,
)
from shared.models import (
    Activity,
    Certification,
    CourseCompletion,
    Learner,
    LearnerStanding,
    Module,
    ModuleProgress,
    ModuleStanding,
    Quiz,
    QuizAttempt,
    QuizHistory,
    QuizStanding,
    RosterChange,
    StandingBlock,
    TeamSpell,
)
from shared.queries.people import same_account

BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)
READ_MODELS: Sequence[type[SQLModel]] = (
    Learner,
    RosterChange,
    TeamSpell,
    Module,
    ModuleProgress,
    ModuleStanding,
    LearnerStanding,
    StandingBlock,
    Quiz,
    QuizAttempt,
    QuizStanding,
    QuizHistory,
    CourseCompletion,
    Certification,
    Activity,
)

OF_A_PERSON = (Provisioned, Deprovisioned, Identified)
"""Facts that say in which team a person is, or which accounts are theirs."""


class Ready(NamedTuple):
    """What a batch of facts changes."""

    facts: Sequence[Fact]
    unseen: Sequence[Row]
    moves: Moves


def project(connection: Connection, facts: Iterable[Fact]) -> None:
    """Fold facts into the read models and their standings, in the caller's transaction, which must
    have the store's write lock (`shared.database.hold_write_lock`)."""
    store(connection, prepare(connection, facts))


def prepare(connection: Connection, facts: Iterable[Fact]) -> Ready:
    """Work out what facts change. This only reads, so it needs no lock."""
    facts = list(facts)
    progressed = [fact for fact in facts if isinstance(fact, Progressed)]
    return Ready(facts, _unseen(connection, facts), moves.prepare(connection, progressed))


def store(connection: Connection, ready: Ready) -> None:
    """Store what was worked out, in the caller's transaction, which must have the write lock. The
    read models must be as they were then."""
    facts = ready.facts
    listed = {(fact.vendor, fact.user_id) for fact in facts if isinstance(fact, OF_A_PERSON)}
    before = teams.persons_of(connection, listed) if listed else set()
    _store(connection, facts, ready.unseen, ready.moves.ready)
    if listed:
        teams.follow(connection, before | teams.persons_of(connection, listed))
    standings.follow(
        connection,
        progress=_totals(ready.moves.late),
        attempts=(_taker(fact) for fact in facts if isinstance(fact, Attempted)),
    )
    if graded := {_taker(fact) for fact in facts if isinstance(fact, Attempted) and fact.graded}:
        retakes.follow(connection, graded)


def refold(connection: Connection, facts: Iterable[Fact]) -> None:
    """The same for `rebuild`, which then makes what is left in one go: `finish`."""
    facts = list(facts)
    progressed = [fact for fact in facts if isinstance(fact, Progressed)]
    totals = moves.totals(connection, progressed)
    _store(connection, facts, _unseen(connection, facts), totals)
    standings.mark(connection, _totals(progressed))


def finish(connection: Connection) -> None:
    """Make all standings, histories and spells after `refold`."""
    standings.make_all(connection)
    retakes.make_all(connection)
    teams.make_all(connection)


def _taker(fact: Attempted) -> Row:
    return (fact.vendor, fact.user_id, fact.quiz_id)


def _totals(facts: Iterable[Progressed]) -> Iterable[Row]:
    return (fact[:3] + fact[4:] for fact in facts)


def _store(
    connection: Connection,
    facts: Iterable[Fact],
    unseen: Iterable[Row],
    progress: Iterable[bulk.Ready],
) -> None:
    by_kind: dict[type, list[Any]] = defaultdict(list)
    for fact in facts:
        by_kind[type(fact)].append(fact)
    # Each user that an event names is a learner, so no board has to look for the unlisted.
    upsert(connection, _seen(connection.dialect.name), unseen, key_columns=2)
    for rows in progress:
        rows.store(connection)
    for kind, write in _WRITERS.items():
        if of_kind := by_kind.get(kind):
            write(connection, of_kind)


def fold_names(connection: Connection, facts: Sequence[Fact]) -> None:
    """Fold only what facts call their modules and quizzes, in the caller's transaction."""
    _name_modules(connection, [fact for fact in facts if isinstance(fact, Progressed)])
    _name_quizzes(connection, [fact for fact in facts if isinstance(fact, Attempted)])


def clear(connection: Connection) -> None:
    """Empty the read models, for `rebuild`."""
    for model in READ_MODELS:
        connection.execute(table_of(model).delete())


def _unseen(connection: Connection, facts: Iterable[Fact]) -> Sequence[Row]:
    """The rows of learners that no event has named before."""
    users = {(fact.vendor, fact.user_id) for fact in facts if not isinstance(fact, Acted)}
    found = connection.execute(_unknown(connection.dialect.name), {"rows": encode(users)})
    return [
        (one.vendor, one.user_id, person_of(one.vendor, one.user_id, None), True) for one in found
    ]


@cache
def _unknown(dialect: str) -> Select[Any]:
    known = table_of(Learner).c
    of = given(dialect, [known.vendor, known.user_id]).subquery("given").c
    return select(of.vendor, of.user_id).where(~exists().where(same_account(known, of)))


@cache
def _seen(dialect: str) -> Upsert:
    columns = ("vendor", "user_id", "person", "active")
    return insert_rows(dialect, Learner, columns).on_conflict_do_nothing()


def _write_provisioned(connection: Connection, facts: list[Provisioned]) -> None:
    rows = ((*fact, person_of(*fact[:3]), True) for fact in facts)
    upsert(connection, _provision(connection.dialect.name), rows, key_columns=2)
    changes = (
        (
            *(fact.vendor, fact.user_id, fact.provisioned_at, "joined"),
            *(fact.role, fact.team_id, None, fact.provisioned_at),
        )
        for fact in facts
    )
    upsert(connection, _roster_change(connection.dialect.name), changes, key_columns=4)


@cache
def _provision(dialect: str) -> Upsert:
    old = table_of(Learner).c
    statement = insert_rows(dialect, Learner, (*Provisioned._fields, "person", "active"))
    new = statement.excluded
    profile = ("email", "name", "role", "team_id")
    newer = or_(old.provisioned_at.is_(None), _after(new, old, by=("provisioned_at", *profile)))
    taken = {name: case((newer, new[name]), else_=old[name]) for name in (*profile, "person")}
    joined = case((newer, new.provisioned_at), else_=old.provisioned_at)
    return statement.on_conflict_do_update(
        index_elements=["vendor", "user_id"],
        set_=taken | {"provisioned_at": joined, "active": _is_active(joined, old.deprovisioned_at)},
    )


def _write_deprovisioned(connection: Connection, facts: list[Deprovisioned]) -> None:
    rows = ((*fact[:4], fact.leaves_at, person_of(*fact[:3]), False) for fact in facts)
    upsert(connection, _deprovision(connection.dialect.name), rows, key_columns=2)
    changes = (
        (
            *(fact.vendor, fact.user_id, fact.leaves_at or fact.deprovisioned_at, "left"),
            *(None, None, fact.reason, fact.deprovisioned_at),
        )
        for fact in facts
    )
    upsert(connection, _roster_change(connection.dialect.name), changes, key_columns=4)


@cache
def _deprovision(dialect: str) -> Upsert:
    old = table_of(Learner).c
    columns = (*Deprovisioned._fields[:4], "leaves_at", "person", "active")
    statement = insert_rows(dialect, Learner, columns)
    new = statement.excluded
    # The later word counts, also about the time to come.
    later = or_(old.deprovisioned_at.is_(None), _later(new, old, "deprovisioned_at", "leaves_at"))
    left = case((later, new.deprovisioned_at), else_=old.deprovisioned_at)
    leaves = case((later, new.leaves_at), else_=old.leaves_at)
    # The e-mail of a leaver counts only while no other event has a better one.
    newer = and_(
        old.provisioned_at.is_(None),
        old.identified_at.is_(None),
        or_(old.deprovisioned_at.is_(None), _after(new, old, by=("deprovisioned_at", "email"))),
    )
    taken = {name: case((newer, new[name]), else_=old[name]) for name in ("email", "person")}
    return statement.on_conflict_do_update(
        index_elements=["vendor", "user_id"],
        set_=taken
        | {
            "deprovisioned_at": left,
            "leaves_at": leaves,
            "active": _is_active(old.provisioned_at, left),
        },
    )


def _is_active(joined: Any, left: Any) -> ColumnElement[bool]:
    return or_(left.is_(None), and_(joined.isnot(None), joined > left))


@cache
def _roster_change(dialect: str) -> Upsert:
    key = ("vendor", "user_id", "changed_at", "kind")
    entry = ("role", "team_id", "reason", "said_at")
    statement = insert_rows(dialect, RosterChange, (*key, *entry))
    by = ("said_at", *entry[:3])
    greater = _after(statement.excluded, table_of(RosterChange).c, by=by)
    return statement.on_conflict_do_update(
        index_elements=list(key),
        set_={name: statement.excluded[name] for name in entry},
        where=greater,
    )


def _write_identified(connection: Connection, facts: list[Identified]) -> None:
    rows = ((*fact, person_of(*fact[:3]), True) for fact in facts)
    upsert(connection, _identify(connection.dialect.name), rows, key_columns=2)


@cache
def _identify(dialect: str) -> Upsert:
    old = table_of(Learner).c
    statement = insert_rows(dialect, Learner, (*Identified._fields, "person", "active"))
    new = statement.excluded
    later = _after(new, old, by=("identified_at", "email", "name"))
    newer = and_(old.provisioned_at.is_(None), or_(old.identified_at.is_(None), later))
    at = or_(old.identified_at.is_(None), new.identified_at > old.identified_at)
    taken = {
        name: case((newer, new[name]), else_=old[name]) for name in ("email", "name", "person")
    }
    return statement.on_conflict_do_update(
        index_elements=["vendor", "user_id"],
        set_=taken | {"identified_at": case((at, new.identified_at), else_=old.identified_at)},
    )


def _name_modules(connection: Connection, facts: Iterable[Progressed]) -> None:
    named = ((fact.vendor, *fact[2:4], fact.updated_at) for fact in facts if fact.module_name)
    upsert(connection, _module(connection.dialect.name), _newest(named), key_columns=2)


@cache
def _module(dialect: str) -> Upsert:
    old = table_of(Module).c
    statement = insert_rows(dialect, Module, ("vendor", "module_id", "module_name", "named_at"))
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["vendor", "module_id"],
        set_={"module_name": new.module_name, "named_at": new.named_at},
        where=_after(new, old, by=("named_at", "module_name")),
    )


def _write_expiry(connection: Connection, facts: list[Expired]) -> None:
    upsert(connection, _expiry(connection.dialect.name), facts, key_columns=3)


@cache
def _expiry(dialect: str) -> Upsert:
    old = table_of(Certification).c
    statement = insert_rows(dialect, Certification, Expired._fields)
    new = statement.excluded
    names = Expired._fields[3:]
    later = _later(new, old, *names)
    return statement.on_conflict_do_update(
        index_elements=["vendor", "user_id", "cert_name"],
        set_={name: case((later, new[name]), else_=old[name]) for name in names},
    )


def _write_attempts(connection: Connection, facts: list[Attempted]) -> None:
    dialect = connection.dialect.name
    upsert(connection, _once(dialect, QuizAttempt), (fact[:-1] for fact in facts), key_columns=2)
    _name_quizzes(connection, facts)


def _name_quizzes(connection: Connection, facts: Iterable[Attempted]) -> None:
    named = (
        (fact.vendor, fact.quiz_id, fact.quiz_name, fact.retake_pct, fact.submitted_at)
        for fact in facts
        if fact.quiz_name
    )
    upsert(connection, _quiz(connection.dialect.name), _newest(named), key_columns=2)


@cache
def _quiz(dialect: str) -> Upsert:
    old = table_of(Quiz).c
    columns = ("vendor", "quiz_id", "quiz_name", "retake_pct", "named_at")
    statement = insert_rows(dialect, Quiz, columns)
    new = statement.excluded
    later = or_(
        _after(new, old, by=("named_at", "quiz_name")),
        and_(
            new.named_at == old.named_at,
            new.quiz_name == old.quiz_name,
            func.coalesce(new.retake_pct, -1) > func.coalesce(old.retake_pct, -1),
        ),
    )
    return statement.on_conflict_do_update(
        index_elements=["vendor", "quiz_id"],
        set_={name: new[name] for name in columns[2:]},
        where=later,
    )


def _write_completions(connection: Connection, facts: list[Completed]) -> None:
    upsert(connection, _once(connection.dialect.name, CourseCompletion), facts, key_columns=2)


def _write_activity(connection: Connection, facts: list[Acted]) -> None:
    upsert(connection, _once(connection.dialect.name, Activity), facts, key_columns=2)


@cache
def _once(dialect: str, model: type[SQLModel]) -> Upsert:
    columns = table_of(model).columns.keys()
    return insert_rows(dialect, model, columns).on_conflict_do_nothing()


def _newest(named: Iterable[Row]) -> Iterable[Row]:
    """Of many names for one thing (vendor, id, name, …, time) the one that will win: there are
    few modules and quizzes, and many events of each in a batch."""
    by_time = sorted(named, key=lambda row: (row[-1], *((word is not None, word) for word in row)))
    return {tuple(row[:2]): row for row in by_time}.values()


def _after(new: Any, old: Any, by: tuple[str, ...]) -> ColumnElement[bool]:
    """Whether `new` comes after `old`: by time, and for one time by the words, so that a tie
    falls the same way in whatever order the two arrive."""
    time, *words = by

    def rank(row: Any) -> Any:
        return tuple_(row[time], *(func.coalesce(row[name], "") for name in words))

    after: ColumnElement[bool] = rank(new) > rank(old)
    return after


def _later(new: Any, old: Any, *times: str) -> ColumnElement[bool]:
    """Whether `new` comes after `old` by the first of these times, and at a tie by the others; one
    that is missing comes before all."""

    def rank(row: Any) -> Any:
        return tuple_(*(func.coalesce(row[name], BEFORE_ALL) for name in times))

    later: ColumnElement[bool] = rank(new) > rank(old)
    return later


_WRITERS: dict[type, Any] = {
    Provisioned: _write_provisioned,
    Deprovisioned: _write_deprovisioned,
    Identified: _write_identified,
    Progressed: _name_modules,
    Attempted: _write_attempts,
    Completed: _write_completions,
    Acted: _write_activity,
    Expired: _write_expiry,
}
