"""DataFrame → chart, for the leaderboard. Knows no Streamlit."""

import altair as alt
import pandas as pd

from dashboard.base.colours import Palette


def points_by_module(frame: pd.DataFrame) -> alt.Chart:
    """Bars: what a learner gained in each module."""
    chart: alt.Chart = (
        alt.Chart(frame[["module_name", "gained"]])  # all its data goes to the browser
        .mark_bar(cornerRadiusTopRight=2, cornerRadiusBottomRight=2)
        .encode(
            x=alt.X("gained:Q", title="Points gained", axis=alt.Axis(tickCount=5)),
            y=alt.Y("module_name:N", title=None, sort="-x", axis=alt.Axis(labelLimit=260)),
            tooltip=[
                alt.Tooltip("module_name:N", title="Module"),
                alt.Tooltip("gained:Q", title="Points gained", format=",.1~f"),
            ],
        )
        .properties(height=alt.Step(26))
    )
    return chart


def teams(frame: pd.DataFrame, colours: Palette) -> alt.LayerChart | alt.FacetChart:
    """Bars: a team's average per member, its value at the end, and a tick for the period before."""
    shown = frame[["team_id", "average", "average_before"]].assign(
        end=frame[["average", "average_before"]].max(axis=1)
    )
    y = alt.Y("team_id:N", sort=None, title=None, axis=alt.Axis(domain=False, ticks=False))
    base = alt.Chart(shown).encode(y=y)
    bars = base.mark_bar(height=10, cornerRadiusEnd=3, color=colours.accent).encode(
        x=alt.X("average:Q", axis=None)
    )
    compared = shown[shown["average_before"].notna()]
    ticks = (
        alt.Chart(compared)
        .mark_tick(thickness=2, size=16, color=colours.muted)
        .encode(y=y, x="average_before:Q")
    )
    values = base.mark_text(align="left", dx=6, color=colours.ink, fontSize=12).encode(
        x="end:Q", text=alt.Text("average:Q", format=",.0f")
    )
    return alt.layer(bars, ticks, values)
