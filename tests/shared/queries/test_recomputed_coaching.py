"""The coaching queue and the figures of quizzes, recomputed from raw payloads."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Any, NamedTuple, get_args

import pytest
from sqlalchemy import Connection

from shared.queries import coaching, quizzes, retakes
from shared.queries.people import Who
from shared.queries.quiz_standings import Filters, Taker
from shared.setting_types import CoachingRule
from tests import history
from tests.history import NOW
from tests.recomputed import Account, Company, Tried

RULES: Sequence[CoachingRule] = get_args(CoachingRule)
ACTIVE = ("open", "in_progress")
RECENT = datetime(2025, 10, 20, tzinfo=NOW.tzinfo)
MANAGED = [None, ("west",), ("east", "north"), ()]


class Item(NamedTuple):
    """A learner at a quiz, with their last round of coaching."""

    account: Account
    quiz: str
    person: str
    team: str | None
    tries: Sequence[Tried]
    case: Mapping[str, Any] | None
    low: bool
    passes: bool

    @property
    def state(self) -> str | None:
        last, case = self.tries[-1].at, self.case
        if case and case["status"] in ACTIVE:
            return "ready" if self.passes and last > case["opened_at"] else case["status"]
        if self.low and (case is None or last > case["closed_at"]):
            return "new"
        return "closed" if case else None


def items_of(company: Company, rule: CoachingRule) -> Sequence[Item]:
    """Of everyone who is there."""
    rounds = {("mindtickle", one["user_id"], one["quiz_id"]): one for one in history.cases()}
    found = []
    for (account, quiz), tries in company.takers.items():
        person = company.people[company.accounts[account]]
        if person.active:
            last = tries[-1]
            found.append(
                Item(account, quiz, company.accounts[account], person.team, tries,
                     rounds.get((*account, quiz)), company.is_low(last, rule),
                     company.passes(last, rule))
            )  # fmt: skip
    return found


def problems(everyone: Sequence[Item]) -> set[str]:
    """Quizzes of five takers or more that most of them fail."""
    low = defaultdict(list)
    for one in everyone:
        low[one.quiz].append(one.low)
    return {quiz for quiz, several in low.items()
            if len(several) >= 5 and 2 * sum(several) > len(several)}  # fmt: skip


def listed(everyone: Sequence[Item], teams: tuple[str, ...] | None) -> Sequence[Item]:
    """What a manager of these teams, or a lead, has to look at."""
    return [one for one in everyone if one.state and (teams is None or one.team in teams)]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("teams", MANAGED)
def test_the_queue_of_each_manager_holds_their_own_learners_and_counts_them(
    reader: Connection, company: Company, teams: tuple[str, ...] | None, rule: CoachingRule
) -> None:
    everyone = items_of(company, rule)
    hidden = problems(everyone)
    whole = listed(everyone, teams)
    shown = [one for one in whole if one.state != "new" or one.quiz not in hidden]
    filters = Filters(Who(teams), rule=rule)
    rows = coaching.items(reader, filters)
    assert {
        (row.vendor, row.user_id, row.quiz_id): (row.state, row.tries, row.latest_pct, row.best_pct)
        for row in rows
    } == {(*one.account, one.quiz): (one.state, len(one.tries), *pcts(one)) for one in shown}
    assert len(rows) == len(shown)
    new = [one for one in shown if one.state == "new"]
    new_people = {one.person for one in new}
    unlisted = {one.person for one in whole if one not in shown}
    busy = [one for one in shown if one.state in ACTIVE]
    today = NOW.date()
    assert coaching.counts(reader, filters, RECENT, today)._asdict() == {
        "new": len(new),
        "people": len(new_people),
        "quizzes": len({one.quiz for one in new}),
        "fresh": sum(one.tries[-1].at >= RECENT for one in new),
        "hidden": len(whole) - len(shown),
        "hidden_people": len(unlisted - new_people),
        "progress": len(busy),
        "overdue": sum(bool(one.case and one.case["due"] and one.case["due"] < today)
                       for one in busy),
        "ready": sum(one.state == "ready" for one in shown),
        "closed": sum(one.state == "closed" for one in shown),
        "all": len(shown),
    }  # fmt: skip


def pcts(item: Item) -> tuple[float | None, float | None]:
    """The latest and the best."""
    known = [one.pct for one in item.tries if one.pct is not None]
    return item.tries[-1].pct, max(known, default=None)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("teams", [None, ("west",)])
def test_the_figures_of_each_quiz_are_those_of_its_takers(
    reader: Connection, company: Company, teams: tuple[str, ...] | None, rule: CoachingRule
) -> None:
    everyone = items_of(company, rule)
    own, all_teams = defaultdict(list), defaultdict(list)
    for one in everyone:
        all_teams[one.account[0], one.quiz].append(one.low)
        if teams is None or one.team in teams:
            own[one.account[0], one.quiz].append(one.low)
    rows = quizzes.quizzes(reader, 70, rule, Who(teams))
    assert {
        (row.vendor, row.quiz_id): (
            row.takers, row.low, row.share, row.threshold_pct, row.problem, row.all_takers,
        )
        for row in rows
    } == {
        key: (len(low), sum(low), 100.0 * sum(low) / len(low), company.limit(*key),
              key[1] in problems(everyone), len(all_teams[key]))
        for key, low in own.items()
    }  # fmt: skip


def test_people_who_fail_several_quizzes_are_counted_by_person(
    reader: Connection, company: Company
) -> None:
    lows = defaultdict(list)
    everyone = items_of(company, "either")
    hidden = problems(everyone)
    for one in everyone:
        if one.low and one.quiz not in hidden:
            lows[one.person].append(one.state)
    rows = coaching.people_failing(reader, Filters(), least=2)
    assert {row.person: (row.low, row.new) for row in rows} == {
        person: (len(states), states.count("new"))
        for person, states in lows.items()
        if len(states) >= 2
    }


def test_every_attempt_of_a_taker_is_listed_practice_too(
    reader: Connection, company: Company
) -> None:
    for account, quiz in list(company.takers)[::4]:
        taken = [one for one in company.said.tried if (one.account, one.quiz) == (account, quiz)]
        limit = company.limit(account[0], quiz)
        rows = coaching.attempts(reader, Taker(*account, quiz), limit)
        assert {(row.submitted_at, row.pct, row.passed, row.result) for row in rows} == {
            (one.at, one.pct, one.passed, result_of(company, one)) for one in taken
        }
        assert len(rows) == len(taken)


def result_of(company: Company, one: Tried) -> str | None:
    if not one.graded:
        return "practice"
    if company.is_low(one):
        return "low"
    return "passed" if company.passes(one) else None


def test_the_history_has_every_kind_of_quiz(company: Company) -> None:
    """A quiz without a maximum, above 100 %, judged otherwise by the vendor, and not graded."""
    tried = company.said.tried
    assert any(one.graded and one.pct is None for one in tried)
    assert any(one.pct and one.pct > 100 for one in tried)
    assert any(one.pct == 80 and one.passed is False for one in tried)
    assert any(one.pct == 50 and one.passed for one in tried)
    assert any(not one.graded for one in tried)
    assert {one.state for one in items_of(company, "either")} == {
        None, "new", "open", "in_progress", "ready", "closed"
    }  # fmt: skip
    assert problems(items_of(company, "either"))


def test_what_came_of_retakes_is_counted_by_runs_of_attempts(
    reader: Connection, company: Company
) -> None:
    """A run begins with the first attempt or after a pass, and ends with the next pass."""
    runs: dict[bool, list[Sequence[Tried]]] = {True: [], False: []}
    for one in items_of(company, "either"):
        run: list[Tried] = []
        for number, attempt in enumerate(one.tries, start=1):
            run.append(attempt)
            if company.passes(attempt) or number == len(one.tries):
                if len(run) > 1 and any(map(company.is_low, run)):
                    runs[was_coached(one, run)].append(run)
                run = []
    assert {row.coached: (row.retakes, row.passed, row.lift_pct, row.days)
            for row in retakes.achieved(reader, Filters())} == {
        coached: (
            len(several),
            len(passed := [run for run in several if company.passes(run[-1])]),
            middle(run[-1].pct - run[0].pct for run in several
                   if run[0].pct is not None and run[-1].pct is not None),
            middle((run[-1].at - run[0].at) / timedelta(days=1) for run in passed),
        )
        for coached, several in runs.items()
    }  # fmt: skip


def was_coached(one: Item, run: Sequence[Tried]) -> bool:
    return any(
        (case["user_id"], case["quiz_id"]) == (one.account[1], one.quiz)
        and case["status"] != "dismissed"
        and case["opened_at"] < run[-1].at
        and (case["closed_at"] is None or case["closed_at"] > run[0].at)
        for case in history.cases()
        if one.account[0] == case["vendor"]
    )


def middle(values: Iterable[float]) -> Any:
    known = list(values)
    return pytest.approx(median(known)) if known else None
