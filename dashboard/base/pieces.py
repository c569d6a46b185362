"""The pieces that pages share."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import access
from dashboard.base import store

LIVE = "1s"
"""How often live parts look for news; the store is read again only when there is some."""

NO_LINK = "\u2060"
"""Of no width. Markdown makes links of addresses even where every character is escaped."""


def row() -> DeltaGenerator:
    """A row of filters."""
    return st.container(horizontal=True, vertical_alignment="center")


class Figure(NamedTuple):
    """A key figure, as shown, with its value before and now where they can be compared."""

    label: str
    shown: str
    now: float = 0
    before: float | None = None


def key_figures(figures: Sequence[Figure]) -> None:
    """Cards in one row, or in two where that is too narrow, each with its change in percent."""
    cards = st.grid(len(figures), min_column_width=150)
    for figure in figures:
        change = 100 * (figure.now - figure.before) / figure.before if figure.before else None
        cards.metric(
            figure.label,
            figure.shown,
            None if change is None else f"{change:+.0f} %" if round(change) else 0,
            delta_description=f"from {figure.before:,.0f}" if figure.before else None,
            border=True,
            height="stretch",
        )


def table(
    frame: pd.DataFrame,
    columns: Mapping[str, Any],
    alt: str,
    key: str,
    height: int | Literal["auto"] = "auto",
) -> None:
    """The columns of a frame, in this order, with their headings and formats."""
    st.dataframe(
        frame[list(columns)],
        height=height,
        column_config=dict(columns),
        hide_index=True,
        placeholder="unknown",
        key=key,
        alt=alt,
    )


def section(
    title: str, frame: pd.DataFrame, columns: Mapping[str, Any], name: str, nothing: str
) -> None:
    """A table under its heading, with its CSV; where there is nothing, the words for that."""
    with row():
        st.subheader(title, anchor=False)
        if len(frame):
            csv(frame[[column for column in columns if column != "open"]], name)
    if frame.empty:
        st.caption(nothing)
    else:
        table(frame, columns, title, name)


def cut_off(shown: int, there: int) -> None:
    """Say so where a table does not show all."""
    if shown < there:
        st.caption(f"The first {shown:,} of {there:,}.")


def link_to_view() -> None:
    """The address of what is on screen, to copy."""
    query = urlencode(st.query_params.to_dict())
    with st.popover("Link", icon=":material/link:"):
        st.caption("Whoever opens it sees this view.")
        st.code(f"{st.context.url or ''}{'?' if query else ''}{query}", language=None)


def csv(frame: pd.DataFrame, name: str) -> None:
    """A button that downloads what is on screen, which the audit log then says; without one that
    can say it there is no button. A spreadsheet runs no formula of a payload. In a live part only
    that part is drawn anew after a click."""
    if not access.may("export"):
        return
    if not store.can_note():
        st.caption("No CSV here: the audit log, which notes each, cannot be written.")
        return
    words = frame.select_dtypes(include=["object", "string"]).columns
    safe = frame.assign(**{column: frame[column].map(_no_formula) for column in words})
    st.download_button(
        "CSV",
        safe.to_csv(index=False),
        f"{name}.csv",
        "text/csv",
        icon=":material/download:",
        on_click=store.note_export,
        args=(name, len(frame)),
        key=f"csv_{name}",
    )


FORMULA_SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


def _no_formula(value: Any) -> Any:
    """OWASP: a cell that begins with one of these, in full width too, is run as a formula. Where a
    tab or a line end in an id begins a new cell for whoever reads the file, it might there too."""
    if not isinstance(value, str):
        return value
    in_one_line = re.sub(r"[\x00-\x1f\x7f]", "\N{REPLACEMENT CHARACTER}", value)
    return f"'{in_one_line}" if value and value[0] in FORMULA_SIGNS else in_one_line


def plain(text: str) -> str:
    """Text that Markdown shows as it is, character by character, and makes no link of."""
    unlinked = re.sub(r"(?<=@)|(?<=:)(?=//)|(?<=www)(?=\.)", NO_LINK, text, flags=re.IGNORECASE)
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$~:&])", r"\\\1", unlinked)
