"""What is wrong with a vendor's deliveries, judged from the store. Pure functions.

Each finding has evidence, a cure, and the consequence without it. Symptoms and cures come from the
vendors' guides and the practice of their users.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from shared.outcomes import Outcome
from shared.retries import Forecast, Silence, Suspension
from shared.vendors import VendorFacts


class Severity(StrEnum):
    LOSING = "losing"
    """Events are being lost, or will be."""
    WARNING = "warning"
    """Something is missing, or will fail soon."""
    NOTE = "note"
    """Worth knowing; nothing to do."""


class Failures(NamedTuple):
    """Failed deliveries of one outcome in the window."""

    deliveries: int
    first: datetime
    last: datetime


class Failing(NamedTuple):
    """Every delivery since `since` failed."""

    since: datetime
    deliveries: int
    bad_signature: int


class Stored(NamedTuple):
    """A vendor's events, as the read models have them."""

    events: int
    """Counted up to a few hundred."""
    provisioned: bool
    duplicates: int
    retakes: int
    """Learners who completed one course more than once."""
    practice: int
    """Quiz submissions without a grade."""


class Lag(NamedTuple):
    """Between signing and arrival of the latest deliveries; below zero is signed in the future."""

    least: timedelta
    median: timedelta


class Strangers(NamedTuple):
    """Requests in the window that are not the vendor's."""

    requests: Mapping[Outcome, int]
    unlisted: int
    """How many of them are only counted."""
    names_event: bool
    """Whether one without a credential names a type of event."""

    @property
    def total(self) -> int:
        return sum(self.requests.values())


NO_STRANGERS = Strangers({}, 0, names_event=False)


class Evidence(NamedTuple):
    """The input of a diagnosis."""

    vendor: VendorFacts
    failures: Mapping[Outcome, Failures]
    failing: Failing | None
    forecast: Forecast
    suspension: Suspension | None
    silence: Silence | None
    stored: Stored
    lag: Lag | None
    tolerance_past: timedelta
    tolerance_future: timedelta
    accepted: int = 0
    """Deliveries that were accepted, duplicates included."""
    strangers: Strangers = NO_STRANGERS


class Finding(NamedTuple):
    """One thing that is wrong or worth knowing."""

    kind: str
    severity: Severity
    title: str
    evidence: str
    cure: str
    otherwise: str
    """The consequence without the cure."""
    outcome: Outcome | None = None
    """Deliveries of this outcome are the evidence."""


def diagnose(evidence: Evidence) -> list[Finding]:
    """All findings, the most urgent first."""
    found = [finding for rule in _RULES for finding in rule(evidence)]
    return sorted(found, key=lambda finding: list(Severity).index(finding.severity))


LOST = "Events whose last retry passes are lost unless you replay them from quarantine."
COMPARE = "Compare the receiver's settings with the vendor's, restart it, then replay."
SET_THE_CLOCK = (
    "Set this machine's clock by NTP; until then raise TIMESTAMP_TOLERANCE_PAST or _FUTURE."
)
NEARLY = 0.25
"""The share of a tolerance that a clock may be off without a finding."""
ENOUGH = 20
"""With so many events, a type that never arrives is not subscribed."""
MOSTLY = 0.8


def _cure(evidence: Evidence, outcome: Outcome, usual: str = COMPARE) -> str:
    """The cure by the vendor's own facts, or else the usual one."""
    return evidence.vendor.cures.get(outcome, usual)


def _rotated_secret(evidence: Evidence) -> Iterator[Finding]:
    refused = evidence.failures.get(Outcome.BAD_SIGNATURE)
    failing = evidence.failing
    if refused and failing and failing.bad_signature >= MOSTLY * failing.deliveries:
        yield Finding(
            "rotated-secret",
            Severity.LOSING,
            "The signing secret was probably rotated",
            f"The latest {failing.deliveries:,} deliveries all failed, "
            f"{failing.bad_signature:,} of them with a wrong signature.",
            _cure(evidence, Outcome.BAD_SIGNATURE),
            LOST,
            Outcome.BAD_SIGNATURE,
        )
    elif refused:
        yield Finding(
            "forged",
            Severity.NOTE,
            f"Wrongly signed posts, while other deliveries of {evidence.vendor.name} are accepted",
            f"{refused.deliveries:,} well-formed posts had a wrong signature; "
            f"{evidence.accepted:,} deliveries were accepted in the same time.",
            "If they are the vendor's, two secrets are in use: list both. If not, there is nothing "
            "to do.",
            "Nothing, if they are not the vendor's.",
            Outcome.BAD_SIGNATURE,
        )


def _suspension(evidence: Evidence) -> Iterator[Finding]:
    clock = evidence.suspension
    if clock is None or clock.share < 0.5:  # noqa: PLR2004 (warnings at 50, 75 and 90 %)
        return
    if clock.share >= 1:
        yield Finding(
            "suspended",
            Severity.LOSING,
            f"{evidence.vendor.name} has probably suspended the webhook",
            "Every delivery failed for longer than the vendor tolerates.",
            evidence.vendor.reactivate,
            "There are no deliveries until you re-activate the webhook.",
        )
        return
    passed = next(step for step in (90, 75, 50) if clock.share >= step / 100)
    yield Finding(
        "suspension-near",
        Severity.LOSING,
        f"{evidence.vendor.name} will suspend the webhook",
        f"Every delivery has failed for more than {passed} % of the time until then.",
        "Fix the cause. The next accepted delivery stops the countdown.",
        "The webhook stays off until you re-activate it.",
    )


def _silence(evidence: Evidence) -> Iterator[Finding]:
    quiet, clock = evidence.silence, evidence.suspension
    if quiet is None:
        return
    suspended = clock is not None and clock.share >= 1
    yield Finding(
        "silence",
        Severity.LOSING if suspended else Severity.WARNING,
        f"No deliveries from {evidence.vendor.name}",
        f"About {quiet.expected:,.0f} deliveries are usual in the time since the last one.",
        evidence.vendor.reactivate
        if suspended
        else "Deliveries were accepted before, so this is no suspension. Check that the address is "
        "reachable from outside, and that the subscription still exists.",
        "Events that the vendor cannot deliver are lost after their last retry.",
    )


def _missing_subscription(evidence: Evidence) -> Iterator[Finding]:
    stored = evidence.stored
    if evidence.vendor.roster and stored.events >= ENOUGH and not stored.provisioned:
        yield Finding(
            "missing-subscription",
            Severity.WARNING,
            "user.provisioned never arrives",
            "Other events arrive, but the roster is empty.",
            "Add user.provisioned to the events of the subscription.",
            "Learners have no team and no e-mail address, and leavers stay on the boards.",
        )


def _clock_skew(evidence: Evidence) -> Iterator[Finding]:
    lag = evidence.lag
    stale = evidence.failures.get(Outcome.STALE_TIMESTAMP)
    if lag and -lag.median > NEARLY * evidence.tolerance_future:
        shown = f"The latest deliveries were signed {_seconds(-lag.median)} in the future."
    elif lag and lag.least > NEARLY * evidence.tolerance_past:
        shown = f"Even the quickest recent delivery arrived {_seconds(lag.least)} after signing."
    elif stale:
        shown = f"{stale.deliveries:,} deliveries were refused for their time."
    else:
        return
    yield Finding(
        "clock-skew",
        Severity.LOSING if stale else Severity.WARNING,
        "This machine's clock and the vendor's differ",
        shown,
        _cure(evidence, Outcome.STALE_TIMESTAMP, SET_THE_CLOCK),
        "Beyond the tolerance every delivery is refused.",
        Outcome.STALE_TIMESTAMP if stale else None,
    )


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():,.0f} s"


_NOT_ADMITTED = {
    Outcome.IP_NOT_ALLOWED: (
        "address-not-allowed",
        "Deliveries come from an address outside the allowlist",
    ),
    Outcome.WRONG_CREDENTIALS: (
        "wrong-credentials",
        "Deliveries present a credential that is not configured",
    ),
}


def _not_admitted(evidence: Evidence) -> Iterator[Finding]:
    """Anyone can send these. They are the vendor's for certain only if no delivery is accepted."""
    for outcome, (kind, title) in _NOT_ADMITTED.items():
        failures = evidence.failures.get(outcome)
        if failures is None:
            continue
        all_fail = evidence.failing is not None and failures.last >= evidence.failing.since
        others = "and none was accepted since" if all_fail else "while others were accepted"
        yield Finding(
            kind,
            Severity.LOSING if all_fail else Severity.WARNING,
            title,
            f"{failures.deliveries:,} deliveries were refused for it, {others}.",
            _cure(evidence, outcome),
            LOST if all_fail else f"Nothing, if they are not the vendor's. {LOST}",
            outcome,
        )


class _Refusal(NamedTuple):
    kind: str
    severity: Severity
    title: str
    cure: str
    otherwise: str


_REFUSALS = {
    Outcome.WRONG_COMPANY: _Refusal(
        "wrong-company",
        Severity.LOSING,
        "Deliveries are for another company",
        "Correct MINDTICKLE_COMPANY_ID, or the companyId of the subscription, then replay.",
        LOST,
    ),
    Outcome.UNREADABLE: _Refusal(
        "unreadable",
        Severity.WARNING,
        "Authentic deliveries could not be understood",
        "See their reasons. If the vendor has changed its format, update Repboard, then replay.",
        "They stay in quarantine; the vendor does not send them again.",
    ),
    Outcome.TOO_LARGE: _Refusal(
        "too-large",
        Severity.WARNING,
        "Bodies are larger than MAX_BODY_BYTES",
        "If they are the vendor's, raise MAX_BODY_BYTES before the last retry: their bodies are "
        "not stored.",
        LOST,
    ),
}


def _refusals(evidence: Evidence) -> Iterator[Finding]:
    for outcome, refusal in _REFUSALS.items():
        if failures := evidence.failures.get(outcome):
            yield Finding(
                refusal.kind,
                refusal.severity,
                refusal.title,
                f"{failures.deliveries:,} deliveries.",
                _cure(evidence, outcome, refusal.cure),
                refusal.otherwise,
                outcome,
            )


def _strangers(evidence: Evidence) -> Iterator[Finding]:
    """Never more than a note: anyone can send any number of these."""
    strangers = evidence.strangers
    unsigned = strangers.requests.get(Outcome.MISSING_CREDENTIALS, 0)
    if unsigned and strangers.names_event and not evidence.stored.events:
        yield Finding(
            "missing-credentials",
            Severity.NOTE,
            "Requests come without any credential",
            f"{unsigned:,} requests, of which some name a type of event; no delivery of "
            f"{evidence.vendor.name} was ever accepted.",
            _cure(
                evidence,
                Outcome.MISSING_CREDENTIALS,
                "If they are the vendor's, a proxy removes headers: configure it to forward them.",
            ),
            "Nothing, if they are not the vendor's.",
            Outcome.MISSING_CREDENTIALS,
        )
    elif strangers.total:
        listed = f" {strangers.unlisted:,} of them are only counted." if strangers.unlisted else ""
        yield Finding(
            "strangers",
            Severity.NOTE,
            f"{strangers.total:,} requests of strangers refused",
            f"{unsigned:,} had no credential, {strangers.total - unsigned:,} a wrong one on a body "
            f"that {evidence.vendor.name} does not send.{listed}",
            "Nothing to do: they block no delivery and count in no other figure.",
            "Nothing.",
        )


def _repeats(evidence: Evidence) -> Iterator[Finding]:
    stored = evidence.stored
    if stored.duplicates or stored.retakes:
        yield Finding(
            "repeats",
            Severity.NOTE,
            "Redeliveries and retakes",
            f"{stored.duplicates:,} deliveries repeated an event and were not counted again; "
            f"{stored.retakes:,} learners completed a course more than once and count as retakes.",
            "Nothing to do: each event counts once, by its ID.",
            "Nothing.",
            Outcome.DUPLICATE if stored.duplicates else None,
        )


def _practice(evidence: Evidence) -> Iterator[Finding]:
    if evidence.stored.practice:
        yield Finding(
            "practice",
            Severity.NOTE,
            "Practice quizzes have no score",
            f"{evidence.stored.practice:,} submissions were practice runs.",
            "Nothing to do: they show as practice and never count as low scores.",
            "Nothing.",
        )


_RULES: Sequence[Callable[[Evidence], Iterator[Finding]]] = (
    _suspension,
    _rotated_secret,
    _clock_skew,
    _silence,
    _missing_subscription,
    _not_admitted,
    _refusals,
    _strangers,
    _repeats,
    _practice,
)
