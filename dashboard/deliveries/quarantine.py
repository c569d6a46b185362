"""The quarantine of a vendor, and its replay."""

import streamlit as st

from dashboard.base.pieces import LIVE, heading, plain
from dashboard.base.windows import ago
from dashboard.deliveries import charts, data
from shared.queries.quarantine import Request
from shared.vendors import VendorFacts


@st.fragment(run_every=LIVE)
def quarantine(vendor: VendorFacts) -> None:
    """A vendor's quarantine, and its replay."""
    heading(plain(vendor.name))
    kinds, outcomes = data.quarantined(vendor.slug)
    if not kinds:
        st.success("The quarantine is empty.", icon=":material/check_circle:")
        return
    for row in kinds:
        dropped = f", {row.dropped:,} dropped to stay within the caps" if row.dropped else ""
        st.caption(
            f"{row.kind.replace('_', ' ')}: {row.held:,} quarantined, "
            f"{row.held_bytes / 1_048_576:,.1f} MB{dropped}"
        )
    if outcomes:
        _ask(vendor, {row.outcome: row.deliveries for row in outcomes})
    for request in data.requests(vendor.slug):
        st.caption(_request(request))


def _ask(vendor: VendorFacts, counts: dict[str, int]) -> None:
    chosen = st.selectbox(
        "Outcome",
        list(counts),
        key=f"replay_{vendor.slug}",
        format_func=lambda one: f"{charts.OUTCOMES[one]} ({counts[one]:,})",
        width=320,
    )
    st.write(
        "A receiver verifies them again with the current secrets. Those that pass are accepted "
        "once, with their original time."
    )
    with st.container(horizontal=True):
        if st.button("Dry run", key=f"dry_{vendor.slug}"):
            data.ask_for_replay(vendor.slug, chosen, dry_run=True)
        if st.button("Replay", key=f"do_{vendor.slug}"):
            data.ask_for_replay(vendor.slug, chosen, dry_run=False)


def _request(asked: Request) -> str:
    what = "Dry run" if asked.dry_run else "Replay"
    if asked.state in ("requested", "running"):
        return f":material/hourglass: {what} {ago(asked.requested_at)}: {asked.state} …"
    if asked.state == "failed":
        return f":material/error: {what} failed: {plain(str(asked.problem))}"
    would = "would pass" if asked.dry_run else "accepted"
    return (
        f":material/done: {what} {ago(asked.requested_at)}: {asked.taken:,} {would}, "
        f"{asked.already_delivered:,} already delivered, {asked.still_refused:,} still refused."
    )
