"""Teams so small that an average would be that of one person."""

import pytest

from shared.queries.groups import too_small


@pytest.mark.parametrize(
    ("members", "hidden"),
    [
        ({"east": 2, "north": 2, "south": 3, "west": 4}, {"east", "north"}),
        ({"east": 1, "north": 2, "south": 3}, {"east", "north"}),
        ({"south": 3, "west": 4}, set()),
        ({}, set()),
    ],
)
def test_teams_with_fewer_members_than_the_limit_are_hidden(
    members: dict[str, int], hidden: set[str]
) -> None:
    assert too_small(members, 3) == hidden


def test_with_the_only_small_team_the_next_larger_is_hidden() -> None:
    """Else the total of all teams less the shown ones would be the figure of the small one."""
    assert too_small({"east": 1, "south": 3, "west": 4}, 3) == {"east", "south"}


@pytest.mark.parametrize(("smallest", "hidden"), [(1, set()), (2, {"east", "west"})])
def test_one_member_is_enough_where_the_limit_is_one(smallest: int, hidden: set[str]) -> None:
    assert too_small({"east": 1, "west": 2}, smallest) == hidden
