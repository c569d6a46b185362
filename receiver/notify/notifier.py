"""The notifier: writes messages into the outbox, and sends them. One at a time works per store."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple, Protocol

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from receiver.errors import first_line, is_of_the_store, is_passing
from receiver.notify import outbox
from receiver.notify.outbox import Letter, Result
from shared.clock import now
from shared.database import write_transaction

POLL_SEC = 0.5
STANDBY_SEC = 1.0
AFTER_FAILURE_SEC = 2.0

log = structlog.get_logger()


class Message(NamedTuple):
    """A message as a recipient reads it, plain text; where a channel takes HTML, `html`. `stop` is
    the address that ends its subscription."""

    title: str
    body: str
    html: str | None = None
    stop: str | None = None


class Rules(Protocol):
    """What messages are about, and what they say."""

    def write_due(self, engine: Engine, at: datetime) -> None:
        """Write into the outbox what is due and is not there yet."""

    def compose(
        self, connection: Connection, letter: Letter, at: datetime
    ) -> Message | outbox.Superseded | outbox.Held:
        """The message by what the store says now."""


Post = Callable[[Sequence[tuple[Letter, Message]]], Sequence[Result]]
"""Sends messages at the same time, within a bound of a few seconds."""


class Notifier:
    """Sends while it has the lease of the store. `holder` names it, as that of a follower; `beat`
    is called after each step that went well."""

    def __init__(
        self,
        engine: Engine,
        holder: str,
        rules: Rules,
        post: Post,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._holder = holder
        self._rules = rules
        self._post = post
        self._beat = beat

    def run(self, stopping: Callable[[float], bool]) -> None:
        """Send until stopped, whatever the store does. Then give the lease away. `stopping` waits
        for so many seconds and says whether to stop."""
        pause = 0.0
        while not stopping(pause):
            try:
                sent = self.step()
                pause = STANDBY_SEC if sent is None else 0.0 if sent else POLL_SEC
                if sent is not None:
                    self._beat()
            except Exception as error:  # a notifier outlives any failure of the store
                log.error("notifier_failed", error=first_line(error))
                pause = AFTER_FAILURE_SEC
        with suppress(SQLAlchemyError), write_transaction(self._engine) as connection:
            outbox.release(connection, self._holder)

    def step(self) -> int | None:
        """Write what is due, and send some of it. Returns how many messages were tried; None while
        another notifier works."""
        if not self._has_lease():
            return None
        self._rules.write_due(self._engine, now(self._engine))
        with self._engine.connect() as connection:
            if not outbox.is_due(connection, now(connection)):
                return 0
        with write_transaction(self._engine) as connection:
            if not outbox.take_lease(connection, self._holder):
                return None
            letters = outbox.claim(connection, now(connection))
        results = self._send(letters)
        with write_transaction(self._engine) as connection:
            for letter, result in results:
                outbox.finish(connection, letter, result, now(connection))
        for letter, result in results:
            _say(letter, result)
        return len(letters)

    def _has_lease(self) -> bool:
        with self._engine.connect() as connection:
            mine = outbox.works(connection, self._holder)
        if mine is None:
            with write_transaction(self._engine) as connection:
                mine = outbox.take_lease(connection, self._holder)
        return mine

    def _send(self, letters: Sequence[Letter]) -> list[tuple[Letter, Result]]:
        done: list[tuple[Letter, Result]] = []
        ready: list[tuple[Letter, Message]] = []
        with self._engine.connect() as connection:
            for letter in letters:
                composed = self._compose(connection, letter)
                if isinstance(composed, Message):
                    ready.append((letter, composed))
                else:
                    done.append((letter, composed))
        sent = self._post(ready) if ready else []
        return done + [(letter, one) for (letter, _), one in zip(ready, sent, strict=True)]

    def _compose(
        self, connection: Connection, letter: Letter
    ) -> Message | outbox.Superseded | outbox.Held | outbox.Failed:
        if letter.payload is not None:
            return Message(letter.rule, letter.payload)
        try:
            return self._rules.compose(connection, letter, now(connection))
        except Exception as error:  # one that cannot be written holds up no other
            if is_of_the_store(error) or is_passing(error):
                raise
            return outbox.Failed(f"could not be written: {first_line(error)}")


def _say(letter: Letter, result: Result) -> None:
    """A line of the log, without what the message said and to which address it went."""
    log.info(
        "notification",
        message_id=letter.message_id,
        rule=letter.rule,
        channel=letter.channel,
        causes=len(letter.causes),
        attempt=letter.attempt,
        result=type(result).__name__.lower(),
        error=getattr(result, "error", None),
    )
