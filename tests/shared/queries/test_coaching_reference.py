"""The queue and the results of retakes, against a slow count in plain Python."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from sqlalchemy import Engine

from receiver.readmodels.projections import READ_MODELS, project
from shared.bulk import table_of
from shared.facts import Attempted, Provisioned
from shared.models import AuditLog, CoachingCase, QuizThreshold
from shared.queries import coaching, quizzes as quiz_queries, retakes
from shared.queries.people import Who
from shared.queries.quiz_standings import Filters
from shared.setting_types import CoachingRule
from tests.shared.tables import LONG_AGO, V

BEGIN = datetime(2025, 11, 17, 9, tzinfo=UTC)
RECENT, TODAY = BEGIN + timedelta(hours=10), BEGIN.date()
QUIZZES = ("q-1", "q-2", "q-3")
quick = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)


class World(NamedTuple):
    """A small company's quizzes."""

    attempts: Sequence[Attempted]
    cases: Sequence[dict[str, Any]]
    own: dict[str, float]
    retake: dict[str, float | None]
    since: datetime | None
    rule: CoachingRule
    team: str | None

    def asks_about(self, user: str) -> bool:
        return self.team is None or team_of(user) == self.team


hours = st.integers(0, 20).map(lambda number: BEGIN + timedelta(hours=number))
USERS = [f"u-{number}" for number in range(6)]
users = st.sampled_from(USERS)
rules: st.SearchStrategy[CoachingRule] = st.sampled_from(["either", "threshold", "vendor"])
limits = st.sampled_from([0.0, 30.0, 100 * 4 / 7, 70.0, 100.0])


takers = st.tuples(users, st.sampled_from(QUIZZES))
tries = st.tuples(
    st.none() | st.integers(0, 9), st.sampled_from([7, 7, 7, None]), st.none() | st.booleans(),
    st.sampled_from([True, True, False]), hours,
)  # fmt: skip


@st.composite
def rounds(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The rounds of one learner at one quiz, one after the other; the last may be active."""
    at = sorted(draw(st.lists(hours, max_size=5, unique=True)))
    who = {"vendor": V, "user_id": draw(users), "quiz_id": draw(st.sampled_from(QUIZZES))}
    made = []
    for opened_at, closed_at in zip(at[::2], [*at[1::2], None], strict=False):
        kinds = ("resolved", "dismissed") if closed_at else ("open", "in_progress")
        made.append(
            who
            | {"status": draw(st.sampled_from(kinds)), "opened_at": opened_at, "version": 1}
            | {"closed_at": closed_at, "opened_by": "a", "updated_by": "a"}
            | {"updated_at": opened_at, "due": draw(st.sampled_from([None, TODAY, *PAST]))}
        )
    return made


PAST = (TODAY - timedelta(days=1),)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    tried = [
        (*who, *one)
        for who, several in draw(
            st.lists(st.tuples(takers, st.lists(tries, min_size=1, max_size=4)), max_size=15)
        )
        for one in several
    ]
    retake = {quiz: draw(st.none() | limits) for quiz in QUIZZES}
    attempts = [
        Attempted(V, f"{number:03}", user, quiz, quiz.upper(), score, most, passed, graded, at,
                  retake[quiz])
        for number, (user, quiz, score, most, passed, graded, at) in enumerate(tried)
    ]  # fmt: skip
    by_taker = {(one[0]["user_id"], one[0]["quiz_id"]): one
                for one in draw(st.lists(rounds(), max_size=8)) if one}  # fmt: skip
    cases = [case for one in by_taker.values() for case in one]
    own = draw(st.dictionaries(st.sampled_from(QUIZZES), limits))
    since, team = draw(st.none() | hours), draw(st.sampled_from([None, "west"]))
    return World(attempts, cases, own, retake, since, draw(rules), team)


def team_of(user: str) -> str:
    return "west" if user in USERS[:4] else "east"


# The reference


class Item(NamedTuple):
    user: str
    quiz: str
    graded: Sequence[Attempted]
    limit: float
    cases: Sequence[dict[str, Any]]
    rule: CoachingRule

    def low(self, attempt: Attempted) -> bool:
        pct = percent(attempt)
        under = None if pct is None else pct < self.limit
        refused = None if attempt.passed is None else not attempt.passed
        if self.rule == "threshold":
            return bool(refused if under is None else under)
        if self.rule == "vendor":
            return bool(under if refused is None else refused)
        return bool(under or refused)

    def passes(self, attempt: Attempted) -> bool:
        answered = percent(attempt) is not None or attempt.passed is not None
        return answered and not self.low(attempt)

    @property
    def state(self) -> str | None:
        last, case = self.graded[-1], self.cases[-1] if self.cases else None
        if case and case["closed_at"] is None:
            after = last.submitted_at > case["opened_at"]
            return "ready" if after and self.passes(last) else str(case["status"])
        if self.low(last) and (case is None or last.submitted_at > case["closed_at"]):
            return "new"
        return "closed" if case else None


def percent(attempt: Attempted) -> float | None:
    if attempt.score is None or attempt.max_score is None:
        return None
    return round(100 * attempt.score / attempt.max_score, 6)


def items_of(world: World) -> list[Item]:
    by_taker: dict[tuple[str, str], list[Attempted]] = defaultdict(list)
    for attempt in sorted(world.attempts, key=lambda one: (one.submitted_at, one.event_key)):
        if attempt.graded:
            by_taker[attempt.user_id, attempt.quiz_id].append(attempt)
    found = []
    for (user, quiz), graded in by_taker.items():
        of_taker = [one for one in world.cases if (one["user_id"], one["quiz_id"]) == (user, quiz)]
        limit = world.own.get(quiz, world.retake[quiz])
        limit = 70 if limit is None else limit
        found.append(Item(user, quiz, graded, limit, of_taker, world.rule))
    return found


def within(item: Item, since: datetime | None) -> bool:
    if since is None:
        return True
    ended = item.cases[-1]["closed_at"] if item.cases else None
    if item.cases and ended is None:
        return True
    return bool((ended if item.state == "closed" else item.graded[-1].submitted_at) >= since)


def problems(items: Iterable[Item]) -> set[str]:
    by_quiz: dict[str, list[bool]] = defaultdict(list)
    for item in items:
        by_quiz[item.quiz].append(item.low(item.graded[-1]))
    return {quiz for quiz, low in by_quiz.items() if len(low) >= 5 and 2 * sum(low) > len(low)}


def achieved_by(items: Iterable[Item], since: datetime | None) -> list[tuple[Any, ...]]:
    kinds: dict[bool, list[tuple[Attempted, Attempted, bool]]] = {True: [], False: []}
    for item in items:
        run: list[Attempted] = []
        for attempt in [*item.graded, None]:
            if attempt:
                run.append(attempt)
            if attempt is None or item.passes(attempt):
                if len(run) > 1 and any(map(item.low, run)):
                    kinds[was_coached(item, run)].append((run[0], run[-1], item.passes(run[-1])))
                run = []
    found = []
    for coached in (True, False):
        of_kind = [one for one in kinds[coached] if since is None or one[1].submitted_at >= since]
        if of_kind:
            found.append((coached, *figures(of_kind)))
    return found


def was_coached(item: Item, run: Sequence[Attempted]) -> bool:
    first, last = run[0].submitted_at, run[-1].submitted_at
    return any(
        case["status"] != "dismissed" and case["opened_at"] < last
        and (case["closed_at"] is None or case["closed_at"] > first)
        for case in item.cases
    )  # fmt: skip


def figures(of_kind: Sequence[tuple[Attempted, Attempted, bool]]) -> tuple[Any, ...]:
    pairs = [(percent(first), percent(last)) for first, last, _ in of_kind]
    lifts = [b - a for a, b in pairs if a is not None and b is not None]
    days = [(b.submitted_at - a.submitted_at) / timedelta(days=1) for a, b, ok in of_kind if ok]
    return (len(of_kind), len(days), approx(lifts), approx(days))


def approx(values: Sequence[float]) -> Any:
    return pytest.approx(median(values)) if values else None


# The comparison


@quick
@given(world=worlds())
def test_the_queue_is_what_a_slow_count_says(store: Engine, world: World) -> None:
    fill(store, world)
    everyone = items_of(world)
    hidden = problems(everyone)
    everything = [one for one in everyone if world.asks_about(one.user)]
    listed = [one for one in everything if one.state and within(one, world.since)]
    shown = [one for one in listed if one.state != "new" or one.quiz not in hidden]
    who = Who(teams=(world.team,) if world.team else None)
    filters = Filters(who, since=world.since, rule=world.rule)
    with store.connect() as connection:
        rows = coaching.items(connection, filters)
        counts = coaching.counts(connection, filters, RECENT, TODAY)
        quizzes = quiz_queries.quizzes(connection, 70, world.rule, who)
        several = coaching.people_failing(connection, filters, least=2)
        preview = quiz_queries.preview(connection, 70, (V, "q-1"), 50, world.rule)
        achieved = retakes.achieved(connection, filters)
    assert {seen(row) for row in rows} == {expected(one) for one in shown}
    new = [one for one in shown if one.state == "new"]
    new_people = {one.user for one in new}
    unlisted = {one.user for one in listed if one not in shown}
    busy = [one for one in shown if one.state in coaching.ACTIVE]
    assert tuple(counts) == (
        len(new), len(new_people), len({one.quiz for one in new}),
        sum(one.graded[-1].submitted_at >= RECENT for one in new),
        len(listed) - len(shown), len(unlisted - new_people),
        len(busy), sum(one.cases[-1]["due"] in PAST for one in busy),
        *(sum(one.state == state for one in shown) for state in ("ready", "closed")), len(shown),
    )  # fmt: skip
    lows = [one for one in everything if one.low(one.graded[-1])]
    assert {(row.quiz_id, row.low, row.all_takers, row.problem) for row in quizzes} == {
        (one.quiz, sum(low.quiz == one.quiz for low in lows),
         sum(other.quiz == one.quiz for other in everyone), one.quiz in hidden)
        for one in everything
    }  # fmt: skip
    low_here = [one.user for one in lows if within(one, world.since) and one.quiz not in hidden]
    assert {(row.person, row.low) for row in several} == {
        (f"{V} {user}", low_here.count(user)) for user in low_here if low_here.count(user) > 1
    }
    of_quiz = [one for one in everyone if one.quiz == "q-1"]
    now = sum(one.low(one.graded[-1]) for one in of_quiz)
    then = sum(one._replace(limit=50).low(one.graded[-1]) for one in of_quiz)
    assert tuple(preview) == (len(of_quiz), now, then)
    assert [tuple(row) for row in achieved] == achieved_by(everything, world.since)


def seen(row: Any) -> tuple[Any, ...]:
    return (row.user_id, row.quiz_id, row.state, row.again, row.tries, row.latest_pct, row.best_pct)


def expected(item: Item) -> tuple[Any, ...]:
    scores = [pct for one in item.graded if (pct := percent(one)) is not None]
    again = item.state == "new" and bool(item.cases)
    last = percent(item.graded[-1])
    best = max(scores, default=None)
    return (item.user, item.quiz, item.state, again, len(item.graded), last, best)


def fill(store: Engine, world: World) -> None:
    with store.begin() as connection:
        for model in (*READ_MODELS, CoachingCase, QuizThreshold, AuditLog):
            connection.execute(table_of(model).delete())
        roster = [Provisioned(V, user, None, None, None, team_of(user), LONG_AGO) for user in USERS]
        project(connection, [*roster, *world.attempts])
        own = [
            {"vendor": V, "quiz_id": quiz, "threshold_pct": pct} for quiz, pct in world.own.items()
        ]
        for model, rows in ((QuizThreshold, own), (CoachingCase, world.cases)):
            if rows:
                connection.execute(table_of(model).insert(), list(rows))
