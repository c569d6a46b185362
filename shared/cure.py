"""The cure of a failure as steps with their state. Pure functions.

The dashboard has no secret, so it cannot see that one is set: a dry run shows it, which a receiver
does with the settings of its start.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from shared.outcomes import WORDS, Outcome
from shared.wording import number_of


class StepState(StrEnum):
    """How far a step is."""

    DONE = "done"
    RUNNING = "running"
    FAILED = "failed"
    OPEN = "open"


class Action(StrEnum):
    """What a click does."""

    DRY_RUN = "dry run"
    REPLAY = "replay"


class Step(NamedTuple):
    """One step, with its result in words; `action` where a click does it, and whether it may be
    clicked by now."""

    name: str
    state: StepState
    detail: str
    action: Action | None = None
    is_ready: bool = True
    cure: str = ""
    """How to do it, where no click does."""


class Asked(NamedTuple):
    """A request for a replay or a dry run, and its result so far: numbers of quarantined
    deliveries, of which `taken` are events that are not stored yet."""

    dry_run: bool
    requested_at: datetime
    state: str
    taken: int
    still_refused: int
    problem: str | None
    already_delivered: int = 0
    reasons: Mapping[str, int] = MappingProxyType({})
    """Those still refused, by outcome."""


FIRST_STEPS: Mapping[Outcome, str] = {
    Outcome.BAD_SIGNATURE: "Set the new secret",
    Outcome.WRONG_CREDENTIALS: "Set the new credential",
    Outcome.IP_NOT_ALLOWED: "See whose address it is",
    Outcome.STALE_TIMESTAMP: "Correct clock or tolerance",
    Outcome.WRONG_COMPANY: "Correct the company",
    Outcome.UNREADABLE: "Update Repboard",
}
"""Of the outcomes whose deliveries are quarantined."""


class Incident(NamedTuple):
    """Failures of an outcome since a moment, what fixes them, and the receiver's latest start."""

    outcome: Outcome
    since: datetime
    restarted_at: datetime | None
    cure: str
    reactivate: str | None = None
    """How to get the webhook going again, where the vendor has probably suspended it."""


RESTART = (
    "Restart the receiver with the changed settings: it reads them at its start. The vendor tries "
    "again what arrives meanwhile."
)


def steps(incident: Incident, requests: Sequence[Asked], clock_time: str) -> list[Step]:
    """The cure, in the order in which nothing is lost by it. Requests, the latest first, count
    from the receiver's latest start on; `clock_time` is that start in the viewer's words.

    A suspended webhook goes before the replay, as the vendor sends nothing meanwhile; and after the
    dry run, as it would be suspended again if deliveries did not pass.
    """
    restarted_at = incident.restarted_at
    restarted = restarted_at is not None and restarted_at > incident.since
    valid = _valid(requests, restarted_at if restarted and restarted_at else incident.since)
    dry_run = next((one for one in valid if one.dry_run), None)
    replay = next((one for one in valid if not one.dry_run), None)
    confirmed = confirmable(valid)
    if confirmed and replay:
        replay = None  # an earlier one: what was refused since then waits
    passes = any(one.taken for one in valid)
    setting = _setting(restarted, dry_run or replay, passes=passes)
    again = []
    if incident.reactivate:
        again = [Step(REACTIVATE, StepState.OPEN, "after the dry run", cure=incident.reactivate)]
    return [
        Step(FIRST_STEPS[incident.outcome], *setting, cure=incident.cure),
        Step(
            "Restart the receiver",
            StepState.DONE if restarted else StepState.OPEN,
            f"restarted at {clock_time}" if restarted else "no restart since the first failure",
            cure=RESTART,
        ),
        Step("Dry run", *_result(dry_run, "would be accepted"), Action.DRY_RUN),
        *again,
        Step(
            "Replay",
            *(_result(replay, "accepted") if replay else (StepState.OPEN, AFTER[bool(confirmed)])),
            Action.REPLAY,
            is_ready=confirmed is not None,
        ),
    ]


REACTIVATE = "Re-activate the webhook"
AFTER = {False: "after a dry run", True: "not yet"}


def confirmable(requests: Sequence[Asked]) -> Asked | None:
    """The dry run that a replay can be confirmed by: the latest request of all, if it is done and
    would change anything. `requests` are of one outcome, the latest first."""
    latest = requests[0] if requests else None
    if latest is None or not latest.dry_run or latest.state != "done":
        return None
    return latest if latest.taken or latest.already_delivered else None


def _valid(requests: Sequence[Asked], since: datetime) -> list[Asked]:
    return [one for one in requests if one.requested_at >= since]


def next_step(found: Sequence[Step]) -> Step | None:
    """The step to take now; None once the replay is done. After a restart only a dry run shows
    whether the setting is right."""
    setting, restart, *_, replay = found
    again = next((one for one in found if one.name == REACTIVATE), None)
    if replay.state is StepState.DONE:
        return again
    restarted = restart.state is StepState.DONE
    unknown = setting if restarted and setting.state is StepState.OPEN else None
    return next(one for one in found if one.state is not StepState.DONE and one is not unknown)


def _setting(restarted: bool, latest: Asked | None, *, passes: bool) -> tuple[StepState, str]:
    if passes:
        return StepState.DONE, "deliveries pass"
    if latest and latest.state == "done" and latest.still_refused:
        return StepState.FAILED, "deliveries still do not pass"
    return StepState.OPEN, "a dry run shows it" if restarted else "then restart the receiver"


def _result(asked: Asked | None, passed: str) -> tuple[StepState, str]:
    if asked is None:
        return StepState.OPEN, "not yet"
    if asked.state == "failed":
        return StepState.FAILED, asked.problem or "failed"
    counts = in_words(asked, passed)
    if asked.state != "done":
        return StepState.RUNNING, f"{asked.state}: {counts}"
    state = StepState.FAILED if asked.still_refused and not asked.taken else StepState.DONE
    return state, counts


def in_words(asked: Asked, passed: str) -> str:
    """`35 events would be accepted, 3 deliveries still refused (3 wrong signature)`."""
    said = [f"{number_of(asked.taken, 'event')} {passed}"]
    if asked.already_delivered:
        repeat = "repeats" if asked.already_delivered == 1 else "repeat"
        said.append(f"{number_of(asked.already_delivered, 'delivery')} {repeat} an event")
    if asked.still_refused:
        ranked = sorted(asked.reasons.items(), key=lambda one: (-one[1], one[0]))
        why = ", ".join(f"{count:,} {WORDS[Outcome(one)].lower()}" for one, count in ranked)
        refused = f"{number_of(asked.still_refused, 'delivery')} still refused"
        said.append(f"{refused} ({why})" if why else refused)
    return ", ".join(said)
