"""What is wrong with a vendor's deliveries, judged from the store. Pure functions.

Each finding has evidence, a cure, and the consequence without it. Symptoms and cures come from the
vendors' guides and the practice of their users.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from shared import stopped
from shared.drift import in_words
from shared.evidence import Evidence, Failures
from shared.outcomes import Outcome
from shared.retries import Suspension
from shared.wording import duration, number_of, share


class Severity(StrEnum):
    LOSING = "losing"
    """Events do not reach the boards, and are lost sooner or later without a fix."""
    WARNING = "warning"
    """Something is missing, or will fail soon."""
    NOTE = "note"
    """Worth knowing; nothing to do."""


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


COMPARE = (
    "Compare the receiver's settings with the vendor's and correct them, restart the receiver, "
    "then replay."
)
SET_THE_CLOCK = (
    "First raise TIMESTAMP_TOLERANCE_PAST or _FUTURE (of a declared vendor: timestamp in "
    "VENDORS_FILE) beyond the difference and restart the receiver: deliveries are accepted again. "
    "Then set this machine's clock by NTP, and replay. Set the tolerance back only after the "
    "replay: it judges a delivery as of its arrival."
)
NEARLY = 0.25
"""The share of a tolerance that a clock may be off without a finding."""
ENOUGH = 20
"""With so many events, a type that never arrives is not subscribed."""
MOSTLY = 0.8
FEW = 5
SELDOM = 0.05
"""Fewer failed events, or a smaller share of all deliveries, are a note and no alarm."""


def _events_and_attempts(events: int, attempts: int) -> str:
    """`172 events, 416 attempts`."""
    return f"{number_of(events, 'event')}, {number_of(attempts, 'attempt')}"


def _deliveries(count: int) -> str:
    return f"{number_of(count, 'delivery')} {'was' if count == 1 else 'were'}"


def _counted(evidence: Evidence, failures: Failures) -> str:
    """`172 events, 416 attempts: 30 % of all deliveries`."""
    counts = _events_and_attempts(failures.events, failures.attempts)
    return f"{counts}: {share(failures.attempts, evidence.deliveries)} of all deliveries"


def _many(evidence: Evidence, failures: Failures) -> bool:
    """Whether more events are open than a vendor or a proxy leaves on an ordinary day."""
    return failures.open >= FEW and failures.attempts >= SELDOM * evidence.deliveries


def _fixed(evidence: Evidence) -> Iterator[Finding]:
    if evidence.replayed:
        yield Finding(
            "fixed",
            Severity.NOTE,
            "The cause is fixed",
            f"{number_of(evidence.replayed.events, 'event')} replayed, none is open.",
            "Wait for the next delivery."
            + (" It stops the countdown." if stops(evidence.suspension) else ""),
            "Nothing, if the next delivery is accepted.",
            max(evidence.failures, key=lambda one: evidence.failures[one].last, default=None),
        )


def _kept(evidence: Evidence) -> str:
    """What a replay recovers, and until when."""
    days = evidence.vendor.kept_days
    limit = f" for {number_of(days, 'day')} after its arrival" if days else ""
    return (
        f"A replay recovers what is in quarantine, where a delivery stays{limit}. An event that is "
        "not there is lost with its last retry."
    )


def _cure(evidence: Evidence, outcome: Outcome, usual: str = COMPARE) -> str:
    """The cure by the vendor's own facts, or else the usual one."""
    return evidence.vendor.cures.get(outcome, usual)


def _rotated_secret(evidence: Evidence) -> Iterator[Finding]:
    refused = evidence.failures.get(Outcome.BAD_SIGNATURE)
    failing = evidence.failing
    if evidence.replayed:
        return
    if refused and failing and failing.bad_signature >= MOSTLY * failing.attempts:
        yield Finding(
            "rotated-secret",
            Severity.LOSING,
            "The signing secret was probably rotated",
            f"{_events_and_attempts(failing.events, failing.attempts)}: all failed, "
            f"{failing.bad_signature:,} of the attempts with a wrong signature.",
            _cure(evidence, Outcome.BAD_SIGNATURE),
            _kept(evidence),
            Outcome.BAD_SIGNATURE,
        )
    elif refused:
        yield Finding(
            "forged",
            Severity.NOTE,
            f"Wrongly signed posts, while other deliveries of {evidence.vendor.name} are accepted",
            f"{number_of(refused.attempts, 'well-formed post')} had a wrong signature; "
            f"{_deliveries(evidence.accepted)} accepted in the same time.",
            "If they are the vendor's, two secrets are in use: list both. If not, there is nothing "
            "to do.",
            "Nothing, if they are not the vendor's.",
            Outcome.BAD_SIGNATURE,
        )


def _suspension(evidence: Evidence) -> Iterator[Finding]:
    clock = evidence.suspension
    if clock is None or clock.share < 0.5:  # noqa: PLR2004 (warnings at 50, 75 and 90 %)
        return
    limit = f"{clock.counted.limit:,}" if clock.counted else duration(clock.at - clock.since)
    if clock.share >= 1:
        yield Finding(
            "suspended",
            Severity.LOSING,
            f"{evidence.vendor.name} has probably suspended the webhook",
            f"{why_suspended(clock)}; {evidence.vendor.name} suspends after {limit}.",
            evidence.vendor.reactivate,
            "There are no deliveries until you re-activate the webhook.",
        )
        return
    if clock.counted:
        yield Finding(
            "suspension-near",
            Severity.LOSING,
            f"{evidence.vendor.name} will suspend the webhook",
            f"{why_suspended(clock)}; {evidence.vendor.name} suspends after {limit}.",
            "Fix the cause. Each failure counts, also between accepted deliveries.",
            "The webhook stays off until you re-activate it.",
        )
        return
    passed = next(step for step in (90, 75, 50) if clock.share >= step / 100)
    yield Finding(
        "suspension-near",
        Severity.WARNING if evidence.replayed else Severity.LOSING,
        f"{evidence.vendor.name} will suspend the webhook",
        f"Every delivery has failed for more than {passed} % of the time until then.",
        "Wait for the next accepted delivery. It stops the countdown."
        if evidence.replayed
        else "Fix the cause. The next accepted delivery stops the countdown.",
        "The webhook stays off until you re-activate it.",
    )


def stops(clock: Suspension | None) -> bool:
    """Whether there is a countdown that an accepted delivery stops."""
    return clock is not None and clock.counted is None


def why_suspended(clock: Suspension) -> str:
    """The evidence for a suspension, without an end."""
    outage = clock.outage
    if clock.counted:
        failed = number_of(clock.counted.failed, "attempt")
        return f"{failed} failed within {duration(clock.counted.within)}"
    if outage is None:
        return f"Every delivery failed for {duration(clock.share * (clock.at - clock.since))}"
    down = duration(outage.end - outage.begin)
    was = "No receiver was up" if outage.over else "No receiver has been up"
    return f"{was} for {down}, and no delivery has been accepted since"


def _silence(evidence: Evidence) -> Iterator[Finding]:
    quiet, clock = evidence.silence, evidence.suspension
    if quiet is None:
        return
    suspended = clock is not None and clock.share >= 1
    check = (
        "Check that the address is reachable from outside, and that the subscription exists and is "
        "turned on."
    )
    if _lacks_credential(evidence):
        check = "Requests without a credential arrive instead: see that finding first."
    yield Finding(
        "silence",
        Severity.LOSING if suspended else Severity.WARNING,
        f"No deliveries from {evidence.vendor.name}",
        f"About {quiet.expected:,.0f} deliveries are usual in the time since the last one.",
        evidence.vendor.reactivate
        if suspended
        else f"Deliveries were accepted before, so no failure suspended the webhook. {check}",
        "Events that the vendor cannot deliver are lost after their last retry.",
    )


def _stopped(evidence: Evidence) -> Iterator[Finding]:
    """While nothing arrives at all, the types say no more than `_silence`."""
    if evidence.stopped and not evidence.silence:
        name = evidence.vendor.name
        yield Finding(
            "types-stopped",
            Severity.WARNING,
            stopped.title(evidence.stopped),
            f"{stopped.in_words(evidence.stopped)} Other events of {name} arrive.",
            f"See at {name} whether the subscription still has this type, and whether there was "
            "anything to send. An import of its export shows what is missing.",
            "Pages lack what these events would have said.",
        )


def _missing_subscription(evidence: Evidence) -> Iterator[Finding]:
    stored, joins = evidence.stored, evidence.vendor.roster_event
    if joins and stored.events >= ENOUGH and not stored.provisioned:
        yield Finding(
            "missing-subscription",
            Severity.WARNING,
            f"{joins} never arrives",
            f"{stored.events:,} events or more are stored, and no {joins} is among them.",
            f"Add {joins} to the events of the subscription.",
            "Learners have no team and no e-mail address, and leavers stay on the boards.",
        )


def _clock_skew(evidence: Evidence) -> Iterator[Finding]:
    """A few late deliveries were slow on their way; a clock is off for all or for many."""
    lag = evidence.lag
    stale = evidence.failures.get(Outcome.STALE_TIMESTAMP)
    many = stale is not None and _many(evidence, stale)
    refused = f"{_counted(evidence, stale)}, refused for their time." if stale else ""
    if lag and -lag.median > NEARLY * evidence.tolerance_future:
        shown = f"The latest deliveries were signed {_seconds(-lag.median)} in the future."
    elif lag and lag.least > NEARLY * evidence.tolerance_past:
        shown = f"Even the quickest recent delivery arrived {_seconds(lag.least)} after signing."
    elif stale and many:
        shown = ""
    elif stale:
        yield Finding(
            "late",
            Severity.NOTE,
            "A few deliveries were too old or too early",
            refused,
            "Nothing to do about a few. A replay accepts them only while a raised "
            "TIMESTAMP_TOLERANCE_PAST or _FUTURE covers their age at arrival. If there are more "
            "each day, set this machine's clock by NTP.",
            _kept(evidence),
            Outcome.STALE_TIMESTAMP,
        )
        return
    else:
        return
    yield Finding(
        "clock-skew",
        Severity.LOSING if many else Severity.WARNING,
        "This machine's clock and the vendor's differ",
        f"{shown} {refused}".strip(),
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
        all_fail = (
            evidence.failing is not None
            and not evidence.replayed
            and failures.last >= evidence.failing.since
        )
        others = "and none was accepted since" if all_fail else "while others were accepted"
        much = all_fail or _many(evidence, failures)
        yield Finding(
            kind,
            Severity.LOSING if all_fail else Severity.WARNING if much else Severity.NOTE,
            title,
            f"{_counted(evidence, failures)}, {others}.",
            _cure(evidence, outcome),
            _kept(evidence)
            if all_fail
            else f"Nothing, if they are not the vendor's. {_kept(evidence)}",
            outcome,
        )


class _Refusal(NamedTuple):
    kind: str
    severity: Severity
    title: str
    cure: str
    otherwise: Callable[[Evidence], str]


_REFUSALS = {
    Outcome.WRONG_COMPANY: _Refusal(
        "wrong-company",
        Severity.LOSING,
        "Deliveries are for another company",
        COMPARE,
        _kept,
    ),
    Outcome.TOO_LARGE: _Refusal(
        "too-large",
        Severity.WARNING,
        "Bodies are larger than MAX_BODY_BYTES",
        "If they are the vendor's, raise MAX_BODY_BYTES and restart the receiver before the last "
        "retry: their bodies are not stored, so no replay recovers them.",
        lambda _evidence: "Each is lost with its last retry.",
    ),
}


def _refusals(evidence: Evidence) -> Iterator[Finding]:
    for outcome, refusal in _REFUSALS.items():
        if failures := evidence.failures.get(outcome):
            yield Finding(
                refusal.kind,
                refusal.severity if _many(evidence, failures) else Severity.NOTE,
                refusal.title,
                f"{_counted(evidence, failures)}.",
                _cure(evidence, outcome, refusal.cure),
                refusal.otherwise(evidence),
                outcome,
            )


def _not_understood(evidence: Evidence) -> Iterator[Finding]:
    """The vendor has its 2xx for these, so it never sends them again."""
    failures = evidence.failures.get(Outcome.UNREADABLE)
    if failures is None:
        return
    many = _many(evidence, failures)
    why = f" Most often: {failures.reason.rstrip('.')}." if failures.reason else ""
    count = number_of(failures.open if many else failures.events, "authentic event")
    yield Finding(
        "unreadable",
        Severity.LOSING if many else Severity.NOTE,
        f"{count} not understood",
        f"{_counted(evidence, failures)}.{why}",
        _cure(
            evidence,
            Outcome.UNREADABLE,
            "If the vendor has changed its format, update Repboard or the declaration, restart the "
            "receiver, then replay.",
        ),
        f"{evidence.vendor.name} never sends them again. {_kept(evidence)}",
        Outcome.UNREADABLE,
    )


def _lacks_credential(evidence: Evidence) -> bool:
    """Whether requests that could be the vendor's without its credential come in place of its
    deliveries: while these are overdue, or several since the last one."""
    since = evidence.strangers.since_accepted
    return bool(evidence.stored.events) and since >= (1 if evidence.silence else FEW)


def _strangers(evidence: Evidence) -> Iterator[Finding]:
    """Anyone can send any number of these. So they are a note, unless they come in place of the
    vendor's deliveries, and never a loss."""
    strangers = evidence.strangers
    unsigned = strangers.requests.get(Outcome.MISSING_CREDENTIALS, 0)
    never = strangers.names_event and not evidence.stored.events
    if unsigned and (never or _lacks_credential(evidence)):
        yield Finding(
            "missing-credentials",
            Severity.NOTE if never else Severity.WARNING,
            "Requests come without any credential",
            f"{unsigned:,} requests, of which some name a type of event; no delivery of "
            f"{evidence.vendor.name} was {'ever accepted' if never else 'accepted since'}.",
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


def _drifted(evidence: Evidence) -> Iterator[Finding]:
    """Fields that the mapping reads change what the boards show; others are worth a note."""
    name = evidence.vendor.name
    read = [one for one in evidence.drifts if one.is_read]
    others = [one for one in evidence.drifts if not one.is_read]
    if read:
        yield Finding(
            "fields-changed",
            Severity.WARNING,
            "Fields are missing or have another form",
            in_words(read),
            f"Compare a recent delivery with the guide of {name}. If a field has another name or "
            "form now, declare it, restart the receiver, then rebuild.",
            "Boards lack what these events said before.",
        )
    if others:
        yield Finding(
            "other-fields-changed",
            Severity.NOTE,
            "Fields changed that nothing here reads",
            in_words(others),
            "Nothing to do. It may be the first sign of a larger change.",
            "Nothing.",
        )


_RULES: Sequence[Callable[[Evidence], Iterator[Finding]]] = (
    _suspension,
    _fixed,
    _rotated_secret,
    _clock_skew,
    _silence,
    _stopped,
    _missing_subscription,
    _not_admitted,
    _refusals,
    _not_understood,
    _drifted,
    _strangers,
    _repeats,
    _practice,
)
