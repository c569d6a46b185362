"""What stands beside the board: who climbs, who is about to pass, and the teams."""

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.base import people
from dashboard.base.colours import palette
from dashboard.base.pieces import cut, heading, plain
from dashboard.leaderboard import charts, data
from dashboard.leaderboard.view import explain
from dashboard.leaderboard.words import amount, number, ordinal
from shared.wording import number_of

CHART_PX = 32
SHOWN_TEAMS = 8
SHORT = 28
"""Characters of a name in a narrow place; the board has it in full."""


def climbers(shown: list[data.Climber]) -> None:
    """The learners who won most places; a name opens why."""
    if not shown:
        return
    with st.container(border=True, gap="xxsmall"):
        heading("Climbing fastest")
        for one in shown:
            with _line():
                _name(one.learner, f"climber_{people.link_to(one.key)}", one.key)
                st.space("stretch")
                st.markdown(
                    f":green[▲ {one.rise:,}] :gray[now {ordinal(one.rank)}]", width="content"
                )


def close_calls(shown: list[data.Call]) -> None:
    """The learners who are one module from passing another; a name opens why."""
    if not shown:
        return
    with st.container(border=True, gap="xxsmall"):
        heading("One module from passing")
        for one in shown:
            with _line():
                _name(one.learner, f"call_{people.link_to(one.key)}", one.key)
                st.markdown(f":small[:gray[→ {plain(cut(one.ahead, SHORT))}]]", width="content")
                st.space("stretch")
                st.markdown(amount("gained", one.gap), width="content")


def still(count: int, shown: list[data.Still], window: str) -> None:
    """Learners with earlier progress and none in the period; a name opens the way to their page."""
    if not shown:
        return
    with st.container(border=True, gap="xxsmall"):
        heading("Not moving")
        st.markdown(
            f":small[:gray[{number_of(count, 'learner')} with earlier progress, none {window}.]]"
        )
        for one in shown:
            with _line():
                _name(one.learner, f"still_{people.link_to(one.key)}", one.key)
                st.space("stretch")
                if one.before is not None:
                    st.markdown(
                        f":small[:gray[{amount('gained', one.before)} before]]", width="content"
                    )


def teams(frame: pd.DataFrame, compared: str) -> None:
    """Points a member, by team, with a tick for the period before; nothing to compare with one."""
    known = (frame[frame["average"].notna()] if len(frame) else frame).head(SHOWN_TEAMS)
    if len(known) < 2:  # noqa: PLR2004
        return
    known = known.assign(team_id=known["team_id"].map(lambda team: cut(team, SHORT)))
    with st.container(border=True, gap="xsmall"):
        heading("Points per person, by team")
        first, last = known.iloc[0], known.iloc[-1]
        st.altair_chart(
            charts.teams(known, palette()),
            height=CHART_PX * len(known) + 20,
            alt=f"Points gained a member, by team: {first.team_id} has most with "
            f"{number(first.average)}, {last.team_id} is last of {len(known)} "
            f"with {number(last.average)}.",
            key="team_bars",
        )
        st.markdown(
            ":small[:gray["
            + (f"The tick is {compared}. " if compared else "")
            + "The board of teams has the figures.]]"
        )


def _line() -> DeltaGenerator:
    return st.container(horizontal=True, vertical_alignment="center", gap="xsmall")


def _name(learner: str, name: str, key: str) -> None:
    st.button(plain(cut(learner, SHORT)), key=name, type="tertiary", on_click=explain, args=(key,))
