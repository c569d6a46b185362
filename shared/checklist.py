"""What is set up of a vendor, and what to do next. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from shared.diagnosis import NEARLY, Severity, diagnose
from shared.drift import MOST_NAMED
from shared.evidence import Evidence
from shared.outcomes import HAS_EVENT, WORDS
from shared.wording import duration, number_of


class State(StrEnum):
    DONE = "Done"
    OPEN = "To do"
    UNKNOWN = "Not known yet"


class KeySetState(NamedTuple):
    """The set of public keys of a vendor that signs tokens."""

    url: str
    fetched_at: datetime | None
    problem: str | None


class Counting(StrEnum):
    """How far a receiver has counted the types of stored events."""

    NOT_BEGUN = "not begun"
    RUNNING = "running"
    DONE = "done"


class Seen(NamedTuple):
    """Event types that arrived lately, as far as events are counted."""

    types: Mapping[str, datetime]
    """The hour in which each arrived last."""
    counting: Counting = Counting.DONE


class Item(NamedTuple):
    """A line of the checklist."""

    what: str
    state: State
    says: str
    next: str = ""
    """What to do."""


class SetUpState(NamedTuple):
    """What a checklist is made of, besides the evidence."""

    configured: bool
    seen: Seen
    keys: KeySetState | None


def checklist(evidence: Evidence, known: SetUpState, now: datetime) -> list[Item]:
    """The lines, in the order in which they are done."""
    return [
        _credential(evidence, known),
        *_keys(known, now),
        _delivery(evidence, now),
        *_types(evidence, known, now),
        *_clock(evidence),
        _findings(evidence),
    ]


def next_of(items: Sequence[Item]) -> str:
    """What to do first."""
    return next((one.next for one in items if one.next), "Nothing to do.")


def _credential(evidence: Evidence, known: SetUpState) -> Item:
    name = evidence.vendor.set_up.credential
    if known.configured:
        return Item("Setting", State.DONE, f"{name} is set.")
    return Item(
        "Setting",
        State.OPEN,
        f"{name} is not set, so no delivery is accepted.",
        f"Set {name} in the receiver's .env, then restart the receiver.",
    )


def _keys(known: SetUpState, now: datetime) -> Iterator[Item]:
    keys = known.keys
    if keys is None:
        return
    when = f"Fetched {duration(now - keys.fetched_at)} ago" if keys.fetched_at else "Never fetched"
    if keys.problem is None and keys.fetched_at:
        yield Item("Public keys", State.DONE, f"{when}.")
    else:
        problem = f" The last attempt failed: {keys.problem}" if keys.problem else ""
        yield Item(
            "Public keys",
            State.OPEN,
            f"{when}.{problem}",
            f"See whether the receiver's machine can fetch {keys.url}. It tries again each minute.",
        )


def _delivery(evidence: Evidence, now: datetime) -> Item:
    last = evidence.last
    if last is None:
        return Item(
            "Last delivery",
            State.OPEN,
            "None yet.",
            f"{evidence.vendor.set_up.where} https://<your host>/webhooks/{evidence.vendor.slug} "
            "Then have an event sent, or send a test below.",
        )
    when = f"{duration(max(timedelta(0), now - last.at))} ago"
    if last.outcome in HAS_EVENT:
        return Item("Last delivery", State.DONE, f"{when}, accepted.")
    return Item(
        "Last delivery",
        State.OPEN,
        f"{when}, refused: {WORDS[last.outcome].lower()}. See Findings.",
    )


def _types(evidence: Evidence, known: SetUpState, now: datetime) -> Iterator[Item]:
    """The types that its facts name. Others are only counted: they are a sender's text."""
    possible = evidence.vendor.set_up.events or tuple(evidence.vendor.fields)
    if not possible:
        return
    types, counting = known.seen
    if counting is Counting.NOT_BEGUN:
        says = "Not counted yet. A running receiver counts the types of stored events."
        yield Item("Event types", State.UNKNOWN, says)
        return
    missing = [one for one in possible if one not in types]
    others = len(set(types) - set(possible))
    counted = f"{len(possible) - len(missing)} of {number_of(len(possible), 'type')} seen"
    more = f"; {number_of(others, 'other type')} stored, but on no page" if others else ""
    ago = _longest_ago({one: types[one] for one in possible if one in types}, now)
    says = f"{counted} in 14 days{more}.{ago}"
    if not missing:
        yield Item("Event types", State.DONE, says)
    elif counting is Counting.RUNNING:
        says = f"{counted} so far: older events are still being counted."
        yield Item("Event types", State.UNKNOWN, says)
    else:
        yield _missing(evidence, possible, missing, says)


def _longest_ago(types: Mapping[str, datetime], now: datetime) -> str:
    """What has not arrived for longest: one type can stop while others go on."""
    said = [
        f"{one} {duration(timedelta(hours=hours)) if hours else 'under 1 h'}"
        for one, at in sorted(types.items(), key=lambda one: one[1])[:MOST_NAMED]
        for hours in [(now - at) // timedelta(hours=1)]
    ]
    return f" Longest ago: {', '.join(said)}." if said else ""


def _missing(
    evidence: Evidence, possible: Sequence[str], missing: Sequence[str], says: str
) -> Item:
    named = ", ".join(missing[:MOST_NAMED])
    rest = len(missing) - MOST_NAMED
    absent = f"{named} and {rest} more" if rest > 0 else named
    is_open = len(missing) == len(possible) or evidence.vendor.roster_event in missing
    return Item(
        "Event types",
        State.OPEN if is_open else State.UNKNOWN,
        f"{says} Not seen: {absent}.",
        f"See at {evidence.vendor.name} whether the subscription has {absent}." if is_open else "",
    )


def _clock(evidence: Evidence) -> Iterator[Item]:
    """Only of events with the time of their signature: others may arrive long after."""
    if not evidence.vendor.timed_by_signing:
        return
    lag = evidence.lag
    if lag is None:
        yield Item("Clocks", State.UNKNOWN, "Too few deliveries to compare.")
        return
    seconds = lag.median.total_seconds()
    apart = f"{abs(seconds):,.0f} s {'after' if seconds >= 0 else 'before'} they were signed"
    early = -lag.median > NEARLY * evidence.tolerance_future
    late = lag.least > NEARLY * evidence.tolerance_past
    yield Item(
        "Clocks",
        State.OPEN if early or late else State.DONE,
        f"The latest deliveries arrived {apart} (median).",
        "Set this machine's clock by NTP." if early or late else "",
    )


def _findings(evidence: Evidence) -> Item:
    found = [one for one in diagnose(evidence) if one.severity is not Severity.NOTE]
    if not found:
        return Item("Findings", State.DONE, "Nothing to act on.")
    return Item(
        "Findings", State.OPEN, "; ".join(f"{one.title}" for one in found) + ".", found[0].cure
    )
