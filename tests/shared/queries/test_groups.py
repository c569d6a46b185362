"""Teams so small that an average would be that of one person."""

from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from shared.bulk import table_of
from shared.models import Learner
from shared.queries.groups import rank_of_shown, without_small
from tests.shared.tables import people

learner = table_of(Learner).c


def board(engine: Engine, smallest: int, **members: int) -> dict[str, tuple[Any, ...]]:
    """Of teams of so many members: rank, average and whether hidden, by name. The average is the
    number of members."""
    roster = [(f"u-{team}-{n}", team) for team, size in members.items() for n in range(size)]
    people(engine, *roster)
    counted = select(
        learner.team_id, func.count().label("members"), (func.count() * 1.0).label("average")
    )
    teams = without_small(counted.group_by(learner.team_id).subquery(), smallest, ["average"])
    shown = teams.subquery()
    query = select(rank_of_shown(shown, "average").label("rank"), *shown.c)
    with engine.connect() as connection:
        return {
            row.team_id: (row.rank, row.average, bool(row.hidden))
            for row in connection.execute(query)
        }


def test_a_team_that_is_too_small_has_no_average_and_no_rank(store: Engine) -> None:
    teams = board(store, 3, east=2, north=2, south=3, west=4)
    assert teams["east"] == teams["north"] == (None, None, True)
    assert teams["south"] == (2, 3.0, False)
    assert teams["west"] == (1, 4.0, False)


def test_the_total_does_not_tell_the_figure_of_the_only_small_team(store: Engine) -> None:
    teams = board(store, 3, east=1, south=3, west=4)
    assert [team for team, row in teams.items() if row[2]] == ["east", "south"]


def test_two_small_teams_hide_each_other(store: Engine) -> None:
    teams = board(store, 3, east=1, north=2, south=3)
    assert [team for team, row in teams.items() if row[2]] == ["east", "north"]


@pytest.mark.parametrize(("smallest", "hidden"), [(1, []), (2, ["east", "west"])])
def test_one_member_is_enough_where_the_limit_is_one(
    store: Engine, smallest: int, hidden: list[str]
) -> None:
    teams = board(store, smallest, east=1, west=2)
    assert [team for team, row in teams.items() if row[2]] == hidden
