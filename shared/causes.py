"""Why deliveries fail, by vendor and outcome: what is lost first, and the cure. Pure functions."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from shared.diagnosis import COMPARE, SELDOM, Severity, diagnose
from shared.evidence import NEVER, Evidence, Failures
from shared.outcomes import Outcome
from shared.vendors import VendorFacts


class Cause(NamedTuple):
    """Failed deliveries of one vendor with one outcome."""

    vendor: VendorFacts
    outcome: Outcome
    failures: Failures
    severity: Severity
    cure: str


def causes(evidence: Sequence[Evidence]) -> list[Cause]:
    """Of all vendors, the cause with the soonest loss first; of equal ones the more urgent, then
    the one with more events that are not recovered."""
    found = [
        _cause(one, outcome, failures)
        for one in evidence
        for outcome, failures in one.failures.items()
    ]
    return sorted(found, key=_order)


def _cause(evidence: Evidence, outcome: Outcome, failures: Failures) -> Cause:
    finding = next((one for one in diagnose(evidence) if one.outcome is outcome), None)
    if finding is None:
        cure = evidence.vendor.cures.get(outcome, COMPARE)
        return Cause(evidence.vendor, outcome, failures, Severity.NOTE, cure)
    severity = finding.severity
    if severity is Severity.NOTE and failures.open >= SELDOM * evidence.deliveries:
        severity = Severity.WARNING  # as the verdict, which counts what is not recovered
    return Cause(evidence.vendor, outcome, failures, severity, finding.cure)


def _order(cause: Cause) -> tuple[datetime, int, int, str, str]:
    severity = list(Severity).index(cause.severity)
    loss = cause.failures.forecast.first_loss or NEVER
    return (loss, severity, -cause.failures.open, cause.vendor.slug, cause.outcome)
