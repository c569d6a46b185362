"""The steps of a cure, and the state of each."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.cure import FIRST_STEPS, Asked, StepState, next_step, steps
from shared.outcomes import Outcome

BEGAN = datetime(2026, 3, 9, 8, tzinfo=UTC)
RESTART = BEGAN + timedelta(hours=1)
DONE, RUNNING, FAILED, OPEN = "done", "running", "failed", "open"


def asked(
    taken: int, *, dry_run: bool = True, state: str = DONE, refused: int = 0, minutes: int = 5
) -> Asked:
    at = RESTART + timedelta(minutes=minutes)
    return Asked(dry_run, at, state, taken, refused, "broke off" if state == FAILED else None)


@pytest.mark.parametrize(
    ("restart", "requests", "states"),
    [
        (None, [], [OPEN, OPEN, OPEN, OPEN]),
        (BEGAN - timedelta(hours=1), [], [OPEN, OPEN, OPEN, OPEN]),
        (RESTART, [], [OPEN, DONE, OPEN, OPEN]),
        (RESTART, [asked(0, refused=172)], [FAILED, DONE, FAILED, OPEN]),
        (RESTART, [asked(0, state="requested")], [OPEN, DONE, RUNNING, OPEN]),
        (RESTART, [asked(172)], [DONE, DONE, DONE, OPEN]),
        (
            RESTART,
            [asked(90, dry_run=False, state=RUNNING), asked(172)],
            [DONE, DONE, DONE, RUNNING],
        ),
        (RESTART, [asked(172, dry_run=False), asked(172)], [DONE, DONE, DONE, DONE]),
        (RESTART, [asked(172, dry_run=False)], [DONE, DONE, OPEN, DONE]),
        (RESTART, [asked(0, state=FAILED)], [OPEN, DONE, FAILED, OPEN]),
        # A dry run before the restart had the old secret.
        (RESTART, [asked(0, refused=172, minutes=-5)], [OPEN, DONE, OPEN, OPEN]),
    ],
)
def test_each_step_has_the_state_that_the_store_shows(
    restart: datetime | None, requests: list[Asked], states: list[str]
) -> None:
    found = steps(Outcome.BAD_SIGNATURE, BEGAN, restart, requests, "09:00")
    assert [one.state for one in found] == states


@pytest.mark.parametrize(
    ("restart", "requests", "name"),
    [
        (None, [], "Set the new secret"),
        (RESTART, [], "Dry run"),
        (RESTART, [asked(0, refused=172)], "Set the new secret"),
        (RESTART, [asked(172)], "Replay"),
        (RESTART, [asked(172, dry_run=False)], None),
    ],
)
def test_one_step_is_to_take_now(
    restart: datetime | None, requests: list[Asked], name: str | None
) -> None:
    step = next_step(steps(Outcome.BAD_SIGNATURE, BEGAN, restart, requests, "09:00"))
    assert (step.name if step else None) == name


def test_the_steps_say_what_was_done_in_numbers() -> None:
    requests = [asked(172, dry_run=False), asked(172, refused=3)]
    found = steps(Outcome.BAD_SIGNATURE, BEGAN, RESTART, requests, "09:04")
    assert [(one.name, one.detail) for one in found] == [
        ("Set the new secret", "deliveries pass"),
        ("Restart the receiver", "restarted at 09:04"),
        ("Dry run", "172 deliveries would pass, 3 still refused"),
        ("Replay", "172 deliveries accepted"),
    ]


@pytest.mark.parametrize("outcome", FIRST_STEPS)
def test_a_click_does_the_dry_run_and_the_replay_of_each_cause(outcome: Outcome) -> None:
    found = steps(outcome, BEGAN, None, [], "")
    assert [one.action for one in found] == [None, None, "dry run", "replay"]
    assert all(one.state is StepState.OPEN for one in found)
