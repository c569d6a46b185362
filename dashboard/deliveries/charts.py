"""DataFrame → chart, for deliveries. Knows no Streamlit."""

import altair as alt
import pandas as pd

from dashboard.base.charts import Span, moment

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

MOMENT = "%a %-d %b %H:%M"


def in_words(frame: pd.DataFrame) -> pd.DataFrame:
    """With the words of each row's outcome."""
    return frame.assign(words=frame["outcome"].map(OUTCOMES))


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
        scale=alt.Scale(domain=[moment(at) for at in span]),
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
    """A band with its label for each outage."""
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
    """The attempts of one event, past and due, along a time axis."""
    shapes = {"refused": "cross", "accepted": "circle", "due": "diamond"}
    colours = {"refused": "#d1495b", "accepted": "#0b7a75", "due": "#8a979d"}
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


def _colour(word: str) -> str:
    return COLOURS[list(OUTCOMES.values()).index(word)]
