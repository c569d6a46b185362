"""Groups so small that a figure would be that of one person."""

from collections.abc import Collection, Mapping


def too_small(members: Mapping[str, int], smallest: int) -> Collection[str]:
    """The teams whose figures are not shown, of teams with so many members each: with fewer than
    `smallest`.

    As long as the hidden teams together are still too few, the next larger one is hidden as well:
    else the total of all teams less the shown ones would be their figure.
    """
    hidden: set[str] = set()
    smaller: int | None = None
    for team, count in sorted(members.items(), key=lambda one: (one[1], one[0])):
        if count >= smallest and (smaller is None or smaller >= smallest):
            break
        hidden.add(team)
        smaller = (smaller or 0) + count
    return hidden
