"""Work on the queue: each change once, none overwritten, all in the audit log."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from shared import coaching
from shared.coaching import Conflict, Impossible
from shared.facts import Provisioned
from shared.models import AuditLog, CoachingCase, QuizThreshold
from shared.queries import coaching as queue
from shared.queries.people import Who
from shared.queries.quiz_standings import Filters, Taker
from tests import stores
from tests.running import until
from tests.shared.tables import V, attempts, fold, people

DANA = Taker(V, "u-1", "q-1")
PAUL = Taker(V, "u-2", "q-1")
LONG_AGO = datetime(2025, 1, 1, tzinfo=UTC)
DUE = date(2025, 12, 1)


@pytest.fixture
def connection(store: Engine) -> Iterator[Connection]:
    people(store, ("u-1", "west"))
    low = {"submitted_at": LONG_AGO, "score": 4}
    attempts(store, low, low | {"user_id": "u-2"})
    with store.connect() as connection:
        yield connection


def case(store: Engine, **wanted: Any) -> Any:
    return stores.row(store, CoachingCase, **wanted)


def log(store: Engine) -> list[tuple[str, str, str | None, str | None]]:
    return [
        (row.actor, row.action, row.subject, row.detail) for row in stores.rows(store, AuditLog)
    ]


def flag(connection: Connection, *takers: Taker, actor: str = "lead") -> coaching.Flagged:
    flagged = coaching.flag(connection, actor, takers or (DANA,), 70)
    connection.commit()
    return flagged


def change(connection: Connection, version: int, actor: str = "lead", **wanted: Any) -> None:
    coaching.change(connection, actor, 1, version, wanted, 70)
    connection.commit()


def pass_later(store: Engine, score: float = 8.5) -> datetime:
    """A retake after now."""
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=9)
    attempts(store, {"event_key": "later", "score": score, "submitted_at": at})
    return at


def test_a_flag_keeps_the_score_and_what_was_set(store: Engine, connection: Connection) -> None:
    flagged = coaching.flag(connection, "lead", [DANA, PAUL], 70, "Ines", DUE, "call her")
    connection.commit()
    assert flagged == ([1, 2], [], [])
    row = case(store, user_id="u-1")
    assert (row.status, row.owner, row.due, row.notes) == ("open", "Ines", DUE, "call her")
    assert (row.flagged_pct, row.opened_by, row.version) == (40, "lead", 1)
    assert log(store) == [
        ("lead", "flag", "case 1", "Pricing at 40 %; owner none → Ines; "
         "due none → 1 Dec 2025; notes none → call her"),
        ("lead", "flag", "case 2", "Pricing at 40 %; owner none → Ines; "
         "due none → 1 Dec 2025; notes none → call her"),
    ]  # fmt: skip


def test_a_score_is_in_the_log_with_two_decimals_at_most(
    store: Engine, connection: Connection
) -> None:
    score = {"event_key": "third", "score": 2, "max_score": 3}
    attempts(store, score | {"submitted_at": datetime.now(UTC)})
    coaching.flag(connection, "lead", [DANA], 70)
    connection.commit()
    assert [entry[3] for entry in log(store)] == ["Pricing at 66.67 %"]


def test_a_flagged_taker_is_not_flagged_twice(store: Engine, connection: Connection) -> None:
    flag(connection, actor="ines")
    again = flag(connection, DANA, PAUL)
    assert len(again.new) == 1
    assert [(row.id, row.opened_by) for row in again.already] == [(1, "ines")]
    assert stores.count(store, CoachingCase) == 2


@pytest.mark.parametrize("status", ["resolved", "dismissed"])
def test_a_case_that_was_closed_meanwhile_is_neither_flagged_nor_taken_again(
    store: Engine, connection: Connection, status: str
) -> None:
    flag(connection, actor="ines")
    change(connection, 1, status=status, outcome="on leave")
    again = flag(connection, DANA, PAUL)
    assert (len(again.new), again.passed) == (1, [])
    assert [(row.id, row.status) for row in again.already] == [(1, status)]
    refused = {DANA: "This case was closed, with no attempt since."}
    assert take(connection) == ([], refused)
    assert stores.count(store, CoachingCase) == 2


def test_a_low_score_that_needs_no_coaching_is_a_case_closed_at_once_and_can_be_reopened(
    store: Engine, connection: Connection
) -> None:
    assert coaching.decline(connection, "lead", DANA, 70)
    assert not coaching.decline(connection, "lead", DANA, 70)
    connection.commit()
    row = case(store)
    assert (row.status, row.outcome, row.owner) == ("dismissed", coaching.NOT_NEEDED, None)
    assert row.closed_at
    assert [action for _, action, _, _ in log(store)] == ["flag", "dismiss"]
    change(connection, row.version, status="in_progress")
    assert (case(store).status, case(store).outcome) == ("in_progress", None)


SNOOZED = date(2025, 3, 1)


@pytest.fixture
def snoozed(connection: Connection) -> Connection:
    assert coaching.snooze(connection, "lead", DANA, SNOOZED, 70)
    connection.commit()
    return connection


def state(connection: Connection, today: date, since: datetime | None = None) -> str | None:
    filters = Filters(since=since, default_pct=70, today=today, problems=True)
    found = [row for row in queue.items(connection, filters) if row.taker == DANA]
    return found[0].state if found else None


def test_a_snoozed_learner_is_back_on_that_day(snoozed: Connection) -> None:
    assert state(snoozed, SNOOZED - timedelta(days=1)) == "closed"
    assert state(snoozed, SNOOZED) == "new"


def test_a_snoozed_learner_is_back_at_once_after_another_low_score(
    snoozed: Connection, store: Engine
) -> None:
    pass_later(store, score=3)
    assert state(snoozed, SNOOZED - timedelta(days=1)) == "new"


def test_a_snoozed_learner_is_back_though_the_score_left_the_window(snoozed: Connection) -> None:
    since = LONG_AGO + timedelta(days=3)
    assert state(snoozed, SNOOZED, since) == "new"
    counted = queue.counts(snoozed, Filters(since=since, default_pct=70, today=SNOOZED), since, DUE)
    assert counted.new == 1


def test_a_learner_who_is_back_can_be_flagged_and_then_is_in_progress(snoozed: Connection) -> None:
    assert len(flag(snoozed).new) == 1
    assert state(snoozed, SNOOZED) == "open"


def test_a_reopened_snooze_ends(snoozed: Connection, store: Engine) -> None:
    change(snoozed, 2, status="in_progress")
    assert case(store).snoozed_until is None
    assert state(snoozed, SNOOZED - timedelta(days=1)) == "in_progress"


@pytest.mark.usefixtures("snoozed")
def test_a_snooze_is_in_the_audit_log_with_its_day(store: Engine) -> None:
    actor, action, _, detail = log(store)[-1]
    assert (actor, action) == ("lead", "snooze")
    assert "snoozed until none → 1 Mar 2025" in str(detail)


def test_a_taker_who_has_passed_meanwhile_is_not_flagged(
    store: Engine, connection: Connection
) -> None:
    attempts(store, {"event_key": "fine", "score": 9})
    assert flag(connection) == ([], [], [DANA])
    assert stores.count(store, CoachingCase) == 0


def test_a_change_says_what_it_was_and_what_it_is(store: Engine, connection: Connection) -> None:
    flag(connection)
    change(connection, 1, status="in_progress", owner="Ines", due=DUE)
    row = case(store)
    assert (row.status, row.owner, row.due, row.version) == ("in_progress", "Ines", DUE, 2)
    assert log(store)[1] == (
        "lead", "start", "case 1",
        "status open → in progress; owner none → Ines; due none → 1 Dec 2025",
    )  # fmt: skip


def test_a_value_that_is_as_wanted_is_not_written(store: Engine, connection: Connection) -> None:
    flag(connection)
    change(connection, 1, owner=None, status="open")
    assert case(store).version == 1
    assert len(log(store)) == 1


def test_the_second_of_two_changes_is_refused_and_overwrites_nothing(
    store: Engine, connection: Connection
) -> None:
    flag(connection)
    change(connection, 1, actor="ines", owner="Ines")
    with pytest.raises(Conflict, match="ines has changed this since") as refused:
        change(connection, 1, actor="paul", owner="Paul")
    assert (refused.value.current.owner, refused.value.current.version) == ("Ines", 2)
    with pytest.raises(Conflict):  # also where both want the same
        change(connection, 1, actor="paul", owner="Ines")
    connection.rollback()
    assert case(store).owner == "Ines"
    assert len(log(store)) == 2


def test_of_two_changes_at_the_same_time_one_is_refused(store: Engine) -> None:
    attempts(store, {"submitted_at": LONG_AGO})
    writing = store.execution_options(immediate=True)
    with writing.begin() as connection:
        coaching.flag(connection, "lead", [DANA], 70)

    def second() -> None:
        with writing.begin() as connection:
            coaching.change(connection, "paul", 1, 1, {"owner": "Paul"}, 70)

    with ThreadPoolExecutor() as pool:
        with writing.begin() as first:
            coaching.change(first, "ines", 1, 1, {"owner": "Ines"}, 70)
            future = pool.submit(second)
            if store.dialect.name == "postgresql":  # it has read the old version, and waits
                until(lambda: bool(waiting(store)))
        with pytest.raises(Conflict, match="ines"):
            future.result()
    assert case(store).owner == "Ines"


def waiting(store: Engine) -> int:
    with store.connect() as connection:
        query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        return int(connection.exec_driver_sql(query).scalar_one())


def test_a_change_to_several_does_what_it_can(store: Engine, connection: Connection) -> None:
    third = {"user_id": "u-3", "event_key": "c", "submitted_at": LONG_AGO}
    attempts(store, third)
    flag(connection, DANA, PAUL, Taker(V, "u-3", "q-1"))
    change(connection, 1, actor="ines", owner="Ines")
    coaching.change(connection, "ines", 2, 1, {"status": "resolved"}, 70)
    seen = {1: 1, 2: 2, 3: 1}
    changed = coaching.change_all(connection, "lead", seen, {"status": "in_progress"}, 70)
    connection.commit()
    assert [row.id for row in changed.conflicts] == [1]
    assert (changed.done, changed.refused) == ([2, 3], {})
    dismissed = {"status": "dismissed"}
    changed = coaching.change_all(connection, "lead", {3: 2}, dismissed, 70)
    assert changed.refused == {3: "Dismissing needs a reason."}


@pytest.mark.parametrize(
    ("before", "after", "possible"),
    [
        ("open", "in_progress", True),
        ("open", "resolved", True),
        ("open", "dismissed", True),
        ("in_progress", "resolved", True),
        ("in_progress", "dismissed", True),
        ("in_progress", "open", False),
        ("resolved", "in_progress", True),
        ("resolved", "open", False),
        ("resolved", "dismissed", False),
        ("dismissed", "in_progress", True),
        ("dismissed", "resolved", False),
        ("open", "nonsense", False),
    ],
)
def test_only_moves_that_make_sense_are_made(
    store: Engine, connection: Connection, before: str, after: str, possible: bool
) -> None:
    flag(connection)
    if before != "open":
        change(connection, 1, status=before, outcome="a reason")
    version = case(store).version
    if possible:
        change(connection, version, status=after, outcome="another reason")
        assert case(store).status == after
    else:
        with pytest.raises(Impossible):
            change(connection, version, status=after, outcome="another reason")


@pytest.mark.parametrize("reason", [None, "", " "])
def test_dismissing_needs_a_reason(connection: Connection, reason: str | None) -> None:
    flag(connection)
    with pytest.raises(Impossible, match="needs a reason"):
        change(connection, 1, status="dismissed", outcome=reason)


def test_resolving_after_a_pass_keeps_its_score_and_time(
    store: Engine, connection: Connection
) -> None:
    flag(connection)
    passed_at = pass_later(store)
    change(connection, 1, status="resolved")
    row = case(store)
    assert (row.flagged_pct, row.passed_pct, row.passed_at) == (40, 85, passed_at)
    assert row.closed_at is not None
    assert "passed pct none → 85 %" in (log(store)[1][3] or "")


def test_resolving_without_a_pass_claims_none(store: Engine, connection: Connection) -> None:
    flag(connection)
    pass_later(store, score=5)
    change(connection, 1, status="resolved")
    assert (case(store).passed_pct, case(store).passed_at) == (None, None)


def test_a_new_fail_opens_a_new_round_and_keeps_the_old(
    store: Engine, connection: Connection
) -> None:
    flag(connection)
    change(connection, 1, status="resolved", outcome="talked")
    assert item(connection).state == "closed"
    pass_later(store, score=3)
    assert (item(connection).state, item(connection).again) == ("new", True)
    flag(connection)
    rounds = queue.rounds(connection, DANA)
    assert [(row.id, row.status, row.outcome) for row in rounds] == [
        (2, "open", None), (1, "resolved", "talked"),
    ]  # fmt: skip
    entries = queue.history(connection, [row.id for row in rounds])
    assert [(row.action, row.subject) for row in entries] == [
        ("flag", "case 2"), ("resolve", "case 1"), ("flag", "case 1"),
    ]  # fmt: skip
    with pytest.raises(Impossible, match="later round"):
        change(connection, 2, status="in_progress")


def item(connection: Connection) -> Any:
    found = queue.item(connection, Filters(), DANA)
    connection.rollback()  # the next look sees what was written meanwhile
    return found


def test_reopening_removes_the_end(store: Engine, connection: Connection) -> None:
    flag(connection)
    pass_later(store)
    change(connection, 1, status="resolved", outcome="done")
    change(connection, 2, status="in_progress")
    row = case(store)
    assert (row.status, row.closed_at, row.passed_pct, row.outcome) == (
        "in_progress", None, None, None,
    )  # fmt: skip


def test_a_case_that_is_not_there_cannot_be_changed(connection: Connection) -> None:
    with pytest.raises(Impossible):
        change(connection, 1, owner="Ines")


def thresholds(store: Engine) -> Mapping[str, float]:
    return {row.quiz_id: row.threshold_pct for row in stores.rows(store, QuizThreshold)}


def test_a_threshold_is_set_changed_and_removed(store: Engine, connection: Connection) -> None:
    for pct in (75.0, 75.0, 80.0, None, None):
        coaching.set_threshold(connection, "lead", V, "q-1", pct)
        connection.commit()
        assert thresholds(store) == ({} if pct is None else {"q-1": pct})
    assert [row[1:] for row in log(store)] == [
        ("set threshold", f"quiz {V}/q-1", "default → 75 %"),
        ("set threshold", f"quiz {V}/q-1", "75 % → 80 %"),
        ("set threshold", f"quiz {V}/q-1", "80 % → default"),
    ]


def test_of_two_thresholds_set_at_the_same_time_the_later_one_stays(store: Engine) -> None:
    writing = store.execution_options(immediate=True)

    def second() -> None:
        with writing.begin() as connection:
            coaching.set_threshold(connection, "paul", V, "q-1", 80.0)

    with ThreadPoolExecutor() as pool:
        with writing.begin() as first:
            coaching.set_threshold(first, "ines", V, "q-1", 75.0)
            done = pool.submit(second)
            if store.dialect.name == "postgresql":
                until(lambda: bool(waiting(store)))
        done.result()
    assert thresholds(store) == {"q-1": 80}
    assert [(actor, detail) for actor, _, _, detail in log(store)] == [
        ("ines", "default → 75 %"),
        ("paul", "75 % → 80 %"),
    ]


@pytest.mark.parametrize("pct", [-1, 101, float("nan")])
def test_a_threshold_is_a_percentage(connection: Connection, pct: float) -> None:
    with pytest.raises(Impossible):
        coaching.set_threshold(connection, "lead", V, "q-1", pct)


# What a manager does for their teams


TODAY, DEFAULT_DUE = date(2025, 11, 21), date(2025, 11, 28)
WEST, EAST = Who(teams=("west",)), Who(teams=("east",))


@pytest.mark.parametrize(
    ("today", "due"),
    [
        (date(2025, 11, 17), date(2025, 11, 24)),  # Monday
        (date(2025, 11, 21), date(2025, 11, 28)),  # Friday
        (date(2025, 11, 22), date(2025, 11, 28)),  # Saturday
        (date(2025, 11, 23), date(2025, 11, 28)),  # Sunday
        (date(2025, 12, 31), date(2026, 1, 7)),
    ],
)
def test_a_case_is_due_after_five_working_days(today: date, due: date) -> None:
    assert coaching.due_from(today) == due


def take(connection: Connection, who: Who = WEST, taker: Taker = DANA) -> coaching.Taken:
    taken = coaching.take(connection, "mo", [taker], TODAY, who, 70)
    connection.commit()
    return taken


def own(connection: Connection, version: int, who: Who = WEST, **wanted: Any) -> None:
    coaching.change_own(connection, "mo", 1, version, wanted, who, 70)
    connection.commit()


def test_a_manager_who_takes_a_low_score_owns_its_case_with_a_due_date(
    store: Engine, connection: Connection
) -> None:
    assert take(connection) == ([1], {})
    row = case(store)
    assert (row.owner, row.due, row.status, row.flagged_pct) == ("mo", DEFAULT_DUE, "open", 40)
    detail = "Pricing at 40 %; owner none → mo; due none → 28 Nov 2025"
    assert log(store) == [("mo", "flag", "case 1", detail)]


def test_a_case_without_an_owner_is_taken_with_its_own_due_date(
    store: Engine, connection: Connection
) -> None:
    coaching.flag(connection, "lead", [DANA], 70, None, DUE, "private")
    assert take(connection) == ([1], {})
    row = case(store)
    assert (row.owner, row.due, row.notes, row.version) == ("mo", DUE, "private", 2)
    assert log(store)[1] == ("mo", "take", "case 1", "owner none → mo")


def test_a_case_with_an_owner_is_not_taken(store: Engine, connection: Connection) -> None:
    coaching.flag(connection, "lead", [DANA], 70, "Ines")
    assert take(connection) == ([], {DANA: "This case has an owner."})
    assert case(store).owner == "Ines"


def test_a_taker_who_is_not_low_is_not_taken(store: Engine, connection: Connection) -> None:
    attempts(store, {"event_key": "fine", "score": 9})
    assert take(connection) == ([], {DANA: "The latest attempt is not low."})
    assert stores.count(store, CoachingCase) == 0


@pytest.mark.parametrize("who", [EAST, Who(teams=())])
@pytest.mark.parametrize("flagged", [False, True])
def test_a_taker_of_another_team_is_as_good_as_none(
    store: Engine, connection: Connection, who: Who, flagged: bool
) -> None:
    if flagged:
        flag(connection)
    before = log(store)
    assert take(connection, who) == ([], {DANA: coaching.NOT_THERE})
    unknown = Taker(V, "unknown", "q-1")
    assert take(connection, who, unknown) == ([], {unknown: coaching.NOT_THERE})
    assert log(store) == before


@pytest.mark.parametrize(
    "wanted",
    [{"status": "in_progress"}, {"status": "resolved"}, {"status": "dismissed", "outcome": "x"},
     {"due": DUE}, {"owner": None}],
)  # fmt: skip
def test_a_manager_changes_status_due_date_and_owner_of_their_own_case_only(
    store: Engine, connection: Connection, wanted: dict[str, Any]
) -> None:
    take(connection)
    with pytest.raises(Impossible, match=coaching.NOT_THERE):
        own(connection, 1, EAST, **wanted)
    own(connection, 1, WEST, **wanted)
    row = case(store)
    assert {name: getattr(row, name) for name in wanted} == wanted
    assert len(log(store)) == 2


@pytest.mark.parametrize("wanted", [{"notes": "mine"}, {"owner": "Ines"}, {"flagged_pct": 90.0}])
def test_a_manager_changes_nothing_else_of_their_own_case(
    store: Engine, connection: Connection, wanted: dict[str, Any]
) -> None:
    take(connection)
    with pytest.raises(Impossible, match="Only a lead"):
        own(connection, 1, **wanted)
    assert case(store).version == 1


@pytest.mark.parametrize("owner", [None, "Ines"])
def test_a_manager_changes_no_case_that_is_not_theirs(
    connection: Connection, owner: str | None
) -> None:
    coaching.flag(connection, "lead", [DANA], 70, owner)
    with pytest.raises(Impossible, match="Only its owner or a lead"):
        own(connection, 1, status="resolved")


def test_a_case_that_moved_to_another_team_with_its_learner_is_no_longer_the_managers(
    store: Engine, connection: Connection
) -> None:
    take(connection)
    at = datetime(2025, 6, 1, tzinfo=UTC)
    fold(store, [Provisioned(V, "u-1", "u-1@x.com", None, None, "east", at)])
    with pytest.raises(Impossible, match=coaching.NOT_THERE):
        own(connection, 1, status="resolved")
