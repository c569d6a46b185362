"""Filters that pages share, each of them in the address."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Generic, NamedTuple, TypeVar

import streamlit as st

from dashboard import access
from dashboard.base import address, store
from dashboard.base.address import Field, Read, bound, settled
from dashboard.base.pieces import plain
from dashboard.base.windows import (
    INSTEAD,
    WINDOWS,
    WORDS,
    Period,
    now,
    period_of,
    today,
    viewer_zone,
)
from shared.queries.people import Who
from shared.queries.windows import Calendar, Days, Window, window_of

T = TypeVar("T")
LONGEST_LABEL = 40
LONGEST = 60
"""Characters of an unknown value that are shown."""
EARLIEST = date(2000, 1, 1)
"""Before all that is kept. Near the year 1 the period before cannot be reckoned."""


class Filter(NamedTuple, Generic[T]):
    """A filter of a page that is not drawn yet, see `panel`."""

    field: Field[T]
    draw: Callable[[], T]
    words: Callable[[T], str]
    """How the panel's label names a choice."""
    offered: bool = True

    def value(self) -> T:
        return settled(self.field)


def panel(*offered: Filter[Any]) -> None:
    """Filters behind one button, which names those that are set: one row on a phone too."""
    for one in offered:
        address.note_filter(one.field.key, is_set=one.value() != one.field.default)
    chosen = [one.words(value) for one in offered if (value := one.value()) != one.field.default]
    every = [one.field.shown for one in offered if one.field.shown.startswith("All ")]
    label = ", ".join(chosen) or ", ".join([*every[:1], *(one.lower() for one in every[1:2])])
    cut = label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
    with st.popover(plain(cut) or "Filters", icon=":material/tune:", key="filters"):
        for one in offered:
            if one.offered:
                bound(one.field, one.draw)


def choice(label: str, key: str, options: Mapping[str, str], everything: str) -> Filter[str | None]:
    """By one of some keys with their labels; None while nothing is chosen."""

    def draw() -> str | None:
        return st.selectbox(
            label,
            list(options),
            index=None,
            key=key,
            placeholder=everything,
            format_func=lambda option: options.get(option, option),
        )

    if st.session_state.get(key) not in options:  # gone, as a team whose last learner left it
        st.session_state.pop(key, None)
    field = Field[str | None](
        key, label, None, everything, _one_of(options), lambda chosen: [chosen or ""]
    )
    return Filter(field, draw, lambda chosen: options[chosen or ""])


def option(label: str, key: str, options: Mapping[str, str], default: str) -> Filter[str]:
    """By one of some keys with their labels; one of them always counts."""

    def draw() -> str:
        return st.selectbox(label, list(options), key=key, format_func=lambda one: options[one])

    return Filter(_choice(label, key, options, default), draw, lambda chosen: options[chosen])


def by_team(key: str = "team") -> Filter[str | None]:
    """By one of the viewer's teams."""
    return choice("Team", key, {one: one for one in store.teams()}, "All teams")


def by_vendor() -> Filter[str | None]:
    """By vendor; offered where there is more than one."""
    vendors = store.vendors()
    by = choice("Vendor", "vendor", vendors, "All vendors")
    return by._replace(offered=len(vendors) > 1)


def by_module() -> Filter[str | None]:
    """By one module, see `module_of`."""
    return choice("Module", "module", store.modules(), "All modules")


def module_of(chosen: str | None) -> tuple[str, str] | None:
    """Vendor and id of a chosen module."""
    if chosen is None:
        return None
    vendor, _, module_id = chosen.partition("/")
    return vendor, module_id


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


def toggle(label: str, key: str, help: str | None = None) -> Filter[bool]:  # noqa: A002
    """Off, unless the address says `true`."""

    def draw() -> bool:
        return st.toggle(label, key=key, help=help)

    def read(asked: Sequence[str]) -> bool | None:
        return {"true": True, "false": False}.get(asked[-1])

    field = Field(key, label, False, "without", read, lambda _: ["true"])
    return Filter(field, draw, lambda _: label.lower())


def with_leavers() -> Filter[bool]:
    """Whether people who left count too."""
    return toggle("With leavers", "leavers")


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
    found = bound(field, draw).strip()
    address.note_filter(key, is_set=bool(found))
    return found


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


def calendar() -> Calendar:
    """How the company counts weeks and quarters."""
    config = store.settings()
    return Calendar.of(config.week_begins, config.fiscal_year_begins)


def window(default: str = "7d") -> Window:
    """A period of whole days on the viewer's clock."""
    name = pick("Period", "window", WINDOWS, default)
    return window_of(name, now(), viewer_zone(), calendar(), _days() if name == "custom" else None)


def in_words() -> str:
    """The chosen period, as it ends a sentence."""
    return WORDS[st.session_state["window"]]


def period(chosen: Window) -> Period:
    """The same with its dates, and with what it is compared with."""
    return period_of(st.session_state["window"], chosen)


def other_period(others: Mapping[str, str] = INSTEAD) -> None:
    """Where the chosen period is empty: a button that shows the one before it, or a longer one."""
    if other := others.get(st.session_state["window"]):
        st.button(
            f"Show {WINDOWS[other].lower()}",
            on_click=address.go,
            args=({"window": [other]},),
            icon=":material/history:",
        )


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


def who(
    team: Filter[str | None], vendor: Filter[str | None], leavers: Filter[bool] | None = None
) -> Who:
    """The people that filters choose; only those that the viewer may see."""
    chosen = team.value()
    asked = Who(
        teams=(chosen,) if chosen else None,
        vendor=vendor.value(),
        leavers=leavers is not None and leavers.value(),
    )
    return access.who(asked)
