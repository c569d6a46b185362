"""DataFrame → chart. Knows no Streamlit."""

from datetime import datetime
from typing import Any

import altair as alt
import pandas as pd

OUTCOMES = {
    "accepted": "Accepted",
    "duplicate": "Duplicate",
    "bad_signature": "Wrong signature",
    "wrong_credentials": "Wrong credentials",
    "missing_credentials": "No credentials",
    "ip_not_allowed": "Address not allowed",
    "stale_timestamp": "Too old or early",
    "wrong_company": "Other company",
    "unreadable": "Not understood",
    "too_large": "Too large",
}
"""The words for outcomes, in the order that charts stack them."""

COLOURS = ["#0b7a75", "#8fb8b5", "#d1495b", "#b5533c", "#e8a33d", "#7b5ea7", "#5b8def", "#3f88c5",
           "#c06c84", "#6c7a80"]  # fmt: skip


def in_words(frame: pd.DataFrame) -> pd.DataFrame:
    """With the words of each row's outcome."""
    return frame.assign(words=frame["outcome"].map(OUTCOMES))


MOMENT = "%a %-d %b %H:%M"
DAY = "%a %-d %b"

Span = tuple[datetime, datetime]
"""The first and the last moment that an axis shows, whether or not there is data. Without a
zone, as all times in charts: a browser would move them to its own."""


def timeline(
    frame: pd.DataFrame, bands: pd.DataFrame, span: Span, by_hour: bool
) -> alt.LayerChart | alt.FacetChart:
    """Stacked bars: deliveries by outcome, an hour or a day a bar, with grey bands where no
    receiver was up. A brush over it is the selection `brush`."""
    order = {outcome: place for place, outcome in enumerate(OUTCOMES)}
    words = in_words(frame).assign(place=frame["outcome"].map(order))
    unit = "yearmonthdatehours" if by_hour else "yearmonthdate"
    shown = [word for outcome, word in OUTCOMES.items() if outcome in set(frame["outcome"])]
    time = alt.X(
        f"{unit}(at):T",
        title=None,
        scale=alt.Scale(domain=[_moment(at) for at in span]),
        axis=alt.Axis(format="%H:%M" if by_hour else "%-d %b", tickCount=12),
    )
    bars = (
        alt.Chart(words)
        .mark_bar()
        .encode(
            x=time,
            y=alt.Y("deliveries:Q", title="Deliveries", axis=alt.Axis(tickMinStep=1)),
            color=alt.Color(
                "words:N",
                title=None,
                scale=alt.Scale(domain=shown, range=[_colour(word) for word in shown]),
                legend=alt.Legend(orient="top"),
            ),
            order=alt.Order("place:Q"),
            tooltip=[
                alt.Tooltip(
                    "at:T", title="From", format="%a %-d %b %H:%M" if by_hour else "%a %-d %b"
                ),
                alt.Tooltip("words:N", title="Outcome"),
                alt.Tooltip("deliveries:Q", title="Deliveries", format=","),
            ],
        )
        .add_params(alt.selection_interval(name="brush", encodings=["x"]))
    )
    return alt.layer(*_down(bands), bars).properties(height=240)


def _down(bands: pd.DataFrame) -> list[alt.Chart]:
    """A band for each time that no receiver was up, and the words for it."""
    if bands.empty:
        return []
    band = alt.Chart(bands).encode(x="begin:T", x2="end:T")
    tooltip = [
        alt.Tooltip("begin:T", title="No receiver from", format=MOMENT),
        alt.Tooltip("end:T", title="to", format=MOMENT),
    ]
    return [
        band.mark_rect(opacity=0.25, color="#7a868c").encode(tooltip=tooltip),
        band.mark_text(align="left", baseline="top", dx=4, y=4, color="#7a868c").encode(
            text=alt.value("no receiver")
        ),
    ]


def attempts(frame: pd.DataFrame) -> alt.Chart:
    """The attempts of one event and those still due, on one line of time."""
    shapes = {"refused": "cross", "taken": "circle", "due": "diamond"}
    colours = {"refused": "#d1495b", "taken": "#0b7a75", "due": "#8a979d"}
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


def _moment(at: datetime) -> alt.DateTime:
    return alt.DateTime(year=at.year, month=at.month, date=at.day, hours=at.hour)


def _colour(word: str) -> str:
    return COLOURS[list(OUTCOMES.values()).index(word)]


def quizzes(frame: pd.DataFrame) -> alt.Chart:
    """Bars: the share of each quiz's takers who are low at their latest try."""
    chart: alt.Chart = (
        alt.Chart(frame)
        .mark_bar(cornerRadiusTopRight=2, cornerRadiusBottomRight=2)
        .encode(
            x=alt.X(
                "share:Q",
                title="Takers under the threshold (%)",
                scale=alt.Scale(domain=[0, 100]),
                axis=alt.Axis(tickCount=5),
            ),
            y=alt.Y("quiz:N", title=None, sort="-x", axis=alt.Axis(labelLimit=260)),
            tooltip=[
                alt.Tooltip("quiz:N", title="Quiz"),
                alt.Tooltip("low:Q", title="Low"),
                alt.Tooltip("takers:Q", title="Takers"),
                alt.Tooltip("share:Q", title="Share (%)", format=".0f"),
            ],
        )
        .properties(height=alt.Step(26))
    )
    return chart


def on_the_clock(frame: pd.DataFrame) -> pd.DataFrame:
    """Attempts with `at`, the time as charts need it, and `height`: the score, or the ground."""
    at = frame["submitted_at"].dt.tz_localize(None)
    return frame.assign(at=at, height=frame["pct"].fillna(0)).drop(columns="submitted_at")


def around(times: "pd.Series[pd.Timestamp]") -> Span:
    """From the first to the last of some moments, with room at both ends."""
    room = max(pd.Timedelta(hours=12), (times.max() - times.min()) / 20)
    return times.min() - room, times.max() + room


def quiz_scores(frame: pd.DataFrame, span: Span) -> alt.LayerChart | alt.FacetChart:
    """One quiz of one learner: graded scores as a line, the threshold dashed. A practice run is on
    no line, and without a score it lies on the ground."""
    shapes = {"Passed": "circle", "Low": "cross", "Practice": "diamond", "Unknown": "diamond"}
    colours = {"Passed": "#0b7a75", "Low": "#d1495b", "Practice": "#8a979d", "Unknown": "#8a979d"}
    words = frame.assign(words=frame["result"].str.capitalize().fillna("Unknown"))
    x = alt.X(
        "at:T",
        title=None,
        scale=alt.Scale(domain=[_moment(at) for at in span]),
        axis=alt.Axis(format="%-d %b", tickCount=6),
    )
    y = alt.Y(
        "height:Q", title=None, scale=alt.Scale(domain=[0, 100]), axis=alt.Axis(values=[0, 50, 100])
    )
    graded = words[words["result"].isin(["passed", "low"]) & words["pct"].notna()]
    base = alt.Chart(words)
    line = alt.Chart(graded).mark_line(strokeWidth=1.5, color="#8fb8b5").encode(x=x, y=y)
    limit = base.mark_rule(strokeDash=[4, 3], color="#e8a33d").encode(y="max(threshold_pct):Q")
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        x=x,
        y=y,
        color=_scaled(alt.Color, colours),
        shape=_scaled(alt.Shape, shapes),
        tooltip=[
            alt.Tooltip("at:T", title="When", format="%a %-d %b %Y %H:%M"),
            alt.Tooltip("pct:Q", title="Score (%)", format=".0f"),
            alt.Tooltip("threshold_pct:Q", title="Threshold (%)", format=".0f"),
            alt.Tooltip("words:N", title="Result"),
        ],
    )
    return alt.layer(limit, line, points).properties(height=150)


def _scaled(channel: Any, looks: dict[str, str]) -> Any:
    scale = alt.Scale(domain=list(looks), range=list(looks.values()))
    return channel("words:N", scale=scale, legend=None)


def points_by_module(frame: pd.DataFrame) -> alt.Chart:
    """Bars: what somebody gained in each module."""
    chart: alt.Chart = (
        alt.Chart(frame)
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
