"""Certificates and courses, recomputed from raw payloads."""

from collections import Counter
from collections.abc import Mapping

import pytest
from sqlalchemy import Connection

from shared.queries import certifications
from shared.queries.people import Who
from shared.queries.windows import Window
from tests import history
from tests.history import DAY, END, FIRST, MT, NOW
from tests.recomputed import Account, Company

MARKED = [((MT, user), "Basics", history.MARKED[0]) for user in history.MARKED[1]]
OPEN = ("overdue", "due soon", "expired")
MOMENTS = [NOW, NOW - 2 * DAY, NOW + 30 * DAY]


def states_of(
    company: Company, number: int, teams: tuple[str, ...] | None = None
) -> Mapping[tuple[Account, str], str]:
    """Of the people who are there."""
    asked = company.asked(teams)
    found = company.certificates(MOMENTS[number], MARKED)
    return {key: state for key, state in found.items() if company.accounts[key[0]] in asked}


@pytest.mark.parametrize("number", range(len(MOMENTS)))
@pytest.mark.parametrize("teams", [None, ("west", "east"), ("north",)])
def test_each_certificate_has_the_state_that_payloads_and_marks_give(
    reader: Connection, company: Company, teams: tuple[str, ...] | None, number: int
) -> None:
    who, now = Who(teams), MOMENTS[number]
    expected = states_of(company, number, teams)
    rows = [
        *certifications.certificates(reader, who, now),
        *certifications.certificates(reader, who, now, renewed=True),
    ]
    assert {((row.vendor, row.user_id), row.cert_name): row.state for row in rows} == expected
    assert len(rows) == len(expected)
    counts = Counter(expected.values())
    holders = {company.accounts[key[0]] for key, state in expected.items() if state in OPEN}
    assert certifications.totals(reader, who, now)._asdict() == {
        "overdue": counts["overdue"],
        "due_soon": counts["due soon"],
        "expired": sum(counts[state] for state in OPEN),
        "expires_soon": counts["expires soon"],
        "valid": counts["valid"],
        "renewed": counts["renewed"],
        "people": len(holders),
    }


def test_the_counts_of_all_teams_are_those_of_everyone(
    reader: Connection, company: Company
) -> None:
    expected = Counter(
        (company.people[company.accounts[key[0]]].team, state)
        for key, state in states_of(company, 0).items()
    )
    seen = {
        (row.team_id, state): count
        for row in certifications.by_team(reader, Who(), NOW)
        for state, count in (("overdue", row.overdue), ("due soon", row.due_soon),
                             ("expires soon", row.expires_soon), ("valid", row.valid),
                             ("renewed", row.renewed),
                             ("expired", row.expired - row.overdue - row.due_soon))
        if count
    }  # fmt: skip
    assert seen == expected


def test_every_state_is_met(company: Company) -> None:
    states = set(states_of(company, 0).values())
    assert states == {*OPEN, "expires soon", "valid", "renewed"}


def test_courses_are_counted_by_completion_and_by_person(
    reader: Connection, company: Company
) -> None:
    begin = FIRST + 20 * DAY
    done = [one for one in company.said.done if begin <= one.at < END]
    there = [one for one in done if company.accounts[one.account] in company.asked()]
    rows = certifications.courses(reader, Who(), Window(begin, END))
    assert {(row.vendor, row.course_id): (row.completions, row.people) for row in rows} == {
        (vendor, course): (len(several), len({company.accounts[one.account] for one in several}))
        for (vendor, course) in {(one.account[0], one.course) for one in there}
        if (several := [one for one in there if (one.account[0], one.course) == (vendor, course)])
    }
    listed = certifications.completions(reader, Who(), Window(begin, END), limit=None)
    assert {row.event_key for row in listed} == {one.key for one in there}
