"""What is set up of each vendor, and what to do next."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import streamlit as st

from dashboard.base import store
from dashboard.base.pieces import LIVE, heading, plain
from dashboard.base.trials import send_a_test
from dashboard.deliveries import data
from dashboard.deliveries.answer import safe
from shared.checklist import Item, State, checklist, next_of
from shared.vendors import VendorFacts

ICONS: Mapping[State, str] = {
    State.DONE: ":material/check_circle:",
    State.OPEN: ":material/radio_button_unchecked:",
    State.UNKNOWN: ":material/help:",
}


def of_vendors(vendors: Sequence[VendorFacts], chosen: str | None) -> None:
    """The checklists of these vendors, and of the ones that are configured and sent nothing yet."""
    known = {one.slug: one for one in (*vendors, *(store.configured_vendors() or ()))}
    st.caption("What each vendor needs until its events arrive and count, in this order.")
    shown = [one for one in known.values() if chosen in (None, one.slug)]
    for vendor in sorted(shown, key=lambda one: one.name):
        _of_vendor(vendor)


@st.fragment(run_every=LIVE)
def _of_vendor(vendor: VendorFacts) -> None:
    heading(plain(vendor.name))
    known = data.set_up(vendor)
    items = checklist(data.evidence(vendor, "24h"), known, datetime.now(UTC))
    st.markdown(f"**Next:** {safe(next_of(items))}")
    st.table({one.what: _line(one) for one in items}, border="horizontal")
    if known.configured:
        send_a_test(vendor)


def _line(item: Item) -> str:
    return f"{ICONS[item.state]} {item.state}. {safe(item.says)}"
