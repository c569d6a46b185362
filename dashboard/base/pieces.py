"""The pieces that pages share."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from string import Template
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import access
from dashboard.base import store
from shared.queries.people import Who

LIVE = "1s"
"""How often live parts look for news; the store is read again only when there is some."""

NO_LINK = "\u2060"
"""Of no width. Markdown makes links of addresses even where every character is escaped."""

CURL = Template("""\
secret=$$(sed -n 's/^MINDTICKLE_WEBHOOK_SECRET=//p' .env)
company=$$(sed -n 's/^MINDTICKLE_COMPANY_ID=//p' .env)
body='{"event": "module.progress", "companyId": "'"$${company:-demo}"'", "data": {"userId": "u-1",
 "moduleName": "Discovery calls", "moduleId": "m-1", "progressPct": 40, "timeSpentSec": 600}}'
at=$$(date +%s)
signature=$$(printf '%s:%s' "$$at" "$$body" |
  openssl dgst -sha256 -hmac "$${secret%%,*}" | sed 's/^.* //')
curl -sS "$url" -H 'content-type: application/json' \\
  -H "x-mt-event-id: first-$$at" -H "x-mt-webhook-timestamp: $$at" \\
  -H "x-mt-webhook-signature: $$signature" --data-binary "$$body"
""")


def stop_with(problem: str) -> None:
    """Say what is wrong and what to do, and show nothing else until it is mended."""
    _problem(problem)
    st.stop()


@st.fragment(run_every="5s")
def _problem(problem: str) -> None:
    if store.problem() is None:
        st.rerun()
    st.error(problem, icon=":material/database_off:")


def wait_for_first_delivery() -> None:
    """While the store is empty, show what to do, and nothing else until something comes."""
    if store.is_empty(store.version()):
        _wait()
        st.stop()


@st.fragment(run_every=LIVE)
def _wait() -> None:
    if not store.is_empty(store.version()):
        st.rerun()
    first_run(f"{store.receiver_url()}/webhooks/mindtickle")


@st.fragment(run_every=LIVE)
def status() -> None:
    """The grey line under the title."""
    version = store.version()
    st.caption(
        f"Last event {ago(store.last_event(version))} · "
        f"{store.roster_size(version, access.who(Who())):,} learners "
        f"on the roster · times in {viewer_zone()}"
    )


def row() -> DeltaGenerator:
    """A row of filters."""
    return st.container(horizontal=True, vertical_alignment="center")


def viewer_zone() -> str:
    """The viewer's time zone by its name."""
    return st.context.timezone or "UTC"


def ago(at: datetime | None) -> str:
    """`4 s ago`; `never` if there is no time."""
    if at is None:
        return "never"
    seconds = max(0, int((datetime.now(UTC) - at).total_seconds()))
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def choose(label: str, key: str, options: Mapping[str, str], everything: str) -> str | None:
    """A filter in the address; None while nothing is chosen."""
    return st.selectbox(
        label,
        list(options),
        index=None,
        key=key,
        bind="query-params",
        placeholder=everything,
        format_func=lambda option: options.get(option, option),
        label_visibility="collapsed",
        width=220,
    )


def choose_vendor() -> str | None:
    """A filter by vendor, where there is more than one."""
    vendors = store.vendors()
    return choose("Vendor", "vendor", vendors, "All vendors") if len(vendors) > 1 else None


def switch(label: str, key: str, options: Mapping[str, str], default: str) -> str:
    """A choice of few, all visible, in the address."""
    return (
        st.segmented_control(
            label,
            list(options),
            default=default,
            required=True,
            key=key,
            bind="query-params",
            format_func=lambda option: options[option],
            label_visibility="collapsed",
            wrap=True,
        )
        or default
    )


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


def brushed(key: str) -> tuple[float, float] | None:
    """The part of a chart's time axis that is brushed, in milliseconds; None if there is none."""
    chart = st.session_state.get(key)
    ranges = list(chart["selection"].get("brush", {}).values()) if chart else []
    return (ranges[0][0], ranges[0][1]) if ranges else None


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


def first_run(address: str) -> None:
    """What to do while nothing has come in yet."""
    st.subheader("Waiting for the first delivery", anchor=False)
    st.write("Register this address in MindTickle under Admin > Integrations > Webhooks:")
    st.code(address, language=None)
    st.write(
        "Or send a signed event yourself, from the folder that holds `.env`. The secret is taken "
        "from there and shown nowhere:"
    )
    st.code(CURL.substitute(url=address), language="bash", wrap_lines=True)
    st.caption("This page fills by itself as soon as something arrives.")


def plain(text: str) -> str:
    """Text that Markdown shows as it is, character by character, and makes no link of."""
    unlinked = re.sub(r"(?<=@)|(?<=:)(?=//)|(?<=www)(?=\.)", NO_LINK, text, flags=re.IGNORECASE)
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|$~:&])", r"\\\1", unlinked)


def nothing_here(version: store.Version, why: str) -> None:
    """Why a part is empty, and what to do."""
    if not store.has_events(version):
        says = "The page Deliveries says" if access.may("deliveries") else "An admin can see"
        why = f"Deliveries came, but none was taken. {says} why."
    st.info(why, icon=":material/info:")
