"""What stands beside the board: who climbs, who is about to pass, and the teams."""

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.base import people
from dashboard.base.colours import palette
from dashboard.base.pieces import cut, heading, plain
from dashboard.base.windows import Period
from dashboard.leaderboard import charts, data
from dashboard.leaderboard.view import explain
from dashboard.leaderboard.words import amount, ordinal
from shared.wording import number_of

SHOWN_TEAMS = 8
SHORT, PAIRED = 24, 18
"""Characters of a name in a narrow place, alone and beside another; the board has it in full."""


def climbers(shown: list[data.Climber]) -> None:
    """The learners who won most places; a name opens why."""
    if not shown:
        return
    with st.container(border=True, gap="xxsmall"):
        heading("Climbing fastest")
        for one in shown:
            with _line():
                _name(cut(one.learner, SHORT), f"climber_{people.link_to(one.key)}", one.key)
                _at_the_end(f":green[▲ {one.rise:,}] :small[:gray[now {ordinal(one.rank)}]]")


def close_calls(shown: list[data.Call]) -> None:
    """The learners who are one module from passing another; a name opens why."""
    if not shown:
        return
    with st.container(border=True, gap="xxsmall"):
        heading("One module from overtaking")
        for one in shown:
            with _line():
                _name(cut(one.learner, PAIRED), f"call_{people.link_to(one.key)}", one.key)
                ahead = plain(cut(one.ahead, PAIRED))
                _at_the_end(f":small[:gray[→ {ahead}]] {amount('gained', one.gap)}")


def still(count: int, shown: list[data.Still], period: Period) -> None:
    """Learners with earlier progress and none in the period; a name opens the way to their page."""
    if not shown:
        return
    with st.container(border=True, gap="xxsmall"):
        heading("Not moving")
        before = f" Before is {period.compared}." if period.compared else ""
        st.markdown(
            f":small[:gray[{number_of(count, 'learner')} with earlier progress, "
            f"none {period.none}.{before}]]"
        )
        for one in shown:
            with _line():
                _name(cut(one.learner, SHORT), f"still_{people.link_to(one.key)}", one.key)
                if one.before is not None:
                    _at_the_end(f":small[:gray[{amount('gained', one.before)} before]]")


def teams(frame: pd.DataFrame, compared: str) -> None:
    """Points a member, by team, with a tick for the period before; nothing to compare with one."""
    known = (frame[frame["average"].notna()] if len(frame) else frame).head(SHOWN_TEAMS)
    if len(known) < 2:  # noqa: PLR2004
        return
    known = known.assign(team_id=known["team_id"].map(lambda team: cut(team, SHORT)))
    with st.container(border=True, gap="xsmall"):
        heading("Points per person, by team")
        st.html(charts.teams(known, palette()))
        st.markdown(
            ":small[:gray["
            + (f"The tick is {compared}. " if compared else "")
            + "The board of teams has the figures.]]"
        )


def _line() -> DeltaGenerator:
    return st.container(horizontal=True, vertical_alignment="center", gap="xsmall", wrap=False)


def _name(shown: str, name: str, key: str) -> None:
    st.button(plain(shown), key=name, type="tertiary", on_click=explain, args=(key,))


def _at_the_end(said: str) -> None:
    st.markdown(said, width="stretch", text_alignment="right")
