"""Boards against a slow reference in plain Python, over any small company and window."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import Engine, select

from receiver.readmodels.projections import project
from shared.bulk import table_of
from shared.facts import Deprovisioned, Fact, Identified, Progressed, Provisioned
from shared.models import Learner
from shared.queries import leaderboard
from shared.queries.movement import Board
from shared.queries.people import Who
from shared.queries.windows import WINDOWS, Days, Window, window_of

TODAY = date(2025, 11, 22)
MIDNIGHT = datetime(2025, 11, 22, tzinfo=UTC)
ZONES = ("UTC", "Asia/Tokyo", "America/St_Johns", "Asia/Kathmandu")

users = st.sampled_from(["u-1", "u-2", "u-3", "u-4"])
vendors = st.sampled_from(["mindtickle", "lessonly"])
emails = st.sampled_from([None, "a@x.com", "A@x.com", "b@x.com"])
moments = st.integers(-200, 12 * 4).map(
    lambda n: MIDNIGHT + timedelta(minutes=15 * 7 * n, seconds=1)
)
facts = st.one_of(
    st.builds(
        Progressed, vendors, users, st.sampled_from(["m-1", "m-2"]), st.none(),
        st.sampled_from([0.0, 12.5, 33.3, 100.0]), st.integers(0, 3), moments,
    ),
    st.builds(
        Provisioned, vendors, users, emails, st.none(), st.none(),
        st.sampled_from([None, "east", "west"]), moments,
    ),
    st.builds(Deprovisioned, vendors, users, emails, moments, st.none(), st.none() | moments),
    st.builds(Identified, vendors, users, emails, st.none(), moments),
)  # fmt: skip
boards = st.builds(
    lambda name, hour, zone, back, days, teams, vendor, leavers, module: Board(
        Who(teams, vendor, leavers),
        window_of(
            name, MIDNIGHT + timedelta(hours=hour, minutes=7), zone,
            custom=Days(TODAY - timedelta(days=back + days), TODAY - timedelta(days=back)),
        ),
        module,
    ),
    st.sampled_from(WINDOWS), st.integers(0, 23),
    st.sampled_from(ZONES), st.integers(0, 9), st.integers(0, 4),
    st.sampled_from([None, ("east",), ("east", "west"), ()]),
    st.none() | vendors, st.booleans(), st.sampled_from([None, ("mindtickle", "m-1")]),
)  # fmt: skip


# The reference


def expected(learners: Iterable[Any], facts: list[Progressed], board: Board, metric: str) -> Any:
    """key → (rank, rank_before, value, value before), of all on the board."""
    people = defaultdict(list)
    for row in learners:
        people[row.person].append(row)
    rows = {
        person: figures_of(accounts, facts, board, metric)
        for person, accounts in people.items()
        if is_asked(accounts, board.who)
    }
    return {
        person: (
            rank(value, [v for moved, v, *_ in rows.values() if moved]),
            rank(before, [v for *_, moved, v in rows.values() if moved]) if moved_before else None,
            value,
            before,
        )
        for person, (moved, value, moved_before, before) in rows.items()
        if moved
    }


def is_asked(accounts: list[Any], who: Who) -> bool:
    team = team_of(accounts)
    known = [row.active for row in accounts if row.provisioned_at or row.deprovisioned_at]
    return (
        (who.leavers or not known or any(known))
        and (who.teams is None or team in who.teams)
        and (who.vendor is None or who.vendor in {row.vendor for row in accounts})
    )


def team_of(accounts: list[Any]) -> str | None:
    """The team of the latest roster entry: of an account that is active, if there is one."""
    latest: dict[bool, Any] = {}
    for row in sorted(accounts, key=lambda one: (one.vendor, one.user_id), reverse=True):
        if row.provisioned_at is None:
            continue
        other = latest.get(row.active)
        if other is None or row.provisioned_at >= other.provisioned_at:
            latest[row.active] = row
    found = latest.get(True) or latest.get(False)
    return found and found.team_id


def figures_of(accounts: list[Any], facts: list[Progressed], board: Board, metric: str) -> Any:
    own = {(row.vendor, row.user_id) for row in accounts}
    mine = [
        fact
        for fact in facts
        if (fact.vendor, fact.user_id) in own
        and (board.module is None or (fact.vendor, fact.module_id) == board.module)
        and (board.who.vendor is None or fact.vendor == board.who.vendor)
    ]
    since, until, before, before_until = board.window
    compared = (
        moved_and_value(mine, before, before_until, metric) if before else (False, NOTHING[metric])
    )
    return *moved_and_value(mine, since, until, metric), *compared


NOTHING = {"gained": 0, "score": 0, "completed": 0, "time": 0, "average": None}
"""Without rules of its own a company has the score that the progress gained is."""


def moved_and_value(
    facts: list[Progressed], since: datetime | None, until: datetime | None, metric: str
) -> tuple[bool, Any]:
    end = [fact for fact in facts if until is None or fact.updated_at < until]
    start = [fact for fact in end if since and fact.updated_at < since]
    after, before = totals(end), totals(start)
    if metric == "average":
        return len(end) > len(start), (
            round(sum(pct for pct, _ in after) / len(after), 6) if after else None
        )
    measure = {
        "gained": lambda rows: sum(pct for pct, _ in rows),
        "score": lambda rows: sum(pct for pct, _ in rows),
        "completed": lambda rows: sum(pct == 100 for pct, _ in rows),
        "time": lambda rows: sum(seconds for _, seconds in rows),
    }[metric]
    return len(end) > len(start), round(measure(after) - measure(before), 6)


def totals(facts: list[Progressed]) -> list[tuple[float, int]]:
    modules = defaultdict(list)
    for fact in facts:
        modules[fact.vendor, fact.user_id, fact.module_id].append(fact)
    return [
        (max(f.progress_pct for f in group), max(f.time_spent_sec for f in group))
        for group in modules.values()
    ]


def rank(value: Any, values: list[Any]) -> int:
    return 1 + sum(other > value for other in values)


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(st.lists(facts, min_size=1, max_size=25), boards, st.sampled_from(leaderboard.METRICS))
def test_a_board_is_what_the_reference_says(
    store: Engine, facts: list[Fact], board: Board, metric: str
) -> None:
    with store.connect() as connection, connection.begin() as transaction:
        project(connection, facts)
        learners = connection.execute(select(table_of(Learner))).all()
        progress = [fact for fact in facts if isinstance(fact, Progressed)]
        assert {
            row.person: (
                row.rank, row.rank_before, getattr(row, metric), getattr(row, f"{metric}_before")
            )
            for row in leaderboard.learners(connection, metric, board)
        } == expected(learners, progress, board, metric)  # fmt: skip
        transaction.rollback()


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(st.lists(facts, min_size=1, max_size=25), boards)
def test_modules_explain_exactly_what_their_board_and_each_person_gained(
    store: Engine, facts: list[Fact], board: Board
) -> None:
    with store.connect() as connection, connection.begin() as transaction:
        project(connection, facts)
        rows = leaderboard.learners(connection, "gained", board)
        for row in rows:
            of_modules = leaderboard.by_module(connection, board, row.person)
            for figure in ("gained", "completed", "time"):
                whole = sum(getattr(one, figure) for one in of_modules)
                assert round(whole, 6) == getattr(row, figure)
        modules = leaderboard.modules(connection, board)
        everything = leaderboard.totals(connection, board)
        for figure in ("gained", "completed", "time"):
            whole = sum(getattr(one, figure) for one in modules)
            assert round(whole, 6) == round(getattr(everything, figure), 6)
        transaction.rollback()


def test_the_reference_sees_a_window_that_begins_an_hour_off() -> None:
    """The comparison can fail: of two neighbouring windows the figures differ."""
    fact = Progressed("mindtickle", "u-1", "m-1", None, 50, 0, MIDNIGHT - timedelta(minutes=30))
    utc, early = Window(MIDNIGHT), Window(MIDNIGHT - timedelta(hours=1))
    assert moved_and_value([fact], utc.since, None, "gained") == (False, 0)
    assert moved_and_value([fact], early.since, None, "gained") == (True, 50)
