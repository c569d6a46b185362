"""The score: by hand, and against a slow reference in plain Python on any small company."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import Engine

from receiver.readmodels.projections import project
from shared.facts import Acted, Attempted, Completed, Fact, Identified, Progressed, Provisioned
from shared.models import AuditLog, ScoreWeight
from shared.queries import coaching, leaderboard, scoring, team_boards
from shared.queries.movement import Board
from shared.queries.people import Who
from shared.queries.quiz_standings import Filters, Taker
from shared.queries.windows import Window
from shared.scoring import DEFAULT, Rules, Weight, rules_of
from shared.setting_types import CoachingRule
from tests import stores
from tests.shared.tables import V, attempts, deliveries, event as an_event, fold, people, progress

NOON = datetime(2025, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = Window(NOON - 7 * DAY, None, NOON - 14 * DAY, NOON - 7 * DAY)
RULES = rules_of(
    [
        Weight("progress", "", 1), Weight("module", "", 20), Weight("course", "", 100),
        Weight("quiz", "", 30), Weight("first_try", "", 15), Weight("event", "deal.won", 50),
    ]
)  # fmt: skip
BOARD = Board(window=WEEK, rules=RULES)
DANA = "dana@x.com"


def board(store: Engine, board: Board = BOARD) -> dict[str, tuple[int, float, float]]:
    """person → (rank, score, score_before)."""
    with store.connect() as connection:
        rows = leaderboard.learners(connection, "score", board)
    return {row.person: (row.rank, row.score, row.score_before) for row in rows}


def completed(key: str, user: str, course: str, days_ago: float) -> Fact:
    return Completed("lessonly", key, user, course, course.upper(), None, NOON - days_ago * DAY)


def tried(key: str, pct: float, days_ago: float, passed: bool | None = None) -> Fact:
    at = NOON - days_ago * DAY
    return Attempted(V, key, "dana", "q-1", "Pricing", pct, 100, passed, True, at)


def acted(key: str, person: str, kind: str, days_ago: float) -> Fact:
    return Acted("standard-webhooks", key, person, kind, NOON - days_ago * DAY)


def test_a_learner_who_only_completes_courses_is_on_the_board_of_scores(store: Engine) -> None:
    fold(store, [Identified("lessonly", "7", DANA, "Dana", NOON), completed("c", "7", "a", 1)])
    assert board(store) == {DANA: (1, 100, 0)}
    with store.connect() as connection:
        assert leaderboard.learners(connection, "gained", BOARD) == []


def test_a_course_scores_at_its_first_completion_only(store: Engine) -> None:
    fold(store, [completed("c-2", "7", "a", 1), completed("c-1", "7", "a", 9)])
    fold(store, [completed("c-3", "7", "b", 2)])
    assert board(store) == {"lessonly 7": (1, 100, 100)}


def test_a_quiz_scores_at_its_first_pass_and_more_at_the_first_try(store: Engine) -> None:
    people(store, ("dana", "west"))
    fold(store, [tried("a", 60, 3), tried("b", 90, 2), tried("c", 95, 1)])
    assert board(store)[DANA][1] == 30
    fold(store, [tried("first", 80, 5)])
    assert board(store)[DANA][1] == 45


def test_a_practice_run_passes_no_quiz(store: Engine) -> None:
    people(store, ("dana", "west"))
    fold(store, [tried("a", 90, 3, passed=False)])
    attempts(store, {"user_id": "dana", "graded": False, "score": 10, "event_key": "practice"})
    assert board(store) == {}


@pytest.mark.parametrize(
    ("rule", "pct", "passed", "points"),
    [
        ("either", 90, None, 30), ("either", 90, False, 0), ("either", 10, True, 0),
        ("threshold", 90, False, 30), ("threshold", 10, True, 0),
        ("vendor", 90, False, 0), ("vendor", 10, True, 30), ("vendor", 10, None, 0),
    ],
)  # fmt: skip
def test_a_quiz_is_passed_where_coaching_says_so(
    store: Engine, rule: CoachingRule, pct: float, passed: bool | None, points: float
) -> None:
    people(store, ("dana", "west"))
    fold(store, [tried("a", pct, 1, passed)])
    by_rule = BOARD._replace(rules=rules_of([Weight("quiz", "", 30)], judged_by=rule))
    assert board(store, by_rule) == ({DANA: (1, points, 0)} if points else {})
    with store.connect() as connection:
        found = coaching.item(connection, Filters(rule=rule), Taker(V, "dana", "q-1"))
    assert found is not None
    assert found.passes == bool(points)


def test_an_event_counts_for_the_person_with_its_address_and_for_no_customer(store: Engine) -> None:
    people(store, ("dana", "west"))
    fold(store, [acted("e-1", DANA, "deal.won", 1), acted("e-2", DANA, "deal.lost", 1)])
    fold(store, [acted("e-1", DANA, "deal.won", 1), acted("e-3", "buyer@else.com", "deal.won", 1)])
    assert board(store) == {DANA: (1, 50, 0)}


def test_a_team_keeps_the_points_of_its_former_member(store: Engine) -> None:
    fold(store, [Provisioned(V, "dana", DANA, None, None, "west", NOON - 90 * DAY)])
    fold(store, [Provisioned(V, "dana", DANA, None, None, "east", NOON - 3 * DAY)])
    fold(store, [acted("e-1", DANA, "deal.won", 5), acted("e-2", DANA, "deal.won", 1)])
    fold(store, [acted("e-3", DANA, "deal.won", 1)])
    with store.connect() as connection:
        rows = team_boards.teams(connection, "score", BOARD)
        assert {row.team_id: (row.members, row.total) for row in rows} == {
            "west": (1, 50),
            "east": (1, 100),
        }


def test_a_vendor_and_a_module_leave_only_their_own_points(store: Engine) -> None:
    people(store, ("dana", "west"))
    progress(store, ("dana", "m-1", NOON.date(), 100, 0), ("dana", "m-2", NOON.date(), 10, 0))
    fold(store, [acted("e-1", DANA, "deal.won", 1)])
    assert board(store)[DANA][1] == 180
    assert board(store, BOARD._replace(module=(V, "m-1")))[DANA][1] == 120
    assert board(store, BOARD._replace(who=Who(vendor=V)))[DANA][1] == 130


def test_each_row_of_an_explained_score_names_what_when_and_by_which_delivery(
    store: Engine,
) -> None:
    people(store, ("dana", "west"))
    deliveries(store, {"event_key": "p"}, {"event_key": "c"})
    an_event(store, "p", 1)
    fold(store, [Progressed(V, "dana", "m-1", "Discovery", 100, 0, NOON)])
    with store.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE event SET user_id = 'dana', payload = '{\"moduleId\": \"m-1\"}'"
        )
    fold(store, [tried("c", 90, 1)])
    with store.connect() as connection:
        found = scoring.points(connection, RULES, WEEK, DANA)
    explained = [(one.kind, one.what, one.points, one.delivery_id) for one in found]
    assert explained == [
        ("module", "Discovery", 20, 1),
        ("progress", "Discovery", 100, 1),
        ("first_try", "Pricing", 15, None),
        ("quiz", "Pricing", 30, None),
    ]
    assert [one.at for one in found] == [NOON, NOON, NOON - DAY, NOON - DAY]


def test_weights_are_set_together_and_the_audit_log_has_both(store: Engine) -> None:
    with store.begin() as connection:
        assert scoring.rules(connection) == DEFAULT
        scoring.set_rules(connection, "ada@x.com", RULES)
        assert scoring.rules(connection) == RULES
        scoring.set_rules(connection, "ada@x.com", rules_of([Weight("course", "", 5)]))
        scoring.set_rules(connection, "ada@x.com", rules_of([Weight("course", "", 5)]))
    assert [one.kind for one in stores.rows(store, ScoreWeight)] == ["course"]
    first, second = stores.rows(store, AuditLog)
    assert (first.actor, first.action) == ("ada@x.com", "set_weights")
    assert second.detail.endswith("deal.won 50 → course 5")


def test_a_preview_is_the_board_by_rules_that_are_not_stored(store: Engine) -> None:
    people(store, ("dana", "west"))
    fold(store, [acted("e-1", DANA, "deal.won", 1)])
    preview = BOARD._replace(rules=rules_of([Weight("event", "deal.won", 7)]))
    assert board(store, preview)[DANA][1] == 7
    assert stores.count(store, ScoreWeight) == 0


# The reference

users = st.sampled_from(["u-1", "u-2"])
moments = st.integers(-14 * 24, 0).map(lambda hours: NOON + timedelta(hours=hours, minutes=1))
keys = st.integers(0, 10_000)
facts = st.one_of(
    st.builds(
        Progressed, st.just(V), users, st.sampled_from(["m-1", "m-2"]), st.none(),
        st.sampled_from([10.0, 33.3, 100.0]), st.just(0), moments,
    ),
    st.builds(
        lambda user, course, at, key: Completed(V, f"c{key}", user, course, None, None, at),
        users, st.sampled_from(["a", "b"]), moments, keys,
    ),
    st.builds(
        lambda user, pct, passed, graded, at, key: Attempted(
            V, f"q{key}", user, "q-1", None, pct, 100, passed, graded, at
        ),
        users, st.sampled_from([10, 70, 100]), st.sampled_from([None, True, False]),
        st.booleans(), moments, keys,
    ),
    st.builds(
        lambda user, kind, at, key: Acted("crm", f"a{key}", f"{user}@x.com", kind, at),
        users, st.sampled_from(["deal.won", "deal.lost"]), moments, keys,
    ),
)  # fmt: skip
weights = st.lists(
    st.sampled_from(
        [
            Weight("progress", "", 2), Weight("module", "", 20), Weight("course", "", 100),
            Weight("quiz", "", 30), Weight("first_try", "", 15), Weight("event", "deal.won", 50),
            Weight("event", "deal.lost", 0.25),
        ]
    ),
    min_size=1, unique=True,
)  # fmt: skip


def once(facts: Iterable[Any]) -> list[Any]:
    """The first of each event key, as the store keeps it."""
    found: dict[Any, Any] = {}
    for one in facts:
        key = getattr(one, "event_key", None)
        found.setdefault(("key", key) if key else one, one)
    return list(found.values())


def scored(user: str, facts: Sequence[Any], rules: Rules) -> list[tuple[datetime, float]]:
    """(at, points) of all that ever scored for a user."""
    own = [one for one in facts if getattr(one, "user_id", None) == user]
    found: list[tuple[datetime, float]] = []
    modules, courses = defaultdict(list), defaultdict(list)
    for one in own:
        if isinstance(one, Progressed):
            modules[one.module_id].append(one)
        elif isinstance(one, Completed):
            courses[one.course_id].append(one.completed_at)
    for steps in modules.values():
        slots = {one.updated_at.replace(minute=0) for one in steps}
        seen = 0.0
        for slot in sorted(slots):
            pct = max(one.progress_pct for one in steps if one.updated_at < slot + DAY / 96)
            found.append((slot, rules.points("progress") * (pct - seen)))
            if seen < 100 <= pct:
                found.append((slot, rules.points("module")))
            seen = pct
    found += [(min(times), rules.points("course")) for times in courses.values()]
    tries = sorted(
        (one for one in own if isinstance(one, Attempted) and one.graded),
        key=lambda one: (one.submitted_at, one.event_key),
    )
    passes = [one for one in tries if one.passed is not False and one.score >= 70]
    found += [(one.submitted_at, rules.points("quiz")) for one in passes[:1]]
    found += [(one.submitted_at, rules.points("first_try")) for one in tries[:1] if one in passes]
    for one in facts:
        if isinstance(one, Acted) and one.person == f"{user}@x.com":
            found.append((one.happened_at, rules.events().get(one.kind, 0)))
    return found


def within(found: list[tuple[datetime, float]], since: Any, until: Any) -> float:
    return round(
        sum(p for at, p in found if (not since or at >= since) and (not until or at < until)), 6
    )


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(st.lists(facts, min_size=1, max_size=20), weights, st.sampled_from([WEEK, Window()]))
def test_a_score_is_what_the_reference_says_and_its_explanation_adds_up(
    store: Engine, facts: list[Fact], weights: list[Weight], window: Window
) -> None:
    rules, kept = rules_of(weights), once(facts)
    people = [Provisioned(V, u, f"{u}@x.com", None, None, None, NOON) for u in ("u-1", "u-2")]
    with store.connect() as connection, connection.begin() as transaction:
        project(connection, [*people, *kept])
        rows = leaderboard.learners(connection, "score", Board(window=window, rules=rules))
        for row in rows:
            found = scored(row.person.removesuffix("@x.com"), kept, rules)
            since, until, before, before_until = window
            assert row.score == within(found, since, until)
            assert row.score_before == (within(found, before, before_until) if before else 0)
            explained = scoring.points(connection, rules, window, row.person)
            assert round(sum(one.points for one in explained), 6) == row.score
        shown = {row.person for row in rows}
        for user in ("u-1", "u-2"):
            if within(scored(user, kept, rules), window.since, window.until):
                assert f"{user}@x.com" in shown
        transaction.rollback()
