"""The wall displays that the viewer may see, and how they are paired and revoked."""

from collections.abc import Sequence
from datetime import UTC, datetime

from dashboard import access
from dashboard.base.store import actor, query_fresh, write
from shared import screens
from shared.queries import screens as queries
from shared.queries.people import Who
from shared.queries.screens import ScreenRow
from shared.screens import Pairing

__all__ = ["Pairing", "ScreenRow"]


def paired() -> Sequence[ScreenRow]:
    """The paired screens: an admin sees all, a manager only those that they paired."""
    access.require("screens")
    return query_fresh(queries.paired, None if _sees_all() else actor())


def pair(code: str) -> Pairing:
    """Pair the screen that shows this code, for the viewer's teams."""
    with write("screen") as connection:
        teams = access.who(Who()).teams
        return screens.confirm(connection, actor(), code, teams, datetime.now(UTC))


def revoke(number: int) -> None:
    """Revoke a screen, if the viewer may: an admin any, a manager one that they paired."""
    with write("screen") as connection:
        screens.revoke(connection, actor(), number, of_all=_sees_all())


def in_words(row: ScreenRow) -> str:
    """What a screen shows: `all teams`, `team west`."""
    return screens.in_words(row.shown_teams)


def _sees_all() -> bool:
    """Whether the viewer is an admin, as only admins see what others did."""
    return access.may("audit")
