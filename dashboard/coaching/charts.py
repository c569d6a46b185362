"""DataFrame → chart, for coaching. Knows no Streamlit."""

import altair as alt
import pandas as pd

from dashboard.base.percent import percent


def quizzes(frame: pd.DataFrame) -> alt.Chart:
    """Bars: the share of each quiz's takers who are low at their latest try."""
    shown = frame[["quiz", "low", "takers", "share"]].assign(shown=frame["share"].map(percent))
    chart: alt.Chart = (
        alt.Chart(shown)
        .mark_bar(cornerRadiusTopRight=2, cornerRadiusBottomRight=2)
        .encode(
            x=alt.X(
                "share:Q",
                title="Low takers (%)",
                scale=alt.Scale(domain=[0, 100]),
                axis=alt.Axis(tickCount=5),
            ),
            y=alt.Y("quiz:N", title=None, sort="-x", axis=alt.Axis(labelLimit=260)),
            tooltip=[
                alt.Tooltip("quiz:N", title="Quiz"),
                alt.Tooltip("low:Q", title="Low"),
                alt.Tooltip("takers:Q", title="Takers"),
                alt.Tooltip("shown:N", title="Share"),
            ],
        )
        .properties(height=alt.Step(26))
    )
    return chart
