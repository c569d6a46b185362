"""Sign-in, sign-out, and the message where a page is not for the viewer's role."""

import streamlit as st

from dashboard import access, viewer
from dashboard.base.pieces import plain
from dashboard.viewer import Viewer


def first() -> None:
    """Show nothing else until a person with a role has signed in."""
    found = viewer.viewer()
    if found is None:
        _ask()
    elif not found.roles:
        _without_role(found)
    else:
        return
    st.stop()


def _ask() -> None:
    if viewer.has_ended():
        st.info("Your sign-in has ended. Sign in again to go on.", icon=":material/lock_clock:")
    else:
        st.write("Sign in to see this page.")
    st.button("Sign in", type="primary", on_click=st.login)


def _without_role(found: Viewer) -> None:
    st.warning(
        f"You are signed in as {plain(found.name)}, but have no role here. Ask your "
        "Repboard admin for one, then sign in again.",
        icon=":material/person_off:",
    )
    _sign_out()


def not_for_you(title: str) -> None:
    """Shown in place of a page that is not for the viewer's role."""
    who_is_here()
    st.warning(f"The page {title} is not for your role.", icon=":material/block:")


def who_is_here() -> None:
    """A grey line: the viewer, their roles and teams, and the sign-out."""
    here = access.present()
    if access.is_local():
        st.caption(
            "No login is configured: only this machine is served, and every viewer is an admin."
        )
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
    return f"only of {named}" if teams else "no team yet: ask your Repboard admin for one"


def _sign_out() -> None:
    st.button("Sign out", type="tertiary", on_click=st.logout)
