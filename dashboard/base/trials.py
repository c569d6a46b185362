"""A test of a vendor's address: the button, and what became of the latest one."""

import streamlit as st

from dashboard import access
from dashboard.base import store
from dashboard.base.pieces import plain
from dashboard.base.windows import ago
from shared.queries import trials
from shared.queries.trials import Latest
from shared.vendors import VendorFacts


def send_a_test(vendor: VendorFacts) -> None:
    """For a role that may test: asks a receiver, which has the secret, and shows the result. To be
    drawn in a live part."""
    if not access.may("test"):
        return
    latest = store.query_traffic(trials.latest, vendor.slug)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Send a test",
            key=f"test_{vendor.slug}",
            icon=":material/send:",
            disabled=latest is not None and latest.finished_at is None,
            help="A receiver signs a sample, sends it to this address and removes it again.",
            on_click=ask_for_test,
            args=(vendor.slug,),
        )
        if latest:
            st.markdown(_said(latest))


def ask_for_test(vendor: str) -> None:
    """Ask for a test; a receiver, which has the secrets, does it."""
    with store.write("test") as connection:
        trials.ask_for_test(connection, vendor, store.actor())


def _said(latest: Latest) -> str:
    if latest.finished_at is None:
        if store.query_now(trials.receiver_is_up):
            return ":material/hourglass: Sending a test …"
        return ":material/cloud_off: No receiver is up to send it. It is sent when one starts."
    when = ago(latest.finished_at)
    if latest.problem is None:
        return f":material/check_circle: Sent {when}: verified, kept and removed again."
    answered = f"Refused with {latest.status}" if latest.status else "Failed"
    return f":material/error: Sent {when}. {answered}: {plain(latest.problem)}"
