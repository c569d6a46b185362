"""Forwards: facts of events and judgements of the pages, to other systems as signed webhooks.

They are written into the outbox behind the follower's checkpoint, in the transaction that moves how
far events were looked through, under the outbox's unique key. So a crash loses none, and a rebuild,
a replay or a restart repeats none.
"""

import time
from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import requests
import structlog
from sqlalchemy import Connection, Engine, delete, or_, select, update

from receiver.errors import first_line, is_of_the_store, is_passing
from receiver.notify import outbox
from receiver.notify.outbox import TOO_OLD
from receiver.notify.sending import TRIED_AGAIN, Answer, seconds
from receiver.readmodels.events import StoredEvent, events, facts_of
from shared.bulk import insert_into, table_of
from shared.clock import now
from shared.database import write_transaction
from shared.forwards import OF_STANDINGS, TYPES, Happened, Learner, of_events, of_standing
from shared.models import (
    Checkpoint,
    Event,
    Forwarding,
    Learner as LearnerRow,
    Notification,
    Notifier,
)
from shared.naming import Naming
from shared.queries import coaching, rows_of
from shared.queries.people import Who
from shared.queries.quiz_standings import Filters
from shared.setting_types import split
from shared.settings import NotifySettings, SettingsError

GONE = 410
LEAST_SECRET = 24
"""Bytes, as the specification of Standard Webhooks asks for."""
ANSWER_SEC = 5.0
SOONEST_SEC, LATEST_SEC = 1.0, 5.0
"""Between two looks while events come in: more than the first if looks take long, so that they
leave the processor and the store to the intake, never more than the second."""
REST = 9
"""How many times as long as a look took the notifier waits."""
LOOK_SEC = 1.0
"""How long a look through events may take."""
BATCH = 500

forwarding = table_of(Forwarding)
notification = table_of(Notification)
notifier = table_of(Notifier)
checkpoint = table_of(Checkpoint)
learner = table_of(LearnerRow)
event_id = table_of(Event).c.id

log = structlog.get_logger()


class Target(NamedTuple):
    """An address of the settings, with the secrets that sign for it and the types it gets."""

    name: str
    url: str
    secrets: Sequence[str]
    types: Sequence[str]

    def send(self, message_id: str, body: str) -> Answer:
        """Send a forward, signed with each secret. Reads no body of an answer and follows no
        redirect."""
        from standardwebhooks import Webhook  # noqa: PLC0415 (an optional extra)

        at = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(
                Webhook(secret).sign(message_id, at, body) for secret in self.secrets
            ),
        }
        with requests.post(
            self.url, body.encode(), headers=headers, timeout=ANSWER_SEC, allow_redirects=False,
            stream=True,
        ) as answer:  # fmt: skip
            return _answer(answer.status_code, answer.headers.get("retry-after"))


def _answer(status: int, retry_after: str | None) -> Answer:
    """Only 410 closes a target. Any other refusal is tried again, as the target may be repaired."""
    if 200 <= status < 300:  # noqa: PLR2004
        return Answer(accepted=True)
    if status == GONE or status in TRIED_AGAIN or status >= 500:  # noqa: PLR2004
        return Answer(False, status, seconds(retry_after))
    return Answer(accepted=False, problem=f"the server answered {status}")


# The settings


def targets(settings: NotifySettings) -> list[Target]:
    """The targets of the settings, by name. Raises SettingsError, which never shows a value."""
    given = settings.forwards()
    names = [one for one in given if not one.endswith(("_secret", "_types"))]
    if names and find_spec("standardwebhooks") is None:
        raise SettingsError(
            f"FORWARD_{names[0].upper()}: needs standardwebhooks; pip install 'repboard[notify]'"
        )
    own = {f"{name}{end}" for name in names for end in ("", "_secret", "_types")}
    if alone := sorted(set(given) - own):
        raise SettingsError(f"FORWARD_{alone[0].upper()}: has no address beside it")
    return [_target(name, given, settings) for name in sorted(names)]


def _target(name: str, given: Mapping[str, str], settings: NotifySettings) -> Target:
    variable = f"FORWARD_{name.upper()}"
    schemes = ("https", "http") if settings.notify_private_addresses else ("https",)
    try:
        parsed = urlsplit(given[name])
        complete = parsed.scheme in schemes and bool(parsed.hostname)
    except ValueError:
        complete = False
    if not complete:
        raise SettingsError(f"{variable}: should be https://…")
    secrets = split(given.get(f"{name}_secret", ""))
    if not secrets or not all(map(_is_secret, secrets)):
        raise SettingsError(
            f"{variable}_SECRET: should be whsec_… with {LEAST_SECRET} bytes or more in base64"
        )
    types = split(given.get(f"{name}_types", ""))
    if not types or not set(types) <= set(TYPES):
        raise SettingsError(f"{variable}_TYPES: should be some of {', '.join(TYPES)}")
    return Target(name, given[name], secrets, types)


def _is_secret(text: str) -> bool:
    scheme, _, key = text.rpartition("_")
    try:
        return scheme == "whsec" and len(b64decode(key + "==")) >= LEAST_SECRET
    except ValueError:
        return False


def note_targets(connection: Connection, found: Iterable[Target]) -> None:
    """Write into the store what is forwarded to which target, each from now on. What waits for a
    target or type that the settings do not have any more is not sent."""
    wanted = {(one.name, kind) for one in found for kind in one.types}
    row = forwarding.c
    known = {(one.target, one.type) for one in connection.execute(select(row.target, row.type))}
    if not known:  # what happened before is not looked through
        _pass_over(connection)
    at = now(connection).replace(microsecond=0)  # vendors' times have whole seconds
    for target, kind in sorted(wanted - known):
        insert = insert_into(connection.dialect.name, Forwarding)
        new = insert.values(target=target, type=kind, since=at)
        connection.execute(new.on_conflict_do_nothing())
    for target, kind in known - wanted:
        connection.execute(delete(forwarding).where(row.target == target, row.type == kind))
        waiting = update(notification).where(
            notification.c.payload.is_not(None),
            notification.c.channel == channel_of(target),
            notification.c.rule == kind,
            notification.c.state.in_(("waiting", "sending")),
        )
        connection.execute(waiting.values(state="failed", error="not in the settings any more"))


def _pass_over(connection: Connection) -> None:
    begin = insert_into(connection.dialect.name, Notifier).values(id=1)
    connection.execute(begin.on_conflict_do_nothing())
    reached = select(checkpoint.c.event_id).scalar_subquery()
    connection.execute(update(notifier).values(forwarded_event_id=reached))


def channel_of(target: str) -> str:
    """The name of a target as a channel. It has a space, which no name of a setting has."""
    return f"forward {target}"


# What is written


def rest(took_sec: float) -> float:
    """How many seconds to wait after a look that took so long."""
    return min(LATEST_SEC, max(SOONEST_SEC, REST * took_sec))


_Wanted = Mapping[tuple[str, str], datetime]
"""Target and type, and since when."""


class Forwarder:
    """Writes forwards into the outbox, by the store's table `forwarding`."""

    def __init__(self, settings: NotifySettings) -> None:
        self._settings = settings
        self._naming = Naming(settings.names_admin, settings.names_key)
        self._looked = float("-inf")
        self._rest_sec = SOONEST_SEC
        self._standing: set[outbox.Key] = set()

    def write_due(self, engine: Engine, at: datetime) -> None:
        """Write what is due and is not there yet."""
        began = time.monotonic()
        if began - self._looked < self._rest_sec:
            return
        with engine.connect() as connection:
            wanted = _wanted(connection)
        more = bool(wanted)
        while more and time.monotonic() < began + LOOK_SEC:
            more = self._some_events(engine, wanted)
        self._standings(engine, wanted, at)
        self._looked = time.monotonic()
        self._rest_sec = SOONEST_SEC if more else rest(self._looked - began)

    def _some_events(self, engine: Engine, wanted: _Wanted) -> bool:
        """Look through the next events. False if there are no more."""
        with engine.connect() as connection:
            after, until = _span(connection)
            if after >= until:
                return False
            query = events().where(event_id > after, event_id <= until).limit(BATCH)
            found = rows_of(StoredEvent, connection.execute(query))
            happened = [one for event in found for one in _of_event(event, wanted)]
            rows = self._rows(_with_addresses(connection, happened), wanted)
        reached = found[-1].id if len(found) == BATCH else until
        with write_transaction(engine) as connection:
            # Another notifier may have come here first: its rows have the same keys.
            outbox.add(connection, rows)
            further = or_(
                notifier.c.forwarded_event_id.is_(None), notifier.c.forwarded_event_id < reached
            )
            connection.execute(update(notifier).where(further).values(forwarded_event_id=reached))
        return reached < until

    def _standings(self, engine: Engine, wanted: _Wanted, at: datetime) -> None:
        if not any(kind in OF_STANDINGS for _, kind in wanted):
            return
        settings = self._settings
        filters = Filters(
            Who(),
            since=at - TOO_OLD,
            default_pct=settings.coaching_threshold_pct,
            rule=settings.coaching_rule,
            problems=True,
        )
        with engine.connect() as connection:
            items = coaching.items(connection, filters)
            recent = [one for one in items if one.submitted_at >= at - TOO_OLD]
        rows = self._rows((found for row in recent for found in of_standing(row)), wanted)
        if new := [row for row in rows if outbox.key_of(row) not in self._standing]:
            with write_transaction(engine) as connection:
                outbox.add(connection, new)
        self._standing = {outbox.key_of(row) for row in rows}

    def _rows(self, found: Iterable[Happened], wanted: _Wanted) -> list[outbox.Row]:
        """A row for each target that gets the type, and had it when it happened."""
        return [
            _row(one, target, one.payload(self._naming))
            for one in found
            for (target, kind), since in wanted.items()
            if kind == one.type and one.at >= since
        ]


def _wanted(connection: Connection) -> _Wanted:
    rows = connection.execute(select(forwarding))
    return {(row.target, row.type): row.since for row in rows}


def _span(connection: Connection) -> tuple[int, int]:
    """The last event that was looked through, and the last one that the read models have. Every
    earlier one is committed."""
    reached = connection.scalar(select(checkpoint.c.event_id)) or 0
    done = connection.scalar(select(notifier.c.forwarded_event_id))
    return (0 if done is None else done), reached


def _of_event(event: StoredEvent, wanted: _Wanted) -> Sequence[Happened]:
    """What of an event is to be forwarded. A delivery from before a target was set stays one from
    before, also after its replay."""
    if event.received_at < min(wanted.values()):
        return ()
    try:
        found = list(of_events(event.vendor, event.event_key, facts_of(event)))
    except Exception as error:  # an event that fails stops no other
        if is_of_the_store(error) or is_passing(error):
            raise
        log.error("event_not_forwarded", event_id=event.id, error=first_line(error))
        return ()
    since = {kind: at for (_, kind), at in wanted.items()}
    return [one for one in found if one.type in since]


def _with_addresses(connection: Connection, found: Sequence[Happened]) -> list[Happened]:
    """With the address of each learner, which only some events have."""
    ids = {one.learner.user_id for one in found if one.learner.email is None}
    row = learner.c
    query = select(row.vendor, row.user_id, row.email).where(row.user_id.in_(ids))
    known = {(one.vendor, one.user_id): one.email for one in connection.execute(query)}
    return [one._replace(learner=_with_address(one.learner, known)) for one in found]


def _with_address(of: Learner, known: Mapping[tuple[str, str], str | None]) -> Learner:
    return of._replace(email=of.email or known.get((of.vendor, of.user_id)))


def _row(of: Happened, target: str, payload: str) -> outbox.Row:
    """A row of the outbox."""
    return {
        "rule": of.type,
        "subject": of.subject,
        "round": of.round,
        "recipient": channel_of(target),
        "subscription_id": 0,
        "channel": channel_of(target),
        "vendor": of.learner.vendor,
        "user_id": of.learner.user_id,
        "urgent": False,
        "state": "waiting",
        "message_id": str(uuid4()),
        "attempts": 0,
        "caused_at": of.at,
        "next_try_at": of.at,
        "payload": payload,
    }
