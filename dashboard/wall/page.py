"""Wall: who leads and who climbs, for a room. Shown on a screen that is paired, without a sign-in.

The browser connects again by itself after a restart or a lost network, and runs the page again.
"""

from datetime import UTC, datetime

import streamlit as st

from dashboard import access
from dashboard.base import store, windows
from dashboard.wall import data, view


@st.fragment(run_every=data.TURN_SEC)
def wall() -> None:
    """Asks each time whether the screen is still paired."""
    if problem := store.problem():
        says, _, what_to_do = problem.partition(". ")
        view.message(says, what_to_do)
    elif access.is_here():
        access.require("wall")
        boards()
    else:
        screen(data.token())


def screen(token: str | None) -> None:
    """A screen without a sign-in: its boards if it is paired, else its code and nothing more."""
    if token is None:
        view.message("Reload this page", "A wall display needs a browser that keeps cookies.")
        return
    row = data.known(token)
    if row and row.confirmed_by:
        paired(row, row.confirmed_by)
    elif code := row.code if row else data.new_code(token):
        view.code(code, data.address())
    else:
        view.message("No code can be given now", "The screen tries again by itself.")


def paired(row: data.ScreenRow, by: str) -> None:
    """A paired screen, for the teams of the person who paired it."""
    data.note_seen(row)
    with access.as_screen(row.id, by, row.shown_teams) as admitted:
        if admitted:
            boards()
        else:
            view.message(
                "This screen shows nothing more",
                "The person who paired it has no role for it now. An admin can revoke it.",
            )


def boards() -> None:
    shown = data.boards()
    if not shown:
        view.message(
            f"No progress {windows.WORDS[data.WEEK]}",
            "The boards appear here with the next points.",
        )
        return
    number = data.turn(len(shown), datetime.now(UTC))
    view.board(shown[number], data.foot(), number, len(shown))


wall()
