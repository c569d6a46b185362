"""DataFrame → chart, for coaching. Knows no Streamlit."""

from functools import cache

import altair as alt
import pandas as pd

from dashboard.base.charts import Spec, filled, rows, spec_of
from dashboard.base.colours import Palette
from dashboard.base.percent import percent
from dashboard.base.store import each


def quizzes(frame: pd.DataFrame, colours: Palette) -> Spec:
    """Bars: the share of each quiz's takers who fail at their latest try. Those that most people
    fail are in orange, beyond the dashed line of a half."""
    shown = frame[["quiz", "low", "takers", "share", "problem"]].assign(
        words=[f"{row.low:,} of {row.takers:,}" for row in each(frame)]
    )
    return filled(_quizzes(colours), rows=shown, half=pd.DataFrame({"half": [50]}))


@cache
def _quizzes(colours: Palette) -> Spec:
    bars = (
        _bars("quiz", "share")
        .mark_bar(height=12, cornerRadiusEnd=3)
        .encode(
            color=alt.condition(
                "datum.problem", alt.value(colours.warn), alt.value(colours.accent)
            ),
            tooltip=[alt.Tooltip("quiz:N", title="Quiz"), alt.Tooltip("words:N", title="Fail")],
        )
    )
    half = (
        alt.Chart(rows("half")).mark_rule(strokeDash=[4, 3], color=colours.muted).encode(x="half:Q")
    )
    return spec_of(alt.layer(bars, _values("quiz", "share", colours), half))


def retakes(frame: pd.DataFrame, colours: Palette) -> Spec:
    """Bars: the share of retakes that were passed, with coaching and without."""
    shown = frame[["kind", "share", "retakes"]].assign(
        words=[f"{percent(row.share)} of {row.retakes:,}" for row in each(frame)]
    )
    return filled(_retakes(colours), rows=shown)


@cache
def _retakes(colours: Palette) -> Spec:
    bars = (
        _bars("kind", "share")
        .mark_bar(height=14, cornerRadiusEnd=3)
        .encode(
            color=alt.condition(
                "datum.kind == 'Coached'", alt.value(colours.good), alt.value(colours.muted)
            )
        )
    )
    return spec_of(alt.layer(bars, _values("kind", "share", colours)))


def _bars(name: str, value: str) -> alt.Chart:
    return alt.Chart(rows()).encode(
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


def _values(name: str, value: str, colours: Palette) -> alt.Chart:
    """Words at the end of each bar, so that none has to be read off the axis."""
    values: alt.Chart = (
        _bars(name, value)
        .mark_text(align="left", dx=6, fontSize=12, color=colours.ink)
        .encode(text="words:N")
    )
    return values
