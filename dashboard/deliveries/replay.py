"""A replay from quarantine: first a dry run, then the same for real, confirmed by its number."""

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from dashboard import access
from dashboard.deliveries import data
from shared.cure import Asked, confirmable
from shared.wording import number_of

Kind = Literal["primary", "secondary"]


def dry_run(vendor: str, outcome: str, key: str, kind: Kind, icon: str | None = None) -> None:
    st.button(
        "Dry run",
        type=kind,
        icon=icon,
        key=key,
        on_click=data.ask_for_dry_run,
        args=(vendor, outcome),
        help="Counts what would be accepted under the receiver's present settings, and changes "
        "nothing.",
        disabled=not access.may("replay"),
    )


def replay(
    vendor: str,
    outcome: str,
    requests: Sequence[Asked],
    key: str,
    kind: Kind,
    icon: str | None = None,
) -> None:
    """The button that confirms a dry run, with its number. `requests` are of this outcome since the
    receiver's latest start, the latest first."""
    confirmed = confirmable(requests)
    st.button(
        label(confirmed) if confirmed else "Replay",
        type=kind if confirmed else "secondary",
        icon=icon,
        key=key,
        on_click=_ask,
        args=(vendor, outcome, confirmed.taken if confirmed else 0),
        help=None if confirmed else "After a dry run, which says how many would be accepted.",
        disabled=confirmed is None or not access.may("replay"),
    )


def _ask(vendor: str, outcome: str, expected: int) -> None:
    if not data.ask_for_replay(vendor, outcome, expected):
        st.toast("Nothing was replayed: the dry run is out of date. Run it again.")


def label(confirmed: Asked) -> str:
    if confirmed.taken:
        return f"Replay {number_of(confirmed.taken, 'event')}"
    return f"Clear {number_of(confirmed.already_delivered, 'repeat')}"
