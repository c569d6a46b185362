"""Deliveries: are we losing anything?"""

import streamlit as st

from dashboard.base import filters, paging, people, pieces, windows
from dashboard.base.address import write
from dashboard.deliveries import (
    answer,
    causes,
    charts,
    checklist,
    data,
    detail,
    findings,
    imports,
    lists,
    quarantine,
    strangers,
    timeline,
    vendors,
)
from shared.outcomes import Sender

WINDOWS = {"24h": "24 hours", "7d": "7 days", "30d": "30 days", "90d": "90 days"}
VIEWS = {
    "deliveries": "Deliveries",
    "chains": "Attempts",
    "quarantine": "Quarantine",
    "missing": "Missing events",
    "strangers": "Strangers",
    "imports": "Imports",
    "alerts": "Alerts",
    "checklist": "Checklist",
}
KINDS = {"failed": "Failed", "all": "All"}

zone = windows.viewer_zone()
top = st.container()
with pieces.row():
    window = filters.switch("Window", "span", WINDOWS, "24h")
    every = data.vendors()
    names = {one.slug: one.name for one in every}
    by_vendor = filters.choice("Vendor", "vendor", names, "All vendors")
    by_vendor = by_vendor._replace(offered=len(names) > 1)
    by_outcome = filters.choice("Outcome", "outcome", charts.OUTCOMES, "All outcomes")
    filters.panel(by_vendor, by_outcome)
    pieces.share()
outcome = by_outcome.value()
asked = [one for one in every if by_vendor.value() in (None, one.slug)]
vendor = asked[0].slug if len(asked) == 1 else None


@st.fragment(run_every=pieces.LIVE)
def head() -> None:
    evidence = [data.evidence(one, window) for one in asked]
    down = [one.outage for one in data.recoveries(window)]
    answer.answer(data.traffic(window, vendor), evidence, down, WINDOWS[window])


@st.fragment(run_every=pieces.LIVE)
def figures() -> None:
    evidence = [data.evidence(one, window) for one in asked]
    timeline.timeline(evidence, data.recoveries(window), window, zone, vendor)
    vendors.cards(evidence)
    causes.causes(evidence)
    strangers.summary(evidence, data.unknown_addresses())
    findings.findings(evidence, data.of_store(), window)


@st.fragment(run_every=pieces.LIVE)
def listed(sender: Sender | None, words: str, *, failed: bool) -> None:
    wanted = data.window_search(window, vendor, outcome, words, sender, failed=failed)
    wanted = data.between(wanted, timeline.brushed(), window, zone)
    total = data.how_many(wanted)
    if not total:
        kind = "failed" if failed and not words else "matching"
        st.info(f"No {kind} deliveries in this period.", icon=":material/info:")
        _clear_filters()
        return
    rows = st.container()
    part = paging.choose(total)
    with rows:
        lists.listed(data.found(wanted, zone, part))
    lists.file(lambda: data.whole(wanted, zone))


def _clear_filters() -> None:
    """Where the filters of the address match nothing."""
    named = ("vendor", "outcome", "search")
    if any(name in st.query_params for name in named):
        changes = dict.fromkeys(named, ())
        st.button("Clear filters", key="clear", on_click=write, args=(changes,))


@st.fragment(run_every=pieces.LIVE)
def missing() -> None:
    since, until = lists.moment("since"), lists.moment("until")
    lists.missing(data.Listing(since, until, vendor, outcome), zone)


def search() -> str:
    """Words to search for, by what the viewer may see."""
    every_word = "Event ID, learner, type, reason or address"
    some = "Type, reason or address"
    return filters.words("Search", "search", every_word if people.sees_names() else some)


with top:
    head()
if "list" in st.query_params:
    if st.query_params["list"] == "missing":
        missing()
    else:
        st.warning("This address names no list of deliveries.", icon=":material/link_off:")
    st.page_link("deliveries/page.py", label="All deliveries", icon=":material/arrow_back:")
    st.stop()
figures()
pieces.heading("Details")
tab = filters.switch("View", "view", VIEWS, "deliveries")
if tab == "chains":
    lists.chains(asked, window, zone)
elif tab == "deliveries":
    with pieces.row():
        kind = filters.switch("Which", "which", KINDS, "failed")
        words = search()
    sender = Sender.VENDOR if kind == "failed" else None
    listed(sender, words, failed=kind == "failed" and not outcome)
elif tab == "quarantine":
    for one in asked:
        quarantine.quarantine(one)
elif tab == "missing":
    missing()
elif tab == "imports":
    imports.imports(zone)
elif tab == "alerts":
    lists.alerts(data.alerts(window))
elif tab == "checklist":
    checklist.of_vendors(every, by_vendor.value())
else:
    listed(Sender.STRANGER, search(), failed=False)
detail.open_if_asked()
