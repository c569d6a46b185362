"""The steps of a cure, and the state of each."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.cure import FIRST_STEPS, REACTIVATE, Asked, Incident, StepState, next_step, steps
from shared.outcomes import Outcome

BEGAN = datetime(2026, 3, 9, 8, tzinfo=UTC)
RESTART = BEGAN + timedelta(hours=1)
DONE, RUNNING, FAILED, OPEN = "done", "running", "failed", "open"


LATE = Incident(Outcome.BAD_SIGNATURE, BEGAN, RESTART, "Copy the new secret.")


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
    found = steps(LATE._replace(restarted_at=restart), requests, "09:00")
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
    step = next_step(steps(LATE._replace(restarted_at=restart), requests, "09:00"))
    assert (step.name if step else None) == name


def test_the_steps_say_what_was_done_in_numbers() -> None:
    refused = asked(172, refused=3)._replace(
        already_delivered=5, reasons={"stale_timestamp": 1, "bad_signature": 2}
    )
    found = steps(LATE, [asked(172, dry_run=False), refused], "09:04")
    assert [(one.name, one.detail) for one in found] == [
        ("Set the new secret", "deliveries pass"),
        ("Restart the receiver", "restarted at 09:04"),
        (
            "Dry run",
            "172 events would be accepted, 5 deliveries repeat an event, 3 deliveries "
            "still refused (2 wrong signature, 1 too old or early)",
        ),
        ("Replay", "172 events accepted"),
    ]


@pytest.mark.parametrize("outcome", FIRST_STEPS)
def test_a_click_does_the_dry_run_and_the_replay_of_each_cause(outcome: Outcome) -> None:
    found = steps(Incident(outcome, BEGAN, None, "Do it."), [], "")
    assert [one.action for one in found] == [None, None, "dry run", "replay"]
    assert all(one.state is StepState.OPEN for one in found)
    assert found[0].cure == "Do it."


@pytest.mark.parametrize(
    ("requests", "is_ready"),
    [
        ([], False),
        ([asked(0, refused=172)], False),
        ([asked(172, state="running")], False),
        ([asked(172, minutes=-5)], False),
        ([asked(172)], True),
        ([asked(172, dry_run=False, minutes=6), asked(172)], False),
        ([asked(4, minutes=7), asked(172, dry_run=False, minutes=6), asked(172)], True),
        ([asked(0)._replace(already_delivered=3)], True),
    ],
)
def test_a_replay_needs_a_dry_run_since_the_restart_that_would_accept_something(
    requests: list[Asked], is_ready: bool
) -> None:
    *_, replay = steps(LATE, requests, "09:00")
    assert replay.is_ready is is_ready


def test_a_suspended_webhook_is_reactivated_between_the_dry_run_and_the_replay() -> None:
    off = LATE._replace(reactivate="Re-activate it at the vendor.")

    def turn(*requests: Asked) -> str | None:
        step = next_step(steps(off, requests, "09:00"))
        return step.name if step else None

    names = [one.name for one in steps(off, [], "09:00")]
    assert names[2:] == ["Dry run", REACTIVATE, "Replay"]
    assert turn() == "Dry run"
    assert turn(asked(172)) == REACTIVATE
    assert turn(asked(172, dry_run=False), asked(172)) == REACTIVATE
