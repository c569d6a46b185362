"""One person, over small tables worked out by hand."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from shared.database import open_engine
from shared.facts import Completed, Deprovisioned, Expired, Identified, Progressed, Provisioned
from shared.models import CoachingCase, Event, QuizThreshold
from shared.queries import learner
from shared.queries.people import Who
from shared.setting_types import CoachingRule
from tests.shared.tables import LONG_AGO, NOON, V, add, attempts, deliveries, fold, people, progress

YESTERDAY = NOON - timedelta(days=1)
DANA = "dana@x.com"


@pytest.fixture
def connection(store: Engine) -> Iterator[Connection]:
    with store.connect() as connection:
        yield connection


def test_a_person_is_found_by_any_of_their_accounts(store: Engine, connection: Connection) -> None:
    people(store, ("dana", "west"))
    fold(store, [Identified("lessonly", "7", "Dana@x.com", "Dana Brooks", NOON)])
    assert learner.person_at(connection, V, "dana") == DANA
    assert learner.person_at(connection, "lessonly", "7") == DANA
    assert learner.person_at(connection, "lessonly", "dana") is None
    accounts = learner.accounts(connection, DANA)
    assert [(row.vendor, row.user_id) for row in accounts] == [("lessonly", "7"), (V, "dana")]


def test_a_profile_is_given_only_for_a_person_of_the_asked_teams(
    store: Engine, connection: Connection
) -> None:
    people(store, ("-dana", "west"))
    with_leavers = Who(leavers=True)
    profile = learner.profile(connection, DANA, with_leavers)
    assert profile is not None
    assert (profile.email, profile.team_id, bool(profile.active)) == (DANA, "west", False)
    assert learner.profile(connection, DANA, with_leavers._replace(teams=("east",))) is None
    assert learner.profile(connection, DANA, with_leavers._replace(teams=("west",))) is not None
    assert learner.profile(connection, "absent", with_leavers) is None


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("BROOKS", ["dana@x.com"]),
        ("özil", ["mesut@x.com"]),
        ("@X.com", ["dana@x.com", "ines@x.com", "mesut@x.com", "gone@x.com"]),
        ("u-7", ["dana@x.com"]),
        ("%", []),
        ("a_a", []),
    ],
)
def test_people_are_found_by_a_part_of_name_address_or_id(
    store: Engine, connection: Connection, words: str, found: list[str]
) -> None:
    people(store, ("dana", "west"), ("ines", "east"), ("-gone", "east"))
    fold(
        store,
        [
            Identified("lessonly", "u-7", "dana@x.com", "Dana Brooks", NOON),
            Identified("lessonly", "u-8", "mesut@x.com", "Mesut Özil", NOON),
        ],
    )
    rows = learner.search(connection, words, Who(leavers=True))
    assert [row.email for row in rows] == found


def test_a_search_finds_only_those_who_may_be_asked_about(
    store: Engine, connection: Connection
) -> None:
    people(store, ("dana", "west"), ("ines", "east"))
    assert len(learner.search(connection, "x.com", Who(teams=("east",)))) == 1
    assert len(learner.search(connection, "x.com", Who(), limit=1)) == 1


def test_a_summary_counts_what_is_done_low_and_due(store: Engine, connection: Connection) -> None:
    people(store, ("dana", "west"))
    progress(store, ("dana", "m-1", NOON.date(), 100, 100), ("dana", "m-2", NOON.date(), 20, 40))
    attempts(
        store,
        {"user_id": "dana", "quiz_id": "low", "score": 5},
        {"user_id": "dana", "quiz_id": "led", "score": 5},
        {"user_id": "dana", "quiz_id": "failed", "score": 9, "passed": False},
        {"user_id": "dana", "quiz_id": "vendors", "score": 5, "retake_pct": 40},
        {"user_id": "dana", "quiz_id": "practised", "score": None, "graded": False},
        {"user_id": "other", "quiz_id": "low", "score": 1},
    )
    add(store, QuizThreshold, [{"vendor": V, "quiz_id": "led", "threshold_pct": 50}])
    fold(
        store,
        [
            Expired(V, "dana", "late", YESTERDAY, YESTERDAY),
            Expired(V, "dana", "soon", YESTERDAY, NOON + timedelta(days=3)),
            Expired(V, "dana", "far", YESTERDAY, None),
            Expired(V, "dana", "next", YESTERDAY, None, NOON + timedelta(days=3)),
        ],
    )
    summary = learner.summary(connection, DANA, 70, NOON)
    assert tuple(summary) == (2, 1, 60, 4, 2, 1, 1, 1, 0)


@pytest.mark.parametrize(("rule", "low"), [("either", 2), ("threshold", 1), ("vendor", 1)])
def test_a_summary_and_attempts_go_by_the_rule_of_the_coaching_queue(
    store: Engine, connection: Connection, rule: CoachingRule, low: int
) -> None:
    people(store, ("dana", "west"))
    attempts(
        store,
        {"user_id": "dana", "quiz_id": "under", "score": 6, "passed": True},
        {"user_id": "dana", "quiz_id": "over", "score": 9, "passed": False},
    )
    assert learner.summary(connection, DANA, 70, NOON, rule).low == low
    found = learner.attempts(connection, DANA, 70, rule=rule)
    assert [row.result for row in found].count("low") == low


def test_a_summary_of_nothing_is_noughts(store: Engine, connection: Connection) -> None:
    people(store, ("dana", "west"))
    assert tuple(learner.summary(connection, DANA, 70, NOON)) == (0, 0, None, 0, 0, 0, 0, 0, 0)


def test_progress_is_told_module_by_module_the_latest_first(
    store: Engine, connection: Connection
) -> None:
    people(store, ("dana", "west"))
    progress(
        store, ("dana", "m-1", YESTERDAY.date(), 80, 100), ("dana", "m-2", NOON.date(), 20, 40)
    )
    progress(store, ("other", "m-1", NOON.date(), 90, 100))
    found = [(r.module_name, r.progress_pct) for r in learner.modules(connection, DANA)]
    assert found == [("M-2", 20), ("M-1", 80)]


def test_an_attempt_comes_with_the_threshold_that_holds_for_its_quiz(
    store: Engine, connection: Connection
) -> None:
    people(store, ("dana", "west"))
    add(store, QuizThreshold, [{"vendor": V, "quiz_id": "led", "threshold_pct": 90}])
    attempts(
        store,
        {"user_id": "dana", "quiz_id": "led", "retake_pct": 50, "submitted_at": YESTERDAY},
        {"user_id": "dana", "quiz_id": "vendors", "retake_pct": 50, "submitted_at": NOON},
        {"user_id": "dana", "quiz_id": "usual", "score": None, "graded": False,
         "submitted_at": NOON + timedelta(hours=1)},
    )  # fmt: skip
    found = [
        (row.quiz_id, row.pct, row.threshold_pct, row.result)
        for row in learner.attempts(connection, DANA, 70)
    ]
    assert found == [
        ("usual", None, 70, "practice"),
        ("vendors", 50, 50, "passed"),
        ("led", 50, 90, "low"),
    ]


def test_a_vendors_word_counts_where_there_is_no_score(
    store: Engine, connection: Connection
) -> None:
    people(store, ("dana", "west"))
    attempts(
        store,
        *(
            {"user_id": "dana", "quiz_id": quiz, "score": None, "passed": passed}
            for quiz, passed in (("a", True), ("b", False), ("c", None))
        ),
    )
    found = {row.quiz_id: row.result for row in learner.attempts(connection, DANA, 70)}
    assert found == {"a": "passed", "b": "low", "c": None}


def test_completions_certificates_and_roster_are_those_of_all_accounts(
    store: Engine, connection: Connection
) -> None:
    fold(
        store,
        [
            Provisioned(V, "dana", DANA, None, "rep", "west", YESTERDAY),
            Deprovisioned(V, "dana", None, NOON, "moved"),
            Identified("lessonly", "7", DANA, "Dana", NOON),
            Completed(V, "c-1", "dana", "basics", "Basics", 90, YESTERDAY),
            Completed("lessonly", "c-2", "7", "l-1", "Lesson", None, NOON, "https://x.com/r"),
            Expired(V, "dana", "expert", YESTERDAY, None),
            Expired(V, "dana", "beginner", YESTERDAY, NOON),
        ],
    )
    completed = learner.completions(connection, DANA)
    assert [(r.course_name, r.score, r.report_url) for r in completed] == [
        ("Lesson", None, "https://x.com/r"),
        ("Basics", 90, None),
    ]
    certificates = learner.certificates(connection, DANA, NOON + timedelta(days=1))
    assert [(row.cert_name, row.state) for row in certificates] == [
        ("beginner", "overdue"),
        ("expert", "expired"),
    ]
    roster = [(r.kind, r.role, r.team_id, r.reason) for r in learner.roster(connection, DANA)]
    assert roster == [("left", None, None, "moved"), ("joined", "rep", "west", None)]


def test_active_rounds_of_coaching_come_first(store: Engine, connection: Connection) -> None:
    people(store, ("dana", "west"))
    attempts(store, {"user_id": "dana"})
    usual = {"vendor": V, "user_id": "dana", "quiz_id": "q-1", "opened_at": YESTERDAY,
             "opened_by": "lead", "updated_at": NOON, "updated_by": "lead",
             "version": 1}  # fmt: skip
    add(store, CoachingCase, [usual | {"id": 1, "status": "open", "closed_at": None}])
    add(store, CoachingCase, [usual | {"id": 2, "status": "resolved", "closed_at": NOON}])
    found = [(row.status, row.quiz_name) for row in learner.cases(connection, DANA, coaches=True)]
    assert found == [("open", "Pricing"), ("resolved", "Pricing")]
    assert learner.summary(connection, DANA, 70, NOON).coaching == 1


def test_events_link_to_their_delivery_while_it_is_kept(
    store: Engine, connection: Connection
) -> None:
    people(store, ("dana", "west"))
    deliveries(store, {"id": 1, "event_key": "e-1"})
    usual = {"vendor": V, "company_id": None, "user_id": "dana", "received_at": NOON,
             "payload": "{}"}  # fmt: skip
    add(
        store,
        Event,
        [
            usual | {"event_key": "e-1", "digest": "1", "type": "module.progress",
                     "occurred_at": YESTERDAY, "delivery_id": 1},
            usual | {"event_key": "e-2", "digest": "2", "type": "quiz.submitted",
                     "occurred_at": NOON, "delivery_id": 99},
        ],
    )  # fmt: skip

    def keys(**limits: object) -> list[tuple[str, int | None]]:
        rows = learner.events(connection, DANA, **limits)  # type: ignore[arg-type]
        return [(row.event_key, row.delivery_id) for row in rows]

    assert keys() == [("e-2", None), ("e-1", 1)]
    assert keys(event_types=["module.progress"]) == [("e-1", 1)]
    assert keys(event_types=[]) == []
    assert keys(since=NOON) == [("e-2", None)]
    assert keys(until=NOON) == [("e-1", 1)]
    assert learner.event_count(connection, DANA) == 2


def test_sqlite_looks_up_what_is_of_one_person_and_reads_no_whole_table(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    asked: list[tuple[str, Any]] = []
    event.listen(engine, "before_cursor_execute", lambda *statement: asked.append(statement[2:4]))
    with engine.connect() as connection:
        learner.event_count(connection, DANA)
        learner.attempts(connection, DANA, 70)
        plans = [
            str(row)
            for statement, values in asked[:]
            if statement.startswith("SELECT")
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]
    engine.dispose()
    assert plans
    assert not [plan for plan in plans if "SCAN" in plan]


@pytest.mark.parametrize(("days", "after_leaving"), [(-1, False), (1, True)])
def test_a_profile_says_that_a_learner_who_left_goes_on_learning(
    store: Engine, days: int, after_leaving: bool
) -> None:
    left = LONG_AGO + timedelta(days=1)
    people(store, ("-dana", "west"))
    fold(store, [Progressed(V, "dana", "m-1", None, 10, 0, left + timedelta(days=days))])
    with store.connect() as connection:
        row = learner.profile(connection, "dana@x.com", Who(leavers=True))
    assert row is not None
    assert bool(row.after_leaving) is after_leaving
