"""Figures of groups so small that they would be those of one person."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, case, func, or_, select


def without_small(groups: FromClause, smallest: int, figures: Sequence[str]) -> Select[Any]:
    """The rows of `groups`, which have `team_id` and `members`, with `figures` None where a team
    has fewer members than `smallest`, and `hidden`, whether that is so.

    As long as the hidden teams together are still too few, the next larger one is hidden as well:
    else the total of all teams less the shown ones would be their figure.
    """
    row = groups.c
    smaller = func.sum(row.members).over(order_by=(row.members, row.team_id), rows=(None, -1))
    hidden = or_(row.members < smallest, and_(smaller.isnot(None), smaller < smallest))
    judged = select(groups, hidden.label("hidden")).subquery()
    return select(
        *(
            case((judged.c.hidden, None), else_=column).label(column.key)
            if column.key in figures
            else column
            for column in judged.c
        )
    )


def too_small(members: Mapping[str, int], smallest: int) -> Collection[str]:
    """The teams that `without_small` hides, of those with so many members each."""
    hidden: set[str] = set()
    smaller: int | None = None
    for team, count in sorted(members.items(), key=lambda one: (one[1], one[0])):
        if count >= smallest and (smaller is None or smaller >= smallest):
            break
        hidden.add(team)
        smaller = (smaller or 0) + count
    return hidden


def rank_of_shown(groups: FromClause, figure: str) -> ColumnElement[int | None]:
    """The rank by a figure among the teams that `without_small` shows, the highest first; None for
    the others, whose place would tell between which two figures theirs lies."""
    row: Any = groups.c
    rank = func.rank().over(partition_by=row.hidden, order_by=row[figure].desc())
    return case((row.hidden, None), else_=rank)
