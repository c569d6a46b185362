"""The cure of a failure as steps with their state. Pure functions.

The dashboard has no secret, so it cannot see that one is set: a dry run shows it, which a receiver
does with the settings of its start.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from shared.outcomes import Outcome
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
    """One step, with its result in words; `action` where a click does it."""

    name: str
    state: StepState
    detail: str
    action: Action | None = None


class Asked(NamedTuple):
    """A request for a replay or a dry run, and its result so far."""

    dry_run: bool
    requested_at: datetime
    state: str
    taken: int
    still_refused: int
    problem: str | None


FIRST_STEPS: Mapping[Outcome, str] = {
    Outcome.BAD_SIGNATURE: "Set the new secret",
    Outcome.WRONG_CREDENTIALS: "Set the new credential",
    Outcome.IP_NOT_ALLOWED: "Allow the address",
    Outcome.STALE_TIMESTAMP: "Set the clock",
    Outcome.WRONG_COMPANY: "Correct the company",
    Outcome.UNREADABLE: "Update Repboard",
}
"""Of the outcomes whose deliveries are quarantined."""


def steps(
    outcome: Outcome,
    since: datetime,
    restarted_at: datetime | None,
    requests: Sequence[Asked],
    clock_time: str,
) -> list[Step]:
    """The cure of failures of an outcome that began at `since`. Requests, the latest first, count
    from the receiver's latest start on; `clock_time` is that start in the viewer's words."""
    restarted = restarted_at is not None and restarted_at > since
    begin = restarted_at if restarted and restarted_at else since
    valid = [one for one in requests if one.requested_at >= begin]
    dry_run = next((one for one in valid if one.dry_run), None)
    replay = next((one for one in valid if not one.dry_run), None)
    passes = any(one.taken for one in valid)
    return [
        Step(FIRST_STEPS[outcome], *_setting(restarted, dry_run or replay, passes=passes)),
        Step(
            "Restart the receiver",
            StepState.DONE if restarted else StepState.OPEN,
            f"restarted at {clock_time}" if restarted else "no restart since the first failure",
        ),
        Step("Dry run", *_result(dry_run, "would pass"), Action.DRY_RUN),
        Step("Replay", *_result(replay, "accepted"), Action.REPLAY),
    ]


def next_step(found: Sequence[Step]) -> Step | None:
    """The step to take now; None once the replay is done. After a restart only a dry run shows
    whether the setting is right."""
    setting, restart, _, replay = found
    if replay.state is StepState.DONE:
        return None
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
    counts = f"{number_of(asked.taken, 'delivery')} {passed}"
    if asked.still_refused:
        counts += f", {asked.still_refused:,} still refused"
    if asked.state != "done":
        return StepState.RUNNING, f"{asked.state}: {counts}"
    state = StepState.FAILED if asked.still_refused and not asked.taken else StepState.DONE
    return state, counts
