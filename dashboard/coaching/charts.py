"""DataFrame → chart, for coaching. Knows no Streamlit."""

import altair as alt
import pandas as pd

from dashboard.base.colours import Palette
from dashboard.base.percent import percent
from dashboard.base.store import each

Layers = alt.LayerChart | alt.FacetChart


def quizzes(frame: pd.DataFrame, colours: Palette) -> Layers:
    """Bars: the share of each quiz's takers who fail at their latest try. Those that most people
    fail are in orange, beyond the dashed line of a half."""
    shown = frame[["quiz", "low", "takers", "share", "problem"]].assign(
        words=[f"{row.low:,} of {row.takers:,}" for row in each(frame)]
    )
    bars = (
        _bars(shown, "quiz", "share")
        .mark_bar(height=12, cornerRadiusEnd=3)
        .encode(
            color=alt.condition(
                "datum.problem", alt.value(colours.warn), alt.value(colours.accent)
            ),
            tooltip=[alt.Tooltip("quiz:N", title="Quiz"), alt.Tooltip("words:N", title="Fail")],
        )
    )
    half = (
        alt.Chart(pd.DataFrame({"half": [50]}))
        .mark_rule(strokeDash=[4, 3], color=colours.muted)
        .encode(x="half:Q")
    )
    return alt.layer(bars, _values(shown, "quiz", "share", colours), half)


def retakes(frame: pd.DataFrame, colours: Palette) -> Layers:
    """Bars: the share of retakes that were passed, with coaching and without."""
    shown = frame[["kind", "share", "retakes"]].assign(
        words=[f"{percent(row.share)} of {row.retakes:,}" for row in each(frame)]
    )
    bars = (
        _bars(shown, "kind", "share")
        .mark_bar(height=14, cornerRadiusEnd=3)
        .encode(
            color=alt.condition(
                "datum.kind == 'Coached'", alt.value(colours.good), alt.value(colours.muted)
            )
        )
    )
    return alt.layer(bars, _values(shown, "kind", "share", colours))


def _bars(frame: pd.DataFrame, name: str, value: str) -> alt.Chart:
    return alt.Chart(frame).encode(
        x=alt.X(
            f"{value}:Q",
            title=None,
            scale=alt.Scale(domain=[0, 100]),
            axis=alt.Axis(tickCount=3, labelExpr="datum.value + ' %'"),
        ),
        y=alt.Y(
            f"{name}:N",
            title=None,
            sort=None,
            axis=alt.Axis(labelLimit=200, domain=False, ticks=False),
        ),
    )


def _values(frame: pd.DataFrame, name: str, value: str, colours: Palette) -> alt.Chart:
    """Words at the end of each bar, so that none has to be read off the axis."""
    values: alt.Chart = (
        _bars(frame, name, value)
        .mark_text(align="left", dx=6, fontSize=12, color=colours.ink)
        .encode(text="words:N")
    )
    return values
