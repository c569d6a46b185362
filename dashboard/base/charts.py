"""DataFrame → chart, where several subjects draw it. Knows no Streamlit."""

from copy import deepcopy
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias

import altair as alt
import pandas as pd

from dashboard.base.colours import Palette
from dashboard.base.percent import exact, percent
from shared.wording import number_of

Span = tuple[datetime, datetime]
"""The first and the last moment that an axis shows, whether or not there is data. Without a
zone, as all times in charts: a browser would move them to its own."""

DRAWN = "Score in percent: ● passed, ✚ low, ◆ practice. The dashed line is the pass mark"
"""How to read a chart of scores."""

RESULTS = {"passed": "✓ Passed", "low": "✕ Low", "practice": "◇ Practice"}


Spec: TypeAlias = dict[str, Any]
"""A chart as Vega-Lite reads it, for `st.vega_lite_chart`."""


def rows(name: str = "rows") -> alt.NamedData:
    """The place of a frame in a chart that is made once: see `filled`."""
    return alt.NamedData(name=name)


def spec_of(chart: alt.LayerChart | alt.FacetChart) -> Spec:
    """A chart that is made once, as Altair checks each part of one for milliseconds. Without its
    theme, in whose place Streamlit's comes."""
    return {name: value for name, value in chart.to_dict().items() if name != "config"}


def filled(spec: Spec, **frames: pd.DataFrame) -> Spec:
    """A chart with the frames for its `rows`, by name."""
    return deepcopy(spec) | {"datasets": frames}


def moment(at: datetime) -> alt.DateTime:
    return alt.DateTime(year=at.year, month=at.month, date=at.day, hours=at.hour)


def on_the_clock(frame: pd.DataFrame) -> pd.DataFrame:
    """The attempts that have a score in percent, with `at`, the time as charts need it. One without
    a score is no zero, so it is not drawn: `not_drawn` counts it."""
    scored = frame[frame["pct"].notna()]
    return scored.assign(at=scored["submitted_at"].dt.tz_localize(None)).drop(
        columns="submitted_at"
    )


def not_drawn(frame: pd.DataFrame) -> str:
    """` Not drawn, as it has no score: 1 practice run.`; empty where all are drawn."""
    bare = frame[frame["pct"].isna()]
    practice = int((bare["result"] == "practice").sum())
    graded = len(bare) - practice
    parts = [number_of(practice, "practice run")] if practice else []
    parts += [number_of(graded, "graded attempt")] if graded else []
    them = "it has" if len(bare) == 1 else "they have"
    return f" Not drawn, as {them} no score: {' and '.join(parts)}." if parts else ""


def around(times: "pd.Series[pd.Timestamp]") -> Span:
    """From the first to the last of some moments, with room at both ends."""
    room = max(pd.Timedelta(days=3), (times.max() - times.min()) / 20)
    return times.min() - room, times.max() + room


def quiz_scores(frame: pd.DataFrame, span: Span, shown_in: Palette) -> Spec:
    """One quiz of one learner: graded scores as a line, the pass mark dashed. A practice run is at
    its score and on no line."""
    pairs = list(zip(frame["pct"], frame["threshold_pct"], strict=True))
    words = frame.assign(
        words=frame["result"].str.capitalize().fillna("Unknown"),
        score=[percent(pct, limit) for pct, limit in pairs],
        limit=frame["threshold_pct"].map(exact),
    )[["at", "pct", "threshold_pct", "result", "words", "score", "limit"]]
    graded = words[words["result"].isin(["passed", "low"])]
    drawn = filled(_quiz_scores(shown_in), rows=words, graded=graded)
    top = max(100.0, float(words["pct"].max()))  # a bonus makes more than 100 %
    for layer in drawn["layer"][1:]:
        at, height = layer["encoding"]["x"], layer["encoding"]["y"]
        at["scale"] = {"domain": [moment(one).to_dict() for one in span]}
        height["scale"] = {"domain": [0, top]}
        height["axis"] = {"values": sorted({0.0, 50.0, 100.0, top})}
    return drawn


@cache
def _quiz_scores(shown_in: Palette) -> Spec:
    shapes = {"Passed": "circle", "Low": "cross", "Practice": "diamond", "Unknown": "diamond"}
    muted = shown_in.muted
    colours = {"Passed": shown_in.good, "Low": shown_in.bad, "Practice": muted, "Unknown": muted}
    x = alt.X("at:T", title=None, axis=alt.Axis(format="%-d %b", tickCount=6))
    y = alt.Y("pct:Q", title=None)
    base = alt.Chart(rows())
    line = (
        alt.Chart(rows("graded")).mark_line(strokeWidth=1.5, color=shown_in.quiet).encode(x=x, y=y)
    )
    limit = base.mark_rule(strokeDash=[4, 3], color=muted).encode(y="max(threshold_pct):Q")
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        x=x,
        y=y,
        color=_scaled(alt.Color, colours),
        shape=_scaled(alt.Shape, shapes),
        tooltip=[
            alt.Tooltip("at:T", title="When", format="%a %-d %b %Y %H:%M"),
            alt.Tooltip("score:N", title="Score"),
            alt.Tooltip("limit:N", title="Pass mark"),
            alt.Tooltip("words:N", title="Result"),
        ],
    )
    return spec_of(alt.layer(limit, line, points).properties(height=150))


def _scaled(channel: Any, looks: dict[str, str]) -> Any:
    scale = alt.Scale(domain=list(looks), range=list(looks.values()))
    return channel("words:N", scale=scale, legend=None)
