"""Deliveries: are we losing anything?"""

import streamlit as st

from dashboard.base import filters, people, pieces, states, store, windows
from dashboard.deliveries import charts, data, view
from shared.outcomes import Sender

WINDOWS = {"24h": "24 hours", "7d": "7 days", "30d": "30 days"}
VIEWS = {
    "diagnosis": "Diagnosis",
    "chains": "Attempt chains",
    "deliveries": "Deliveries",
    "quarantine": "Quarantine",
}
KINDS = {"failed": "Failed", "all": "All", "strangers": "Strangers"}
SENT_BY = {"failed": Sender.VENDOR, "strangers": Sender.STRANGER}

zone = windows.viewer_zone()
with pieces.row():
    window = filters.switch("Window", "span", WINDOWS, "24h")
    asked = view.choose_vendors()
    vendor = asked[0].slug if len(asked) == 1 else None
    outcome = filters.choose("Outcome", "outcome", charts.OUTCOMES, "All outcomes")
    words = st.text_input(
        "Search",
        key="search",
        bind="query-params",
        placeholder="Event ID, learner, type, reason or address"
        if people.sees_names()
        else "Type, reason or address",
        label_visibility="collapsed",
        width=360,
    )


@st.fragment(run_every=pieces.LIVE)
def head() -> None:
    version = store.version()
    evidence = [data.evidence(one, window) for one in asked]
    recoveries = data.recoveries(window)
    down = [one.outage for one in recoveries]
    arrivals = data.arrivals(version, window, data.this_hour(), vendor)
    view.verdict(arrivals, evidence, down, WINDOWS[window])
    view.unknown_addresses(data.unknown_addresses())
    bars = data.timeline(version, window, data.this_hour(), zone, vendor)
    if not bars.empty:
        span = data.clock_span(window, data.this_hour(), zone)
        chart = charts.timeline(bars, data.bands(window, zone), span, by_hour=window == "24h")
        st.altair_chart(
            chart, alt="Deliveries over time, by outcome", key="timeline", on_select="rerun"
        )
    view.ledger(recoveries)
    view.strangers(evidence)
    view.causes(data.causes(version, window, data.this_hour(), zone, vendor))


@st.fragment(run_every=pieces.LIVE)
def listed(kind: str) -> None:
    version = store.version()
    failed = kind == "failed" and not outcome
    wanted = data.window_search(window, vendor, outcome, words, SENT_BY.get(kind), failed=failed)
    found = data.found(version, data.between(wanted, view.brushed("timeline")), zone)
    if found.empty:
        states.nothing_here(version, "No matching deliveries in this period.")
        return
    view.listed(found)


@st.fragment(run_every=pieces.LIVE)
def findings() -> None:
    view.findings([data.evidence(one, window) for one in asked])


head()
tab = filters.switch("View", "view", VIEWS, "diagnosis")
if tab == "diagnosis":
    findings()
elif tab == "chains":
    view.chains(asked, window, zone)
elif tab == "deliveries":
    listed(filters.switch("Which", "which", KINDS, "failed"))
else:
    for one in asked:
        view.quarantine(one)
view.open_if_asked(store.version())
