"""What a lead does with the queue: flag, assign, note, start, close, reopen; thresholds.

The caller commits. Each change is in the audit log, in the same transaction.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select, text, update

from shared.audit import note
from shared.bulk import insert_into, table_of
from shared.database import hold_write_lock
from shared.models import ACTIVE, CoachingCase, QuizThreshold
from shared.queries import AnyRow
from shared.queries.coaching import Taker, standing_of

MOVES: Mapping[str, Mapping[str, str]] = {
    "open": {"in_progress": "start", "resolved": "resolve", "dismissed": "dismiss"},
    "in_progress": {"resolved": "resolve", "dismissed": "dismiss"},
    "resolved": {"in_progress": "reopen"},
    "dismissed": {"in_progress": "reopen"},
}
"""From each status the ones it can go to, and what that is called in the audit log."""
CLOSED = ("resolved", "dismissed")

cases = table_of(CoachingCase)
thresholds = table_of(QuizThreshold)


class Conflict(Exception):
    """Somebody else has changed the case since. `current` is the row as it stands."""

    def __init__(self, current: AnyRow) -> None:
        super().__init__(f"{current.updated_by} has changed this since")
        self.current = current


class Impossible(Exception):
    """A change that makes no sense; the message says what to do."""


class Flagged(NamedTuple):
    """What came of flagging: the new cases, the cases that were there already, and who is not
    low any more and was left alone."""

    new: Sequence[int]
    already: Sequence[AnyRow]
    passed: Sequence[Taker]


class Changed(NamedTuple):
    """What came of a change to several cases: the ids of those done, the rows that somebody else
    has changed, and why each of the others was refused, by id."""

    done: Sequence[int]
    conflicts: Sequence[AnyRow]
    refused: Mapping[int, str]


def flag(
    connection: Connection,
    actor: str,
    takers: Iterable[Taker],
    default_pct: float,
    owner: str | None = None,
    due: date | None = None,
    notes: str | None = None,
) -> Flagged:
    """Open a case for each who is low and has none that is active."""
    hold_write_lock(connection)  # nobody is erased between the look at them and their case
    new: list[int] = []
    already: list[AnyRow] = []
    passed: list[Taker] = []
    for taker in takers:
        found = standing_of(connection, taker, default_pct)
        if found is None or not found.low:
            passed.append(taker)
        elif case_id := _open(connection, actor, found, owner, due, notes):
            new.append(case_id)
        else:
            already.append(_latest(connection, taker))
    return Flagged(new, already, passed)


def _open(
    connection: Connection,
    actor: str,
    found: AnyRow,
    owner: str | None,
    due: date | None,
    notes: str | None,
) -> int | None:
    """The id of a new case; None if there is an active one: the index decides, not a look-up."""
    now = datetime.now(UTC)
    values = {
        **{name: getattr(found, name) for name in Taker._fields},
        "status": "open", "owner": owner, "due": due, "notes": notes, "version": 1,
        "opened_at": now, "opened_by": actor, "updated_at": now, "updated_by": actor,
        "flagged_pct": found.latest_pct,
    }  # fmt: skip
    statement = (
        insert_into(connection.dialect.name, CoachingCase)
        .values(values)
        .on_conflict_do_nothing(index_elements=Taker._fields, index_where=text(ACTIVE))
        .returning(cases.c.id)
    )
    case_id: int | None = connection.scalar(statement)
    if case_id is not None:
        said = _differences({}, {"owner": owner, "due": due, "notes": notes})
        # Whom it is about stays in the case: the log is read by who may not see names.
        start = f"{found.quiz_name} at {_said('flagged_pct', found.latest_pct)}"
        note(connection, actor, "flag", f"case {case_id}", "; ".join([start, *said]))
    return case_id


def _latest(connection: Connection, taker: Taker) -> AnyRow:
    query = select(cases).filter_by(**taker._asdict()).order_by(cases.c.id.desc())
    return connection.execute(query.limit(1)).one()


def change(
    connection: Connection,
    actor: str,
    case_id: int,
    version: int,
    wanted: Mapping[str, Any],
    default_pct: float,
) -> None:
    """Give a case another status, owner, due, notes or outcome, whichever are in `wanted`, if it
    still has the version that the actor has seen.

    Resolving after a pass keeps its score and time. Nothing that is as wanted is touched.

    Raises Conflict if somebody has changed it since, Impossible for a move that makes no sense.
    """
    current = connection.execute(select(cases).where(cases.c.id == case_id)).one_or_none()
    if current is None:
        raise Impossible("There is no such case.")
    if current.version != version:
        raise Conflict(current)
    before = current._asdict()
    new = {name: value for name, value in wanted.items() if before[name] != value}
    if not new:
        return
    action = _action(connection, current, new)
    values = new | _ends(connection, current, new, default_pct)
    statement = (
        update(cases)
        .where(cases.c.id == case_id, cases.c.version == version)
        .values(**values, version=version + 1, updated_at=datetime.now(UTC), updated_by=actor)
    )
    if connection.execute(statement).rowcount == 0:
        raise Conflict(connection.execute(select(cases).where(cases.c.id == case_id)).one())
    note(connection, actor, action, f"case {case_id}", "; ".join(_differences(before, values)))


def change_all(
    connection: Connection,
    actor: str,
    seen: Mapping[int, int],
    wanted: Mapping[str, Any],
    default_pct: float,
) -> Changed:
    """The same change to several cases, by id and the version seen. What one of them refuses
    leaves the others done."""
    done: list[int] = []
    conflicts: list[AnyRow] = []
    refused: dict[int, str] = {}
    for case_id, version in sorted(seen.items()):
        try:
            change(connection, actor, case_id, version, wanted, default_pct)
            done.append(case_id)
        except Conflict as conflict:
            conflicts.append(conflict.current)
        except Impossible as problem:
            refused[case_id] = str(problem)
    return Changed(done, conflicts, refused)


def _action(connection: Connection, current: AnyRow, new: Mapping[str, Any]) -> str:
    """What the audit log calls it. Raises Impossible where it makes no sense."""
    if "status" not in new:
        return "change"
    move = MOVES[current.status].get(new["status"])
    if move is None:
        raise Impossible(f"It is {_said('status', current.status)} already.")
    if move == "dismiss" and not (new.get("outcome") or "").strip():
        raise Impossible("Dismissing needs a reason.")
    if move == "reopen" and _latest(connection, _taker(current)).id != current.id:
        raise Impossible("A later round is there: work on that one.")
    return move


def _ends(
    connection: Connection, current: AnyRow, new: Mapping[str, Any], default_pct: float
) -> dict[str, Any]:
    """What a new status brings with it."""
    if new.get("status") in CLOSED:
        ended = {"closed_at": datetime.now(UTC)}
        resolved = new["status"] == "resolved"
        return ended | (_passed(connection, current, default_pct) if resolved else {})
    if "status" in new and current.status in CLOSED:
        return dict.fromkeys(("closed_at", "passed_pct", "passed_at", "outcome"))
    return {}


def _passed(connection: Connection, current: AnyRow, default_pct: float) -> dict[str, Any]:
    found = standing_of(connection, _taker(current), default_pct)
    if found is None or not found.passes or found.submitted_at <= current.opened_at:
        return {}
    return {"passed_pct": found.latest_pct, "passed_at": found.submitted_at}


def _taker(case: AnyRow) -> Taker:
    return Taker(case.vendor, case.user_id, case.quiz_id)


def set_threshold(
    connection: Connection, actor: str, vendor: str, quiz_id: str, pct: float | None
) -> None:
    """Give a quiz a threshold of its own, percent; None takes it away again.

    Raises Impossible for what is not between 0 and 100.
    """
    if pct is not None and not 0 <= pct <= 100:  # noqa: PLR2004
        raise Impossible("A threshold is between 0 and 100 %.")
    hold_write_lock(connection)  # of two at once the second sees what the first has set
    of_quiz = {"vendor": vendor, "quiz_id": quiz_id}
    before = connection.scalar(select(thresholds.c.threshold_pct).filter_by(**of_quiz))
    if before == pct:
        return
    connection.execute(delete(thresholds).filter_by(**of_quiz))
    if pct is not None:
        connection.execute(thresholds.insert().values(**of_quiz, threshold_pct=pct))
    said = f"{_said('threshold', before)} → {_said('threshold', pct)}"
    note(connection, actor, "set threshold", f"quiz {vendor}/{quiz_id}", said)


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What changed from what to what, in words."""
    return [
        f"{name.replace('_', ' ')} {_said(name, before.get(name))} → {_said(name, value)}"
        for name, value in after.items()
        if name != "closed_at" and before.get(name) != value
    ]


def _said(name: str, value: Any) -> str:
    if value is None:
        return {"owner": "nobody", "threshold": "default"}.get(name, "none")
    if isinstance(value, datetime):
        return f"{value:%-d %b %Y %H:%M} UTC"
    if isinstance(value, date):
        return f"{value:%-d %b %Y}"
    if isinstance(value, float):
        return f"{value:g} %"
    return str(value).replace("_", " ") if name == "status" else str(value)
