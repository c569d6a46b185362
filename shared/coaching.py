"""Work on the queue: flag, take, assign, note, start, close, reopen; thresholds.

The caller commits. Each change is in the audit log, in the same transaction. Functions with `who`
serve managers: a case of a learner outside of `who` is the same to them as none at all.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select, text, update

from shared.audit import note
from shared.bulk import insert_into, table_of
from shared.clock import now
from shared.database import hold_write_lock
from shared.models import ACTIVE, UNDONE, CoachingCase, QuizThreshold
from shared.queries import row_of
from shared.queries.coaching import Case, case_of
from shared.queries.people import Who
from shared.queries.quiz_standings import Standing, Taker, reaches, standing_of
from shared.setting_types import CoachingRule

MOVES: Mapping[str, Mapping[str, str]] = {
    "open": {"in_progress": "start", "resolved": "resolve", "dismissed": "dismiss"},
    "in_progress": {"resolved": "resolve", "dismissed": "dismiss"},
    "resolved": {"in_progress": "reopen"},
    "dismissed": {"in_progress": "reopen"},
}
"""From each status the ones it can go to, and what that is called in the audit log."""
CLOSED = ("resolved", "dismissed")
SNOOZED_DAYS = 7
DUE_WORKING_DAYS = 5
"""From Monday to Friday; public holidays differ by place and are not looked at."""
SATURDAY = 5
OWN = frozenset({"status", "due", "outcome", "owner"})
"""What a manager changes of a case that they own; its owner only to none."""
NOT_THERE = "No such case, or not on your teams."

cases = table_of(CoachingCase)
thresholds = table_of(QuizThreshold)


class Conflict(Exception):
    """The case has changed since it was read. `current` is the row as it stands."""

    def __init__(self, current: Case) -> None:
        super().__init__(f"{current.updated_by} has changed this since")
        self.current = current


class Impossible(Exception):
    """A change that makes no sense; the message says what to do."""


class Flagged(NamedTuple):
    """The result of flagging: ids of new cases, cases that were there already, active or closed
    since the latest attempt, and takers who are no longer low and get none."""

    new: Sequence[int]
    already: Sequence[Case]
    passed: Sequence[Taker]


class Taken(NamedTuple):
    """The result of taking cases: ids of the cases, and why each of the others was refused."""

    done: Sequence[int]
    refused: Mapping[Taker, str]


class Changed(NamedTuple):
    """The result of a change to several cases: ids of the changed ones, rows that changed since
    they were read, and why each of the others was refused, by id."""

    done: Sequence[int]
    conflicts: Sequence[Case]
    refused: Mapping[int, str]


def flag(
    connection: Connection,
    actor: str,
    takers: Iterable[Taker],
    default_pct: float,
    owner: str | None = None,
    due: date | None = None,
    notes: str | None = None,
    rule: CoachingRule = "either",
) -> Flagged:
    """Open a case for each taker who is low and has none that is active. A latest attempt that a
    closed case has answered opens no new round: that case is returned."""
    hold_write_lock(connection)  # no learner is erased between this look and their case
    new: list[int] = []
    already: list[Case] = []
    passed: list[Taker] = []
    for taker in takers:
        found = standing_of(connection, taker, default_pct, rule)
        if found is None or not found.low:
            passed.append(taker)
        elif answered := _answered(_latest(connection, taker), found):
            already.append(answered)
        elif case_id := _open(connection, actor, found, owner, due, notes):
            new.append(case_id)
        else:
            already += filter(None, [_latest(connection, taker)])
    return Flagged(new, already, passed)


NOT_NEEDED = "No coaching needed"
"""The reason of a case that is dismissed as soon as it is there."""


def decline(
    connection: Connection,
    actor: str,
    taker: Taker,
    default_pct: float,
    rule: CoachingRule = "either",
) -> bool:
    """Note that a low score needs no coaching: a case dismissed at once, which can be reopened.
    False if the taker is no longer low or has a case already."""
    return _dismiss(connection, actor, taker, {"outcome": NOT_NEEDED}, default_pct, rule)


SNOOZED = "Snoozed"
"""The reason of a case that is dismissed until a day."""


def snooze(
    connection: Connection,
    actor: str,
    taker: Taker,
    until: date,
    default_pct: float,
    rule: CoachingRule = "either",
) -> bool:
    """Take a low score out of the queue until a day, or until another low score: a case dismissed
    at once. False if the taker is no longer low or has a case already."""
    wanted = {"outcome": SNOOZED, "snoozed_until": until}
    return _dismiss(connection, actor, taker, wanted, default_pct, rule)


def _dismiss(
    connection: Connection,
    actor: str,
    taker: Taker,
    wanted: Mapping[str, Any],
    default_pct: float,
    rule: CoachingRule,
) -> bool:
    flagged = flag(connection, actor, [taker], default_pct, rule=rule)
    for case_id in flagged.new:
        change(connection, actor, case_id, 1, {"status": "dismissed", **wanted}, default_pct, rule)
    return bool(flagged.new)


def _answered(latest: Case | None, found: Standing) -> Case | None:
    """The latest case, if it was closed since the latest attempt, and not for a while only."""
    if latest is None or latest.closed_at is None or latest.snoozed_until is not None:
        return None
    return latest if found.submitted_at <= latest.closed_at else None


def _open(
    connection: Connection,
    actor: str,
    found: Standing,
    owner: str | None,
    due: date | None,
    notes: str | None,
) -> int | None:
    """The id of a new case; None if there is an active one: the index decides, not a look-up."""
    at = now(connection)
    values = {
        **{name: getattr(found, name) for name in Taker._fields},
        "status": "open", "owner": owner, "due": due, "notes": notes, "version": 1,
        "opened_at": at, "opened_by": actor, "updated_at": at, "updated_by": actor,
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
        set_here = _differences(None, {"owner": owner, "due": due, "notes": notes})
        # The log names no learner: roles read it that may not see names.
        start = f"{found.quiz_name} at {_in_words('flagged_pct', found.latest_pct)}"
        note(connection, actor, "flag", f"case {case_id}", "; ".join([start, *set_here]))
    return case_id


def _latest(connection: Connection, taker: Taker) -> Case | None:
    query = select(cases).filter_by(**taker._asdict()).where(cases.c.status != UNDONE)
    return row_of(Case, connection.execute(query.order_by(cases.c.id.desc()).limit(1)))


# What a manager does for their teams


def due_from(today: date) -> date:
    """The default due date of a case: so many working days after today."""
    due, left = today, DUE_WORKING_DAYS
    while left:
        due += timedelta(days=1)
        left -= due.weekday() < SATURDAY
    return due


def take(
    connection: Connection,
    actor: str,
    takers: Iterable[Taker],
    today: date,
    who: Who,
    default_pct: float,
    rule: CoachingRule = "either",
) -> Taken:
    """Make the actor the owner of the case of each taker: of the active one if it has no owner, or
    else of a new one if the taker is low. Without a due date it gets the default."""
    hold_write_lock(connection)  # of two at once the second sees what the first has taken
    done: list[int] = []
    refused: dict[Taker, str] = {}
    for taker in takers:
        found = standing_of(connection, taker, default_pct, rule, who)
        try:
            done.append(_take(connection, actor, found, due_from(today)))
        except Impossible as problem:
            refused[taker] = str(problem)
    return Taken(done, refused)


def _take(connection: Connection, actor: str, found: Standing | None, due: date) -> int:
    if found is None:
        raise Impossible(NOT_THERE)
    case = _latest(connection, Taker(found.vendor, found.user_id, found.quiz_id))
    if case is not None and case.status not in CLOSED:
        return _take_over(connection, actor, case, due)
    if found.low and _answered(case, found):
        raise Impossible("This case was closed, with no attempt since.")
    case_id = _open(connection, actor, found, actor, due, None) if found.low else None
    if case_id is None:
        raise Impossible("The latest attempt is not low.")
    return case_id


def _take_over(connection: Connection, actor: str, case: Case, due: date) -> int:
    if case.owner == actor:
        raise Impossible("You own this case already.")
    if case.owner is not None:
        raise Impossible("This case has an owner.")
    values = {"owner": actor, "due": case.due or due}
    _write(connection, actor, case, values)
    note(connection, actor, "take", f"case {case.id}", "; ".join(_differences(case, values)))
    return case.id


def change_own(
    connection: Connection,
    actor: str,
    case_id: int,
    version: int,
    wanted: Mapping[str, Any],
    who: Who,
    default_pct: float,
    rule: CoachingRule = "either",
) -> None:
    """As `change`, of a case that the actor owns: its status, due date and reason, and the owner to
    none, which hands it back.

    Raises Conflict and Impossible, as `change` does.
    """
    current = case_of(connection, case_id)
    if current is None or not reaches(connection, who, current.taker):
        raise Impossible(NOT_THERE)
    if current.owner != actor:
        raise Impossible("Only its owner or a lead can change this case.")
    if not wanted.keys() <= OWN or wanted.get("owner") is not None:
        raise Impossible("Only a lead can change this.")
    change(connection, actor, case_id, version, wanted, default_pct, rule)


# Changes


def change(
    connection: Connection,
    actor: str,
    case_id: int,
    version: int,
    wanted: Mapping[str, Any],
    default_pct: float,
    rule: CoachingRule = "either",
) -> None:
    """Give a case another status, owner, due, notes or outcome, whichever are in `wanted`, if it
    still has the version that the actor has seen.

    Resolving after a pass keeps its score and time. A value that is as wanted stays untouched.

    Raises Conflict if the case has changed since, Impossible for a move that makes no sense.
    """
    current = case_of(connection, case_id)
    if current is None:
        raise Impossible(NOT_THERE)
    if current.version != version:
        raise Conflict(current)
    before = current._asdict()
    new = {name: value for name, value in wanted.items() if before[name] != value}
    if not new:
        return
    action = _action(connection, current, new)
    values = new | _ends(connection, current, new, default_pct, rule)
    _write(connection, actor, current, values)
    note(connection, actor, action, f"case {case_id}", "; ".join(_differences(current, values)))


def _write(connection: Connection, actor: str, seen: Case, values: Mapping[str, Any]) -> None:
    """Raises Conflict unless the case still has the version that was seen."""
    statement = (
        update(cases)
        .where(cases.c.id == seen.id, cases.c.version == seen.version)
        .values(**values, version=seen.version + 1, updated_at=now(connection), updated_by=actor)
    )
    if connection.execute(statement).rowcount == 0:
        raise Conflict(case_of(connection, seen.id) or seen)


def change_all(
    connection: Connection,
    actor: str,
    seen: Mapping[int, int],
    wanted: Mapping[str, Any],
    default_pct: float,
    rule: CoachingRule = "either",
) -> Changed:
    """The same change to several cases, by id and the version seen. A case that is refused
    does not stop the others."""
    done: list[int] = []
    conflicts: list[Case] = []
    refused: dict[int, str] = {}
    for case_id, version in sorted(seen.items()):
        try:
            change(connection, actor, case_id, version, wanted, default_pct, rule)
            done.append(case_id)
        except Conflict as conflict:
            conflicts.append(conflict.current)
        except Impossible as problem:
            refused[case_id] = str(problem)
    return Changed(done, conflicts, refused)


def _action(connection: Connection, current: Case, new: Mapping[str, Any]) -> str:
    """Its name in the audit log. Raises Impossible where it makes no sense."""
    if "status" not in new:
        return "change"
    move = MOVES[current.status].get(new["status"])
    if move is None:
        raise Impossible(f"It is {_in_words('status', current.status)} already.")
    if move == "dismiss" and not (new.get("outcome") or "").strip():
        raise Impossible("Dismissing needs a reason.")
    if "snoozed_until" in new:
        return "snooze"
    latest = _latest(connection, current.taker)
    if move == "reopen" and latest is not None and latest.id != current.id:
        raise Impossible("There is a later round: work on that one.")
    return move


class Done(NamedTuple):
    """What an action did to a case: the version it left, and the case before, None if it opened
    it."""

    case_id: int
    version: int
    before: Case | None


def undo(connection: Connection, actor: str, done: Iterable[Done], who: Who) -> Changed:
    """Take back what the actor did to cases, unless they have changed since. A case that was opened
    by it counts as never opened."""
    undone: list[int] = []
    conflicts: list[Case] = []
    refused: dict[int, str] = {}
    hold_write_lock(connection)
    for one in done:
        current = case_of(connection, one.case_id)
        if current is None or not reaches(connection, who, current.taker):
            refused[one.case_id] = NOT_THERE
        elif (current.version, current.updated_by) != (one.version, actor):
            conflicts.append(current)
        elif _is_in_the_way(_latest(connection, current.taker), current):
            refused[one.case_id] = "There is a later round."
        else:
            _undo(connection, actor, current, one.before)
            undone.append(one.case_id)
    return Changed(undone, conflicts, refused)


def _is_in_the_way(latest: Case | None, of: Case) -> bool:
    return latest is not None and latest.id != of.id


def _undo(connection: Connection, actor: str, current: Case, before: Case | None) -> None:
    if before is None:
        values = {"status": UNDONE, "closed_at": current.closed_at or now(connection)}
    else:
        values = {
            name: getattr(before, name) for name in ("status", "owner", "due", "notes", *ENDS)
        }
    _write(connection, actor, current, values)
    note(connection, actor, "undo", f"case {current.id}", "; ".join(_differences(current, values)))


ENDS = ("closed_at", "passed_pct", "passed_at", "outcome", "snoozed_until")
"""What a case has only when it is closed."""


def _ends(
    connection: Connection,
    current: Case,
    new: Mapping[str, Any],
    default_pct: float,
    rule: CoachingRule,
) -> dict[str, Any]:
    """What a new status brings with it."""
    if new.get("status") in CLOSED:
        ended = {"closed_at": now(connection)}
        resolved = new["status"] == "resolved"
        return ended | (_passed(connection, current, default_pct, rule) if resolved else {})
    if "status" in new and current.status in CLOSED:
        return dict.fromkeys(ENDS)
    return {}


def _passed(
    connection: Connection, current: Case, default_pct: float, rule: CoachingRule
) -> dict[str, Any]:
    found = standing_of(connection, current.taker, default_pct, rule)
    if found is None or not found.passes or found.submitted_at <= current.opened_at:
        return {}
    return {"passed_pct": found.latest_pct, "passed_at": found.submitted_at}


def set_threshold(
    connection: Connection, actor: str, vendor: str, quiz_id: str, pct: float | None
) -> None:
    """Give a quiz a threshold of its own, percent; None removes it.

    Raises Impossible unless it is between 0 and 100.
    """
    if pct is not None and not 0 <= pct <= 100:  # noqa: PLR2004
        raise Impossible("A pass mark is between 0 and 100 %.")
    hold_write_lock(connection)  # of two at once the second sees what the first has set
    of_quiz = {"vendor": vendor, "quiz_id": quiz_id}
    before = connection.scalar(select(thresholds.c.threshold_pct).filter_by(**of_quiz))
    if before == pct:
        return
    connection.execute(delete(thresholds).filter_by(**of_quiz))
    if pct is not None:
        connection.execute(thresholds.insert().values(**of_quiz, threshold_pct=pct))
    change = f"{_in_words('threshold', before)} → {_in_words('threshold', pct)}"
    note(connection, actor, "set threshold", f"quiz {vendor}/{quiz_id}", change)


def _differences(case: Case | None, after: Mapping[str, Any]) -> list[str]:
    """What changed from what to what, in words. None is a case that is new."""
    before = case._asdict() if case else {}
    return [
        f"{name.replace('_', ' ')} {_in_words(name, before.get(name))} → {_in_words(name, value)}"
        for name, value in after.items()
        if name != "closed_at" and before.get(name) != value
    ]


def _in_words(name: str, value: Any) -> str:
    if value is None:
        return "default" if name == "threshold" else "none"
    if isinstance(value, datetime):
        return f"{value:%-d %b %Y %H:%M} UTC"
    if isinstance(value, date):
        return f"{value:%-d %b %Y}"
    if isinstance(value, float):
        return f"{round(value, 2):g} %"
    return str(value).replace("_", " ") if name == "status" else str(value)
