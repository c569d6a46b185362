"""Deliveries: are we losing anything?"""

import streamlit as st

from dashboard.base import filters, paging, people, pieces, states, windows
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
    every = data.vendors()
    by_vendor = view.by_vendor(every)
    by_outcome = filters.choice("Outcome", "outcome", charts.OUTCOMES, "All outcomes")
    filters.panel(by_vendor, by_outcome)
    outcome = by_outcome.value()
    asked = [one for one in every if by_vendor.value() in (None, one.slug)]
    vendor = asked[0].slug if len(asked) == 1 else None
    words = filters.words(
        "Search",
        "search",
        "Event ID, learner, type, reason or address"
        if people.sees_names()
        else "Type, reason or address",
    )


@st.fragment(run_every=pieces.LIVE)
def head() -> None:
    evidence = [data.evidence(one, window) for one in asked]
    recoveries = data.recoveries(window)
    down = [one.outage for one in recoveries]
    traffic = data.traffic(window, data.this_hour(), vendor)
    view.verdict(traffic, evidence, down, WINDOWS[window])
    view.unknown_addresses(data.unknown_addresses())
    bars = data.timeline(window, data.this_hour(), zone, vendor)
    if not bars.empty:
        span = data.clock_span(window, data.this_hour(), zone)
        chart = charts.timeline(bars, data.bands(window, zone), span, by_hour=window == "24h")
        st.altair_chart(
            chart, alt="Deliveries over time, by outcome", key="timeline", on_select="rerun"
        )
    view.ledger(recoveries, evidence)
    view.strangers(evidence)
    view.causes(evidence)


@st.fragment(run_every=pieces.LIVE)
def listed(kind: str) -> None:
    failed = kind == "failed" and not outcome
    wanted = data.window_search(window, vendor, outcome, words, SENT_BY.get(kind), failed=failed)
    wanted = data.between(wanted, view.brushed("timeline"))
    total = data.how_many(wanted)
    if not total:
        states.nothing_here("No matching deliveries in this period.")
        return
    rows = st.container()
    part = paging.choose(total)
    with rows:
        view.listed(data.found(wanted, zone, part))
    view.file(lambda: data.whole(wanted, zone))


@st.fragment(run_every=pieces.LIVE)
def findings() -> None:
    view.findings([data.evidence(one, window) for one in asked], window)


@st.fragment(run_every=pieces.LIVE)
def missing() -> None:
    since, until = view.moment("since"), view.moment("until")
    view.missing(data.Listing(since, until, vendor, outcome), zone)


head()
if "list" in st.query_params:
    if st.query_params["list"] == "missing":
        missing()
    else:
        st.warning("This address names no list of deliveries.", icon=":material/link_off:")
    st.page_link("deliveries/page.py", label="All deliveries", icon=":material/arrow_back:")
    st.stop()
st.page_link(
    "deliveries/page.py",
    label="Missing events",
    icon=":material/arrow_forward:",
    query_params={"list": "missing"},
)
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
view.open_if_asked()
