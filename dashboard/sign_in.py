"""Signing in and out, and what is said to whom a page is not for."""

import streamlit as st

from dashboard import access, viewer
from dashboard.base.pieces import plain
from dashboard.viewer import Viewer


def first() -> None:
    """Show nothing else until somebody with a role has signed in."""
    somebody = viewer.viewer()
    if somebody is None:
        _ask()
    elif not somebody.roles:
        _without_role(somebody)
    else:
        return
    st.stop()


def _ask() -> None:
    if viewer.has_ended():
        st.info("Your sign-in has ended. Sign in again to go on.", icon=":material/lock_clock:")
    else:
        st.write("Sign in to see this page.")
    st.button("Sign in", type="primary", on_click=st.login)


def _without_role(somebody: Viewer) -> None:
    st.warning(
        f"You are signed in as {plain(somebody.name)}, but have no role here. Ask whoever runs "
        "Repboard for one, then sign in again.",
        icon=":material/person_off:",
    )
    _sign_out()


def not_for_you(title: str) -> None:
    """In place of a page that the viewer's role does not have."""
    who_is_here()
    st.warning(f"The page {title} is not for your role.", icon=":material/block:")


def who_is_here() -> None:
    """A grey line with who has signed in and what they see, and the way out."""
    here = access.present()
    if access.is_local():
        st.caption("No login is configured: only this machine is served, and everybody is admin.")
        return
    seen = "" if here.teams is None else f" · {_teams(here.teams)}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"Signed in as {plain(here.name)} · {', '.join(sorted(here.roles))}{seen}",
            width="content",
        )
        _sign_out()


def _teams(teams: tuple[str, ...]) -> str:
    named = plain(", ".join(teams))
    return f"only of {named}" if teams else "no team yet: ask whoever runs Repboard for one"


def _sign_out() -> None:
    st.button("Sign out", type="tertiary", on_click=st.logout)
