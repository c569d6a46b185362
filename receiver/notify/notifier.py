"""The notifier: writes messages into the outbox, and sends them. One at a time works per store."""

import time
from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple, Protocol

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from receiver.errors import first_line, is_of_the_store, is_passing
from receiver.notify import outbox
from receiver.notify.outbox import Letter, Noted, Result
from shared.clock import now
from shared.database import write_transaction
from shared.queries.digest import Board

POLL_SEC = 0.5
STANDBY_SEC = 1.0
AFTER_FAILURE_SEC = 2.0
CONTENDED_SEC = 0.002
"""Who waits so long to write is not alone: SQLite has one lock for all writers."""
REST = 9
"""How many times as long as it wrote a notifier leaves the store to the others then."""

PICTURE = "board.png"
"""The file name of a picture; `cid:board.png` in HTML."""
WIDTH = 560
"""Of a message in HTML and its picture, in pixels."""

log = structlog.get_logger()


class Message(NamedTuple):
    """A message as a recipient reads it, plain text; where a channel takes HTML, `html`. `stop` is
    the address that ends its subscription. `board` is to be shown as a picture, which `html` has
    as `PICTURE`."""

    title: str
    body: str
    html: str | None = None
    stop: str | None = None
    board: Board | None = None


class Rules(Protocol):
    """What messages are about, and what they say."""

    def write_due(self, engine: Engine, at: datetime) -> None:
        """Write into the outbox what is due and is not there yet."""

    def compose(
        self, connection: Connection, letter: Letter, at: datetime
    ) -> Message | outbox.Superseded | outbox.Held:
        """The message by what the store says now."""


Compose = Callable[[Letter], Message | Result]
"""The message of a letter, or why it is not sent."""


class Post(Protocol):
    """Sends messages to channels."""

    @property
    def busy(self) -> Set[str]:
        """Channels that take none now: they have some of an earlier call, or asked for a pause."""

    @property
    def is_sending(self) -> bool:
        """Whether a channel has messages of an earlier call."""

    def __call__(self, letters: Sequence[Letter], compose: Compose) -> Iterable[Sequence[Noted]]:
        """Send these to channels that are not busy, and go on with those that are sending, for a
        bounded time. Gives what became of messages as it is known, and begins the next of their
        channels when it is asked for more: they are noted then."""

    def stop(self) -> None:
        """Begin no more."""

    def end(self) -> None:
        """Forget all of it, also what is being sent."""


class Notifier:
    """Sends while it has the lease of the store. `holder` names it, as that of a follower; `beat`
    is called after each step that went well, and `rest` with seconds for which to leave the store
    to the intake."""

    def __init__(
        self,
        engine: Engine,
        holder: str,
        rules: Rules,
        post: Post,
        beat: Callable[[], None] = lambda: None,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self._engine = engine
        self._holder = holder
        self._rules = rules
        self._post = post
        self._beat = beat
        self._rest = rest
        self._to_note: list[Noted] = []

    def run(self, stopping: Callable[[float], bool]) -> None:
        """Send until stopped, whatever the store does. Then give the lease away. `stopping` waits
        for so many seconds and says whether to stop."""
        pause = 0.0
        while not stopping(pause):
            try:
                sent = self.step()
                pause = (
                    STANDBY_SEC if sent is None else 0.0 if sent or self._post.busy else POLL_SEC
                )
                if sent is not None:
                    self._beat()
            except Exception as error:  # a notifier outlives any failure of the store
                log.error("notifier_failed", error=first_line(error))
                pause = AFTER_FAILURE_SEC
        with suppress(SQLAlchemyError):
            self._finish()
            with write_transaction(self._engine) as connection:
                outbox.release(connection, self._holder)

    def step(self) -> int | None:
        """Write what is due, and send some of it. Returns of how many messages it is known what
        became of them; None while another notifier works."""
        sent = self._step()
        if sent is None:  # what this one was sending is sent by the one that has the lease
            self._post.end()
            self._to_note.clear()
        return sent

    def _step(self) -> int | None:
        if not self._has_lease() or not self._note([]):
            return None
        self._rules.write_due(self._engine, now(self._engine))
        letters = self._claim()
        return None if letters is None else self._send(letters)

    def _has_more(self, sent: int) -> bool:
        return bool(sent or self._post.is_sending)

    def _finish(self) -> None:
        """Hear of what is being sent."""
        self._post.stop()
        while self._post.is_sending and self._send([]) is not None:
            pass

    def _claim(self) -> Sequence[Letter] | None:
        """What to send now; None if another notifier works by now."""
        busy = self._post.busy
        with self._engine.connect() as connection:
            if not outbox.is_due(connection, now(connection), busy):
                return []
        with write_transaction(self._engine) as connection:
            if not outbox.take_lease(connection, self._holder):
                return None
            return outbox.claim(connection, now(connection), busy)

    def _send(self, letters: Sequence[Letter]) -> int | None:
        tried = 0
        for results in self._post(letters, self._compose):
            if not self._note(results):
                return None
            tried += len(results)
        return tried

    def _note(self, results: Sequence[Noted]) -> bool:
        """Note what became of messages, also what the store could not take before. False if
        another notifier works by now."""
        self._to_note += results
        if not self._to_note:
            return True
        asked = time.monotonic()
        with write_transaction(self._engine) as connection:
            began = time.monotonic()
            if not outbox.holds(connection, self._holder):
                return False
            for letter, result in self._to_note:
                outbox.finish(connection, letter, result, now(connection))
        if began - asked > CONTENDED_SEC:
            self._rest(REST * (time.monotonic() - began))
        for letter, result in self._to_note:
            _say(letter, result)
        self._to_note.clear()
        return True

    def _has_lease(self) -> bool:
        with self._engine.connect() as connection:
            mine = outbox.works(connection, self._holder)
        if mine is None:
            with write_transaction(self._engine) as connection:
                mine = outbox.take_lease(connection, self._holder)
        return mine

    def _compose(self, letter: Letter) -> Message | Result:
        if letter.payload is not None:
            return Message(letter.rule, letter.payload)
        try:
            with self._engine.connect() as connection:
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
