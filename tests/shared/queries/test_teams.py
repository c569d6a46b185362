"""Which team gets what a learner gains: by hand, and against a slow reference in plain Python."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import Engine, select

from receiver.readmodels.projections import project
from shared.bulk import table_of
from shared.facts import Deprovisioned, Fact, Identified, Progressed, Provisioned
from shared.models import Learner
from shared.queries import leaderboard, team_boards
from shared.queries.movement import Board
from shared.queries.people import Who
from shared.queries.team_boards import TeamRow
from shared.queries.windows import Window
from tests.shared.tables import V, fold

NOON = datetime(2025, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = Window(NOON - 7 * DAY, None, NOON - 14 * DAY, NOON - 7 * DAY)


def joined(
    days_ago: float, team: str | None, user: str = "dana", email: str = "dana@x.com"
) -> Fact:
    return Provisioned(V, user, email, None, None, team, NOON - days_ago * DAY)


def left(days_ago: float, user: str = "dana", announced: float | None = None) -> Fact:
    at = NOON - days_ago * DAY
    said = at if announced is None else NOON - announced * DAY
    return Deprovisioned(V, user, None, said, None, None if announced is None else at)


def moved(days_ago: float, pct: float, user: str = "dana") -> Fact:
    return Progressed(V, user, "m-1", None, pct, 0, NOON - days_ago * DAY)


def teams(store: Engine, facts: Iterable[Fact], board: Board = Board(window=WEEK)) -> Any:  # noqa: B008
    """team → (members, total, average, average_before)."""
    fold(store, facts)
    with store.connect() as connection:
        rows = team_boards.teams(connection, "gained", board)
    return {row.team_id: (row.members, row.total, row.average, row.average_before) for row in rows}


CHANGED = [joined(90, "west"), moved(5, 30), joined(3, "east"), moved(1, 100)]


def test_a_team_keeps_what_a_member_gained_before_a_change_of_team(store: Engine) -> None:
    assert teams(store, CHANGED) == {"west": (1, 30, 30, 0), "east": (1, 70, 70, None)}


def test_by_todays_team_all_of_it_moves_along(store: Engine) -> None:
    today = Board(window=WEEK, credit="today")
    assert teams(store, CHANGED, today) == {"east": (1, 100, 100, 0)}


def test_a_manager_sees_what_a_former_member_gained_for_the_team(store: Engine) -> None:
    west = Board(Who(teams=("west",)), WEEK)
    assert teams(store, CHANGED, west) == {"west": (1, 30, 30, 0)}


def test_before_the_first_roster_entry_the_first_team_counts(store: Engine) -> None:
    facts = [moved(5, 30), joined(3, "east"), joined(1, "west"), moved(0, 50)]
    assert teams(store, facts) == {"east": (1, 30, 30, None), "west": (1, 20, 20, None)}


def test_what_a_person_gains_after_leaving_counts_for_no_team(store: Engine) -> None:
    facts = [joined(90, "west"), moved(5, 30), left(3), moved(1, 100)]
    assert teams(store, facts) == {"west": (1, 30, 30, 0)}


def test_a_person_who_left_before_the_window_is_no_member(store: Engine) -> None:
    facts = [joined(90, "west"), joined(90, "west", "ann", "ann@x.com"), left(8), moved(1, 100)]
    assert teams(store, facts) == {"west": (1, 0, 0, 0)}


def test_a_departure_that_was_taken_back_ends_nothing(store: Engine) -> None:
    facts = [joined(90, "west"), left(3, announced=20), joined(10, "west"), moved(1, 40)]
    assert teams(store, facts) == {"west": (1, 40, 40, 0)}


def test_a_departure_that_was_put_off_ends_the_time_in_the_team_later(store: Engine) -> None:
    facts = [joined(90, "west"), left(5, announced=20), left(2, announced=10), moved(3, 40)]
    assert teams(store, [*facts, moved(1, 90)]) == {"west": (1, 40, 40, 0)}


def test_a_second_account_goes_on_where_the_first_has_ended(store: Engine) -> None:
    facts = [joined(90, "west"), left(4), joined(3, "east", "new"), moved(5, 30), moved(1, 50)]
    lessons = Progressed("lessonly", "7", "l-1", None, 25, 0, NOON - DAY)
    known = Identified("lessonly", "7", "dana@x.com", None, NOON - DAY)
    found = teams(store, [*facts, lessons, known])
    assert found == {"west": (1, 30, 30, 0), "east": (1, 45, 45, None)}


def test_a_member_who_comes_back_is_counted_once(store: Engine) -> None:
    facts = [joined(90, "west"), joined(5, "east"), joined(3, "west"), moved(6, 10), moved(1, 50)]
    assert teams(store, facts)["west"] == (1, 50, 50, 0)


def test_a_team_that_was_too_small_before_shows_no_average_of_then(store: Engine) -> None:
    roster = [joined(90, "west", "a", "a@x.com"), joined(2, "west", "b", "b@x.com")]
    fold(store, [*roster, moved(10, 30, "a"), moved(1, 60, "b")])
    with store.connect() as connection:
        (row,) = team_boards.teams(connection, "gained", Board(window=WEEK), smallest=2)
        assert team_boards.slipped(connection, "gained", Board(window=WEEK), smallest=2) is None
    assert (row.members, row.average, row.members_before) == (2, 30, 1)
    assert row.average_before is row.rank_before is None


@pytest.mark.parametrize(("moved_at", "flag"), [(1, True), (5, False)])
def test_a_person_who_left_and_goes_on_learning_is_marked(
    store: Engine, moved_at: int, flag: bool
) -> None:
    fold(store, [joined(90, "west"), left(3), moved(moved_at, 30)])
    with store.connect() as connection:
        (row,) = leaderboard.learners(connection, "gained", Board(Who(leavers=True), WEEK))
    assert bool(row.after_leaving) is flag


# The reference

users = st.sampled_from(["u-1", "u-2", "u-3"])
emails = st.sampled_from(["a@x.com", "b@x.com"])
moments = st.integers(-14 * 24, 0).map(lambda hours: NOON + timedelta(hours=hours, minutes=1))
team_ids = st.sampled_from(["east", "west", None])
facts = st.one_of(
    st.builds(
        Progressed, st.just(V), users, st.just("m-1"), st.none(),
        st.sampled_from([10.0, 33.3, 100.0]), st.just(0), moments,
    ),
    st.builds(Provisioned, st.just(V), users, emails, st.none(), st.none(), team_ids, moments),
    st.builds(
        Deprovisioned, st.just(V), users, emails, moments, st.none(), st.none() | moments
    ),
)  # fmt: skip


def a_slot(at: datetime) -> datetime:
    return at.replace(minute=at.minute // 15 * 15, second=0)


def team_at(at: datetime, history: Sequence[tuple[str, datetime, str, str | None]]) -> str | None:
    """By (user, at, kind, team) of one person: the team at a moment, by walking up to it."""
    if not history:
        return None
    first = min(when for _, when, *_ in history)
    at = max(at, first)
    teams: dict[str, tuple[datetime, str | None]] = {}
    for user, when, kind, team in sorted(history, key=lambda one: (one[1], one[2])):
        if when > at:
            break
        if kind == "left":
            teams.pop(user, None)
        else:
            teams[user] = (when, team)
    if not teams:
        return None
    latest = max(when for when, _ in teams.values())
    return next(team for _, (when, team) in sorted(teams.items()) if when == latest)


def history_of(users: set[str], facts: Sequence[Fact]) -> list[tuple[str, datetime, str, Any]]:
    words: dict[Any, Any] = {}
    for fact in facts:
        if isinstance(fact, Provisioned):
            key = (fact.user_id, fact.provisioned_at, "joined")
            words[key] = max(words.get(key, ()), (fact.provisioned_at, fact.team_id or ""))
        elif isinstance(fact, Deprovisioned):
            key = (fact.user_id, fact.leaves_at or fact.deprovisioned_at, "left")
            said = max(words.get(key, (fact.deprovisioned_at,))[0], fact.deprovisioned_at)
            words[key] = (said, "")
    found = []
    for (user, at, kind), (said, team) in words.items():
        later = [s for (u, *_), (s, _) in words.items() if u == user and said < s <= at]
        if user in users and not (kind == "left" and later):
            found.append((user, at, kind, team or None))
    return found


def expected(people: dict[str, set[str]], facts: Sequence[Fact], window: Window) -> Any:
    """team → (members, total) by looking at every quarter hour of progress."""
    total: dict[str, float] = defaultdict(float)
    members: dict[str, set[str]] = defaultdict(set)
    since = window.since or datetime.min.replace(tzinfo=UTC)
    for person, users in people.items():
        history = history_of(users, facts)
        first = min((at for _, at, *_ in history), default=NOON + DAY)
        for at in {max(since, first), *(at for _, at, *_ in history if at >= since)}:
            if at < NOON + DAY and (team := team_at(at, history)):
                members[team].add(person)
        for user in users:
            seen = 0.0
            own = [f for f in facts if isinstance(f, Progressed) and f.user_id == user]
            for slot in sorted({a_slot(fact.updated_at) for fact in own}):
                pct = max(f.progress_pct for f in own if a_slot(f.updated_at) <= slot)
                team = team_at(slot, history)
                if slot >= since and team:
                    total[team] += pct - seen
                    members[team].add(person)
                seen = pct
    return {team: (len(members[team]), round(total[team], 6)) for team in members}


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(st.lists(facts, min_size=1, max_size=20), st.sampled_from([None, NOON - 5 * DAY]))
def test_teams_get_what_the_reference_says(
    store: Engine, facts: list[Fact], since: datetime | None
) -> None:
    window = Window(since)
    with store.connect() as connection, connection.begin() as transaction:
        project(connection, facts)
        people: dict[str, set[str]] = defaultdict(set)
        for row in connection.execute(select(table_of(Learner))):
            people[row.person].add(row.user_id)
        rows: Sequence[TeamRow] = team_boards.teams(connection, "gained", Board(window=window))
        assert {row.team_id: (row.members, row.total) for row in rows} == expected(
            people, facts, window
        )
        transaction.rollback()
