"""The pieces that pages share."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import access
from dashboard.base import address, pictures, store
from dashboard.base.amounts import number
from dashboard.base.colours import palette
from dashboard.base.percent import percent

LIVE = "5s"
"""How often live parts look for news; the store is read again only when there is some. Each look
draws, which costs a part of a core for every page that is open."""

NO_LINK = "\u2060"
"""Of no width. Markdown makes links of addresses even where every character is escaped."""


def answer(headline: str, why: str = "", icon: str | None = None) -> None:
    """The page's heading is its answer, with the reason in one sentence under it. Both are Markdown
    in which a payload's text is `plain`; an icon says how good or bad the answer is."""
    st.title(headline, anchor=False, icon=icon)
    if why:
        st.markdown(why)


def heading(text: str) -> None:
    """Over a section or a card."""
    st.header(text, anchor=False)


def row() -> DeltaGenerator:
    """A row of filters and buttons, the toolbar of a page."""
    return st.container(horizontal=True, vertical_alignment="center", gap="xsmall")


def trouble(label: str, page: str, query: Mapping[str, str] | None = None) -> None:
    """In a toolbar: what is wrong elsewhere, with the way there."""
    st.page_link(
        page, label=f":orange[{label}]", icon=":material/warning:", query_params=dict(query or {})
    )


class Figure(NamedTuple):
    """A key figure, as shown, with its value before and now where they can be compared.

    `course` is the figure over equal steps of time up to now, said by `steps`, such as `last 8
    weeks`. `leads` are the changes of the address that show what is behind the figure.
    """

    label: str
    shown: str
    now: float = 0
    before: float | None = None
    course: Sequence[float] = ()
    steps: str = ""
    leads: Mapping[str, Sequence[str]] | None = None


FIGURE_PX = 132
"""A taller cell would be cut."""


def key_figures(figures: Sequence[Figure]) -> None:
    """At most four cards in one row, or in more where that is too narrow."""
    cards = st.grid(len(figures), min_column_width=220, border=True, row_height=FIGURE_PX)
    for figure in figures:
        with cards.cell(), st.container(gap=None):
            _figure(figure)


def _figure(figure: Figure) -> None:
    if figure.leads is None:
        st.markdown(f":small[{figure.label}]")
    else:
        st.button(
            f":small[{figure.label}]",
            type="tertiary",
            icon=":material/chevron_right:",
            icon_position="right",
            on_click=address.go,
            args=(figure.leads,),
            key=f"figure_{figure.label}",
        )
    change = _change(figure)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall", wrap=False):
        st.metric(
            figure.label,
            figure.shown,
            change,
            delta_color="off" if change == UNCHANGED else "normal",
            delta_arrow="off" if change == UNCHANGED else "auto",
            delta_description=f"from {number(figure.before)}" if figure.before else None,
            label_visibility="collapsed",
        )
        if len(figure.course) > 1:
            # A picture of its own: `chart_data` of the metric grows the card, and its SVG has no
            # name for a screen reader.
            st.image(
                pictures.spark(figure.course, palette()),
                width=96,
                alt=f"{figure.label}, {figure.steps}: "
                f"{figure.course[0]:,.0f} to {figure.course[-1]:,.0f}",
            )


UNCHANGED = "±0 %"


def _change(figure: Figure) -> str | None:
    """In percent against the figure before, if that is not zero."""
    if not figure.before:
        return None
    change = 100 * (figure.now - figure.before) / figure.before
    return percent(change, -100, sign=True) if round(change) else UNCHANGED


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
        placeholder="–",
        key=key,
        alt=alt,
    )


ROW_PX, HEADER_PX = 40, 36
"""Of a board: each row has room for a face."""
FACE = st.column_config.ImageColumn("", width=46)
"""The column `face`: see `with_faces`."""


def with_faces(frame: pd.DataFrame) -> pd.DataFrame:
    """With `face`, the picture of each `learner`."""
    return frame.assign(face=[pictures.avatar(one) for one in frame["learner"]])


def people_table(shown: Any, columns: Mapping[str, Any], rows: int, alt: str, key: str) -> None:
    """A table of people, a frame or a styled one, as high as its rows."""
    st.dataframe(
        shown,
        row_height=ROW_PX,
        height=ROW_PX * rows + HEADER_PX,
        column_config=dict(columns),
        hide_index=True,
        placeholder="–",
        key=key,
        alt=alt,
    )


class File(NamedTuple):
    """What a CSV holds where a list is shown by the page: all its rows, under these columns."""

    whole: Callable[[], pd.DataFrame]
    columns: Mapping[str, Any]


def section(
    title: str,
    frame: pd.DataFrame,
    columns: Mapping[str, Any],
    name: str,
    nothing: str,
    file: File | None = None,
) -> None:
    """A table under its heading, with its CSV; where there is nothing, the words for that."""
    with row():
        heading(title)
        if len(frame):
            csv_of(*(file or File(lambda: frame, columns)), name)
    if frame.empty:
        st.caption(nothing)
    else:
        table(frame, columns, title, name)


def cut_off(shown: int, there: int) -> None:
    """A line where a table does not show all rows."""
    if shown < there:
        st.caption(f"The first {shown:,} of {there:,}.")


def share() -> None:
    """The address of what is on screen, to copy, and the page's tables as files."""
    query = address.query()
    with st.popover("Share", icon=":material/ios_share:", key="share"):
        st.caption("Anyone with access sees this view.")
        st.code(f"{st.context.url or ''}{'?' if query else ''}{query}", language=None)
        st.session_state["files"] = st.container()


def csv(frame: pd.DataFrame, columns: Mapping[str, Any], name: str) -> None:
    """Have the page offer what is on screen as `<name>.csv`, see `downloads`."""
    csv_of(lambda: frame, columns, name)


def csv_of(whole: Callable[[], pd.DataFrame], columns: Mapping[str, Any], name: str) -> None:
    """The same of a list that is shown by the page: `whole` has all its rows, and is asked for them
    on the click."""
    drawn = st.session_state.get("downloads")
    st.session_state.setdefault("tables", {})[name] = (whole, columns)
    if drawn is not None and name not in drawn:
        st.rerun()  # a live part has a table that was empty when the page was drawn


@contextmanager
def downloads() -> Iterator[None]:
    """Around a page: a button for each of its tables, where the page shares its address, else below
    it. A file is made on a click, of what the page then asks for, and given only once the audit log
    says so; where that cannot be written there is no button.

    The buttons are in no live part: drawn again and again, one that is just clicked would ask for
    a file that has gone.
    """
    tables: dict[str, Table] = {}
    st.session_state["tables"], st.session_state["downloads"] = tables, None
    st.session_state.pop("files", None)
    yield
    st.session_state["downloads"] = tuple(tables)
    if not tables or not access.may("export"):
        return
    with st.session_state.get("files") or row():
        if not store.can_note():
            st.caption("No CSV: the audit log, which records each export, cannot be written.")
            return
        for name in tables:
            _download(tables, name)


Table = tuple[Callable[[], pd.DataFrame], Mapping[str, Any]]


def _download(tables: Mapping[str, Table], name: str) -> None:
    def made() -> bytes:
        whole, columns = tables[name]
        frame = whole()
        content = as_csv(frame, columns)
        store.note_export(name, len(frame))
        return content

    st.download_button(
        "CSV" if len(tables) == 1 else f"CSV: {name}",
        store.as_the_viewer(made),
        f"{name}.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
        key=f"csv_{name}",
    )


MANY_VALUES = ("area_chart", "bar_chart", "line_chart", "list")
UNITS = {" %%": "%", " h": "hours", " pts": "points", "bytes": "bytes"}


def as_csv(frame: pd.DataFrame, columns: Mapping[str, Any]) -> bytes:
    """The columns of a table under the headings of the page, one value a cell: no charts, no lists
    and no buttons without a heading. A spreadsheet runs no formula of a payload, and reads it as
    UTF-8 by the mark that it begins with."""
    configs = {name: getattr(one, "config", one) for name, one in columns.items()}  # of buttons
    kept = {name: _heading(name, one) for name, one in configs.items() if _is_a_value(one)}
    shown = frame[list(kept)]
    words = shown.select_dtypes(include=["object", "string"]).columns
    safe = shown.assign(**{column: shown[column].map(_no_formula) for column in words})
    return safe.rename(columns=kept).to_csv(index=False).encode("utf-8-sig", "replace")


def _is_a_value(column: Any) -> bool:
    return column["label"] != "" and column["type_config"]["type"] not in MANY_VALUES


def _heading(name: str, column: Any) -> str:
    """As on the page, with its unit; in words where the page has a sign."""
    label = column["label"]
    if not re.search(r"\w", label):
        return name.replace("_", " ").capitalize()
    written = column["type_config"].get("format") or ""
    unit = next((word for end, word in UNITS.items() if written.endswith(end)), None)
    return f"{label} ({unit})" if unit else str(label)


FORMULA_SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


def _no_formula(value: Any) -> Any:
    """OWASP: a cell that begins with one of these, in full width too, is run as a formula. A
    tab or a line end inside a value could begin a new cell, so it is replaced."""
    if not isinstance(value, str):
        return value
    in_one_line = re.sub(r"[\x00-\x1f\x7f]", "\N{REPLACEMENT CHARACTER}", value)
    return f"'{in_one_line}" if value and value[0] in FORMULA_SIGNS else in_one_line


def cut(text: str, most: int) -> str:
    """A text of at most so many characters, with a sign where it is cut off."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def plain(text: str) -> str:
    """Text that Markdown shows as it is, character by character, and makes no link of."""
    unlinked = re.sub(r"(?<=@)|(?<=:)(?=//)|(?<=www)(?=\.)", NO_LINK, text, flags=re.IGNORECASE)
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$~:&])", r"\\\1", unlinked)
