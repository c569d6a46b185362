"""The page before the first event: how to connect each vendor, and what has arrived so far."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import streamlit as st

from dashboard import access
from dashboard.base import pictures, store
from dashboard.base.colours import palette
from dashboard.base.people import without_addresses
from dashboard.base.pieces import LIVE, answer, heading, plain, table
from dashboard.base.store import framed, local
from dashboard.base.trials import send_a_test
from dashboard.base.windows import viewer_zone
from shared.queries import deliveries, trials, unknown_addresses
from shared.queries.deliveries import Search
from shared.vendors import VendorFacts
from shared.wording import number_of

NEEDS_NO_EVENT = "preferences"
"""People subscribe to messages as soon as there is a channel."""
LATEST = 5
CARD_PX = 300
REQUEST = {
    "received_at": st.column_config.DatetimeColumn("Time", format="HH:mm:ss", width=80),
    "request": st.column_config.TextColumn("Request", width=240),
    "status_code": st.column_config.NumberColumn("Answer", width=70),
    "reason": st.column_config.TextColumn("What it means", width=600),
}


def waits(page: str) -> bool:
    """Whether no event was ever accepted; then the page says what to do, until one is. After a
    refused request it is in place of the leaderboard only, for roles that may see reasons."""
    if page == NEEDS_NO_EVENT:
        return False
    refused = not store.has_events() and page == "leaderboard" and access.may("deliveries")
    if waiting := store.is_empty() or refused:
        _wait()
    return waiting


@st.fragment(run_every=LIVE)
def _wait() -> None:
    if store.has_events():
        st.rerun()
    shown(store.configured_vendors(), store.receiver_url())


def shown(vendors: Sequence[VendorFacts] | None, receiver_url: str) -> None:
    """How to connect each configured vendor. `vendors` is None before a receiver has started."""
    said, beside = st.columns([3, 1])
    with said:
        answer(
            "Waiting for the first delivery",
            "Connect a vendor or send a test event. This page fills by itself when an event "
            "arrives.",
        )
        st.markdown(_listening())
    with beside:
        st.image(pictures.empty_podium(palette()), width=220, alt="")
    if vendors is None:
        st.write("No receiver has started on this store yet. Start one:")
        st.code("repboard serve", language=None)
    elif not vendors:
        st.write("No vendor has its credential set. Set one in `.env`, then start the receiver.")
    else:
        vendor = _chosen(vendors)
        _connect(vendor, f"{receiver_url}/webhooks/{vendor.slug}")
    if access.may("deliveries"):
        _requests()


def _listening() -> str:
    if not store.query_now(trials.receiver_is_up):
        return ":orange-badge[:material/cloud_off: No receiver is up: start `repboard serve`]"
    if store.is_empty():
        return ":blue-badge[:material/sensors: Listening, nothing received yet]"
    return ":orange-badge[:material/sensors: Listening, nothing accepted yet]"


def _chosen(vendors: Sequence[VendorFacts]) -> VendorFacts:
    by_slug = {vendor.slug: vendor for vendor in vendors}
    if len(vendors) == 1:
        return vendors[0]
    slug = st.segmented_control(
        "Vendor",
        list(by_slug),
        default=vendors[0].slug,
        required=True,
        format_func=lambda one: by_slug[one].name,
        key="first_vendor",
        label_visibility="collapsed",
    )
    return by_slug.get(slug, vendors[0])


def _connect(vendor: VendorFacts, address: str) -> None:
    """One vendor in three steps: where to enter the address, which events to choose, a test."""
    steps = vendor.set_up
    cards = st.grid(3, min_column_width=320, border=True)
    with cards.cell():
        heading(f"1 · Register this address with {vendor.name}")
        st.write(steps.where)
        st.code(address, language=None, wrap_lines=True)
        st.markdown(f":green-badge[:material/check: {steps.credential} is set]")
    with cards.cell():
        heading("2 · Choose the events")
        if steps.events:
            st.markdown("\n".join(f"- `{one}`" for one in steps.events))
        else:
            st.write(f"There is nothing to choose at {vendor.name}.")
    with cards.cell():
        heading("3 · Send a test event")
        if access.may("test"):
            st.write("A receiver signs a sample, sends it to this address and removes it again.")
        send_a_test(vendor)
        if steps.curl:
            _by_hand(steps.credential, f"url={address}\n{steps.curl}")
        else:
            st.write("Only the vendor's own servers can send a real one.")


def _by_hand(credential: str, script: str) -> None:
    with st.expander("Use curl instead"):
        st.write(
            f"Run this in the folder that holds `.env`. It reads `{credential}` there and does "
            "not show it:"
        )
        st.code(script, language="bash", wrap_lines=True)


def _requests() -> None:
    """What arrived though nothing was accepted, with the reasons."""
    wanted = Search(since=datetime.now(UTC) - timedelta(days=1), failed=False)
    rows = store.query_now(deliveries.search, wanted, LATEST)
    unknown = store.query_now(unknown_addresses.since, wanted.since)
    if not rows and unknown is None:
        return
    with st.container(border=True):
        heading("Requests received")
        if rows:
            frame = framed(rows, lambda frame: local(frame, viewer_zone(), "received_at"))
            reasons = frame["reason"].fillna(frame["outcome"])
            frame = frame.assign(
                request="POST /webhooks/" + frame["vendor"],
                reason=reasons.map(without_addresses),
            )
            table(frame, REQUEST, "Requests received", "first_requests")
        if unknown:
            st.markdown(
                f":small[:gray[{number_of(unknown.requests, 'request')} to an address without a "
                f"vendor, the latest to {plain(without_addresses(unknown.latest_path))}.]]"
            )
