"""Marking a certificate as renewed, and taking the mark back. Each is confirmed by name, as the
list may have moved under a click."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from dashboard.base import store
from dashboard.base.pieces import plain
from dashboard.certifications import data

ASKED = "certificate_asked"
CLICKED = "certificate_clicked"
LISTED = "certificates_listed"


class Asked(NamedTuple):
    """What the last click asks for; `renewal_id` is of the mark to take back."""

    label: str
    expiry: data.Expiry
    renewal_id: int | None
    has_button: bool


def markable(frame: pd.DataFrame, button: str) -> pd.DataFrame:
    """A list of certificates, each row with a button; of renewed ones only those that were marked
    by hand."""
    asked = [_asked(row) for row in store.each(frame)]
    st.session_state.setdefault(LISTED, {})[button] = asked
    return frame.assign(mark=[button if one.has_button else "" for one in asked])


def _asked(row: Any) -> Asked:
    expiry = data.Expiry(row.vendor, row.user_id, row.cert_name, row.expired_at.to_pydatetime())
    renewal_id = None if pd.isna(row.renewal_id) else int(row.renewal_id)
    has_button = row.state != "renewed" or renewal_id is not None
    return Asked(f"{row.cert_name}, {row.learner}", expiry, renewal_id, has_button)


def _clicked(button: str) -> None:
    asked = st.session_state[LISTED][button][st.session_state[f"clicked_{button}"].row]
    if asked.has_button:
        st.session_state[ASKED], st.session_state[CLICKED] = asked, True


def column(button: str) -> Any:
    """The column of buttons."""
    return st.column_config.ButtonColumn(
        "", on_click=_clicked, args=(button,), key=f"clicked_{button}", type="tertiary", width=110
    )


def confirm_asked() -> None:
    """The dialog of the last click."""
    asked = st.session_state.get(ASKED)
    if asked is None:
        return
    if asked.renewal_id is None:
        _mark(asked)
    else:
        _undo(asked)


def leave_live_part() -> None:
    """After a click: a dialog belongs to the page, not to a live part."""
    if st.session_state.pop(CLICKED, False):
        st.rerun()


def _dismiss() -> None:
    st.session_state.pop(ASKED, None)


@st.dialog("Mark as renewed?", on_dismiss=_dismiss)
def _mark(asked: Asked) -> None:
    st.markdown(f"**{plain(asked.label)}**: expiry on {asked.expiry.expired_at:%-d %B %Y}.")
    st.caption("The certificate leaves the counts until it expires again. The audit log names you.")
    if st.button("Mark as renewed", type="primary"):
        done = data.mark_renewed(asked.expiry)
        _close(done, "Marked as renewed.", "Not marked: it has another expiry or a mark by now.")


@st.dialog("Undo the mark?", on_dismiss=_dismiss)
def _undo(asked: Asked) -> None:
    is_ahead = asked.expiry.expired_at > datetime.now(UTC)
    counts = "counts as about to expire again" if is_ahead else "counts as expired again"
    st.markdown(f"**{plain(asked.label)}** {counts}. The audit log names you.")
    if st.button("Undo", type="primary"):
        done = asked.renewal_id is not None and data.undo_renewal(asked.renewal_id)
        _close(done, "Mark taken back.", "The mark was taken back already.")


def _close(done: bool, done_words: str, else_words: str) -> None:
    st.session_state["certificate_message"] = done_words if done else else_words
    _dismiss()
    st.rerun()


def message() -> None:
    """What the last change did."""
    if words := st.session_state.pop("certificate_message", None):
        st.toast(words)
