"""Sign-in, sign-out, and the message where a page is not for the viewer's role."""

import streamlit as st

from dashboard import access, viewer
from dashboard.base.pieces import answer, plain, row
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
        answer("Your sign-in has ended", "Sign in again to go on.", ":material/lock_clock:")
    else:
        answer("Sign in to see this page")
    st.button("Sign in", type="primary", on_click=st.login)


def _without_role(found: Viewer) -> None:
    answer(
        "You have no role here yet",
        f"You are signed in as {plain(found.name)}. Ask your Repboard admin for a role, then sign "
        "in again.",
        ":material/person_off:",
    )
    _sign_out()


def not_for_you(title: str) -> None:
    """Shown in place of a page that is not for the viewer's role."""
    answer(
        f"The page {title} is not for your role",
        "The menu has the pages that are. An admin of your Repboard can change your role.",
        ":material/block:",
    )
    who_is_here()


def who_is_here() -> None:
    """In the foot: the viewer, their roles and teams, and the sign-out."""
    here = access.present()
    if access.is_local():
        st.caption("Local mode: no sign-in, full access. Only this machine is served.")
        return
    seen = "" if here.teams is None else f" · {_teams(here.teams)}"
    with row():
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
