"""What is wrong with deliveries, in three cards by severity. One finding of several vendors is one
entry, which opens what each vendor's is, the cure, and what happens otherwise."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Literal, NamedTuple
from urllib.parse import urlencode

import streamlit as st

from dashboard.base.pieces import heading, plain
from dashboard.deliveries.answer import safe
from shared.diagnosis import Finding, Severity, diagnose
from shared.evidence import Evidence, loss_order
from shared.outcomes import HAS_EVENT, Outcome
from shared.wording import number_of

Colour = Literal["red", "orange", "gray"]
CARDS: Mapping[Severity, tuple[str, Colour, str]] = {
    Severity.LOSING: ("Act now", "red", ":material/error:"),
    Severity.WARNING: ("Check", "orange", ":material/warning:"),
    Severity.NOTE: ("For information", "gray", ":material/info:"),
}
OF_SEVERAL = {
    "forged": "Wrongly signed posts",
    "silence": "No deliveries",
    "strangers": "Requests of strangers refused",
    "suspended": "Webhook probably suspended",
    "types-stopped": "Event types no longer arrive",
    "suspension-near": "Webhook about to be suspended",
    "unreadable": "Authentic events not understood",
}
"""The words for findings whose title speaks of one vendor or of its numbers."""


class Found(NamedTuple):
    """A finding of one vendor, or of the store."""

    evidence: Evidence | None
    finding: Finding


def findings(evidence: Sequence[Evidence], of_store: Sequence[Finding], window: str) -> None:
    """All findings of these vendors and of the store. `window` is the key of the period of the
    evidence."""
    heading("Findings")
    ordered = sorted(evidence, key=loss_order)
    found = [Found(None, finding) for finding in of_store]
    found += [Found(one, finding) for one in ordered for finding in diagnose(one)]
    grid = st.grid(len(CARDS), min_column_width=280, border=True)
    for severity, (words, colour, icon) in CARDS.items():
        merged = _merged([one for one in found if one.finding.severity is severity])
        label = f"{words} · {len(merged)}"
        with grid.cell(), st.container(gap="xsmall"):
            if not merged:
                st.badge(label, icon=icon, color="gray")
                st.markdown(":small[:gray[Nothing.]]")
            elif severity is Severity.NOTE:
                with st.expander(label, icon=icon, key="information"):
                    _entries(merged, window, several=len(evidence) > 1)
            else:
                st.badge(label, icon=icon, color=colour)
                _entries(merged, window, several=len(evidence) > 1)


def _merged(found: Sequence[Found]) -> list[list[Found]]:
    """The same finding of several vendors together, in the order in which they are first seen."""
    kinds = list(dict.fromkeys(one.finding.kind for one in found))
    ordered = sorted(found, key=lambda one: kinds.index(one.finding.kind))
    return [list(same) for _, same in groupby(ordered, key=lambda one: one.finding.kind)]


def _entries(merged: Sequence[Sequence[Found]], window: str, *, several: bool) -> None:
    for same in merged:
        first = same[0]
        title = first.finding.title
        if len(same) > 1:
            title, whose = OF_SEVERAL.get(first.finding.kind, title), number_of(len(same), "vendor")
        else:
            whose = first.evidence.vendor.name if several and first.evidence else ""
        label = f"**{safe(title)}**" + (f" · {plain(whose)}" if whose else "")
        key = f"{first.finding.severity}_{first.finding.kind}"
        # Only a compact one may lie in another. Its label is too pale to stand in the open.
        within = first.finding.severity is Severity.NOTE
        with st.expander(label, key=key, type="compact" if within else "default"):
            for one in same:
                _detail(one, window, named=len(same) > 1)


def _detail(found: Found, window: str, *, named: bool) -> None:
    finding, evidence = found.finding, found.evidence
    if named and evidence:
        st.markdown(f"**{plain(evidence.vendor.name)}**")
    rows = {"Evidence": finding.evidence, "Cure": finding.cure, "Otherwise": finding.otherwise}
    st.table({name: safe(words) for name, words in rows.items()}, border="horizontal")
    if finding.outcome and evidence:
        view = {**_listed(finding.outcome), "span": window, "vendor": evidence.vendor.slug}
        st.link_button("Deliveries behind it", f"?{urlencode(view)}", type="tertiary")


def _listed(outcome: Outcome) -> dict[str, str]:
    """The list that shows deliveries of an outcome."""
    if outcome is Outcome.MISSING_CREDENTIALS:
        return {"view": "strangers"}
    which = {"which": "all"} if outcome in HAS_EVENT else {}
    return {"view": "deliveries", **which, "outcome": outcome.value}
