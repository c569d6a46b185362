"""Filters in the address, so that a link shows the same view.

The address holds stable keys, never labels: labels are words, and change. `bind="query-params"` of
Streamlit writes labels and silently drops what it does not know, so widgets are bound here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

import streamlit as st

T = TypeVar("T")
Read = Callable[[Sequence[str]], T | None]
PAGE = "page"
"""The key of a list's page. Another filter that changes leads back to the first page."""


class Field(NamedTuple, Generic[T]):
    """A widget's place in the address.

    `read` gives None for what the widget cannot show, and `shown` says what it shows then.
    """

    key: str
    label: str
    default: T
    shown: str
    read: Read[T]
    written: Callable[[T], Iterable[str]]


class Unknown(NamedTuple):
    """What a link asks for in vain, and what is shown instead."""

    label: str
    asked: tuple[str, ...]
    shown: str


def begin(page: str) -> None:
    """Before a page is drawn: what was seen of another page's address does not count for it."""
    if st.session_state.get("address_of") != page:
        st.session_state["address_of"], st.session_state["address_seen"] = page, {}
    st.session_state["address_unknown"] = {}
    st.session_state["address_filters"] = {}


def settled(field: Field[T]) -> T:
    """The value that a widget is going to have, before it is drawn."""
    asked = st.query_params.get_all(field.key)
    if field.key not in st.session_state or _seen().get(field.key) != asked:
        st.session_state[field.key] = _stands(field, asked)
        _seen()[field.key] = asked
    value: T = st.session_state[field.key]
    return value


def _seen() -> dict[str, list[str]]:
    """What the address held for each widget when it was last looked at."""
    seen: dict[str, list[str]] = st.session_state.setdefault("address_seen", {})
    return seen


def _stands(field: Field[T], asked: Sequence[str]) -> T:
    found = field.read(asked) if asked else None
    return field.default if found is None else found


def bound(field: Field[T], draw: Callable[[], T]) -> T:
    """The value of a widget that the address holds under the widget's own key.

    The widget gets its value from there on the first run, and whenever the address has changed, as
    by the back button. A choice is written there, and the default is left out. What the widget
    cannot show stays in the address until a choice, and `unknown` has it.
    """
    key, default = field.key, field.default
    settled(field)
    asked = st.query_params.get_all(key)
    stands = _stands(field, asked)
    value = draw()
    if value != stands:
        write({key: () if value == default else field.written(value)})
    elif asked and field.read(asked) is None:
        unknown_ones = st.session_state.setdefault("address_unknown", {})
        unknown_ones[key] = Unknown(field.label, tuple(asked), field.shown)
    _seen()[key] = st.query_params.get_all(key)
    return value


def unknown() -> list[Unknown]:
    """What the link to this page asks for in vain."""
    return list(st.session_state["address_unknown"].values())


def note_filter(key: str, *, is_set: bool) -> None:
    """Remember whether one of the page's filters is set."""
    st.session_state.setdefault("address_filters", {})[key] = is_set


def filters_set() -> list[str]:
    """The keys of the page's filters that are set. A period, a sort order and a view are none."""
    noted: dict[str, bool] = st.session_state.get("address_filters", {})
    return [key for key, is_set in noted.items() if is_set]


def clear_filters() -> None:
    """Leave out the filters that are set: `go` without them."""
    go(dict.fromkeys(filters_set(), ()))


def write(changes: Mapping[str, Iterable[str]]) -> None:
    """Put values into the address, as one step of the browser's history."""
    parameters = {name: st.query_params.get_all(name) for name in st.query_params}
    parameters |= {PAGE: []} | {name: list(values) for name, values in changes.items()}
    st.query_params.from_dict({name: values for name, values in parameters.items() if values})


def go(changes: Mapping[str, Iterable[str]]) -> None:
    """The same on a click in a live part, which alone would be drawn again: draws the page."""
    write(changes)
    st.rerun()


def query() -> str:
    """What follows the `?` in this view's address."""
    return urlencode(
        [(name, one) for name in st.query_params for one in st.query_params.get_all(name)]
    )
