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

from sqlalchemy import Connection, Engine, func, select, update
from sqlalchemy.event import listen
from sqlmodel import SQLModel

from receiver.quarantine import Arrival, Caps, keep
from receiver.readmodels.projections import finish, refold
from receiver.readmodels.standings import SLOT_MINUTES
from receiver.store import DELIVERY, EVENT
from receiver.vendors import ADAPTERS, note_vendors, standard_webhooks
from receiver.vendors.base import KeptEvent
from receiver.vendors.mindtickle.contract import SLUG
from shared import contests
from shared.bulk import Row, table_of
from shared.database import open_engine
from shared.facts import Fact
from shared.models import Checkpoint, Delivery, DeliveryHourly, Event, Heartbeat
from shared.outcomes import STATUS, Kind, Outcome, Sender
from shared.settings import ReceiverSettings
from tests import playing

LEARNERS, MODULES, TEAMS = 5_000, 40, 25
YEAR, KEPT = timedelta(days=365), timedelta(days=90)
SESSION = 6
"""Events of a learner in one go, once there are enough of them."""
SESSION_SEC = 900
QUIZ, COURSE, EXPIRY, MOVE, ACTIVITY = 0.1, 0.105, 0.107, 0.108, 0.113
"""Of all events: 10 % quizzes, 0.5 % completions and so on; the rest is progress."""
ACTIVITIES = ("meeting.held", "deal.won")
"""Events of Standard Webhooks."""
REPEATED, REFUSED, LOST = 0.005, 0.002, 0.0002
"""Of all deliveries: sent twice; refused first and retried; refused and never seen again."""
RETRY_SEC = 300
LOADED = (Event, Delivery)
UNKNOWN_SECRETS = {
    SLUG: (playing.signed, "another-secret"),
    standard_webhooks.SLUG: (playing.standard, "whsec_" + 40 * "A"),
}
"""How a refused delivery was signed, by vendor."""
SETTINGS = ReceiverSettings(
    mindtickle_webhook_secret=playing.SECRET,
    mindtickle_company_id=playing.COMPANY,
    standard_webhooks_secret=playing.WHSEC,
)
"""The receiver that accepted the events."""


class SeededEvent(NamedTuple):
    """One event as its vendor sends it, `at` seconds since 1970. MindTickle names the learner by
    `user_id`, Standard Webhooks by an e-mail address in the body."""

    at: int
    key: str
    vendor: str
    type: str
    user_id: str | None
    body: str
    totals_of: tuple[str, str, int] | None
    """(user, module, quarter hour) of progress; of equal ones the last has the totals."""


class Arrived(NamedTuple):
    """One delivery: when, what became of it, and its event."""

    at: float
    outcome: Outcome
    event: SeededEvent


def seed(
    url: str, events: int, now: datetime, on_progress: Callable[[int], None] = lambda _: None
) -> None:
    """Fill an empty, migrated store with so many events of the year up to `now`."""
    engine = open_engine(url)
    listen(engine, "connect", _hurry)
    _drop_indexes(engine)
    filling = _Filling(now)
    for session in sessions(events, now):
        with engine.begin() as connection:
            filling.store(connection, session)
        on_progress(filling.events)
    with engine.begin() as connection:
        filling.finish(connection)
        finish(connection)
    _make_indexes(engine)
    note_vendors(engine, SETTINGS)
    engine.dispose()
    settle(url)
    with engine.begin() as connection:
        _add_contests(connection, now)
    engine.dispose()


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
            # The journal stays: an engine opens a file again whose log has gone.
            "PRAGMA synchronous=OFF; PRAGMA cache_size=-500000"
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


def _add_contests(connection: Connection, now: datetime) -> None:
    """A contest of each board over four weeks, whose results are stored, one without a result, and
    one that runs."""
    ended, today = now - contests.GRACE - 2 * contests.DAY, now.date()
    begin = ended - timedelta(days=27)
    draft = contests.Draft("Four weeks", begin.date(), ended.date(), "UTC")
    for board in contests.BOARDS:
        contest_id = _contest(connection, draft._replace(board=board), begin)
        contests.store_result(connection, contest_id, now)
    _contest(connection, draft, begin)
    _contest(connection, contests.Draft("Two days", today, today + contests.DAY, "UTC"), now)


def _contest(connection: Connection, draft: contests.Draft, at: datetime) -> int:
    made = contests.create(connection, "lead@acme.example", draft, at, None)
    assert isinstance(made, int), made
    return made


# What happened


def sessions(events: int, now: datetime) -> Iterator[list[SeededEvent]]:
    """So many events in order of time, a list for each round in which each learner learns once."""
    dice = Random(7)
    learners = [_Learner(number, dice) for number in range(min(LEARNERS, max(1, events // 20)))]
    each = -(-events // len(learners))
    size = max(1, min(SESSION, each // 40))
    rounds = -(-each // size)
    length = (YEAR.total_seconds() - SESSION_SEC) / rounds
    begin = (now - YEAR).timestamp()
    left = events
    for number in range(rounds):
        session = [
            one
            for learner in learners
            for one in learner.learn(
                int(begin + (number + dice.random()) * length), size, number * size, each
            )
        ][:left]
        left -= len(session)
        yield sorted(session)


class _Learner:
    """Goes through the modules in order, each at a pace of their own."""

    def __init__(self, number: int, dice: Random) -> None:
        self._number = number
        self._dice = dice
        self._id = f"u-{number:05}"
        self._email = f"learner.{number:05}@acme.example"
        self._pace = 0.5 + dice.random() / 2
        self._module = -1
        self._seconds = 0
        self._leaves = number % 33 == 7

    def learn(self, at: int, size: int, done: int, of: int) -> Iterator[SeededEvent]:
        for number in range(done, min(done + size, of)):
            yield self._event(at, number, of)
            at += self._dice.randint(30, SESSION_SEC // SESSION)

    def _event(self, at: int, number: int, of: int) -> SeededEvent:
        luck = self._dice.random()
        if number == 0 or EXPIRY <= luck < MOVE:
            return self._sent(at, number, "user.provisioned", self._roster(number))
        if number == of - 1 and self._leaves:
            return self._sent(at, number, "user.deprovisioned", ', "reason": "left the company"')
        if luck < EXPIRY:
            return self._sent(at, number, *self._result(at, luck))
        if MOVE <= luck < ACTIVITY:
            return self._activity(at, number)
        return self._progress(at, number, of)

    def _result(self, at: int, luck: float) -> tuple[str, str]:
        if luck < QUIZ:
            return "quiz.submitted", self._quiz()
        if luck < COURSE:
            return "course.completed", self._course(at)
        return "certification.expired", _expiry(at)

    def _sent(
        self, at: int, number: int, kind: str, data: str, totals_of: Any = None
    ) -> SeededEvent:
        body = (
            f'{{"event": "{kind}", "companyId": "acme", "data": {{"userId": "{self._id}"{data}}}}}'
        )
        return SeededEvent(at, self._key(number), SLUG, kind, self._id, body, totals_of)

    def _activity(self, at: int, number: int) -> SeededEvent:
        kind = ACTIVITIES[number % len(ACTIVITIES)]
        body = f'{{"type": "{kind}", "data": {{"owner": "{self._email}"}}}}'
        return SeededEvent(at, self._key(number), standard_webhooks.SLUG, kind, None, body, None)

    def _key(self, number: int) -> str:
        return f"evt-{self._number:05}-{number:06}"

    def _roster(self, number: int) -> str:
        team = (self._number + number) % TEAMS
        return (
            f', "email": "{self._email}", "role": "account executive", '
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

    def _progress(self, at: int, number: int, of: int) -> SeededEvent:
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
        return self._sent(at, number, "module.progress", data, (self._id, str(module), slot))


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
        self._hours: Counter[tuple[str, int, Outcome]] = Counter()
        self._delivery = 0
        self.events = 0

    def store(self, connection: Connection, session: Sequence[SeededEvent]) -> None:
        """Store a round of events."""
        numbered = [
            (self._delivery + number, one)
            for number, one in enumerate(sorted(self._arrivals(session)), start=1)
        ]
        self._delivery += len(numbered)
        self._hours.update(
            (one.event.vendor, int(one.at) // 3600, one.outcome) for _, one in numbered
        )
        accepted = [(number, one) for number, one in numbered if one.outcome is Outcome.ACCEPTED]
        load(connection, Event, EVENT, (_event_row(*one) for one in accepted))
        self.events += len(accepted)
        kept = [one for one in numbered if one[1].at >= self._kept_since]
        load(connection, Delivery, ("id", *DELIVERY), (_delivery_row(*one) for one in kept))
        refused = [_quarantined(*one) for one in kept if one[1].outcome is Outcome.BAD_SIGNATURE]
        keep(connection, refused, Caps())
        refold(connection, (fact for one in _decisive(accepted) for fact in _facts(one)))

    def finish(self, connection: Connection) -> None:
        """Roll-ups, a follower that has folded everything, a receiver that was up all the time."""
        hours = [
            (vendor, _stored(hour * 3600), outcome, count)
            for (vendor, hour, outcome), count in self._hours.items()
        ]
        load(connection, DeliveryHourly, ("vendor", "hour", "outcome", "deliveries"), hours)
        newest = select(func.max(table_of(Event).c.id)).scalar_subquery()
        connection.execute(update(table_of(Checkpoint)).values(event_id=newest, newest_id=newest))
        up = [("bench", *(_stored(at.timestamp()) for at in (self._now - YEAR, self._now)))]
        load(connection, Heartbeat, ("receiver", "started_at", "seen_at"), up)
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(
                f"SELECT setval(pg_get_serial_sequence('delivery', 'id'), {self._delivery})"
            )

    def _arrivals(self, session: Iterable[SeededEvent]) -> Iterator[Arrived]:
        for one in session:
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


def _decisive(accepted: Iterable[tuple[int, Arrived]]) -> Iterable[SeededEvent]:
    """The events of a round without progress that a later one of its quarter hour replaces."""
    last: dict[Any, SeededEvent] = {}
    for one in sorted(arrived.event for _, arrived in accepted):
        last[one.totals_of or one.key] = one
    return last.values()


def _facts(event: SeededEvent) -> Sequence[Fact]:
    at = datetime.fromtimestamp(event.at, UTC)
    return ADAPTERS[event.vendor].facts(KeptEvent(event.key, event.type, at, at, event.body))


def _event_row(delivery_id: int, arrived: Arrived) -> Row:
    event = arrived.event
    is_standard = event.vendor == standard_webhooks.SLUG
    signed = f"{event.key}.{event.at}.{event.body}" if is_standard else f"{event.at}:{event.body}"
    return (
        event.vendor, event.key, hashlib.sha256(signed.encode()).hexdigest(), event.type,
        None if is_standard else playing.COMPANY, event.user_id, _stored(event.at),
        _stored(arrived.at), event.body, delivery_id,
    )  # fmt: skip


def _delivery_row(delivery_id: int, arrived: Arrived) -> Row:
    event = arrived.event
    refused = arrived.outcome is Outcome.BAD_SIGNATURE
    return (
        delivery_id, event.vendor, _stored(arrived.at), event.key, event.type, arrived.outcome,
        "The signature fits no configured secret." if refused else None,
        STATUS[arrived.outcome], 4.2, "192.0.2.7", len(event.body), None, Sender.VENDOR,
    )  # fmt: skip


def _quarantined(delivery_id: int, arrived: Arrived) -> Arrival:
    event = arrived.event
    body = event.body.encode()
    at = datetime.fromtimestamp(event.at, UTC)
    sign, secret = UNKNOWN_SECRETS[event.vendor]
    headers = sign(body, at, event.key, secret)
    received_at = datetime.fromtimestamp(arrived.at, UTC)
    kept, digest = json.dumps(headers), hashlib.sha256(body).hexdigest()
    return Arrival(delivery_id, event.vendor, received_at, Kind.WELL_FORMED, kept, body, digest)


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
