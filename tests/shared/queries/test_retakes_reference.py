"""Retakes out of histories, against one statement over all attempts: `retakes_in_sql`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import Engine

from receiver.readmodels.projections import READ_MODELS, project
from shared.bulk import table_of
from shared.facts import Attempted, Deprovisioned, Fact, Provisioned
from shared.models import AuditLog, CoachingCase, QuizThreshold
from shared.queries import retakes
from shared.queries.people import Who
from shared.queries.quiz_standings import Filters
from tests.shared.queries import retakes_in_sql
from tests.shared.tables import LONG_AGO

BEGIN = datetime(2025, 11, 17, 9, tzinfo=UTC)
VENDORS, QUIZZES, USERS = ("a", "b"), ("q-1", "q-2"), ("u-1", "u-2", "u-3")
TAKERS = [(vendor, user, quiz) for vendor in VENDORS for user in USERS for quiz in QUIZZES]
quick = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)


class World(NamedTuple):
    """Batches of facts as they are folded, cases, pass marks, and what is asked."""

    batches: Sequence[Sequence[Fact]]
    cases: Sequence[dict[str, Any]]
    marks: Sequence[dict[str, Any]]
    later_marks: Sequence[dict[str, Any]]
    asked: Sequence[Filters]


times = st.integers(0, 6).map(lambda number: BEGIN + timedelta(hours=number, microseconds=number))
takers = st.sampled_from(TAKERS[:8])
scores = st.tuples(
    st.none() | st.integers(0, 9), st.sampled_from([7, 7, 7, None]), st.none() | st.booleans(),
    st.sampled_from([True, True, True, False]), times,
)  # fmt: skip
pass_marks = st.lists(
    st.builds(
        lambda vendor, quiz, pct: {"vendor": vendor, "quiz_id": quiz, "threshold_pct": pct},
        st.sampled_from(VENDORS), st.sampled_from(QUIZZES),
        st.sampled_from([0.0, 30.0, 100 * 4 / 7, 70.0, 100.0]),
    ),
    unique_by=lambda row: (row["vendor"], row["quiz_id"]),
)  # fmt: skip
questions = st.builds(
    Filters,
    who=st.builds(
        Who,
        teams=st.none() | st.just(("west",)),
        vendor=st.none() | st.sampled_from(VENDORS),
        leavers=st.booleans(),
    ),
    quiz=st.none() | st.tuples(st.sampled_from(VENDORS), st.sampled_from(QUIZZES)),
    since=st.none() | times,
    default_pct=st.sampled_from([40, 70]),
    rule=st.sampled_from(["either", "threshold", "vendor"]),
)


@st.composite
def case(draw: st.DrawFn) -> dict[str, Any]:
    """A closed one: of a learner at a quiz only one is active."""
    vendor, user, quiz = draw(takers)
    opened_at, closed_at = sorted((draw(times), draw(times)))
    return {
        "vendor": vendor, "user_id": user, "quiz_id": quiz, "version": 1,
        "status": draw(st.sampled_from(["resolved", "resolved", "dismissed", "undone"])),
        "opened_at": opened_at, "closed_at": closed_at, "updated_at": closed_at,
        "opened_by": "a", "updated_by": "a",
    }  # fmt: skip


@st.composite
def worlds(draw: st.DrawFn) -> World:
    number = st.integers(0, 9)
    tried = [
        (*taker, *one)
        for taker in TAKERS
        for one in draw(st.lists(scores, min_size=draw(number), max_size=9))
    ]
    facts: list[Fact] = [
        Attempted(vendor, f"{number:03}", user, quiz, quiz, score, most, passed, graded, at, None)
        for number, (vendor, user, quiz, score, most, passed, graded, at) in enumerate(tried)
    ]
    for vendor in VENDORS:
        for user, team in zip(USERS, ("west", "west", "east"), strict=True):
            address = draw(st.sampled_from([f"{user}@x.com", f"{user}@{vendor}.com"]))
            facts.append(Provisioned(vendor, user, address, None, None, team, LONG_AGO))
            if draw(st.sampled_from([True, False, False, False])):
                facts.append(Deprovisioned(vendor, user, address, LONG_AGO + timedelta(days=1)))
    arrived = draw(st.permutations(facts + draw(st.lists(st.sampled_from(facts), max_size=5))))
    size = draw(st.integers(1, len(arrived)))
    batches = [arrived[at : at + size] for at in range(0, len(arrived), size)]
    active = draw(st.lists(case(), max_size=3, unique_by=lambda row: row["user_id"]))
    active = [row | {"status": "open", "closed_at": None} for row in active]
    cases = [*draw(st.lists(case(), min_size=draw(number), max_size=9)), *active]
    asked = draw(st.lists(questions, min_size=1, max_size=4))
    return World(batches, cases, draw(pass_marks), draw(pass_marks), asked)


@quick
@given(world=worlds())
def test_histories_give_what_all_attempts_give(store: Engine, world: World) -> None:
    with store.begin() as connection:
        for model in (*READ_MODELS, CoachingCase, QuizThreshold, AuditLog):
            connection.execute(table_of(model).delete())
        for batch in world.batches:
            project(connection, batch)
        for row in world.cases:
            connection.execute(table_of(CoachingCase).insert(), row)
        for marks in (world.marks, world.later_marks):
            connection.execute(table_of(QuizThreshold).delete())
            for row in marks:
                connection.execute(table_of(QuizThreshold).insert(), row)
            for asked in world.asked:
                found = [approx(row) for row in retakes_in_sql.achieved(connection, asked)]
                assert [tuple(row) for row in retakes.achieved(connection, asked)] == found


def approx(row: retakes.Retakes) -> tuple[Any, ...]:
    figures = (row.lift_pct, row.days)
    return (*row[:3], *(None if one is None else pytest.approx(one, abs=1e-9) for one in figures))
