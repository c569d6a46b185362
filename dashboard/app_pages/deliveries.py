"""Deliveries: are we losing anything?"""

import streamlit as st

from dashboard import charts, components
from dashboard.components import deliveries as pieces
from dashboard.data import deliveries as data
from dashboard.data import store

WINDOWS = {"24h": "24 hours", "7d": "7 days", "30d": "30 days"}
VIEWS = {
    "diagnosis": "Diagnosis",
    "chains": "Attempt chains",
    "deliveries": "Deliveries",
    "quarantine": "Quarantine",
}
KINDS = {"failed": "Failed", "all": "All"}

zone = components.viewer_zone()
with components.row():
    window = components.switch("Window", "span", WINDOWS, "24h")
    asked = pieces.choose_vendors()
    vendor = asked[0].slug if len(asked) == 1 else None
    outcome = components.choose("Outcome", "outcome", charts.OUTCOMES, "All outcomes")
    words = st.text_input(
        "Search",
        key="search",
        bind="query-params",
        placeholder="Event id, learner, type, reason or address",
        label_visibility="collapsed",
        width=360,
    )


@st.fragment(run_every=components.LIVE)
def head() -> None:
    version = store.version()
    evidence = [data.evidence(one, window) for one in asked]
    recoveries = data.recoveries(window)
    down = [one.outage for one in recoveries]
    arrivals = data.arrivals(version, window, data.this_hour(), vendor)
    pieces.verdict(arrivals, evidence, down, WINDOWS[window])
    bars = data.timeline(version, window, data.this_hour(), zone, vendor)
    if not bars.empty:
        span = data.clock_span(window, data.this_hour(), zone)
        chart = charts.timeline(bars, data.bands(window, zone), span, by_hour=window == "24h")
        st.altair_chart(
            chart, alt="Deliveries over time, by outcome", key="timeline", on_select="rerun"
        )
    pieces.ledger(recoveries)
    pieces.causes(data.causes(version, window, data.this_hour(), zone, vendor))


@st.fragment(run_every=components.LIVE)
def listed(kind: str) -> None:
    version = store.version()
    failed = kind == "failed" and not outcome
    wanted = data.window_search(window, vendor, outcome, words, failed=failed)
    found = data.found(version, data.between(wanted, components.brushed("timeline")), zone)
    if found.empty:
        components.nothing_here(version, "No such delivery in this window.")
        return
    pieces.listed(found)
    components.csv(found, "deliveries")


@st.fragment(run_every=components.LIVE)
def told() -> None:
    pieces.findings([data.evidence(one, window) for one in asked])


head()
view = components.switch("View", "view", VIEWS, "diagnosis")
if view == "diagnosis":
    told()
elif view == "chains":
    pieces.chains(asked, window, zone)
elif view == "deliveries":
    listed(components.switch("Which", "which", KINDS, "failed"))
else:
    for one in asked:
        pieces.quarantine(one)
pieces.open_if_asked(store.version())
