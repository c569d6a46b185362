"""Who needs coaching, over small tables worked out by hand."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from shared.facts import Identified
from shared.models import QuizThreshold
from shared.queries import coaching, coaching_states, quizzes as quiz_queries, rows_of
from shared.queries.people import Who
from shared.queries.quiz_standings import Filters, Taker
from shared.setting_types import CoachingRule
from tests.shared.tables import NOON, V, add, attempts, cases, fold, people

YESTERDAY = NOON - timedelta(days=1)


@pytest.fixture
def connection(store: Engine) -> Iterator[Connection]:
    with store.connect() as connection:
        yield connection


def low(connection: Connection, default: float = 70, **filters: Any) -> list[str]:
    """The learners of new items."""
    wanted = Filters(default_pct=default, **filters)
    return [row.user_id for row in coaching.items(connection, wanted, "new")]


def only(connection: Connection, view: str = "all", **filters: Any) -> Any:
    (row,) = coaching.items(connection, Filters(**filters), view)
    return row


def test_only_the_latest_graded_score_decides(store: Engine, connection: Connection) -> None:
    attempts(
        store,
        {"user_id": "better", "score": 3, "submitted_at": YESTERDAY},
        {"user_id": "better", "score": 9},
        {"user_id": "worse", "score": 9, "submitted_at": YESTERDAY},
        {"user_id": "worse", "score": 3},
    )
    assert low(connection) == ["worse"]


def test_a_row_tells_the_latest_and_the_best_score_and_how_many_tries(
    store: Engine, connection: Connection
) -> None:
    people(store, ("u-1", "west"))
    attempts(
        store,
        {"score": 6, "submitted_at": YESTERDAY - timedelta(days=1)},
        {"score": 2, "submitted_at": YESTERDAY},
        {"score": 4},
        {"quiz_id": "q-2", "score": 10},
    )
    row = only(connection)
    assert (row.vendor, row.user_id, row.email, row.team_id) == (V, "u-1", "u-1@x.com", "west")
    assert (row.quiz_id, row.quiz_name, row.tries, row.passed) == ("q-1", "Pricing", 3, None)
    assert (row.latest_pct, row.best_pct) == (40, 60)
    assert (row.threshold_pct, row.submitted_at, row.key) == (70, NOON, f"{V}/u-1")
    assert (row.state, row.again, row.case_id) == ("new", False, None)


@pytest.mark.parametrize(("score", "is_low"), [(6.9, True), (7, False), (7.1, False)])
def test_a_score_is_low_only_under_the_threshold(
    store: Engine, connection: Connection, score: float, is_low: bool
) -> None:
    attempts(store, {"score": score})
    assert bool(low(connection, default=70)) is is_low


def test_a_practice_run_never_counts(store: Engine, connection: Connection) -> None:
    practice = {"graded": False, "score": None, "max_score": None}
    attempts(
        store,
        practice | {"user_id": "only-practice"},
        practice | {"user_id": "practised-later"},
        {"user_id": "practised-later", "score": 3, "submitted_at": YESTERDAY},
        practice | {"user_id": "scored-practice", "score": 1, "max_score": 10, "passed": False},
    )
    row = only(connection)
    assert (row.user_id, row.tries, row.practice_runs) == ("practised-later", 1, 1)


def test_a_quiz_may_have_a_threshold_of_its_own(store: Engine, connection: Connection) -> None:
    strict = {"vendor": V, "quiz_id": "strict", "threshold_pct": 90}
    mild = {"vendor": V, "quiz_id": "mild", "threshold_pct": 40}
    add(store, QuizThreshold, [strict, mild])
    for quiz in ("strict", "mild", "usual"):
        attempts(store, {"quiz_id": quiz, "score": 8, "event_key": quiz, "user_id": f"u-{quiz}"})
    assert low(connection, default=70) == ["u-strict"]
    row = only(connection)
    assert row.threshold_pct == 90


def test_what_the_vendor_calls_not_passed_is_low_whatever_the_score(
    store: Engine, connection: Connection
) -> None:
    attempts(
        store,
        {"user_id": "high", "score": 9, "passed": False},
        {"user_id": "none", "score": None, "max_score": None, "passed": False},
        {"user_id": "fine", "score": 9, "passed": True},
    )
    assert low(connection) == ["none", "high"]


def test_a_low_score_counts_even_if_the_vendor_calls_it_passed(
    store: Engine, connection: Connection
) -> None:
    attempts(store, {"score": 6, "passed": True})
    assert low(connection, default=70) == ["u-1"]


def test_of_two_attempts_at_one_moment_one_counts(store: Engine, connection: Connection) -> None:
    attempts(store, {"event_key": "a", "score": 3}, {"event_key": "b", "score": 9})
    assert low(connection) == []


def test_leavers_need_no_coaching_and_the_unrostered_may(
    store: Engine, connection: Connection
) -> None:
    people(store, ("-gone", "west"), ("here", "west"))
    attempts(store, {"user_id": "gone"}, {"user_id": "here"}, {"user_id": "unknown"})
    assert low(connection) == ["here", "unknown"]


def test_the_lowest_score_comes_first(store: Engine, connection: Connection) -> None:
    attempts(
        store,
        {"user_id": "b", "score": 5},
        {"user_id": "a", "score": 6},
        {"user_id": "c", "score": 1},
    )
    assert low(connection) == ["c", "b", "a"]


def test_a_threshold_set_here_comes_before_the_vendors_and_that_before_the_default(
    store: Engine, connection: Connection
) -> None:
    add(store, QuizThreshold, [{"vendor": V, "quiz_id": "both", "threshold_pct": 30}])
    for quiz, retake in (("both", 90), ("vendors", 90), ("neither", None)):
        attempts(store, {"quiz_id": quiz, "event_key": quiz, "retake_pct": retake})
    limits = {row.quiz_id: row.threshold_pct for row in quiz_queries.quizzes(connection, 50)}
    assert limits == {"both": 30, "vendors": 90, "neither": 50}
    assert only(connection, default_pct=50).quiz_id == "vendors"


def test_the_list_can_be_limited_to_a_time_a_team_a_quiz_and_a_vendor(
    store: Engine, connection: Connection
) -> None:
    people(store, ("a", "west"), ("b", "east"))
    attempts(
        store,
        {"user_id": "a"},
        {"user_id": "b", "quiz_id": "q-2", "submitted_at": YESTERDAY},
        {"vendor": "lessonly", "user_id": "c", "submitted_at": YESTERDAY},
    )
    assert low(connection, since=NOON) == ["a"]
    assert sorted(low(connection, since=YESTERDAY)) == ["a", "b", "c"]
    assert low(connection, who=Who(teams=("east",))) == ["b"]
    assert low(connection, quiz=(V, "q-1")) == ["a"]
    assert low(connection, who=Who(vendor="lessonly")) == ["c"]
    assert len(coaching.items(connection, Filters(), limit=1)) == 1


def test_one_person_at_two_vendors_is_low_only_where_they_are(
    store: Engine, connection: Connection
) -> None:
    people(store, ("a", "west"))
    fold(store, [Identified("lessonly", "7", "A@x.com", "Ada", NOON)])
    attempts(store, {"user_id": "a"}, {"vendor": "lessonly", "user_id": "7", "score": 9})
    row = only(connection)
    assert (row.vendor, row.name, row.team_id) == (V, "Ada", "west")


def test_each_graded_quiz_tells_its_takers_and_how_many_are_low(
    store: Engine, connection: Connection
) -> None:
    people(store, ("-gone", None))
    attempts(
        store,
        {"user_id": "a", "score": 9},
        {"user_id": "b", "score": 9, "submitted_at": YESTERDAY},
        {"user_id": "b", "score": 2},
        {"user_id": "gone", "score": 1},
        {"user_id": "a", "quiz_id": "q-2", "quiz_name": "Closing", "score": 10},
        {"user_id": "a", "quiz_id": "q-3", "graded": False, "score": None, "max_score": None},
    )
    quizzes = [
        (row.quiz_id, row.quiz_name, row.takers, row.low, row.share)
        for row in quiz_queries.quizzes(connection, 70)
    ]
    assert quizzes == [("q-2", "Closing", 1, 0, 0), ("q-1", "Pricing", 2, 1, 50)]


def test_a_score_on_the_threshold_is_not_under_it_for_the_noise_of_fractions(
    store: Engine, connection: Connection
) -> None:
    attempts(store, {"score": 0.57, "max_score": 1})
    assert low(connection, default=57) == []


def test_the_counts_are_of_all_even_where_the_list_is_cut_off(
    store: Engine, connection: Connection
) -> None:
    attempts(
        store,
        {"user_id": "a", "quiz_id": "q-1"},
        {"user_id": "a", "quiz_id": "q-2"},
        {"user_id": "b", "quiz_id": "q-1", "submitted_at": YESTERDAY},
        {"user_id": "c", "score": 9},
    )
    assert len(coaching.items(connection, Filters(), "new", limit=1)) == 1
    counts = coaching.counts(connection, Filters(), recent=NOON, today=NOON.date())
    assert (counts.new, counts.people, counts.quizzes, counts.fresh) == (3, 2, 2, 2)


# States


BEFORE, AFTER = NOON - timedelta(hours=1), NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    ("score", "case", "state"),
    [
        (5, {"opened_at": AFTER}, "open"),
        (5, {"opened_at": BEFORE}, "open"),
        (5, {"opened_at": BEFORE, "status": "in_progress"}, "in_progress"),
        (9, {"opened_at": BEFORE, "status": "in_progress"}, "ready"),
        (9, {"opened_at": AFTER}, "open"),
        (9, {"opened_at": BEFORE, "status": "resolved", "closed_at": AFTER}, "closed"),
        (5, {"opened_at": BEFORE, "status": "dismissed", "closed_at": AFTER}, "closed"),
        (5, {"opened_at": BEFORE - timedelta(1), "status": "resolved", "closed_at": BEFORE}, "new"),
        (9, {"opened_at": BEFORE - timedelta(1), "status": "resolved", "closed_at": BEFORE},
         "closed"),
        (9, None, None),
    ],
)  # fmt: skip
def test_the_latest_attempt_and_the_latest_case_make_the_state(
    store: Engine,
    connection: Connection,
    score: float,
    case: dict[str, Any] | None,
    state: str | None,
) -> None:
    attempts(store, {"score": score})
    cases(store, *([case] if case else []))
    rows = coaching.items(connection, Filters())
    assert [row.state for row in rows] == ([state] if state else [])
    assert [row.again for row in rows] == ([bool(case) and state == "new"] if state else [])
    item = coaching.item(connection, Filters(), Taker(V, "u-1", "q-1"))
    assert item is not None
    assert item.state == state


def test_a_new_fail_after_a_round_shows_the_newest_round_only(
    store: Engine, connection: Connection
) -> None:
    attempts(store, {})
    cases(
        store,
        {"opened_at": YESTERDAY, "status": "resolved", "closed_at": BEFORE, "owner": "Ines"},
        {"opened_at": AFTER, "owner": "Paul"},
    )
    row = only(connection)
    assert (row.state, row.owner, row.case_id) == ("open", "Paul", 2)
    assert [one.owner for one in coaching.rounds(connection, row.taker)] == ["Paul", "Ines"]


def test_each_view_lists_its_states_and_the_counts_agree(
    store: Engine, connection: Connection
) -> None:
    attempts(
        store,
        *({"user_id": user} for user in "abc"),
        *({"user_id": user, "score": 9} for user in "def"),
    )
    cases(
        store,
        {"user_id": "b", "due": NOON.date() - timedelta(days=1)},
        {"user_id": "c", "status": "in_progress", "due": NOON.date()},
        {"user_id": "d", "opened_at": BEFORE},
        {"user_id": "e", "status": "resolved", "opened_at": BEFORE, "closed_at": AFTER},
    )
    views = {
        view: [row.user_id for row in coaching.items(connection, Filters(), view)]
        for view in coaching.VIEWS
    }
    assert views.pop("all") == ["a", "b", "c", "d", "e"]
    assert views == {"new": ["a"], "progress": ["b", "c"], "ready": ["d"], "closed": ["e"]}
    counts = coaching.counts(connection, Filters(), recent=AFTER, today=NOON.date())
    assert (counts.new, counts.fresh, counts.progress, counts.overdue) == (1, 0, 2, 1)
    assert (counts.ready, counts.closed, counts.all) == (1, 1, 5)


def test_an_old_promise_stays_in_the_queue_whatever_the_window(
    store: Engine, connection: Connection
) -> None:
    attempts(store, {"user_id": "a"}, {"user_id": "b"})
    cases(store, {"user_id": "a", "owner": "Ines"})
    assert only(connection, since=AFTER).user_id == "a"
    assert only(connection, owner="Ines").user_id == "a"
    assert coaching.owners(connection) == ["Ines"]


def test_a_closed_case_is_in_the_window_by_the_time_of_its_end(
    store: Engine, connection: Connection
) -> None:
    attempts(store, {"user_id": "a", "submitted_at": BEFORE}, {"user_id": "b"})
    ended = {"status": "dismissed", "opened_at": BEFORE}
    cases(
        store,
        ended | {"user_id": "a", "closed_at": AFTER},
        ended | {"user_id": "b", "closed_at": NOON},
    )
    found = coaching.items(connection, Filters(since=AFTER), "closed")
    assert [row.user_id for row in found] == ["a"]
    counts = coaching.counts(connection, Filters(since=AFTER), NOON, NOON.date())
    assert (counts.closed, counts.all) == (1, 1)


# Quiz problems and people problems


def takers(low: int, fine: int, quiz: str = "q-1") -> list[dict[str, Any]]:
    return [
        {"quiz_id": quiz, "user_id": f"{quiz}-{n}", "event_key": f"{quiz}-{n}",
         "score": 5 if n < low else 9}
        for n in range(low + fine)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("low", "fine", "problem"), [(3, 2, True), (5, 0, True), (4, 0, False), (3, 3, False)]
)
def test_where_most_of_five_or_more_fail_the_quiz_is_the_problem(
    store: Engine, connection: Connection, low: int, fine: int, problem: bool
) -> None:
    attempts(store, *takers(low, fine))
    (row,) = quiz_queries.quizzes(connection, 70)
    assert row.problem is problem
    counts = coaching.counts(connection, Filters(), recent=NOON, today=NOON.date())
    assert (counts.new, counts.hidden) == ((0, low) if problem else (low, 0))
    assert len(coaching.items(connection, Filters(), "new")) == counts.new == counts.all


def test_people_at_such_a_quiz_are_listed_when_asked_for_or_flagged(
    store: Engine, connection: Connection
) -> None:
    attempts(store, *takers(5, 0))
    cases(store, {"user_id": "q-1-0"})
    assert len(low(connection, problems=True)) == len(low(connection, quiz=(V, "q-1"))) == 4
    assert only(connection).state == "open"


def test_a_small_team_at_such_a_quiz_is_hidden_too(store: Engine, connection: Connection) -> None:
    people(store, ("q-1-0", "west"))
    attempts(store, *takers(5, 0))
    assert low(connection, who=Who(teams=("west",))) == []


def test_who_is_low_at_three_quizzes_is_a_person_to_look_at(
    store: Engine, connection: Connection
) -> None:
    several = [{"quiz_id": f"q-{n}", "event_key": f"a{n}", "score": n} for n in range(3)]
    two = [{"quiz_id": f"q-{n}", "event_key": f"b{n}"} for n in range(2)]
    attempts(store, *(row | {"user_id": "a"} for row in several))
    attempts(store, *(row | {"user_id": "b"} for row in two))
    cases(store, {"user_id": "a", "quiz_id": "q-1"})
    (row,) = coaching.people_failing(connection, Filters())
    assert (row.key, row.low, row.new, row.lowest_pct) == (f"{V}/a", 3, 2, 0)
    first, _ = coaching.people_failing(connection, Filters(), least=2)
    assert coaching.people_failing(connection, Filters(), least=2, limit=1) == [first]
    assert (row.of, first.of) == (1, 2)
    found = coaching.low_of(connection, Filters(), [row.person])
    assert [(one.quiz_id, one.state) for one in found] == [
        ("q-0", "new"), ("q-1", "open"), ("q-2", "new"),
    ]  # fmt: skip


def test_a_quiz_that_most_people_fail_does_not_count_for_the_person(
    store: Engine, connection: Connection
) -> None:
    attempts(store, *takers(5, 0))
    others = [{"quiz_id": f"r-{n}", "event_key": f"r{n}", "score": n} for n in range(2)]
    attempts(store, *(row | {"user_id": "q-1-0"} for row in others))
    assert not coaching.people_failing(connection, Filters())
    (row,) = coaching.people_failing(connection, Filters(problems=True))
    assert row.low == 3
    (row,) = coaching.people_failing(connection, Filters(), least=2)
    found = coaching.low_of(connection, Filters(), [row.person])
    assert [one.quiz_id for one in found] == ["r-0", "r-1"]


# Thresholds


def test_a_preview_tells_how_many_another_threshold_would_flag(
    store: Engine, connection: Connection
) -> None:
    people(store, ("-gone", None))
    attempts(store, *({"user_id": f"u-{score}", "score": score} for score in range(1, 11)),
             {"user_id": "gone", "score": 1}, {"user_id": "refused", "score": 10, "passed": False},
             *takers(3, 0, "q-2"))  # fmt: skip
    preview = quiz_queries.preview(connection, 70, (V, "q-1"), 85)
    assert tuple(preview) == (11, 7, 9)


def test_a_preview_without_a_threshold_of_its_own_is_by_the_vendors_or_the_default(
    store: Engine, connection: Connection
) -> None:
    for quiz, retake in (("q-1", 60), ("q-2", None)):
        attempts(store, {"quiz_id": quiz, "score": 6.5, "retake_pct": retake, "event_key": quiz})
        add(store, QuizThreshold, [{"vendor": V, "quiz_id": quiz, "threshold_pct": 90}])
    assert tuple(quiz_queries.preview(connection, 70, (V, "q-1"), None)) == (1, 1, 0)
    assert tuple(quiz_queries.preview(connection, 70, (V, "q-2"), None)) == (1, 1, 1)


# What stands behind an item


def test_the_last_scores_come_oldest_first_without_practice(
    store: Engine, connection: Connection
) -> None:
    days = [NOON - timedelta(days=n) for n in range(10)]
    attempts(
        store,
        *({"score": n, "submitted_at": day} for n, day in enumerate(days)),
        {"graded": False, "score": 1, "submitted_at": AFTER},
        {"user_id": "other"},
    )
    taker = Taker(V, "u-1", "q-1")
    assert coaching.scores(connection, [taker]) == {taker: ([70, 60, 50, 40, 30, 20, 10, 0], 0)}
    assert coaching.scores(connection, []) == {}


def test_the_latest_score_without_a_maximum_is_read_as_sent(
    store: Engine, connection: Connection
) -> None:
    attempts(store, {"score": 4, "submitted_at": YESTERDAY}, {"score": 17, "max_score": None})
    taker = Taker(V, "u-1", "q-1")
    assert coaching.scores(connection, [taker]) == {taker: ([40], 17)}


def test_all_attempts_of_an_item_are_listed_practice_too(
    store: Engine, connection: Connection
) -> None:
    attempts(
        store,
        {"score": 4, "submitted_at": YESTERDAY},
        {"graded": False, "score": None, "max_score": None},
        {"user_id": "other"},
    )
    found = coaching.attempts(connection, Taker(V, "u-1", "q-1"), 70)
    assert [(row.pct, row.result) for row in found] == [(None, "practice"), (40, "low")]


@pytest.mark.parametrize(
    ("score", "passed", "result"),
    [(7, None, "passed"), (6.9, None, "low"), (9, False, "low"), (6, True, "low"),
     (None, True, "passed"), (None, False, "low"), (None, None, None)],
)  # fmt: skip
def test_by_default_an_attempt_is_low_under_the_threshold_or_if_the_vendor_says_so(
    store: Engine, connection: Connection,
    score: float | None, passed: bool | None, result: str | None,
) -> None:  # fmt: skip
    attempts(store, {"score": score, "passed": passed})
    (found,) = coaching.attempts(connection, Taker(V, "u-1", "q-1"), 70)
    assert found.result == result


# Which rules, threshold or vendor


UNDER, OVER, NO_MAX = {"score": 6.5}, {"score": 9}, {"score": 17, "max_score": None}


@pytest.mark.parametrize(
    ("attempt", "passed", "low_by"),
    [
        (UNDER, True, {"either", "threshold"}),
        (UNDER, None, {"either", "threshold", "vendor"}),
        (UNDER, False, {"either", "threshold", "vendor"}),
        (OVER, False, {"either", "vendor"}),
        (OVER, True, set()),
        (NO_MAX, None, set()),
        (NO_MAX, True, set()),
        (NO_MAX, False, {"either", "threshold", "vendor"}),
    ],
)
def test_each_rule_decides_alike_in_the_queue_the_quizzes_and_the_attempts(
    store: Engine, connection: Connection,
    attempt: dict[str, Any], passed: bool | None, low_by: set[CoachingRule],
) -> None:  # fmt: skip
    attempts(store, attempt | {"passed": passed})
    taker = Taker(V, "u-1", "q-1")
    rules: tuple[CoachingRule, ...] = ("either", "threshold", "vendor")
    by_queue = {rule for rule in rules if low(connection, rule=rule)}
    by_quiz = {rule for rule in rules if quiz_queries.quizzes(connection, 70, rule)[0].low}
    by_attempt = {
        rule
        for rule in rules
        if coaching.attempts(connection, taker, 70, rule=rule)[0].result == "low"
    }
    assert by_queue == by_quiz == by_attempt == low_by


# What a manager reads


def test_the_quizzes_of_a_team_have_its_own_figures_and_the_problem_of_all(
    store: Engine, connection: Connection
) -> None:
    people(store, ("q-1-0", "west"), ("q-1-4", "west"))
    attempts(store, *takers(4, 1), {"quiz_id": "elsewhere", "user_id": "other"})
    (row,) = quiz_queries.quizzes(connection, 70, who=Who(teams=("west",)))
    assert (row.quiz_id, row.takers, row.low, row.share) == ("q-1", 2, 1, 50)
    assert (row.problem, row.all_takers, row.all_share) == (True, 5, 80)


def test_of_another_owners_case_a_manager_reads_neither_words_nor_names(
    store: Engine, connection: Connection
) -> None:
    ours = {"owner": "mo", "notes": "private", "outcome": "talked", "opened_by": "mo"}
    attempts(store, {"user_id": "a"}, {"user_id": "b"})
    cases(store, ours | {"user_id": "a"}, ours | {"user_id": "b", "owner": "lead"})
    own, other = coaching.items(connection, Filters(manager="mo"))
    assert (own.owner, own.outcome, own.notes) == ("mo", "talked", None)
    assert (own.opened_by, own.updated_by) == ("mo", coaching_states.OTHER_OWNER)
    assert (other.owner, other.outcome, other.notes) == (coaching_states.OTHER_OWNER, None, None)


def test_a_result_without_a_column_of_its_type_is_refused(connection: Connection) -> None:
    with pytest.raises(TypeError, match="quiz_id"):
        rows_of(Taker, connection.execute(text("SELECT 1 AS vendor, 2 AS user_id")))
    with pytest.raises(TypeError, match="name"):
        rows_of(Taker, connection.execute(text("SELECT 1 AS vendor, 2 AS user_id, 3 AS name")))
