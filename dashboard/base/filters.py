"""Filters that pages share. Each is in the address, so that a link shows the same view."""

from collections.abc import Mapping
from datetime import timedelta

import streamlit as st

from dashboard import access
from dashboard.base import store
from dashboard.base.windows import WINDOWS, WORDS, now, today, viewer_zone
from shared.queries.people import Who
from shared.queries.windows import Days, Window, window_of


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


def window(default: str = "7d") -> Window:
    """Whole days on the viewer's clock."""
    name = switch("Window", "window", WINDOWS, default)
    days = _days() if name == "custom" else None
    return window_of(name, now(), viewer_zone(), custom=days)


def in_words() -> str:
    """The window that is chosen, as it ends a sentence. An address may name none that is known:
    then it is the leaderboard's."""
    return WORDS[st.session_state["window"] or "7d"]


def _days() -> Days:
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
        return Days(today() - timedelta(days=13), today())
    return Days(chosen[0], chosen[-1])  # between two clicks there is only a first day


def who(*, leavers: bool = False) -> Who:
    """Team, vendor where there are several, and whether those who left are asked about; nobody
    whom the viewer may not see."""
    team = choose("Team", "team", {one: one for one in store.teams()}, "All teams")
    vendor = None
    if len(names := store.vendors()) > 1:
        vendor = choose("Vendor", "vendor", names, "All vendors")
    asked = Who(
        teams=(team,) if team else None,
        vendor=vendor,
        leavers=leavers and st.toggle("With leavers", key="leavers", bind="query-params"),
    )
    return access.who(asked)


def module() -> tuple[str, str] | None:
    """One module, by vendor and id."""
    chosen = choose("Module", "module", store.modules(), "All modules")
    if chosen is None:
        return None
    vendor, _, module_id = chosen.partition("/")
    return vendor, module_id
