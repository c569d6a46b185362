"""A card for each vendor: how it does, its last 24 hours, and how near a suspension is."""

from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from itertools import groupby
from typing import Literal

import streamlit as st

from dashboard.base import pictures
from dashboard.base.colours import palette
from dashboard.base.pieces import plain
from dashboard.base.windows import ago
from dashboard.deliveries import data
from dashboard.deliveries.answer import clock
from shared.evidence import Evidence
from shared.outcomes import HAS_EVENT
from shared.queries.deliveries import VendorHour
from shared.verdict import Standing, standing
from shared.wording import duration, number_of, share

Colour = Literal["red", "orange", "green", "gray"]
BADGES: Mapping[Standing, tuple[Colour, str]] = {
    Standing.HEALTHY: ("green", ":material/check_circle:"),
    Standing.WATCH: ("orange", ":material/warning:"),
    Standing.FAILING: ("red", ":material/error:"),
    Standing.QUIET: ("gray", ":material/bedtime:"),
}
ENOUGH = 10
"""With fewer deliveries in the last hour, a card shows the rate of 24 hours."""
CARDS_IN_A_ROW = 4
"""Also of fewer, so that a card has one width."""


def cards(evidence: Sequence[Evidence]) -> None:
    """One card a vendor, in the order of the names."""
    if not evidence:
        return
    hours = data.vendor_hours()
    of = {slug: list(rows) for slug, rows in groupby(sorted(hours), key=lambda one: one.vendor)}
    grid = st.grid(CARDS_IN_A_ROW, min_column_width=150, border=True)
    for one in sorted(evidence, key=lambda known: known.vendor.name):
        with grid.cell(), st.container(gap="xsmall"):
            _card(one, of.get(one.vendor.slug, []))


def _card(evidence: Evidence, hours: Sequence[VendorHour]) -> None:
    stands = standing(evidence)
    colour, icon = BADGES[stands]
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center",
        gap="xsmall",
    ):  # fmt: skip
        st.markdown(f"**{plain(evidence.vendor.name)}**", width="content")
        st.badge(stands, color=colour, icon=icon)
    since, accepted, deliveries = _rate(hours)
    st.metric(
        f"Accepted, {since}",
        share(accepted, deliveries) if deliveries else "–",
        f"{accepted:,} of {number_of(deliveries, 'delivery')}",
        delta_color=colour,
        delta_arrow="off",
    )
    st.image(
        pictures.strip(_rates(hours), palette()),
        width="stretch",
        alt=f"{evidence.vendor.name}, share accepted by hour, last 24 hours: {stands}",
    )
    st.markdown(f":small[:gray[{_last(evidence)}]]")
    if evidence.vendor.suspend_after is None:
        st.markdown(":small[:gray[Never suspends]]")
    else:
        st.progress(*_countdown(evidence, evidence.vendor.suspend_after))


def _rate(hours: Sequence[VendorHour]) -> tuple[str, int, int]:
    """Of this hour and the one before, or of 24 hours: in words, accepted, deliveries."""
    recent = [one for one in hours if one.hour >= data.this_hour() - timedelta(hours=1)]
    few = sum(one.deliveries for one in recent) < ENOUGH
    counted = hours if few else recent
    since = "last 24 hours" if few else f"since {clock().shown(recent[0].hour)}"
    return since, sum(one.accepted for one in counted), sum(one.deliveries for one in counted)


def _rates(hours: Sequence[VendorHour]) -> list[float | None]:
    """Percent accepted in each of the last 24 hours, the running one included."""
    known = {one.hour.astimezone(UTC): 100 * one.accepted / one.deliveries for one in hours}
    last = data.this_hour()
    return [known.get(last - timedelta(hours=back)) for back in reversed(range(24))]


def _last(evidence: Evidence) -> str:
    if evidence.last is None:
        return "No delivery yet"
    refused = "" if evidence.last.outcome in HAS_EVENT else ", failed"
    return f"Last delivery {ago(evidence.last.at)}{refused}"


def _countdown(evidence: Evidence, limit: timedelta) -> tuple[float, str]:
    """How much of the time until a suspension has passed, and the words for it."""
    running, tolerated = evidence.suspension, evidence.vendor.tolerated
    if running is None and tolerated:
        within = f"{tolerated.answered:,} failures in {duration(limit)}"
        return 0.0, f":small[:gray[Suspends after {within}]]"
    if running is None:
        return 0.0, f":small[:gray[Suspends after {duration(limit)} of failures]]"
    if running.share >= 1:
        return 1.0, ":small[:red[Probably suspended]]"
    return running.share, f":small[Suspended in {clock().left(running.at)}]"
