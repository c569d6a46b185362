"""A person with several accounts: which of them says who the person is."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import Engine, select

from shared.bulk import table_of
from shared.facts import Deprovisioned, Fact, Identified, Provisioned
from shared.models import Learner
from shared.queries.catalog import learners
from shared.queries.people import Known, Who, is_of, known, people
from tests.shared.tables import V, fold

MAY, JUNE, JULY = (datetime(2025, month, 1, 9, tzinfo=UTC) for month in (5, 6, 7))
DANA = "dana@x.com"


def joined(
    user: str, at: datetime, team: str | None, name: str | None = None, email: str = DANA
) -> Fact:
    return Provisioned(V, user, email, name, f"rep {team}", team, at)


def left(user: str, at: datetime) -> Fact:
    return Deprovisioned(V, user, None, at)


def person(store: Engine, facts: Sequence[Fact], who: Who = Who(leavers=True)) -> Any:  # noqa: B008
    fold(store, facts)
    with store.connect() as connection:
        return connection.execute(people(who)).one_or_none()


REHIRED = [joined("old", MAY, "west"), left("old", JUNE), joined("new", JULY, "east")]


def test_a_rehired_person_is_in_the_team_of_the_new_account(store: Engine) -> None:
    for facts in permutations(REHIRED):
        row = person(store, facts)
        assert (row.team_id, row.role, row.active, row.left_at) == ("east", "rep east", True, None)


def test_only_the_new_team_finds_a_rehired_person(store: Engine) -> None:
    assert person(store, REHIRED, Who(teams=("west",), leavers=True)) is None
    assert person(store, [], Who(teams=("east",))) is not None


def test_an_account_that_is_active_counts_before_a_later_one_that_has_left(store: Engine) -> None:
    facts = [joined("kept", MAY, "east"), joined("short", JUNE, "west"), left("short", JULY)]
    assert person(store, facts).team_id == "east"


def test_a_departure_to_come_leaves_the_team_of_the_account_until_then(store: Engine) -> None:
    now = datetime.now(UTC)
    leaving = Deprovisioned(V, "new", None, JULY, None, now + timedelta(days=9))
    facts = [joined("old", MAY, "west"), joined("new", JUNE, "east"), leaving]
    row = person(store, facts)
    assert (row.team_id, row.active) == ("east", True)


def test_a_person_who_left_everywhere_keeps_the_latest_team_and_the_last_departure(
    store: Engine,
) -> None:
    facts = [*REHIRED, left("new", JULY + timedelta(days=3))]
    facts.append(Identified("lessonly", "7", DANA, None, JULY + timedelta(days=5)))
    row = person(store, facts)
    assert (row.team_id, row.active) == ("east", False)
    assert row.left_at == JULY + timedelta(days=3)


def test_an_account_that_is_on_no_roster_takes_no_team_away(store: Engine) -> None:
    later = Identified("lessonly", "7", DANA, "Dana", JULY)
    assert person(store, [joined("old", MAY, "west"), later]).team_id == "west"


def test_the_latest_roster_entry_without_a_team_means_no_team(store: Engine) -> None:
    assert person(store, [joined("old", MAY, "west"), joined("new", JUNE, None)]).team_id is None


def test_the_later_name_wins_whatever_its_letters(store: Engine) -> None:
    facts = [joined("old", MAY, "west", "Dana Young"), joined("new", JULY, "west", "Dana Ames")]
    assert person(store, facts).name == "Dana Ames"
    married = Identified("lessonly", "7", "DANA@x.com", "Dana Brooks", JULY + timedelta(days=1))
    row = person(store, [married])
    assert (row.name, row.email) == ("Dana Brooks", "DANA@x.com")


def test_an_account_without_a_name_leaves_the_name_of_another(store: Engine) -> None:
    facts = [joined("old", MAY, "west", "Dana Young"), joined("new", JULY, "west", None)]
    assert person(store, facts).name == "Dana Young"


@pytest.mark.parametrize("teams", [("east", "west"), ("west", "east")])
def test_of_two_accounts_of_one_moment_the_first_by_id_wins(
    store: Engine, teams: tuple[str, str]
) -> None:
    facts = [joined("b", MAY, teams[1]), joined("a", MAY, teams[0])]
    assert person(store, facts).team_id == teams[0]


@pytest.mark.parametrize("who", [Who(), Who(leavers=True), Who(teams=("east",)), Who(vendor=V)])
def test_an_account_is_of_those_that_people_lists(store: Engine, who: Who) -> None:
    gone = "gone@x.com"
    facts = [
        *REHIRED,
        joined("gone-1", MAY, "east", email=gone),
        left("gone-1", JUNE),
        Identified("lessonly", "7", gone, "Gone", JULY),
        joined("west", MAY, "west", email="west@x.com"),
        Deprovisioned(V, "leaves", "leaves@x.com", JULY, None, datetime.now(UTC) + timedelta(9)),
        Identified("lessonly", "8", "guest@x.com", None, JULY),
    ]
    fold(store, facts)
    account = table_of(Learner).c
    of_them = select(account.person).where(is_of(account, who)).distinct()
    with store.connect() as connection:
        listed = {row.person for row in connection.execute(people(who))}
        assert set(connection.scalars(of_them)) == listed
        assert learners(connection, who) == len(listed)


def test_people_are_known_as_people_lists_them(store: Engine) -> None:
    fold(store, [*REHIRED, joined("west", MAY, "west", "Wes", email="west@x.com")])
    with store.connect() as connection:
        row = connection.execute(people(Who(teams=("east",)))).one()
        found = known(connection, [DANA, DANA, "no one"])
    assert found == {DANA: Known(DANA, row.name, row.email, "east", row.key)}
