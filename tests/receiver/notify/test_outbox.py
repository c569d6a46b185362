"""The outbox: what is sent, what waits, and what a notifier that ends leaves."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from receiver.notify import outbox
from receiver.notify.notifier import Compose, Message, Notifier
from receiver.notify.outbox import (
    AT_ONCE,
    LOOKED_AT,
    PACE,
    SINGLE,
    Failed,
    Held,
    Later,
    Letter,
    Noted,
    Result,
    Superseded,
)
from shared.clock import under
from shared.database import write_transaction
from shared.models import Channel, Notification
from tests import stores
from tests.receiver.notify.conftest import NOW, Post, Said, killed, step, waiting
from tests.shared.tables import add
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("channel")
MINUTE = timedelta(minutes=1)


def states(store: Engine) -> list[str]:
    return [row.state for row in stores.rows(store, Notification)]


def test_a_waiting_message_is_sent_once(store: Engine) -> None:
    waiting(store, {})
    post = Post()
    assert step(store, post) == 1
    assert step(store, post) == 0
    assert len(post.letters) == 1
    row = stores.row(store, Notification)
    assert (row.state, row.attempts, row.sent_at) == ("sent", 1, NOW)


def test_causes_of_one_rule_for_one_recipient_are_one_message(store: Engine) -> None:
    waiting(store, {}, {}, {"recipient": "paul via sales"}, {"rule": "coaching"})
    post = Post()
    step(store, post)
    found = sorted((one.rule, len(one.causes)) for one in post.letters)
    assert found == [("coaching", 1), ("low-quiz", 1), ("low-quiz", 2)]


def test_a_failed_message_is_tried_again_later_under_its_id_and_with_its_causes(
    store: Engine,
) -> None:
    waiting(store, {})
    post = Post(Failed("the server answered 503"))
    step(store, post)
    assert stores.row(store, Notification).error == "the server answered 503"
    assert step(store, post) == 0
    waiting(store, {"subject": "another"})
    step(store, post, after=MINUTE)
    first, *later = post.letters
    (again,) = (one for one in later if one.message_id == first.message_id)
    assert again.attempt == 2
    assert again.causes == first.causes
    assert states(store) == ["sent", "sent"]


def test_waits_double_up_to_an_hour() -> None:
    for attempt, seconds in ((1, 10), (2, 20), (3, 40), (20, 3600), (10_000, 3600)):
        wait = outbox.backoff(attempt).total_seconds()
        assert 0.8 * seconds <= wait <= 1.2 * seconds


def test_a_server_says_how_long_to_wait(store: Engine) -> None:
    waiting(store, {})
    step(store, Post(Failed("the server answered 429", wait=timedelta(minutes=7))))
    assert stores.row(store, Notification).next_try_at == NOW + timedelta(minutes=7)


def test_a_refused_message_is_not_tried_again(store: Engine) -> None:
    waiting(store, {})
    step(store, Post(Failed("the server answered 413", refused=True)))
    assert states(store) == ["failed"]


def test_a_closed_channel_says_why_and_keeps_its_messages(store: Engine) -> None:
    waiting(store, {}, {"recipient": "paul via sales"})
    post = Post(Failed("the server answered 410", closed=True), Failed("no answer"))
    step(store, post)
    row = stores.row(store, Channel)
    assert (row.problem, row.problem_at) == ("the server answered 410", NOW)
    assert step(store, post, after=2 * PACE) == 0
    assert states(store) == ["waiting", "waiting"]


def test_one_that_there_was_no_time_for_is_tried_next_as_if_for_the_first_time(
    store: Engine,
) -> None:
    waiting(store, {})
    post = Post(Later())
    step(store, post)
    step(store, post)
    first, second = post.letters
    assert (first.attempt, second.attempt) == (1, 1)
    assert first.message_id == second.message_id


def test_what_waited_for_a_day_is_not_sent(store: Engine) -> None:
    waiting(store, {"caused_at": NOW - timedelta(hours=25)}, {})
    post = Post()
    step(store, post)
    assert len(post.letters) == 1
    assert states(store) == ["failed", "sent"]


def test_what_is_no_longer_true_is_not_sent(store: Engine) -> None:
    waiting(store, {})
    post = Post()
    step(store, post, rules=Said(Superseded("resolved since")))
    assert not post.letters
    row = stores.row(store, Notification)
    assert (row.state, row.error) == ("superseded", "resolved since")


def test_a_held_message_goes_out_later_with_what_came_since(store: Engine) -> None:
    waiting(store, {})
    post = Post()
    step(store, post, rules=Said(Held(NOW + 8 * PACE)))
    assert states(store) == ["held"]
    waiting(store, {"subject": "another", "next_try_at": NOW + 8 * PACE})
    assert step(store, post, after=7 * PACE) == 0
    step(store, post, after=8 * PACE)
    (letter,) = post.letters
    assert len(letter.causes) == 2
    assert letter.attempt == 1


def test_one_that_cannot_be_written_holds_up_no_other(store: Engine) -> None:
    waiting(store, {})
    step(store, Post(), rules=Said(ValueError("no such thing")))
    assert states(store) == ["waiting"]
    assert (
        stores.row(store, Notification).error == "could not be written: ValueError: no such thing"
    )


@pytest.mark.parametrize("urgent", [False, True])
def test_a_storm_is_a_few_messages_and_then_one_an_hour_unless_urgent(
    store: Engine, urgent: bool
) -> None:
    post = Post()
    for minute in range(10):
        waiting(store, {"subject": f"q-{minute}", "urgent": urgent})
        step(store, post, after=minute * MINUTE)
    assert len(post.letters) == (10 if urgent else SINGLE)
    step(store, post, after=PACE + MINUTE)
    assert [len(one.causes) for one in post.letters[SINGLE:]] == ([1] * 7 if urgent else [7])
    assert set(states(store)) == {"sent"}


def test_many_messages_of_one_channel_leave_room_for_others(store: Engine) -> None:
    add(store, Channel, [{"name": "mail", "kind": "mail", "removed": False}])
    rows = [{"recipient": f"{n} via sales"} for n in range(LOOKED_AT + 1)]
    waiting(store, *rows, {"recipient": "ines via mail", "channel": "mail"})
    post = Post()
    step(store, post)
    assert "mail" in {one.channel for one in post.letters}


def test_two_senders_at_once_send_each_message_once(store: Engine) -> None:
    waiting(store, *({"recipient": f"{n} via sales"} for n in range(12)))
    post = Post()
    engine = under(store, NOW)

    def send(holder: str) -> None:
        notifier = Notifier(engine, holder, Said(), post)
        until(lambda: notifier.step() == 0 or set(states(store)) == {"sent"})

    with ThreadPoolExecutor(2) as both:
        list(both.map(send, ("one", "two")))
    assert len(post.letters) == len({one.message_id for one in post.letters}) == 12
    assert set(states(store)) == {"sent"}


def test_a_slow_channel_leaves_room_for_others(store: Engine) -> None:
    add(store, Channel, [{"name": "mail", "kind": "mail", "removed": False}])
    slow = [{"recipient": f"{n} via sales"} for n in range(AT_ONCE + 1)]
    waiting(store, *slow, {"recipient": "ines via mail", "channel": "mail"})
    post = Post()
    step(store, post)
    assert sum(one.channel == "sales" for one in post.letters) == AT_ONCE
    assert sum(one.channel == "mail" for one in post.letters) == 1


def test_two_notifiers_do_not_work_at_the_same_time(store: Engine) -> None:
    waiting(store, {})
    post = Post()
    assert step(store, post, holder="one") == 1
    assert step(store, post, holder="two") is None
    with write_transaction(store) as connection:
        outbox.release(connection, "one")
    assert step(store, post, holder="two") == 0


class PowerCut(BaseException):
    """Ends a notifier where it is."""


class Cut:
    """Ends a notifier at the `after`-th place that it comes by."""

    def __init__(self, after: int) -> None:
        self.left = after

    def here(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise PowerCut


class CutPost(Post):
    """Ends its notifier before or after a message went out, or after that was noted."""

    def __init__(self, cut: Cut) -> None:
        super().__init__()
        self.cut = cut

    def __call__(self, letters: Sequence[Letter], compose: Compose) -> Iterator[Sequence[Noted]]:
        self.cut.here()
        for results in super().__call__(letters, compose):
            yield results
            self.cut.here()

    def sent(self, letter: Letter, message: Message) -> Result:
        self.cut.here()
        result = super().sent(letter, message)
        self.cut.here()
        return result


@pytest.mark.parametrize("after", range(3 * 3 + 1))
def test_a_notifier_that_ends_anywhere_loses_no_message_and_repeats_at_most_one_by_its_id(
    store: Engine, after: int
) -> None:
    waiting(store, *({"recipient": f"{n} via sales"} for n in range(3)))
    first, second = CutPost(Cut(after)), Post()
    with suppress(PowerCut):
        step(store, first)
    killed(store)
    step(store, second, holder="two")
    assert states(store) == 3 * ["sent"]
    ids = [one.message_id for one in [*first.letters, *second.letters]]
    assert set(ids) == {row.message_id for row in stores.rows(store, Notification)}
    assert len(ids) <= 3 + 1


def test_a_store_that_fails_after_a_message_went_out_repeats_none(
    store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(store, {}, {"recipient": "paul via sales"})
    post = Post()
    notifier = Notifier(under(store, NOW), "one", Said(), post)
    with monkeypatch.context() as patch:
        patch.setattr(outbox, "finish", fail)
        with pytest.raises(OperationalError):
            notifier.step()
    assert states(store) == ["sending", "sending"]
    notifier.step()
    assert states(store) == ["sent", "sent"]
    assert len(post.letters) == 2


def fail(*_: object) -> None:
    raise OperationalError("", None, Exception("the store is away"))


def test_one_whose_lease_was_taken_notes_nothing_and_stops_what_it_sends(store: Engine) -> None:
    waiting(store, {})

    class Taken(Post):
        ended = 0

        def sent(self, letter: Letter, message: Message) -> Result:
            killed(store)
            with write_transaction(store) as connection:
                assert outbox.take_lease(connection, "two")
            return super().sent(letter, message)

        def end(self) -> None:
            self.ended += 1

    post = Taken()
    assert step(store, post) is None
    assert states(store) == ["sending"]
    assert post.ended == 1


def test_one_that_waits_for_the_lock_leaves_the_store_to_others_for_longer(
    store: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []

    def stepped(contended_sec: float) -> Sequence[float]:
        rests.clear()
        monkeypatch.setattr("receiver.notify.notifier.CONTENDED_SEC", contended_sec)
        waiting(store, {"subject": str(contended_sec)})
        Notifier(under(store, NOW), "one", Said(), Post(), rest=rests.append).step()
        return rests

    assert not stepped(3600)
    assert len(stepped(-1)) == 1
    assert rests[0] > 0
