"""The quarantine of a vendor, and its replay."""

from collections.abc import Mapping

import streamlit as st

from dashboard.base.pieces import LIVE, heading, plain
from dashboard.base.windows import ago
from dashboard.deliveries import charts, data, replay
from shared.cure import confirmable, in_words
from shared.outcomes import Kind
from shared.queries.quarantine import KindTotal, Request
from shared.vendors import VendorFacts
from shared.wording import number_of


@st.fragment(run_every=LIVE)
def quarantine(vendor: VendorFacts) -> None:
    """A vendor's quarantine, and its replay."""
    heading(plain(vendor.name))
    kinds, outcomes = data.quarantined(vendor.slug)
    if not any(row.held or row.dropped for row in kinds):
        st.success("The quarantine is empty.", icon=":material/check_circle:")
        return
    for row in kinds:
        if row.held or row.dropped:
            st.caption(_kind(row))
    if outcomes:
        _ask(vendor, {row.outcome: row.deliveries for row in outcomes})
    for request in data.requests(vendor.slug):
        st.caption(_request(request))


KINDS: Mapping[str, str] = {
    Kind.AUTHENTIC: "certainly the vendor's, but not understood",
    Kind.WELL_FORMED: "what the vendor sends, but refused for its signature, credential, address, "
    "time or company",
    Kind.JUNK: "nothing that the vendor sends",
}


def _kind(row: KindTotal) -> str:
    dropped = f"; {row.dropped:,} dropped as there was no room" if row.dropped else ""
    size = f"{row.held_bytes / 1_048_576:,.1f} MB"
    return f"{number_of(row.held, 'delivery')} ({size}), {KINDS[row.kind]}{dropped}."


def _ask(vendor: VendorFacts, counts: dict[str, int]) -> None:
    chosen = st.selectbox(
        "Outcome",
        list(counts),
        key=f"replay_{vendor.slug}",
        format_func=lambda one: f"{charts.OUTCOMES[one]} ({counts[one]:,})",
        width=320,
    )
    asked = data.asked(vendor.slug, chosen, data.restarted_at())
    confirmed = confirmable(asked)
    st.write(
        "A receiver verifies these deliveries again with its present settings. A dry run counts "
        "what would be accepted. A replay accepts it, each event once and with its original time."
    )
    if confirmed:
        st.success(f"Dry run: {in_words(confirmed, 'would be accepted')}.", icon=":material/done:")
    elif asked and asked[0].dry_run and asked[0].state == "done":
        nothing = in_words(asked[0], "would be accepted")
        st.warning(f"Dry run: {nothing}. Fix the cause first.", icon=":material/block:")
    with st.container(horizontal=True):
        kind: replay.Kind = "secondary" if confirmed else "primary"
        replay.dry_run(vendor.slug, chosen, f"dry_{vendor.slug}", kind)
        replay.replay(vendor.slug, chosen, asked, f"do_{vendor.slug}", "primary")


def _request(request: Request) -> str:
    what = "Dry run" if request.dry_run else "Replay"
    of = f" of {charts.OUTCOMES[request.outcome].lower()}" if request.outcome else ""
    when = f"{what}{of}, {ago(request.requested_at)}"
    if request.state in ("requested", "running"):
        return f":material/hourglass: {when}: {request.state} …"
    if request.state == "failed":
        return f":material/error: {when}, failed: {plain(str(request.problem))}"
    would = "would be accepted" if request.dry_run else "accepted"
    return f":material/done: {when}: {in_words(data.as_asked(request), would)}."
