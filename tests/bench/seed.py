"""Fills a store with what a receiver would hold after a year of a company's deliveries.

Deliveries, events and roll-ups are written in bulk. Read models come from the product's own fold,
which is given only those progress events that are the last of their quarter hour: totals only
grow, so the earlier ones change nothing. `test_seed.py` holds the result against a `rebuild`.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, event
from sqlmodel import SQLModel

from receiver.quarantine import Arrival, Caps, keep
from receiver.readmodels import standings
from receiver.readmodels.projections import refold
from receiver.readmodels.standings import SLOT_MINUTES
from receiver.store import DELIVERY, EVENT
from receiver.vendors.base import KeptEvent
from receiver.vendors.mindtickle import SLUG, kept_facts
from shared.bulk import Row, table_of
from shared.database import open_engine
from shared.models import Delivery, DeliveryHourly, Event, Heartbeat
from shared.outcomes import STATUS, Kind, Outcome, Sender
from tests import playing

LEARNERS, MODULES, TEAMS = 5_000, 40, 25
YEAR, KEPT = timedelta(days=365), timedelta(days=90)
SESSION = 6
"""Events of a learner in one go, once there are enough of them."""
SESSION_SEC = 900
QUIZ, COURSE, EXPIRY, MOVE = 0.1, 0.105, 0.107, 0.108
"""Of all events: 10 % quizzes, 0.5 % completions and so on; the rest is progress."""
REPEATED, REFUSED, LOST = 0.005, 0.002, 0.0002
"""Of all deliveries: sent twice; refused first and retried; refused and never seen again."""
RETRY_SEC = 300
LOADED = (Event, Delivery)


class Told(NamedTuple):
    """One event as the vendor tells it, `at` seconds since 1970."""

    at: int
    key: str
    type: str
    user_id: str
    body: str
    totals_of: tuple[str, str, int] | None
    """(user, module, quarter hour) of progress; of equal ones the last says it all."""


class Arrived(NamedTuple):
    """One delivery: when, what became of it, and its event."""

    at: float
    outcome: Outcome
    told: Told


def seed(
    url: str, events: int, now: datetime, on_progress: Callable[[int], None] = lambda _: None
) -> None:
    """Fill an empty, migrated store with so many events of the year up to `now`."""
    engine = open_engine(url)
    event.listen(engine, "connect", _hurry)
    _drop_indexes(engine)
    filling = _Filling(now)
    for told in sessions(events, now):
        with engine.begin() as connection:
            filling.take(connection, told)
        on_progress(filling.events)
    with engine.begin() as connection:
        filling.finish(connection)
        standings.make_all(connection)
    _make_indexes(engine)
    engine.dispose()
    settle(url)


def settle(url: str) -> None:
    """What a store needs in time: free space, and statistics for the planner."""
    engine = open_engine(url)
    connection = engine.raw_connection()
    driver: Any = connection.driver_connection
    if engine.dialect.name == "sqlite":
        driver.execute("PRAGMA analysis_limit=1000")
        driver.execute("ANALYZE")
    else:
        driver.autocommit = True
        driver.execute("VACUUM (ANALYZE)")
        driver.autocommit = False
    connection.close()
    engine.dispose()


def _hurry(connection: Any, _record: Any) -> None:
    if hasattr(connection, "executescript"):
        connection.executescript(
            "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-500000"
        )
    else:
        connection.execute("SET synchronous_commit = off")
        connection.commit()


def _drop_indexes(engine: Engine) -> None:
    with engine.begin() as connection:
        for model in LOADED:
            for index in table_of(model).indexes:
                index.drop(connection)


def _make_indexes(engine: Engine) -> None:
    with engine.begin() as connection:
        for model in LOADED:
            for index in table_of(model).indexes:
                index.create(connection)


# What happened


def sessions(events: int, now: datetime) -> Iterator[list[Told]]:
    """So many events in order of time, a list for each round in which everybody learns once."""
    dice = Random(7)
    learners = [_Learner(number, dice) for number in range(min(LEARNERS, max(1, events // 20)))]
    each = -(-events // len(learners))
    size = max(1, min(SESSION, each // 40))
    rounds = -(-each // size)
    length = (YEAR.total_seconds() - SESSION_SEC) / rounds
    begin = (now - YEAR).timestamp()
    left = events
    for number in range(rounds):
        told = [
            one
            for learner in learners
            for one in learner.learn(
                int(begin + (number + dice.random()) * length), size, number * size, each
            )
        ][:left]
        left -= len(told)
        yield sorted(told)


class _Learner:
    """Goes through the modules in order, each at a pace of their own."""

    def __init__(self, number: int, dice: Random) -> None:
        self._number = number
        self._dice = dice
        self._id = f"u-{number:05}"
        self._pace = 0.5 + dice.random() / 2
        self._module = -1
        self._seconds = 0
        self._leaves = number % 33 == 7

    def learn(self, at: int, size: int, done: int, of: int) -> Iterator[Told]:
        for number in range(done, min(done + size, of)):
            yield self._event(at, number, of)
            at += self._dice.randint(30, SESSION_SEC // SESSION)

    def _event(self, at: int, number: int, of: int) -> Told:
        luck = self._dice.random()
        if number == 0 or COURSE + 0.002 < luck < MOVE:
            return self._told(at, number, "user.provisioned", self._roster(number))
        if number == of - 1 and self._leaves:
            return self._told(at, number, "user.deprovisioned", ', "reason": "left the company"')
        if luck < QUIZ:
            return self._told(at, number, "quiz.submitted", self._quiz())
        if luck < COURSE:
            return self._told(at, number, "course.completed", self._course(at))
        if luck < EXPIRY:
            return self._told(at, number, "certification.expired", _expiry(at))
        return self._progress(at, number, of)

    def _told(self, at: int, number: int, kind: str, data: str, totals_of: Any = None) -> Told:
        body = (
            f'{{"event": "{kind}", "companyId": "acme", "data": {{"userId": "{self._id}"{data}}}}}'
        )
        return Told(at, f"evt-{self._number:05}-{number:06}", kind, self._id, body, totals_of)

    def _roster(self, number: int) -> str:
        team = (self._number + number) % TEAMS
        return (
            f', "email": "learner.{self._number:05}@acme.example", "role": "account executive", '
            f'"teamId": "team-{team:02}", "provisionedBy": "directory"'
        )

    def _quiz(self) -> str:
        number = self._module % MODULES
        quiz = f', "quizId": "q-{number:02}", "quizName": "Quiz of module {number}"'
        if self._dice.random() < 0.2:
            return quiz + ', "quizType": "practice"'
        score = self._dice.randint(6, 20)
        passed = "true" if score >= 14 else "false"
        return f'{quiz}, "score": {score}, "maxScore": 20, "passed": {passed}, "quizType": "graded"'

    def _course(self, at: int) -> str:
        course = self._module // 4 % 10
        return (
            f', "courseId": "c-{course:02}", "courseName": "Course {course} of the sales academy", '
            f'"score": {self._dice.randint(50, 100)}, "completedAt": "{_iso(at)}"'
        )

    def _progress(self, at: int, number: int, of: int) -> Told:
        step, into = divmod(self._pace * MODULES * number / of, 1)
        module = (int(step) + self._number) % MODULES
        if module != self._module:
            self._module, self._seconds = module, 0
        self._seconds += self._dice.randint(20, 180)
        data = (
            f', "moduleId": "m-{module:02}", "moduleName": "Module {module} of the sales academy", '
            f'"progressPct": {min(100, 105 * into):.1f}, "timeSpentSec": {self._seconds}'
        )
        slot = at // (60 * SLOT_MINUTES)
        return self._told(at, number, "module.progress", data, (self._id, str(module), slot))


def _expiry(at: int) -> str:
    return (
        f', "certName": "Certificate of {at % 5}", "expiredAt": "{_iso(at)}", '
        f'"renewalDeadline": "{_iso(at + 30 * 86_400)}"'
    )


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


# What the receiver made of it


class _Filling:
    """A store on its way."""

    def __init__(self, now: datetime) -> None:
        self._kept_since = (now - KEPT).timestamp()
        self._now = now
        self._dice = Random(8)
        self._hours: Counter[tuple[int, Outcome]] = Counter()
        self._delivery = 0
        self.events = 0

    def take(self, connection: Connection, told: Sequence[Told]) -> None:
        """Take in a round of events."""
        numbered = [
            (self._delivery + number, one)
            for number, one in enumerate(sorted(self._arrivals(told)), start=1)
        ]
        self._delivery += len(numbered)
        self._hours.update((int(one.at) // 3600, one.outcome) for _, one in numbered)
        taken = [(number, one) for number, one in numbered if one.outcome is Outcome.ACCEPTED]
        load(connection, Event, EVENT, (_event_row(*one) for one in taken))
        self.events += len(taken)
        kept = [one for one in numbered if one[1].at >= self._kept_since]
        load(connection, Delivery, ("id", *DELIVERY), (_delivery_row(*one) for one in kept))
        refused = [_held(*one) for one in kept if one[1].outcome is Outcome.BAD_SIGNATURE]
        keep(connection, refused, Caps())
        refold(connection, (fact for one in _telling(taken) for fact in _facts(one)))

    def finish(self, connection: Connection) -> None:
        """Roll-ups, and a receiver that was up all the time."""
        hours = [
            (SLUG, _stored(hour * 3600), outcome, count)
            for (hour, outcome), count in self._hours.items()
        ]
        load(connection, DeliveryHourly, ("vendor", "hour", "outcome", "deliveries"), hours)
        up = [("bench", *(_stored(at.timestamp()) for at in (self._now - YEAR, self._now)))]
        load(connection, Heartbeat, ("receiver", "started_at", "seen_at"), up)
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(
                f"SELECT setval(pg_get_serial_sequence('delivery', 'id'), {self._delivery})"
            )

    def _arrivals(self, told: Iterable[Told]) -> Iterator[Arrived]:
        for one in told:
            luck = self._dice.random()
            soon = one.at + luck
            if luck < LOST:
                lost = one._replace(key=f"{one.key}-lost", body=one.body.replace("acme", "acme "))
                yield Arrived(soon, Outcome.BAD_SIGNATURE, lost)
            elif luck < REFUSED:
                yield Arrived(soon, Outcome.BAD_SIGNATURE, one)
                soon += RETRY_SEC
            elif luck < REFUSED + REPEATED:
                yield Arrived(soon + 1, Outcome.DUPLICATE, one)
            yield Arrived(soon, Outcome.ACCEPTED, one)


def _telling(taken: Iterable[tuple[int, Arrived]]) -> Iterable[Told]:
    """Those events of a round that say more than a later one."""
    last: dict[Any, Told] = {}
    for one in sorted(arrived.told for _, arrived in taken):
        last[one.totals_of or one.key] = one
    return last.values()


def _facts(told: Told) -> Sequence[Any]:
    at = datetime.fromtimestamp(told.at, UTC)
    return kept_facts(KeptEvent(told.key, told.type, at, at, told.body))


def _event_row(delivery_id: int, arrived: Arrived) -> Row:
    told = arrived.told
    digest = hashlib.sha256(f"{told.at}:{told.body}".encode()).hexdigest()
    return (
        SLUG, told.key, digest, told.type, playing.COMPANY, told.user_id, _stored(told.at),
        _stored(arrived.at), told.body, delivery_id,
    )  # fmt: skip


def _delivery_row(delivery_id: int, arrived: Arrived) -> Row:
    told = arrived.told
    refused = arrived.outcome is Outcome.BAD_SIGNATURE
    return (
        delivery_id, SLUG, _stored(arrived.at), told.key, told.type, arrived.outcome,
        "The signature fits no configured secret." if refused else None,
        STATUS[arrived.outcome], 4.2, "192.0.2.7", len(told.body), None, Sender.VENDOR,
    )  # fmt: skip


def _held(delivery_id: int, arrived: Arrived) -> Arrival:
    body = arrived.told.body.encode()
    at = datetime.fromtimestamp(arrived.told.at, UTC)
    headers = playing.signed(body, at, arrived.told.key, "secret-that-nobody-has")
    received_at = datetime.fromtimestamp(arrived.at, UTC)
    kept, digest = json.dumps(headers), hashlib.sha256(body).hexdigest()
    return Arrival(delivery_id, SLUG, received_at, Kind.WELL_FORMED, kept, body, digest)


def _stored(at: float) -> str:
    """A moment as both stores read it."""
    return datetime.fromtimestamp(at, UTC).isoformat(" ", "microseconds")[:26]


def load(
    connection: Connection, model: type[SQLModel], columns: Sequence[str], rows: Iterable[Row]
) -> None:
    """Many rows by the quickest way that each driver has."""
    table, names = table_of(model).name, ", ".join(columns)
    driver: Any = connection.connection.driver_connection
    if connection.dialect.name == "sqlite":
        places = ", ".join("?" * len(columns))
        driver.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", rows)
        return
    with driver.cursor().copy(f"COPY {table} ({names}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
