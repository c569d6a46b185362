"""An outbox with a channel, and a notifier whose rules and post are written down by hand."""

from collections.abc import Callable, Iterator, Sequence, Set
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from receiver.notify import outbox
from receiver.notify.notifier import Compose, Message, Notifier
from receiver.notify.outbox import Held, Letter, Noted, Result, Sent, Superseded
from receiver.notify.postman import Postman
from shared.clock import under
from shared.database import write_transaction
from shared.models import Channel, Notification
from tests.shared.tables import add

NOW = datetime(2025, 11, 24, 9, tzinfo=UTC)
Composed = Message | Superseded | Held


class Said:
    """Rules that say of each letter the same."""

    def __init__(self, composed: Composed | Exception = Message("title", "body")) -> None:  # noqa: B008
        self.composed = composed

    def write_due(self, engine: Engine, at: datetime) -> None:
        pass

    def compose(self, connection: Connection, letter: Letter, at: datetime) -> Composed:
        if isinstance(self.composed, Exception):
            raise self.composed
        return self.composed


class Post:
    """A post that keeps what it was given, and answers with the next of `results`, else `Sent`."""

    busy: Set[str] = frozenset()
    is_sending = False

    def __init__(self, *results: Result) -> None:
        self.results = list(results)
        self.letters: list[Letter] = []

    def __call__(self, letters: Sequence[Letter], compose: Compose) -> Iterator[Sequence[Noted]]:
        for letter in letters:
            composed = compose(letter)
            if isinstance(composed, Message):
                yield [(letter, self.sent(letter, composed))]
            else:
                yield [(letter, composed)]

    def sent(self, letter: Letter, message: Message) -> Result:
        self.letters.append(letter)
        return self.results.pop(0) if self.results else Sent()

    def stop(self) -> None:
        pass

    def end(self) -> None:
        pass


def waiting(store: Engine, *rows: dict[str, Any]) -> None:
    """Rows of the outbox, each for another quiz of one manager unless a row says otherwise."""
    usual = {"rule": "low-quiz", "round": "1", "recipient": "ines via sales", "subscription_id": 1,
             "channel": "sales", "urgent": False, "state": "waiting", "attempts": 0,
             "caused_at": NOW, "next_try_at": NOW}  # fmt: skip
    add(
        store,
        Notification,
        [usual | {"subject": f"quiz-{place}"} | row for place, row in enumerate(rows)],
    )


@pytest.fixture
def channel(store: Engine) -> None:
    add(store, Channel, [{"name": "sales", "kind": "JSON", "removed": False}])


def step_until_heard(running: Notifier, post: Postman) -> None:
    """A step, and what it takes until the channels have answered."""
    running.step()
    while post.is_sending:
        running.step()


Step = Callable[..., int | None]


def step(
    store: Engine,
    post: Post,
    *,
    after: timedelta = timedelta(0),
    rules: Said | None = None,
    holder: str = "one",
) -> int | None:
    """A step of a notifier, so long after `NOW`."""
    engine = under(store, NOW + after)
    return Notifier(engine, holder, rules or Said(), post).step()


def killed(store: Engine) -> None:
    """A notifier has ended, and another one begins in its place."""
    with write_transaction(store) as connection:
        outbox.release(connection, "one")
