"""Filters that pages share. Each is in the address, so that a link shows the same view."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import streamlit as st

from dashboard import access
from dashboard.base import pieces, store
from shared.queries.people import Who
from shared.queries.windows import Window, window_of

WINDOWS = {
    "today": "Today",
    "7d": "7 days",
    "30d": "30 days",
    "quarter": "Quarter",
    "all": "All time",
    "custom": "Custom",
}

WORDS = {
    "today": "today",
    "7d": "in these 7 days",
    "30d": "in these 30 days",
    "quarter": "this quarter",
    "all": "in all this time",
    "custom": "in these days",
}


def today() -> date:
    """The day on the viewer's clock."""
    return datetime.now(ZoneInfo(pieces.viewer_zone())).date()


def window(default: str = "7d") -> Window:
    """Whole days on the viewer's clock."""
    name = pieces.switch("Window", "window", WINDOWS, default)
    days = _days() if name == "custom" else None
    return window_of(name, today(), pieces.viewer_zone(), days)


def in_words() -> str:
    """The window that is chosen, as it ends a sentence."""
    return WORDS[st.session_state["window"]]


def follow(day: date) -> None:
    """Windows begin anew with the viewer's day, also on a page that stays open."""
    if day != today():
        st.rerun()


def _days() -> tuple[date, date]:
    # Without a default: days that are the default are left out of the address, and whoever opens
    # it a week later would see other ones.
    chosen = st.date_input(
        "Days",
        [],
        max_value=today(),
        key="days",
        bind="query-params",
        label_visibility="collapsed",
        width=260,
    )
    if not isinstance(chosen, tuple) or not chosen:
        st.caption("The last 14 days, until you choose some.", width="content")
        return today() - timedelta(days=13), today()
    return chosen[0], chosen[-1]  # between two clicks there is only a first day


def who(*, leavers: bool = False) -> Who:
    """Team, vendor where there are several, and whether those who left are asked about; nobody
    whom the viewer may not see."""
    team = pieces.choose("Team", "team", {one: one for one in store.teams()}, "All teams")
    vendor = None
    if len(names := store.vendors()) > 1:
        vendor = pieces.choose("Vendor", "vendor", names, "All vendors")
    asked = Who(
        teams=(team,) if team else None,
        vendor=vendor,
        leavers=leavers and st.toggle("With leavers", key="leavers", bind="query-params"),
    )
    return access.who(asked)


def module() -> tuple[str, str] | None:
    """One module, by vendor and id."""
    chosen = pieces.choose("Module", "module", store.modules(), "All modules")
    if chosen is None:
        return None
    vendor, _, module_id = chosen.partition("/")
    return vendor, module_id
