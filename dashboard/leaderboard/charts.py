"""DataFrame → chart, for the leaderboard. Knows no Streamlit."""

from html import escape

import altair as alt
import pandas as pd

from dashboard.base.colours import Palette
from dashboard.leaderboard.words import number


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


BARS = (
    "display:grid;grid-template-columns:fit-content(45%) minmax(0,1fr) auto;gap:.65rem .6rem;"
    "align-items:center;font-size:.85rem;font-variant-numeric:tabular-nums;padding:.25rem 0"
)
NAME = "overflow:hidden;text-overflow:ellipsis;white-space:nowrap"


def teams(frame: pd.DataFrame, colours: Palette) -> str:
    """HTML with a line for each team: its name, a bar for the average per member with a tick for
    the period before, and the value. Drawn without a library of charts, which takes a browser as
    long to load as the page itself."""
    longest = max(1.0, float(frame[["average", "average_before"]].max().max()))
    rows = zip(frame["team_id"], frame["average"], frame["average_before"], strict=True)
    lines = [_team(str(team), now, before, longest, colours) for team, now, before in rows]
    return f'<div style="{BARS};color:{colours.ink}">{"".join(lines)}</div>'


def _team(team: str, average: float, before: float | None, longest: float, colours: Palette) -> str:
    tick = ""
    if pd.notna(before):
        tick = (
            '<i style="position:absolute;top:-3px;height:16px;width:2px;'
            f'background:{colours.muted};left:{100 * before / longest:.1f}%"></i>'
        )
    bar = (
        f'<i style="position:absolute;inset:0 auto 0 0;width:{100 * average / longest:.1f}%;'
        f'background:{colours.accent};border-radius:0 3px 3px 0"></i>'
    )
    return (
        f'<span style="{NAME}">{escape(team)}</span>'
        f'<span style="position:relative;height:10px">{bar}{tick}</span>'
        f'<span style="text-align:right">{number(average)}</span>'
    )
