"""DataFrame → chart, for the leaderboard. Knows no Streamlit."""

import altair as alt
import pandas as pd


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
