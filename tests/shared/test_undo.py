"""The last action on cases, taken back."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from shared import coaching
from shared.coaching import Done
from shared.models import CoachingCase
from shared.queries import coaching as queue
from shared.queries.people import Who
from shared.queries.quiz_standings import Filters, Taker
from tests import stores
from tests.shared.tables import V, attempts, people
from tests.shared.test_coaching import DANA, log

UNTIL = date(2030, 1, 1)
EVERYONE = Who()


@pytest.fixture
def connection(store: Engine) -> Iterator[Connection]:
    people(store, ("u-1", "west"))
    attempts(store, {"score": 4})
    with store.connect() as connection:
        yield connection


def state(connection: Connection) -> str | None:
    (row,) = queue.items(connection, Filters(today=date(2026, 1, 1)))
    return row.state


def case(store: Engine) -> Any:
    return stores.row(store, CoachingCase)


def undo(
    connection: Connection,
    version: int,
    before: Any = None,
    actor: str = "lead",
    who: Who = EVERYONE,
) -> coaching.Changed:
    undone = coaching.undo(connection, actor, [Done(1, version, before)], who)
    connection.commit()
    return undone


@pytest.mark.parametrize("action", ["decline", "snooze", "flag"])
def test_a_low_score_that_was_taken_off_the_queue_is_new_again_as_if_nothing_had_been(
    store: Engine, connection: Connection, action: str
) -> None:
    if action == "decline":
        coaching.decline(connection, "lead", DANA, 70)
    elif action == "snooze":
        coaching.snooze(connection, "lead", DANA, UNTIL, 70)
    else:
        coaching.flag(connection, "lead", [DANA], 70)
    connection.commit()
    assert state(connection) != "new"
    undone = undo(connection, case(store).version)
    assert undone == ([1], [], {})
    (row,) = queue.items(connection, Filters(), "new")
    assert (row.again, row.case_id, row.owner) == (False, None, None)
    assert log(store)[-1][:3] == ("lead", "undo", "case 1")
    assert (log(store)[-1][3] or "").endswith("→ undone")


def test_a_closed_case_is_as_it_was_before(store: Engine, connection: Connection) -> None:
    coaching.flag(connection, "lead", [DANA], 70, "Ines", UNTIL, "call her")
    before = queue.case_of(connection, 1)
    coaching.change(connection, "lead", 1, 1, {"status": "dismissed", "outcome": "on leave"}, 70)
    connection.commit()
    undo(connection, 2, before)
    row = case(store)
    assert (row.status, row.owner, row.due, row.notes) == ("open", "Ines", UNTIL, "call her")
    assert (row.closed_at, row.outcome, row.version) == (None, None, 3)
    assert log(store)[-1] == (
        "lead", "undo", "case 1", "status dismissed → open; outcome on leave → none"
    )  # fmt: skip


@pytest.mark.parametrize(("version", "actor"), [(1, "lead"), (2, "another")])
def test_what_has_changed_since_or_is_of_another_person_stays(
    store: Engine, connection: Connection, version: int, actor: str
) -> None:
    coaching.decline(connection, "lead", DANA, 70)
    connection.commit()
    undone = undo(connection, version, actor=actor)
    assert not undone.done
    assert [row.id for row in undone.conflicts] == [1]
    assert case(store).status == "dismissed"


def test_no_case_of_another_team_is_reached(store: Engine, connection: Connection) -> None:
    coaching.decline(connection, "lead", DANA, 70)
    connection.commit()
    undone = undo(connection, 2, who=Who(teams=("east",)))
    assert undone.refused == {1: coaching.NOT_THERE}
    assert case(store).status == "dismissed"


def test_a_case_is_not_opened_beside_a_later_round(store: Engine, connection: Connection) -> None:
    coaching.snooze(connection, "lead", DANA, UNTIL, 70)
    coaching.flag(connection, "another", [DANA], 70)
    connection.commit()
    assert undo(connection, 2).refused == {1: "There is a later round."}


def test_what_was_undone_can_be_done_again_and_counts_for_no_retake(
    store: Engine, connection: Connection
) -> None:
    coaching.flag(connection, "lead", [DANA], 70)
    connection.commit()
    undo(connection, 1)
    assert coaching.flag(connection, "lead", [DANA], 70).new == [2]
    connection.commit()
    taker = Taker(V, "u-1", "q-1")
    assert [one.status for one in queue.rounds(connection, taker)] == ["open", "undone"]
