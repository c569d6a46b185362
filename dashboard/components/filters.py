"""Filters that pages share. Each is in the address, so that a link shows the same view."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import streamlit as st

from dashboard import access, components
from dashboard.data import store
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


def today() -> date:
    """The day on the viewer's clock."""
    return datetime.now(ZoneInfo(components.viewer_zone())).date()


def window(default: str = "7d") -> Window:
    """Whole days on the viewer's clock."""
    name = components.switch("Window", "window", WINDOWS, default)
    days = _days() if name == "custom" else None
    return window_of(name, today(), components.viewer_zone(), days)


def _days() -> tuple[date, date]:
    chosen = st.date_input(
        "Days",
        (today() - timedelta(days=13), today()),
        max_value=today(),
        key="days",
        bind="query-params",
        label_visibility="collapsed",
        width=240,
    )
    first, *last = chosen if isinstance(chosen, tuple) and chosen else (today(),)
    return first, last[0] if last else first  # between two clicks there is only a first day


def who(*, leavers: bool = False) -> Who:
    """Team, vendor where there are several, and whether those who left are asked about; nobody
    whom the viewer may not see."""
    team = components.choose("Team", "team", {one: one for one in store.teams()}, "All teams")
    vendor = None
    if len(names := store.vendors()) > 1:
        vendor = components.choose("Vendor", "vendor", names, "All vendors")
    asked = Who(
        teams=(team,) if team else None,
        vendor=vendor,
        leavers=leavers and st.toggle("With leavers", key="leavers", bind="query-params"),
    )
    return access.who(asked)


def module() -> tuple[str, str] | None:
    """One module, by vendor and id."""
    chosen = components.choose("Module", "module", store.modules(), "All modules")
    if chosen is None:
        return None
    vendor, _, module_id = chosen.partition("/")
    return vendor, module_id
