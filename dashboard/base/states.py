"""The foot of a page, and what is shown in its place: no store, no delivery, no rows."""

from collections.abc import Sequence

import streamlit as st

from dashboard import access
from dashboard.base import refresh, store
from dashboard.base.behind import behind
from dashboard.base.pieces import LIVE, answer
from dashboard.base.trials import send_a_test
from dashboard.base.windows import ago, zone_in_words
from shared.queries import catalog
from shared.queries.people import Who
from shared.vendors import VendorFacts
from shared.wording import number_of


def stop_with(problem: str) -> None:
    """Say what is wrong and what to do, and show nothing else until it is fixed."""
    _problem(problem)
    st.stop()


@st.fragment(run_every="5s")
def _problem(problem: str) -> None:
    if store.problem() is None:
        st.rerun()
    says, _, what_to_do = problem.partition(". ")
    answer(says, what_to_do, ":material/database_off:")


def waits_for_first_delivery() -> bool:
    """Whether the store is empty; then it shows what to do, until a delivery arrives."""
    if empty := store.is_empty():
        _wait()
    return empty


@st.fragment(run_every=LIVE)
def _wait() -> None:
    if not store.is_empty():
        st.rerun()
    first_run(store.configured_vendors(), store.receiver_url())


def first_run(vendors: Sequence[VendorFacts] | None, receiver_url: str) -> None:
    """How to connect each configured vendor. `vendors` is None before a receiver has started."""
    answer("Waiting for the first delivery", "This page fills by itself when it arrives.")
    if vendors is None:
        st.write("No receiver has started on this store yet. Start one:")
        st.code("repboard serve", language=None)
    elif not vendors:
        st.write("No vendor has its credential set. Set one in `.env`, then start the receiver.")
    for vendor in vendors or ():
        _connect(vendor, f"{receiver_url}/webhooks/{vendor.slug}")


def _connect(vendor: VendorFacts, address: str) -> None:
    """One vendor: where to enter the address, which events to choose, how to try it, and a test."""
    steps = vendor.set_up
    st.markdown(f"**{vendor.name}**")
    st.write(steps.where)
    st.code(address, language=None)
    if steps.events:
        st.write(f"Events to choose: {', '.join(f'`{one}`' for one in steps.events)}.")
    if steps.curl:
        st.write(
            f"Or send a test event yourself, from the folder that holds `.env`. The script reads "
            f"`{steps.credential}` there and does not show it:"
        )
        st.code(f"url={address}\n{steps.curl}", language="bash", wrap_lines=True)
    send_a_test(vendor)


def nothing_here(why: str) -> None:
    """Why a part is empty, and what to do."""
    if not store.has_events():
        says = "The page Deliveries says" if access.may("deliveries") else "An admin can see"
        why = f"Deliveries arrived, but none was accepted. {says} why."
    no_match(why)


def no_match(why: str) -> None:
    """Why a part is empty, with a button that clears the filters."""
    st.info(why, icon=":material/info:")
    if st.query_params and st.button("Clear filters", icon=":material/filter_alt_off:"):
        st.query_params.clear()
        st.rerun()


@st.fragment(run_every=refresh.EVERY_SEC, key=refresh.FOOT)
def foot() -> None:
    """How fresh the page is, of how many it tells, and whose clock it goes by. Looks for news."""
    refresh.look()
    st.caption(
        f"Last event {ago(store.query(catalog.newest_event_at))}{behind()} · "
        f"{number_of(store.query(catalog.learners, access.who(Who())), 'learner')} · "
        f"{zone_in_words()}"
    )
