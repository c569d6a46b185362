"""Deliveries: are we losing anything?"""

import pandas as pd
import streamlit as st

from dashboard import charts, components, data

WINDOWS = {"24h": "24 hours", "7d": "7 days", "30d": "30 days"}

with components.row():
    window = components.switch("Window", "span", WINDOWS, "24h")
    outcome = components.choose("Outcome", "outcome", charts.FAILURES, "All failures")

FAILED = {
    "received_at": st.column_config.DatetimeColumn("Received", format="distance"),
    "words": st.column_config.TextColumn("Outcome"),
    "reason": st.column_config.TextColumn("Reason", width=360),
    "recovered": st.column_config.CheckboxColumn(
        "Got in since", help="Whether the same event was taken in by another delivery."
    ),
    "event_type": st.column_config.TextColumn("Event, as claimed"),
    "event_key": st.column_config.TextColumn("Event id, as claimed", width=200),
    "status_code": st.column_config.NumberColumn("Answer", format="%d"),
    "remote_ip": st.column_config.TextColumn("From"),
    "body_bytes": st.column_config.NumberColumn("Size", format="bytes"),
}


def causes(frame: pd.DataFrame) -> None:
    st.subheader("Causes", anchor=False)
    shown = {
        "Cause": frame["words"],
        "Count": frame["deliveries"].map("{:,}".format),
        "First seen": frame["first"].map(components.ago),
        "Last seen": frame["last"].map(components.ago),
        "What to do": frame["reason"].map(components.plain),
    }
    st.table(pd.DataFrame(shown), border="horizontal", hide_index=True, alt="Why deliveries failed")


def failures(version: data.Version, zone: str) -> None:
    found = data.causes(version, window, data.this_hour(), zone)
    if found.empty:
        st.success("No delivery failed in this window.", icon=":material/check_circle:")
        return
    causes(charts.in_words(found))
    st.subheader("Failed deliveries", anchor=False)
    failed = data.failed(version, window, data.this_hour(), outcome, zone)
    if failed.empty:
        components.nothing_here(version, "None of this kind in this window.")
        return
    components.table(charts.in_words(failed), FAILED, "The latest failed deliveries", "failed")


@st.fragment(run_every=components.LIVE)
def live() -> None:
    version, zone = data.version(), components.viewer_zone()
    arrivals = data.arrivals(version, window, data.this_hour())
    components.verdict(arrivals, WINDOWS[window])
    bars = data.timeline(version, window, data.this_hour(), zone)
    if not bars.empty:
        span = data.clock_span(window, data.this_hour(), zone)
        chart = charts.timeline(bars, span, by_hour=window == "24h")
        st.altair_chart(chart, alt="Deliveries over time, by outcome", key="timeline")
    failures(version, zone)


live()
