"""Contests on both stores. Standings are worked out a second time from raw payloads."""

import json
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from receiver.pipeline import judge
from receiver.store import write_batch
from receiver.vendors.base import Incoming
from receiver.vendors.mindtickle import MindTickle
from shared import contests
from shared.contests import GRACE, Draft
from shared.database import write_transaction
from shared.models import AuditLog, Contest, ContestResult, Event
from shared.queries import contests as queries
from shared.queries.contests import ContestRow
from tests import playing, stores
from tests.shared.tables import V

VENDOR = MindTickle([playing.SECRET.encode()], None, past=10**9, future=300)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
FIRST, LAST = date(2025, 11, 3), date(2025, 11, 9)
ZONE = "Asia/Kolkata"
BEGIN = datetime(2025, 11, 2, 18, 30, tzinfo=UTC)
END = datetime(2025, 11, 9, 18, 30, tzinfo=UTC)
BEFORE = BEGIN - DAY


def send(store: Engine, event_type: str, data: dict[str, Any], at: datetime) -> None:
    """Store an event as the receiver does, signed at a time."""
    body = playing.body_of(event_type, data)
    headers = playing.signed(body, at, playing.new_id(), playing.SECRET)
    encoded = {name: value.encode() for name, value in headers.items()}
    entry = judge(VENDOR, Incoming(encoded, body, "192.0.2.7", max(at, END)))
    with write_transaction(store) as connection:
        write_batch(connection, [entry])


def join(store: Engine, user: str, team: str) -> None:
    data = {"userId": user, "email": f"{user}@x.com", "role": "rep", "teamId": team}
    send(store, "user.provisioned", data, BEFORE - DAY)


def move(store: Engine, user: str, pct: float, at: datetime) -> None:
    send(store, "module.progress", playing.progress(user, progressPct=pct), at)


@pytest.fixture
def company(store: Engine) -> Engine:
    """Ann and Bob of west, Cy of east; progress on both sides of the begin and the end."""
    for user, team in (("ann", "west"), ("bob", "west"), ("cy", "east")):
        join(store, user, team)
    for user, steps in {
        "ann": [(10, BEGIN - MINUTE), (30, BEGIN + MINUTE), (90, END + MINUTE)],
        "bob": [(50, BEGIN + 2 * DAY), (55, END - MINUTE)],
        "cy": [(20, BEGIN - DAY), (25, BEGIN + DAY)],
    }.items():
        for pct, at in steps:
            move(store, user, pct, at)
    return store


def make(
    store: Engine, allowed: tuple[str, ...] | None = None, actor: str = "tom", **changes: Any
) -> int:
    draft = Draft("Sprint", FIRST, LAST, ZONE)._replace(**changes)
    with store.begin() as connection:
        made = contests.create(connection, actor, draft, BEFORE, allowed)
    assert isinstance(made, int), made
    return made


def contest(store: Engine, contest_id: int, teams: tuple[str, ...] | None = None) -> ContestRow:
    with store.connect() as connection:
        row = queries.contest_of(connection, contest_id, teams)
    assert row is not None
    return row


def store_due(store: Engine, now: datetime) -> list[int]:
    with store.begin() as connection:
        due = contests.due(connection, now)
        for contest_id in due:
            assert contests.store_result(connection, contest_id, now)
    return due


def result(store: Engine, contest_id: int) -> list[tuple[str | None, int | None, float | None]]:
    with store.connect() as connection:
        row = queries.contest_of(connection, contest_id, None)
        assert row
        return [(one.name or one.email or one.team_id, one.rank, one.value)
                for one in queries.stored_result(connection, row)]  # fmt: skip


def reference(store: Engine) -> dict[str, float]:
    """Progress gained from BEGIN to before END, from the payloads of events that are stored."""
    best: dict[tuple[str, str], list[tuple[datetime, float]]] = defaultdict(list)
    for event in stores.rows(store, Event, type="module.progress"):
        data = json.loads(event.payload)["data"]
        best[data["userId"], data["moduleId"]].append((event.occurred_at, data["progressPct"]))
    gained: dict[str, float] = defaultdict(float)
    for (user, _), steps in best.items():

        def pct_at(moment: datetime, steps: list[tuple[datetime, float]] = steps) -> float:
            return max((pct for at, pct in steps if at < moment), default=0.0)

        gained[f"{user}@x.com"] += pct_at(END) - pct_at(BEGIN)
    return dict(gained)


def test_a_result_is_that_of_raw_payloads_and_stays_when_events_come_late(company: Engine) -> None:
    made = make(company)
    expected = reference(company)
    assert expected == {"ann@x.com": 20, "bob@x.com": 55, "cy@x.com": 5}
    assert store_due(company, END + GRACE - MINUTE) == []
    assert store_due(company, END + GRACE) == [made]
    places = [("bob@x.com", 1, 55), ("ann@x.com", 2, 20), ("cy@x.com", 3, 5)]
    assert result(company, made) == places
    move(company, "ann", 88, END - 2 * MINUTE)  # a late delivery of before the end
    join(company, "cy", "north")  # changes no result, and is no late progress
    assert result(company, made) == places
    assert store_due(company, END + 9 * DAY) == []
    row = contest(company, made)
    with company.connect() as connection:
        late = queries.late(connection, row, contests.window(row), None)
    after = reference(company)["ann@x.com"]
    assert [(one.email, one.events, one.value, one.value_now) for one in late] == [
        ("ann@x.com", 1, 20, after)
    ]


def test_the_result_of_teams_is_the_average_of_a_member_and_late_events_are_apart(
    company: Engine,
) -> None:
    made = make(company, board="teams")
    store_due(company, END + GRACE)
    assert result(company, made) == [("west", 1, 37.5), ("east", 2, 5)]
    move(company, "cy", 45, BEGIN + 2 * DAY)
    row = contest(company, made)
    with company.connect() as connection:
        (late,) = queries.late(connection, row, contests.window(row), None)
        assert queries.late(connection, row, contests.window(row), ("west",)) == []
    assert (late.team_id, late.events, late.value, late.value_now) == ("east", 1, 5, 25)


def test_a_late_event_is_of_the_team_in_which_the_learner_was(company: Engine) -> None:
    made = make(company, board="teams")
    store_due(company, END + GRACE)
    data = {"userId": "cy", "email": "cy@x.com", "role": "rep", "teamId": "west"}
    send(company, "user.provisioned", data, END + DAY)
    move(company, "cy", 45, BEGIN + 2 * DAY)
    row = contest(company, made)
    with company.connect() as connection:
        (late,) = queries.late(connection, row, contests.window(row), None)
    assert (late.team_id, late.events, late.value, late.value_now) == ("east", 1, 5, 25)


def test_who_left_before_the_result_is_not_in_it_with_nothing(company: Engine) -> None:
    made = make(company)
    send(company, "user.deprovisioned", {"userId": "cy", "reason": "left"}, END - DAY)
    store_due(company, END + GRACE)
    send(company, "user.deprovisioned", {"userId": "bob", "reason": "left"}, END + DAY)
    for user in ("ann", "bob", "cy"):
        move(company, user, 99, BEGIN + 2 * DAY)
    assert [place[0] for place in result(company, made)] == ["bob@x.com", "ann@x.com"]
    row = contest(company, made)
    with company.connect() as connection:
        late = queries.late(connection, row, contests.window(row), None)
    assert sorted((one.email, one.events) for one in late) == [("ann@x.com", 1), ("bob@x.com", 1)]


def test_a_result_is_stored_once_and_the_audit_log_says_so(company: Engine) -> None:
    made = make(company)
    with company.begin() as connection:
        assert contests.store_result(connection, made, END + GRACE)
        assert not contests.store_result(connection, made, END + 2 * GRACE)
    assert stores.count(company, ContestResult) == 3
    assert [one.action for one in stores.rows(company, AuditLog)] == [
        "create contest",
        "store result",
    ]


def test_a_manager_can_only_choose_own_teams(company: Engine) -> None:
    draft = Draft("Sprint", FIRST, LAST, ZONE, teams=("west", "east"))
    with company.begin() as connection:
        wrong = contests.create(connection, "tom", draft, BEFORE, ("west",))
        none = contests.create(connection, "tom", draft._replace(teams=None), BEFORE, ())
    assert wrong == {"teams": "Unknown team, or not one of yours: east."}
    assert none == {"teams": "Choose at least one team."}
    assert stores.count(company, Contest) == stores.count(company, AuditLog) == 0
    made = make(company, allowed=("west",))  # all of them
    with company.connect() as connection:
        assert queries.teams_of(connection, contest(company, made)) == ("west",)


def test_a_contest_of_some_teams_has_only_their_people(company: Engine) -> None:
    made = make(company, teams=("east",))
    store_due(company, END + GRACE)
    assert result(company, made) == [("cy@x.com", 1, 5)]


def test_a_viewer_of_some_teams_sees_their_contests_and_rows_with_the_rank_among_all(
    company: Engine,
) -> None:
    for_all, for_east = make(company), make(company, teams=("east",))
    store_due(company, END + GRACE)
    with company.connect() as connection:
        seen = queries.contests(connection, ("west",))
        assert [row.id for row in seen] == [for_all]
        assert queries.contest_of(connection, for_east, ("west",)) is None
        places = queries.stored_result(connection, contest(company, for_all))
    shown = queries.of_teams(places, ("west",))
    assert [(one.email, one.rank) for one in shown] == [("bob@x.com", 1), ("ann@x.com", 2)]


def test_a_contest_is_removed_by_who_made_it_or_by_a_lead(company: Engine) -> None:
    made = make(company)
    with company.begin() as connection:
        assert not contests.remove(connection, "pat", made, of_all=False)
        assert contests.remove(connection, "tom", made, of_all=False)
        assert not contests.remove(connection, "ada", made, of_all=True)
        assert queries.contests(connection, None) == []
    assert store_due(company, END + GRACE) == []


def test_an_erased_learner_keeps_the_place_without_a_name(company: Engine) -> None:
    made = make(company)
    store_due(company, END + GRACE)
    with company.begin() as connection:
        table = ContestResult.__table__  # type: ignore[attr-defined]
        gone = table.update().where(table.c.vendor == V, table.c.user_id == "bob")
        connection.execute(gone.values(vendor=None, user_id=None))
        (first, *_) = queries.stored_result(connection, contest(company, made))
    assert (first.rank, first.value, first.key, first.name, first.email) == (
        1,
        55,
        None,
        None,
        None,
    )
