"""Deliveries: are we losing anything?"""

import streamlit as st

from dashboard import charts, components, data

WINDOWS = {"24h": "24 hours", "7d": "7 days", "30d": "30 days"}

st.title("Deliveries", anchor=False)
components.status()
with components.row():
    window = components.switch("Window", "span", WINDOWS, "24h")
    outcome = components.choose("Outcome", "outcome", charts.FAILURES, "All failures")

CAUSES = {
    "words": st.column_config.TextColumn("Cause", pinned=True),
    "deliveries": st.column_config.NumberColumn("Count", format="localized"),
    "first": st.column_config.DatetimeColumn("First seen", format="distance"),
    "last": st.column_config.DatetimeColumn("Last seen", format="distance"),
    "reason": st.column_config.TextColumn("What to do", width="large"),
}
FAILED = {
    "received_at": st.column_config.DatetimeColumn("Received", format="distance", pinned=True),
    "words": st.column_config.TextColumn("Outcome"),
    "recovered": st.column_config.CheckboxColumn(
        "Got in since", help="Whether the same event was taken in by another delivery."
    ),
    "event_type": st.column_config.TextColumn("Event, as claimed"),
    "event_key": st.column_config.TextColumn("Event id, as claimed"),
    "reason": st.column_config.TextColumn("Reason", width="large"),
    "status_code": st.column_config.NumberColumn("Answer", format="%d"),
    "remote_ip": st.column_config.TextColumn("From"),
    "body_bytes": st.column_config.NumberColumn("Size", format="bytes"),
}


def failures(version: data.Version, zone: str) -> None:
    causes = data.causes(version, window, data.this_hour(), zone)
    if causes.empty:
        st.success("No delivery failed in this window.", icon=":material/check_circle:")
        return
    st.subheader("Causes", anchor=False)
    components.table(charts.in_words(causes), CAUSES, "Why deliveries failed", "causes")
    st.subheader("Failed deliveries", anchor=False)
    failed = data.failed(version, window, data.this_hour(), outcome, zone)
    if failed.empty:
        components.nothing_here("None of this kind in this window.")
        return
    components.table(charts.in_words(failed), FAILED, "The latest failed deliveries", "failed")


@st.fragment(run_every=components.LIVE)
def live() -> None:
    version, zone = data.version(), components.viewer_zone()
    if components.stop_if_new(version):
        return
    arrivals = data.arrivals(version, window, data.this_hour())
    components.verdict(arrivals, WINDOWS[window])
    bars = data.timeline(version, window, data.this_hour(), zone)
    if not bars.empty:
        chart = charts.timeline(bars, by_hour=window == "24h")
        st.altair_chart(chart, alt="Deliveries over time, by outcome", key="timeline")
    failures(version, zone)


live()
