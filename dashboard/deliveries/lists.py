"""The lists of the page Deliveries: attempts, deliveries, missing events."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import access
from dashboard.base import sent
from dashboard.base.pieces import csv, csv_of, cut_off, heading, section, table
from dashboard.deliveries import charts, data
from shared.queries.missing import Missing
from shared.vendors import VendorFacts
from shared.wording import number_of

STATES = {
    "waiting": "waiting for a retry",
    "overdue": "a retry did not arrive, waiting for the next",
    "given_up": "no retry left",
    "recovered": "recovered",
}


def moment(name: str) -> datetime | None:
    """A time that the address gives, in ISO 8601 with its offset; says so if it is none."""
    asked = st.query_params.get(name)
    if asked is None:
        return None
    try:
        at = datetime.fromisoformat(asked)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        st.warning(f"The address has no time in {name}: showing all.", icon=":material/link_off:")
        return None


def chains(vendors: Sequence[VendorFacts], window: str, zone: str) -> None:
    """Events that were refused and are not stored; those that are lost first come first."""
    shown = [
        frame.assign(vendor=one.name)
        for one in vendors
        if not (frame := data.chains(one, window, zone)).empty
    ]
    if not shown:
        st.success("All refused events are recovered.", icon=":material/check_circle:")
        return
    frame = pd.concat(shown).assign(state=lambda rows: rows["state"].map(STATES))
    columns = {
        "event_key": st.column_config.TextColumn("Event ID, as claimed", width=260),
        "event_type": st.column_config.TextColumn("Event"),
        **(VENDOR if len(vendors) > 1 else {}),
        "attempt": st.column_config.TextColumn("Attempt"),
        "state": st.column_config.TextColumn("State"),
        "next_due": st.column_config.DatetimeColumn("Next due", format="distance"),
        "last_chance": st.column_config.DatetimeColumn("Last retry", format="D MMM, HH:mm"),
        "words": st.column_config.TextColumn("Refused as"),
        "first": st.column_config.DatetimeColumn("First seen", format="distance"),
    }
    table(charts.in_words(frame), columns, "Refused events that are not recovered", "chains")
    cut_off(len(frame), sum(int(one["of"].iloc[0]) for one in shown))


MISSING = {
    "event_key": st.column_config.TextColumn("Event ID, as claimed", width=220),
    "event_type": st.column_config.TextColumn("Event, as claimed"),
    "vendor": st.column_config.TextColumn("Vendor"),
    "state": st.column_config.TextColumn("State", width=210),
    "words": st.column_config.TextColumn("Outcome"),
    "reason": st.column_config.TextColumn("Reason", width=340),
    "attempts": st.column_config.NumberColumn("Attempts", format="%,d"),
    "first": st.column_config.DatetimeColumn("First seen", format="D MMM, HH:mm"),
    "last": st.column_config.DatetimeColumn("Last seen", format="D MMM, HH:mm"),
}


def missing(listing: data.Listing, zone: str) -> None:
    """Exactly the events that the standings lack, with a way to stop counting them."""
    events = data.missing_events(listing)
    heading("Missing events")
    if not events:
        st.success("No event is known to be missing here.", icon=":material/check_circle:")
        st.caption(
            "An event that never reached a receiver leaves no trace: *Imports* compares an export "
            "of the vendor's own."
        )
        return
    frame = data.missing_frame(events, zone)
    lost = int((frame["state"] == "lost").sum())
    of_these = f", {lost:,} of them lost" if lost else ""
    st.write(
        f"{number_of(len(events), 'event')} failed and not stored{of_these}. Once stored, by retry "
        "or by replay, an event leaves this list."
    )
    names = {one.slug: one.name for one in data.vendors()}
    shown = charts.in_words(frame).assign(
        vendor=frame["vendor"].replace(names),
        **{name: frame[name].fillna(NOT_KNOWN) for name in ("event_key", "event_type", "reason")},
    )
    columns = {name: one for name, one in MISSING.items() if len(names) > 1 or name != "vendor"}
    table(shown, columns, "Missing events", "missing")
    csv(shown, columns, "missing")
    if access.may("dismiss"):
        _dismiss(events)


def alerts(frame: pd.DataFrame) -> None:
    """Which messages about deliveries were sent, to which person and when."""
    section("Alerts", frame, sent.COLUMNS, "alerts", "No message about deliveries in this period.")


def _dismiss(events: Sequence[Missing]) -> None:
    these = "this event" if len(events) == 1 else f"these {len(events):,} events"
    with st.popover(f"Dismiss {these}"):
        st.write(
            "The leaderboard and the first lines here no longer count them as missing. Nothing is "
            "deleted: a replay or a retry still stores them. The audit log has your name."
        )
        st.button("Dismiss", key="dismiss", type="primary", on_click=data.dismiss, args=(events,))


def _open_clicked() -> None:
    clicked = st.session_state["opened"]
    st.query_params["delivery"] = str(st.session_state["listed"][clicked.row])
    st.rerun()  # the whole page, as a live part cannot hold a dialog


NOT_KNOWN = "–"
VENDOR = {"vendor": st.column_config.TextColumn("Vendor")}
LISTED = {
    "open": st.column_config.ButtonColumn(
        "", on_click=_open_clicked, key="opened", type="tertiary", width=70
    ),
    "received_at": st.column_config.DatetimeColumn("Received", format="distance"),
    "words": st.column_config.TextColumn("Outcome"),
    **VENDOR,
    "reason": st.column_config.TextColumn("Reason", width=340),
    "recovered": st.column_config.CheckboxColumn(
        "Recovered", help="Whether the event is stored, from this delivery or another."
    ),
    "event_type": st.column_config.TextColumn("Event, as claimed"),
    "event_key": st.column_config.TextColumn("Event ID, as claimed", width=200),
    "status_code": st.column_config.NumberColumn("Answer", format="%d"),
    "remote_ip": st.column_config.TextColumn("From"),
    "body_bytes": st.column_config.NumberColumn("Size", format="bytes"),
}


def listed(frame: pd.DataFrame) -> None:
    """Deliveries, each with a button that opens it."""
    st.session_state["listed"] = frame["id"].tolist()
    table(_named(frame), _columns(), "Deliveries", "deliveries")


def file(whole: Callable[[], pd.DataFrame]) -> None:
    """The CSV of all deliveries of a list, whichever page of it is shown."""
    csv_of(lambda: _named(whole()), _columns(), "deliveries")


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    names = {one.slug: one.name for one in data.vendors()}
    return charts.in_words(frame).assign(
        open="Open",
        vendor=frame["vendor"].replace(names),
        **{name: frame[name].fillna(NOT_KNOWN) for name in ("reason", "event_type", "event_key")},
        remote_ip=frame["remote_ip"].fillna(NOT_KNOWN),
    )


def _columns() -> dict[str, Any]:
    several = len(data.vendors()) > 1
    return {name: one for name, one in LISTED.items() if several or name != "vendor"}
