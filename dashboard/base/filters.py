"""Filters that pages share, each of them in the address."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import streamlit as st

from dashboard import access
from dashboard.base import address, store
from dashboard.base.address import Field, Read, bound
from dashboard.base.pieces import plain
from dashboard.base.windows import WINDOWS, WORDS, now, today, viewer_zone
from shared.queries.people import Who
from shared.queries.windows import Calendar, Days, Window, window_of

LONGEST = 60
"""Characters of an unknown value that are shown."""
EARLIEST = date(2000, 1, 1)
"""Before all that is kept. Near the year 1 the period before cannot be reckoned."""


def choose(label: str, key: str, options: Mapping[str, str], everything: str) -> str | None:
    """A filter by one of some keys with their labels; None while nothing is chosen."""

    def draw() -> str | None:
        return st.selectbox(
            label,
            list(options),
            index=None,
            key=key,
            placeholder=everything,
            format_func=lambda option: options.get(option, option),
            label_visibility="collapsed",
            width=220,
        )

    if st.session_state.get(key) not in options:  # gone, as a team whose last learner left it
        st.session_state.pop(key, None)
    field = Field[str | None](
        key, label, None, everything, _one_of(options), lambda chosen: [chosen or ""]
    )
    return bound(field, draw)


def choose_vendor() -> str | None:
    """A filter by vendor, where there is more than one."""
    vendors = store.vendors()
    return choose("Vendor", "vendor", vendors, "All vendors") if len(vendors) > 1 else None


def switch(label: str, key: str, options: Mapping[Any, str], default: str) -> str:
    """A choice of few, all visible, by their keys."""

    def draw() -> str:
        chosen = st.segmented_control(
            label,
            list(options),
            required=True,
            key=key,
            format_func=lambda option: options[option],
            label_visibility="collapsed",
            wrap=True,
        )
        return chosen or default

    return bound(_choice(label, key, options, default), draw)


def pick(label: str, key: str, options: Mapping[str, str], default: str) -> str:
    """A choice of one among many, by their keys."""

    def draw() -> str:
        return st.selectbox(
            label,
            list(options),
            key=key,
            format_func=lambda option: options[option],
            label_visibility="collapsed",
            width=170,
        )

    return bound(_choice(label, key, options, default), draw)


def pick_several(
    label: str, key: str, options: Sequence[str], placeholder: str, most: int
) -> list[str]:
    """Any number of some names."""

    def draw() -> list[str]:
        return st.multiselect(
            label,
            options,
            max_selections=most,
            key=key,
            placeholder=placeholder,
            label_visibility="collapsed",
        )

    def read(asked: Sequence[str]) -> list[str] | None:
        known = [one for one in dict.fromkeys(asked) if one in options]
        return known[:most] if len(known) == len(asked) else None

    field = Field[list[str]](key, label, [], "the default", read, lambda chosen: chosen)
    return bound(field, draw)


def toggle(label: str, key: str, help: str | None = None) -> bool:  # noqa: A002
    """Off, unless the address says `true`."""

    def draw() -> bool:
        return st.toggle(label, key=key, help=help)

    def read(asked: Sequence[str]) -> bool | None:
        return {"true": True, "false": False}.get(asked[-1])

    return bound(Field(key, label, False, "without", read, lambda _: ["true"]), draw)


def words(
    label: str, key: str, placeholder: str, width: int = 360, *, labelled: bool = False
) -> str:
    """Words to search for, without blanks around them."""

    def draw() -> str:
        return st.text_input(
            label,
            key=key,
            placeholder=placeholder,
            label_visibility="visible" if labelled else "collapsed",
            width=width,
        )

    field = Field(key, label, "", "all", lambda asked: asked[-1], lambda text: [text])
    return bound(field, draw).strip()


def _one_of(options: Mapping[str, str]) -> Read[str]:
    return lambda asked: asked[-1] if asked[-1] in options else None


def _choice(label: str, key: str, options: Mapping[str, str], default: str) -> Field[str]:
    read = _one_of(options)
    return Field(key, label, default, options[default], read, lambda chosen: [chosen])


def say_unknown() -> None:
    """What the link to this page asks for in vain, and what is shown instead."""
    for one in address.unknown():
        asked = ", ".join(one.asked)
        cut = asked if len(asked) <= LONGEST else f"{asked[:LONGEST]}…"
        st.warning(
            f"The link asks for {one.label.lower()} “{plain(cut)}”, which does not exist here: "
            f"showing {plain(one.shown)}.",
            icon=":material/link_off:",
        )


WEEKDAYS = {"monday": 0, "saturday": 5, "sunday": 6}


def calendar() -> Calendar:
    """How the company counts weeks and quarters."""
    config = store.settings()
    return Calendar(WEEKDAYS[config.week_begins], config.fiscal_year_begins)


def window(default: str = "7d") -> Window:
    """A period of whole days on the viewer's clock."""
    name = pick("Period", "window", WINDOWS, default)
    return window_of(name, now(), viewer_zone(), calendar(), _days() if name == "custom" else None)


def in_words() -> str:
    """The chosen period, as it ends a sentence."""
    return WORDS[st.session_state["window"]]


def _days() -> Days:
    # Without a default: days that are the default are left out of the address, and a link opened a
    # week later would show other days.
    def draw() -> tuple[date, ...]:
        chosen = st.date_input(
            "Days",
            min_value=EARLIEST,
            max_value=today(),
            key="days",
            label_visibility="collapsed",
            width=260,
        )
        return chosen if isinstance(chosen, tuple) else ()

    def written(chosen: tuple[date, ...]) -> list[str]:
        return [day.isoformat() for day in chosen] if len(chosen) == 2 else []  # noqa: PLR2004

    field = Field[tuple[date, ...]]("days", "days", (), "the last 14 days", _days_of, written)
    chosen = bound(field, draw)
    if not chosen:
        st.caption("The last 14 days, until you choose some.", width="content")
        return Days(today() - timedelta(days=13), today())
    return Days(chosen[0], chosen[-1])  # between two clicks there is only a first day


def _days_of(asked: Sequence[str]) -> tuple[date, ...] | None:
    """The first and the last day that an address names; where the sender's clock is ahead, a day
    that has not begun here is today."""
    try:
        first, last = (min(date.fromisoformat(one), today()) for one in asked)
    except ValueError:
        return None
    return (first, last) if EARLIEST <= first <= last else None


def who(*, leavers: bool = False) -> Who:
    """Team, vendor where there are several, and whether leavers count; only people that the viewer
    may see."""
    team = choose("Team", "team", {one: one for one in store.teams()}, "All teams")
    asked = Who(
        teams=(team,) if team else None,
        vendor=choose_vendor(),
        leavers=leavers and toggle("With leavers", "leavers"),
    )
    return access.who(asked)


def module() -> tuple[str, str] | None:
    """One module, by vendor and id."""
    chosen = choose("Module", "module", store.modules(), "All modules")
    if chosen is None:
        return None
    vendor, _, module_id = chosen.partition("/")
    return vendor, module_id
