"""DataFrame → chart, for deliveries. Knows no Streamlit."""

from datetime import timedelta
from typing import Literal, NamedTuple

import altair as alt
import pandas as pd

from dashboard.base.charts import Span, moment
from dashboard.base.colours import Palette
from shared.outcomes import WORDS

OUTCOMES = {outcome.value: words for outcome, words in WORDS.items()}
"""The words for outcomes, in the order that filters offer them."""

MOMENT = "%a %-d %b %H:%M"


class Axis(NamedTuple):
    """How a timeline is divided: the length of a bar, and how its axis and its bars are named."""

    bar: timedelta
    format: str
    ticks: int
    says: str


AXES = {
    "24h": Axis(timedelta(hours=1), "%H:%M", 12, "by hour"),
    "7d": Axis(timedelta(hours=6), "%a %-d %b", 8, "by 6 hours"),
    "30d": Axis(timedelta(days=1), "%-d %b", 10, "by day"),
    "90d": Axis(timedelta(days=1), "%-d %b", 13, "by day"),
}
"""By the key of a window."""
FAILED, ACCEPTED = "Failed", "Accepted"
BAR = 0.7
"""The share of its time that a bar fills."""


def in_words(frame: pd.DataFrame) -> pd.DataFrame:
    """With the words of each row's outcome."""
    return frame.assign(words=frame["outcome"].map(OUTCOMES))


def timeline(
    bars: pd.DataFrame,
    marks: pd.DataFrame,
    span: Span,
    axis: Axis,
    colours: Palette,
) -> alt.LayerChart:
    """Deliveries over time, failures at the base. `bars` has at, what, deliveries; `marks` are
    outages from `at` to `end` and single moments, with label, kind (`down`, `now`, `lost`,
    `retry`). A brush over it is the selection `brush`."""
    x = alt.X(
        "begin:T",
        title=None,
        scale=alt.Scale(domain=[moment(at) for at in span]),
        axis=alt.Axis(format=axis.format, tickCount=axis.ticks, grid=False),
    )
    side = axis.bar * (1 - BAR) / 2
    at = bars["at"].dt.strftime("%a %-d %b, %H:%M")
    says = at + ": " + bars["deliveries"].astype(str) + " " + bars["what"].str.lower()
    drawn = _stacked(bars).assign(
        begin=bars["at"] + side, end=bars["at"] + axis.bar - side, says=says
    )
    columns = (
        alt.Chart(drawn)
        .mark_rect()
        .encode(
            x=x,
            x2="end:T",
            y=alt.Y(
                "low:Q",
                title=None,
                axis=alt.Axis(
                    tickMinStep=1, tickCount=4, labelExpr="format(datum.value, ',')",
                    domain=False, ticks=False,
                ),
            ),
            y2="high:Q",
            color=alt.Color(
                "what:N",
                title=None,
                scale=alt.Scale(domain=[ACCEPTED, FAILED], range=[colours.quiet, colours.bad]),
                legend=alt.Legend(orient="top"),
            ),
            description=alt.Description("says:N"),
            tooltip=[
                alt.Tooltip("at:T", title="From", format=MOMENT),
                alt.Tooltip("what:N", title="Outcome"),
                alt.Tooltip("deliveries:Q", title="Deliveries", format=","),
            ],
        )
        .add_params(alt.selection_interval(name="brush", encodings=["x"]))
    )  # fmt: skip
    layers = alt.layer(*_outages(marks, colours), columns, *_rules(marks, span, colours))
    # Each mark has a description of its own. The brush is drawn as marks that have none.
    named: alt.LayerChart = layers.configure_mark(description="The chosen time")
    return named


def _stacked(bars: pd.DataFrame) -> pd.DataFrame:
    """With `low` and `high`, between which each part of a bar is drawn. Vega stacks no bars that
    have a begin and an end."""
    failed = bars["deliveries"].where(bars["what"] == FAILED, 0)
    below = failed.groupby(bars["at"]).transform("sum").where(bars["what"] == ACCEPTED, 0)
    return bars.assign(low=below, high=below + bars["deliveries"])


def _outages(marks: pd.DataFrame, colours: Palette) -> list[alt.Chart]:
    """A band for each outage."""
    down = marks[marks["kind"] == "down"]
    if down.empty:
        return []
    band = alt.Chart(down).mark_rect(color=colours.band, stroke=colours.line)
    tooltip = [
        alt.Tooltip("at:T", title="No receiver from", format=MOMENT),
        alt.Tooltip("end:T", title="to", format=MOMENT),
    ]
    return [
        band.encode(x="at:T", x2="end:T", description=alt.value("No receiver"), tooltip=tooltip)
    ]


def _rules(marks: pd.DataFrame, span: Span, colours: Palette) -> list[alt.Chart]:
    """A dashed line at each moment, and beside each mark its label: before an outage and after a
    moment, unless the chart begins or ends there. Each kind has a height of its own."""
    if marks.empty:
        return []
    inks = {
        "down": colours.muted,
        "now": colours.muted,
        "lost": colours.bad_text,
        "retry": colours.warn_text,
    }
    heights = {"down": 6, "now": 22, "lost": 38, "retry": 6}
    drawn = marks.assign(ink=marks["kind"].map(inks), height=marks["kind"].map(heights))
    rules = (
        alt.Chart(drawn[drawn["kind"] != "down"])
        .mark_rule(strokeDash=[4, 3], strokeWidth=1.5)
        .encode(
            x="at:T",
            color=alt.Color("ink:N", scale=None, legend=None),
            description=alt.Description("label:N"),
        )
    )
    first, last = span
    share = (drawn["at"] - first) / (last - first)
    before = share > (drawn["kind"] == "down").map({True: EARLY, False: LATE})
    return [rules, _labels(drawn[~before], "left"), _labels(drawn[before], "right")]


EARLY, LATE = 0.12, 0.84
"""The shares of a chart where labels begin to have room before a mark, and no longer after it."""


def _labels(marks: pd.DataFrame, align: Literal["left", "right"]) -> alt.Chart:
    text = alt.Chart(marks).mark_text(
        align=align, baseline="top", dx=5 if align == "left" else -5, fontSize=12, fontWeight=600
    )
    labels: alt.Chart = text.encode(
        x="at:T",
        y=alt.Y("height:Q", scale=None, axis=None),
        text="label:N",
        color=alt.Color("ink:N", scale=None, legend=None),
    )
    return labels


def attempts(frame: pd.DataFrame, palette: Palette) -> alt.Chart:
    """The attempts of one event, past and due, along a time axis."""
    shapes = {"refused": "cross", "accepted": "circle", "due": "diamond"}
    colours = {"refused": palette.bad, "accepted": palette.good, "due": palette.muted}
    chart: alt.Chart = (
        alt.Chart(frame)
        .mark_point(filled=True, size=160)
        .encode(
            x=alt.X("at:T", title=None, axis=alt.Axis(format="%-d %b %H:%M", tickCount=6)),
            color=alt.Color(
                "what:N",
                title=None,
                scale=alt.Scale(domain=list(colours), range=list(colours.values())),
                legend=alt.Legend(orient="top"),
            ),
            shape=alt.Shape(
                "what:N", scale=alt.Scale(domain=list(shapes), range=list(shapes.values()))
            ),
            tooltip=[
                alt.Tooltip("at:T", title="At", format="%a %-d %b %H:%M:%S"),
                alt.Tooltip("what:N", title="Attempt"),
            ],
        )
        .properties(height=130)
    )
    return chart
