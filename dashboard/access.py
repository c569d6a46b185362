"""Who may see and do what: one table, and the questions that pages and write functions ask it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import streamlit as st

from dashboard import viewer
from dashboard.settings import settings
from dashboard.viewer import LOCAL, Role, Viewer
from shared.queries.people import Who
from shared.settings import Names

EVERYBODY = frozenset(Role)
LEADS = frozenset({Role.LEAD, Role.ADMIN})
ADMINS = frozenset({Role.ADMIN})

PAGES: Mapping[str, frozenset[Role]] = {
    "leaderboard": EVERYBODY,
    "coaching": LEADS,
    "certifications": EVERYBODY,
    "learner": EVERYBODY,
    "deliveries": ADMINS,
    "audit": ADMINS,
}
"""By the name of the page's folder. A page that is not here is shown to nobody."""

ACTIONS: Mapping[str, frozenset[Role]] = {
    "export": EVERYBODY,
    "coach": LEADS,
    "set_threshold": LEADS,
    "replay": ADMINS,
    "dismiss": ADMINS,
}
"""What is done to the store, and what is taken out of it."""

_for_all: ContextVar[Names | None] = ContextVar("_for_all", default=None)
"""How people are named in what is being read to be kept for all sessions; None if nothing is."""

OPENNESS: Sequence[Names] = ("full", "initials", "anonymous")


class Refused(PermissionError):
    """Somebody asked for what their role may not do."""


def present() -> Viewer:
    """Who is at the page. Raises Refused if nobody has signed in, or has no role."""
    if _for_all.get():
        raise RuntimeError("What is kept for all sessions must be told whom it is about.")
    somebody = viewer.viewer()
    if somebody is None or not somebody.roles:
        raise Refused("Nobody with a role is signed in.")
    return somebody


def is_here() -> bool:
    """Whether somebody with a role is at the page."""
    somebody = viewer.viewer()
    return somebody is not None and bool(somebody.roles)


def admit() -> None:
    """For reads: go on if somebody with a role is at the page, else have them sign in."""
    if _for_all.get():
        return  # whoever asked for it has been admitted
    try:
        present()
    except Refused:
        st.rerun()  # a live part outlasts the sign-in: the page itself says that it has ended
        raise


@contextmanager
def for_all_sessions(named: Names) -> Iterator[None]:
    """While something is read that others will see too, nobody is there to be asked about; people
    are in it under such names."""
    token = _for_all.set(named)
    try:
        yield
    finally:
        _for_all.reset(token)


def may(what: str) -> bool:
    """Whether the viewer may see a page or do an action. Raises KeyError for any other name."""
    allowed = PAGES[what] if what in PAGES else ACTIONS[what]
    return not allowed.isdisjoint(present().roles)


def require(what: str) -> None:
    """Raises Refused unless the viewer may see a page or do an action."""
    if not may(what):
        raise Refused(f"{' and '.join(sorted(present().roles))} may not: {what}")


def who(asked: Who) -> Who:
    """The same question about those only whom the viewer may see."""
    limit = present().teams
    if limit is None:
        return asked
    return asked._replace(teams=limit if asked.teams is None else tuple(teams(asked.teams)))


def teams(every: Iterable[str]) -> list[str]:
    """Those of some teams that the viewer may see."""
    limit = present().teams
    return [team for team in every if limit is None or team in limit]


def sees_all_teams() -> bool:
    """Whether the viewer is not limited to named teams."""
    return present().teams is None


def names() -> Names:
    """How people are named to the viewer: as openly as any of their roles allows."""
    if kept := _for_all.get():
        return kept
    now = settings()
    allowed: Mapping[Role, Names] = {
        Role.MANAGER: now.names_manager,
        Role.LEAD: now.names_lead,
        Role.ADMIN: now.names_admin,
    }
    return min((allowed[role] for role in present().roles), key=OPENNESS.index)


def is_local() -> bool:
    """Whether no login is configured."""
    return present() is LOCAL
