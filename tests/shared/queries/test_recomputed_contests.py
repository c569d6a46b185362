"""Results of contests, and what arrived too late for them, recomputed from raw payloads."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection

from shared import contests
from shared.queries import contests as queries
from shared.queries.contests import ContestRow
from tests.history import CONTEST_ENDS, STORED
from tests.recomputed import Company, Span, Stored, account_of, ranks

SPAN: Span = (datetime(2025, 10, 5, 18, 30, tzinfo=UTC), CONTEST_ENDS)
"""The days of the contest in Kolkata."""
MANAGED = [None, ("west",), ("east", "north")]


@pytest.fixture(scope="module")
def then(events: Sequence[Stored]) -> Company:
    """The company by what had arrived when the results were stored."""
    return Company([one for one in events if one.received_at < STORED], datetime.now(UTC))


def contest(reader: Connection, board: str) -> ContestRow:
    (row,) = [one for one in queries.contests(reader, None) if one.board == board]
    return row


def of_learners(company: Company, people: set[str]) -> Mapping[str, float]:
    gains = {one: company.gains(one, SPAN) for one in people}
    return {one: gain.gained for one, gain in gains.items() if gain.moved}


def of_teams(company: Company) -> Mapping[str, float]:
    return {
        team: round(one.total / len(one.members), 6)
        for team, one in company.teams_then("gained", SPAN).items()
    }


def test_a_result_is_that_of_the_payloads_of_its_day(reader: Connection, then: Company) -> None:
    expected = of_learners(then, then.asked())
    rank = ranks(expected)
    rows = queries.stored_result(reader, contest(reader, "learners"))
    assert {row.person: (row.rank, row.value) for row in rows} == {
        one: (rank[one], value) for one, value in expected.items()
    }


def test_the_result_of_teams_is_the_average_of_those_who_were_in_them(
    reader: Connection, then: Company
) -> None:
    rows = queries.stored_result(reader, contest(reader, "teams"))
    assert {row.team_id: row.value for row in rows} == pytest.approx(of_teams(then))


def late_events(
    company: Company, events: Sequence[Stored], *, of_teams: bool = False
) -> Mapping[str, int]:
    """How many events of the contest arrived after its result was stored, by person or team."""
    counts: Counter[str] = Counter()
    for event in events:
        account = account_of(event)
        is_late = event.received_at >= STORED and SPAN[0] <= event.occurred_at < SPAN[1]
        if is_late and account:
            person = company.accounts[account]
            team = company.team_at(person, event.occurred_at)
            counts.update([person] if not of_teams else [team] if team else [])
    return counts


@pytest.mark.parametrize("teams", MANAGED)
def test_what_arrived_late_is_shown_apart_with_what_it_would_have_changed(
    reader: Connection,
    company: Company,
    then: Company,
    events: Sequence[Stored],
    teams: tuple[str, ...] | None,
) -> None:
    before = of_learners(then, then.asked())
    there = {
        key
        for key, one in company.people.items()
        if key in before or one.left_at is None or one.left_at > STORED
    }
    counts = late_events(company, events)
    expected = {
        one: (counts[one], before.get(one, 0), value)
        for one, value in of_learners(company.by_progress, there).items()
        if before.get(one) != value and counts[one] and one in company.asked(teams, leavers=True)
    }
    row = contest(reader, "learners")
    found = queries.late(reader, row, contests.window(row), teams)
    assert {
        company.accounts[account(one.key)]: (one.events, one.value, one.value_now) for one in found
    } == expected
    assert teams or expected


def account(key: str | None) -> tuple[str, str]:
    vendor, _, user = (key or "").partition("/")
    return vendor, user


@pytest.mark.parametrize("teams", MANAGED)
def test_late_events_are_of_the_team_in_which_the_learner_was(
    reader: Connection,
    company: Company,
    then: Company,
    events: Sequence[Stored],
    teams: tuple[str, ...] | None,
) -> None:
    before, now = of_teams(then), of_teams(company.by_progress)
    counts = late_events(company, events, of_teams=True)
    row = contest(reader, "teams")
    found = queries.late(reader, row, contests.window(row), teams)
    expected = {
        team: (counts[team], before.get(team, 0.0), value)
        for team, value in now.items()
        if counts[team] and value != before.get(team) and (teams is None or team in teams)
    }
    assert {one.team_id: (one.events, one.value, one.value_now) for one in found} == expected
