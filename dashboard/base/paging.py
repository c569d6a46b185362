"""Long lists by the page, so that none has a hidden end."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import streamlit as st

from dashboard.base.address import PAGE, Field, bound

ROWS = 50


class Part(NamedTuple):
    """The rows of a list that one page shows."""

    offset: int = 0
    limit: int | None = ROWS


WHOLE = Part(0, None)


def page_of(place: int, rows: int = ROWS) -> int:
    """The page on which the row at a place (from 1) stands."""
    return (place - 1) // rows + 1


def choose(total: int, rows: int = ROWS) -> Part:
    """The pages of a list of so many rows, to turn over; the address keeps the chosen one. One
    list of this kind fits on a page of the dashboard."""
    last = page_of(max(total, 1), rows)

    def draw() -> int:
        with st.container(horizontal=True, vertical_alignment="center"):
            number = st.pagination(last, key=PAGE) if last > 1 else 1
            first = (number - 1) * rows + 1
            shown = f"{first:,}–{min(number * rows, total):,} of {total:,}"
            st.caption(shown if last > 1 else f"{total:,} in total", width="content")
        return number

    def read(asked: Sequence[str]) -> int | None:
        number = int(asked[-1]) if re.fullmatch("[0-9]{1,9}", asked[-1]) else 0
        return number if 1 <= number <= last else None

    field = Field(PAGE, "page", 1, "page 1", read, lambda number: [str(number)])
    return Part((bound(field, draw) - 1) * rows, rows)
