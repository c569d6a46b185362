"""The foot of a page, and what is shown in its place: no store, no rows."""

from collections.abc import Callable

import streamlit as st

from dashboard import access
from dashboard.base import address, refresh, store
from dashboard.base.behind import behind
from dashboard.base.pieces import answer, row
from dashboard.base.windows import ago, zone_in_words
from shared.queries import catalog
from shared.queries.people import Who
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


def nothing_here(why: str, instead: Callable[[], None] | None = None) -> None:
    """Why a part is empty, and what to do; `instead` draws a button for it."""
    if not store.has_events():
        says = "The page Deliveries says" if access.may("deliveries") else "An admin can see"
        why = f"Deliveries arrived, but none was accepted. {says} why."
    no_match(why, instead)


def no_match(why: str, instead: Callable[[], None] | None = None) -> None:
    """Why a part is empty, with a button that clears the filters where some are set."""
    st.info(why, icon=":material/info:")
    with row():
        if instead is not None:
            instead()
        if address.filters_set():
            st.button(
                "Clear filters", on_click=address.clear_filters, icon=":material/filter_alt_off:"
            )


@st.fragment(run_every=refresh.EVERY_SEC, key=refresh.FOOT)
def foot() -> None:
    """How fresh the page is, of how many it tells, and whose clock it goes by. Looks for news."""
    refresh.look()
    st.caption(
        f"Last event {ago(store.query(catalog.newest_event_at))}{behind()} · "
        f"{number_of(store.query(catalog.learners, access.who(Who())), 'learner')} · "
        f"{zone_in_words()}"
    )
