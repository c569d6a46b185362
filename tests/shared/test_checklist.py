"""A checklist says what is set up, and what to do next."""

from datetime import timedelta
from typing import Any

import pytest

from shared.checklist import (
    Counting,
    Item,
    KeySetState,
    Seen,
    SetUpState,
    State,
    checklist,
    next_of,
)
from shared.evidence import Lag, Latest
from shared.outcomes import Outcome
from tests.shared.test_diagnosis import HEALTHY, NOON, VENDORS

MINDTICKLE = VENDORS["mindtickle"]
HOUR = NOON - timedelta(minutes=20)
GOOD = SetUpState(
    configured=True, seen=Seen(dict.fromkeys(MINDTICKLE.set_up.events, HOUR)), keys=None
)
LAST = Latest(NOON - timedelta(minutes=5), Outcome.ACCEPTED)


def items(known: SetUpState = GOOD, **evidence: Any) -> dict[str, Item]:
    given = HEALTHY._replace(**{"last": LAST} | evidence)
    return {one.what: one for one in checklist(given, known, NOON)}


def test_of_a_vendor_that_is_set_up_there_is_nothing_to_do() -> None:
    found = items()
    assert {one.state for one in found.values()} == {State.DONE}
    assert [one.says for one in found.values()] == [
        "MINDTICKLE_WEBHOOK_SECRET is set.",
        "5 min ago, accepted.",
        "6 of 6 types seen in 14 days. Longest ago: course.completed under 1 h, "
        "quiz.submitted under 1 h, user.provisioned under 1 h, user.deprovisioned under 1 h, "
        "module.progress under 1 h.",
        "The latest deliveries arrived 2 s after they were signed (median).",
        "Nothing to act on.",
    ]
    assert next_of(list(found.values())) == "Nothing to do."


@pytest.mark.parametrize(
    ("known", "evidence", "what", "to_do"),
    [
        (GOOD._replace(configured=False), {}, "Setting", "Set MINDTICKLE_WEBHOOK_SECRET in"),
        (GOOD, {"last": None}, "Last delivery", "Register this address in MindTickle"),
        (GOOD._replace(seen=Seen({"module.progress": HOUR})), {}, "Event types",
         "See at MindTickle whether the subscription has course.completed, quiz.submitted"),
        (GOOD, {"lag": Lag(-timedelta(minutes=4), -timedelta(minutes=4))}, "Clocks", "Set this"),
        (GOOD._replace(keys=KeySetState("https://x/jwks", None, "It failed.")), {}, "Public keys",
         "See whether the receiver's machine can fetch https://x/jwks."),
    ],
)  # fmt: skip
def test_what_is_missing_has_a_next_step(
    known: SetUpState, evidence: dict[str, Any], what: str, to_do: str
) -> None:
    found = items(known, **evidence)
    assert found[what].state is State.OPEN
    assert found[what].next.startswith(to_do)
    assert next_of(list(found.values())) == found[what].next


def test_a_type_that_is_seldom_sent_is_no_task() -> None:
    seen = [one for one in MINDTICKLE.set_up.events if one != "certification.expired"]
    types = dict.fromkeys([*seen, "badge.earned"], HOUR)
    found = items(GOOD._replace(seen=Seen(types)))["Event types"]
    assert (found.state, found.next) == (State.UNKNOWN, "")
    assert found.says.startswith(
        "5 of 6 types seen in 14 days; 1 other type stored, but on no page. "
    )
    assert found.says.endswith(" Not seen: certification.expired.")


def test_a_type_that_stopped_while_others_go_on_is_named_first() -> None:
    types = dict(GOOD.seen.types) | {"quiz.submitted": NOON - timedelta(hours=26, minutes=5)}
    assert "Longest ago: quiz.submitted 26 h, course.completed under 1 h" in (
        items(GOOD._replace(seen=Seen(types)))["Event types"].says
    )


@pytest.mark.parametrize(
    ("seen", "says"),
    [
        (Seen({}, Counting.NOT_BEGUN),
         "Not counted yet. A running receiver counts the types of stored events."),
        (Seen({"module.progress": HOUR}, Counting.RUNNING),
         "1 of 6 types seen so far: older events are still being counted."),
    ],
)  # fmt: skip
def test_before_all_events_are_counted_no_type_is_missing(seen: Seen, says: str) -> None:
    found = items(GOOD._replace(seen=seen))["Event types"]
    assert (found.state, found.says, found.next) == (State.UNKNOWN, says, "")


def test_keys_that_were_fetched_are_done() -> None:
    keys = KeySetState("https://x/jwks", NOON - timedelta(minutes=9), None)
    assert items(GOOD._replace(keys=keys))["Public keys"].says == "Fetched 9 min ago."
    down = keys._replace(problem="The key server answered 503.")
    assert items(GOOD._replace(keys=down))["Public keys"].says == (
        "Fetched 9 min ago. The last attempt failed: The key server answered 503."
    )


def test_a_delivery_that_was_refused_is_said_in_words() -> None:
    refused = Latest(NOON - timedelta(minutes=5), Outcome.BAD_SIGNATURE)
    assert items(last=refused)["Last delivery"].says == (
        "5 min ago, refused: wrong signature. See Findings."
    )
