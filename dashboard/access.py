"""Which role may see and do what: one table, and the checks of pages and write functions."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import streamlit as st

from dashboard import viewer
from dashboard.settings import settings
from dashboard.viewer import LOCAL, Role, Viewer
from shared.queries.people import Who
from shared.setting_types import Names

ALL_ROLES = frozenset(Role)
LEADS = frozenset({Role.LEAD, Role.ADMIN})
ADMINS = frozenset({Role.ADMIN})
PAIRING = frozenset({Role.MANAGER, Role.ADMIN})

PAGES: Mapping[str, frozenset[Role]] = {
    "leaderboard": ALL_ROLES,
    "coaching": ALL_ROLES,
    "certifications": ALL_ROLES,
    "learner": ALL_ROLES,
    "contests": ALL_ROLES,
    "deliveries": ADMINS,
    "audit": ADMINS,
    "scoring": ADMINS,
    "wall": ALL_ROLES,
    "screens": PAIRING,
    "preferences": ALL_ROLES,
}
"""By the name of the page's folder. A page that is not listed is shown to no role."""

ACTIONS: Mapping[str, frozenset[Role]] = {
    "export": ALL_ROLES,
    "contest": ALL_ROLES,
    "coach": LEADS,
    "take_case": ALL_ROLES,
    "set_threshold": LEADS,
    "renew_certificate": LEADS,
    "replay": ADMINS,
    "test": ADMINS,
    "dismiss": ADMINS,
    "set_weights": ADMINS,
    "screen": PAIRING,
    "subscribe": ALL_ROLES,
    "forward": ADMINS,
}
"""Changes of the store, and exports from it."""

_for_all: ContextVar[Names | None] = ContextVar("_for_all", default=None)
"""How people are named in a read that is cached for all sessions; None outside of one."""

_screen: ContextVar[Viewer | None] = ContextVar("_screen", default=None)
"""The wall display that is drawn, where no person is at the page."""

OPENNESS: Sequence[Names] = ("full", "initials", "anonymous")


class Refused(PermissionError):
    """The viewer's role may not do this."""


def present() -> Viewer:
    """The viewer, or the screen that is drawn. Raises Refused without a sign-in or a role."""
    if _for_all.get():
        raise RuntimeError("A cached read gets the people it is about as arguments.")
    if screen := _screen.get():
        return screen
    found = viewer.viewer()
    if found is None or not found.roles:
        raise Refused("No person with a role is signed in.")
    return found


def is_here() -> bool:
    """Whether the viewer has signed in and has a role."""
    found = viewer.viewer()
    return found is not None and bool(found.roles)


def admit() -> None:
    """For reads: go on if the viewer has a role, else go to the sign-in."""
    if _for_all.get():
        return  # the viewer who asks was admitted before
    try:
        present()
    except Refused:
        st.rerun()  # a live part outlasts the sign-in: the page itself says that it has ended
        raise


@contextmanager
def for_all_sessions(named: Names) -> Iterator[None]:
    """A read that other viewers will see too: it cannot ask who the viewer is, and names people in
    this way."""
    token = _for_all.set(named)
    try:
        yield
    finally:
        _for_all.reset(token)


@contextmanager
def as_screen(number: int, paired_by: str, teams: tuple[str, ...] | None) -> Iterator[bool]:
    """Draw for a paired wall display. It has no role, so it may see no page and do nothing of the
    table: only what is read here, of its teams. False, and nothing may be read, once the person who
    paired it lost the role for it."""
    found = viewer.of_screen(number, paired_by, teams, settings())
    token = _screen.set(found)
    try:
        yield found is not None
    finally:
        _screen.reset(token)


def may(what: str) -> bool:
    """Whether the viewer may see a page or do an action. Raises KeyError for any other name."""
    allowed = PAGES[what] if what in PAGES else ACTIONS[what]
    return not allowed.isdisjoint(present().roles)


def require(what: str) -> None:
    """Raises Refused unless the viewer may see a page or do an action."""
    if not may(what):
        raise Refused(f"{' and '.join(sorted(present().roles))} may not: {what}")


def who(asked: Who) -> Who:
    """The same question, limited to the teams that the viewer may see."""
    limit = present().teams
    if limit is None:
        return asked
    return asked._replace(teams=limit if asked.teams is None else tuple(teams(asked.teams)))


def teams(every: Iterable[str]) -> list[str]:
    """The teams among these that the viewer may see."""
    limit = present().teams
    return [team for team in every if limit is None or team in limit]


def sees_all_teams() -> bool:
    """Whether the viewer is not limited to named teams."""
    return present().teams is None


def names() -> Names:
    """How people are named to the viewer: as openly as any of their roles allows. A screen shows
    them as to a manager."""
    if kept := _for_all.get():
        return kept
    now = settings()
    if _screen.get():
        return now.names_manager
    allowed: Mapping[Role, Names] = {
        Role.MANAGER: now.names_manager,
        Role.LEAD: now.names_lead,
        Role.ADMIN: now.names_admin,
    }
    return min((allowed[role] for role in present().roles), key=OPENNESS.index)


def role() -> Role:
    """The role of the viewer that sees most."""
    return next(one for one in (Role.ADMIN, Role.LEAD, Role.MANAGER) if one in present().roles)


def is_local() -> bool:
    """Whether no login is configured."""
    return present() is LOCAL
