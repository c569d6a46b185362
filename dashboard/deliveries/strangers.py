"""Requests that are no vendor's. They count nowhere else on the page."""

from collections.abc import Sequence

import streamlit as st

from dashboard.base.windows import ago
from dashboard.deliveries.answer import safe
from shared.evidence import Evidence
from shared.queries.unknown_addresses import Unknown
from shared.wording import number_of


def summary(evidence: Sequence[Evidence], elsewhere: Unknown | None) -> None:
    """How many were refused, and how many went to no vendor's address: one of these may be a
    vendor's, with a wrong address."""
    total = sum(one.strangers.total for one in evidence)
    if total:
        unlisted = sum(one.strangers.unlisted for one in evidence)
        are = "is" if unlisted == 1 else "are"
        counted = f"; {unlisted:,} of them {are} only counted, not listed" if unlisted else ""
        requests = number_of(total, "request")
        st.caption(f":material/block: {requests} of strangers refused{counted}.")
    if elsewhere:
        st.caption(
            f":material/wrong_location: {number_of(elsewhere.requests, 'request')} to unknown "
            "addresses below /webhooks/ in the last 24 hours, latest path "
            f"{safe(elsewhere.latest_path)} {ago(elsewhere.latest_at)}."
        )
