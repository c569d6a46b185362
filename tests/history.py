"""Two months of a small company, as its vendors send them: requests of all four, with rehires,
changes of team, leavers who go on, odd quizzes, late and repeated deliveries, and failures.

Always the same: what a request is and what must come of it is decided here, by no code of ours.
"""

import json
import random
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from ipaddress import IPv4Network
from itertools import count
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from receiver.pipeline import judge
from receiver.replay import replay
from receiver.store import write_batch
from receiver.vendors.base import Incoming, Vendor
from receiver.vendors.innovative_educators import InnovativeEducators
from receiver.vendors.lessonly import Lessonly
from receiver.vendors.mindtickle import MindTickle
from receiver.vendors.standard_webhooks import StandardWebhooks
from shared import coaching, contests
from shared.bulk import table_of
from shared.certificates import Expiry, mark_renewed
from shared.contests import Draft
from shared.models import CoachingCase
from shared.queries import missing
from tests import playing
from tests.stores import follow

MT, LESSONLY, IE, STANDARD = "mindtickle", "lessonly", "innovative-educators", "standard-webhooks"
BERLIN, NEW_YORK, KOLKATA = "Europe/Berlin", "America/New_York", "Asia/Kolkata"
ZONES = (BERLIN, NEW_YORK, KOLKATA)
FIRST, END = datetime(2025, 9, 1, tzinfo=UTC), datetime(2025, 11, 3, 14, tzinfo=UTC)
NOW = datetime(2025, 11, 3, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CONTEST = Draft("Sprint", date(2025, 10, 6), date(2025, 10, 12), KOLKATA)
CONTEST_ENDS = datetime(2025, 10, 12, 18, 30, tzinfo=UTC)
STORED = CONTEST_ENDS + 8 * HOUR
"""When the results of the contests are stored."""
OLD, UNKNOWN = "secret-before", "secret-of-another"
"""A replay knows the one, and nothing the other."""
OWN_THRESHOLD = ("q-own", 90.0)
ADDRESS = "54.243.7.71"
BATCH = 23

Fate = Literal["good", "old secret", "forged", "odd", "junk"]


class Request(NamedTuple):
    """A request and its fate: `good`, refused until a replay knows its secret, refused for good,
    authentic but not understood, or a stranger's. `key` is the event ID that it claims."""

    vendor: str
    arrived: datetime
    fate: Fate
    key: str | None
    body: bytes
    headers: dict[str, str]
    peer: str = ADDRESS


@cache
def requests() -> Sequence[Request]:
    """All of them, in the order of arrival."""
    return sorted(_all(), key=lambda one: one.arrived)


def _all() -> Iterator[Request]:
    chance = random.Random(14)
    yield from _roster()
    for one in [*_progress(chance), *_quizzes(chance), *_courses(chance)]:
        yield one
        if chance.random() < 0.06:
            yield one._replace(arrived=one.arrived + 5 * MINUTE)
    yield from _certificates()
    yield from _deeds(chance)
    yield from _failures()


# Requests

_numbers = count(1)


def _mindtickle(
    event: str,
    at: datetime,
    *,
    late: timedelta = timedelta(0),
    key: str | None = "",
    secret: str = playing.SECRET,
    fate: Fate = "good",
    **data: Any,
) -> Request:
    key = f"mt-{next(_numbers)}" if key == "" else key
    body = playing.body_of(event, data)
    return Request(MT, at + late, fate, key, body, playing.signed(body, at, key, secret))


def _lesson(
    at: datetime,
    user: str,
    name: str,
    lesson: str,
    pct: float | None,
    *,
    retake: float | None = None,
    email: str,
    value: str = playing.AUTHORIZATION,
    fate: Fate = "good",
) -> Request:
    body = {
        "user": {"id": user, "name": name, "email": email},
        "lesson": {"id": lesson, "title": f"Lesson {lesson}", "retake_score": retake},
        "completed_at": at.isoformat(),
    } | ({} if pct is None else {"score_percent": pct})
    key, encoded = f"{user}:{lesson}:{at.isoformat()}", json.dumps(body).encode()
    return Request(LESSONLY, at + MINUTE, fate, key, encoded, {"authorization": value})


def _course(
    at: datetime, email: str, learner_id: str | None, names: tuple[str, str], course: str
) -> Request:
    key = f"ie-{next(_numbers)}"
    detail = {"id": learner_id, "firstName": names[0], "lastName": names[1]}
    body = {"id": key, "source": "course_completed", "timestamp": at.isoformat(), "user": email,
            "companyId": "c-1", "event": "courseCompletion", "notifiableId": course,
            "title": f"Course {course}", "userDetail": detail}  # fmt: skip
    return Request(IE, at + MINUTE, "good", key, json.dumps(body).encode(), {})


def _deed(kind: str, at: datetime, late: timedelta, data: dict[str, Any]) -> Request:
    key, arrived = f"sw-{next(_numbers)}", at + late
    body = json.dumps({"type": kind, "timestamp": at.isoformat(), "data": data}).encode()
    return Request(STANDARD, arrived, "good", key, body, playing.standard(body, arrived, key))


# What happens


def _join(
    user: str,
    at: datetime,
    team: str | None,
    email: str | None = "",
    role: str = "rep",
    **more: Any,
) -> Request:
    email = f"{user}@x.com" if email == "" else email
    more |= {"userId": user, "email": email, "role": role, "teamId": team}
    return _mindtickle("user.provisioned", at, **more)


def _leave(user: str, said: datetime, at: datetime) -> Request:
    return _mindtickle(
        "user.deprovisioned", said, userId=user, reason="left", deprovisionedAt=at.isoformat()
    )


def _on(month: int, day: int, hour: int = 10, minute: int = 7) -> datetime:
    return datetime(2025, month, day, hour, minute, tzinfo=UTC)


TEAMS = ("west", "east", "north", None)
CROWD = [f"p-{number:02}" for number in range(14)]
NAMED = ["ann", "bob-1", "bob-2", "cy", "dee", "eve", "hal", "ida", "joe", "kim-1", "kim-2"]
"""Each with a story; `bob` and `kim` have two accounts."""


def _roster() -> Iterator[Request]:
    for number, user in enumerate(CROWD):
        yield _join(user, FIRST + number * MINUTE, TEAMS[number % len(TEAMS)])
    yield _join("ann", FIRST, "west")
    yield _join("ann", _on(10, 8), "east", role="lead")  # in the middle of the contest
    # A rehire, under another id and the same address.
    yield _join("bob-1", FIRST, "west", "bob@x.com")
    yield _leave("bob-1", _on(9, 20), _on(9, 20))
    yield _join("bob-2", _on(10, 1), "east", " Bob@X.com")
    # Leavers: one goes on learning, one leaves in a year that is a mistake, one was put off.
    yield _join("cy", FIRST, "north")
    yield _leave("cy", _on(10, 10), _on(10, 10))
    yield _join("dee", FIRST, "north")
    yield _leave("dee", _on(10, 1), datetime(2199, 1, 1, tzinfo=UTC))
    yield _join("eve", FIRST, "east")
    yield _leave("eve", _on(10, 5), _on(10, 20))
    yield _leave("eve", _on(10, 15), _on(11, 1))
    # The older entry arrives last; a departure at the moment of an entry wins.
    yield _join("hal", _on(10, 9), "west")
    yield _join("hal", FIRST, "east", late=50 * DAY)
    yield _join("ida", _on(9, 15), "west")
    yield _leave("ida", _on(9, 15), _on(9, 15))
    yield _join("joe", FIRST, "west", email=None)
    # Two accounts at once: the later entry says who a person is, until that account leaves.
    yield _join("kim-1", FIRST, "north", "kim@x.com")
    yield _join("kim-2", _on(9, 25), "west", "kim@x.com")
    yield _leave("kim-2", _on(10, 22), _on(10, 22))


def _moments(chance: random.Random, number: int) -> list[datetime]:
    """Half of them at the edges of days, and around half past eight, in the three zones."""
    found = []
    for _ in range(number):
        if chance.random() < 0.5:
            zone = ZoneInfo(chance.choice(ZONES))
            day = chance.choice(EDGES)
            at = datetime.combine(day, chance.choice([time(), time(8, 30)]), zone)
            found.append(at.astimezone(UTC) + chance.choice([-1, 0, 1, 14, 15]) * MINUTE)
        else:
            found.append(FIRST + chance.random() * (END - FIRST))
    return sorted(one.replace(microsecond=0) for one in found)


EDGES = [
    *(date(2025, 9, day) for day in (1, 8, 21, 29, 30)),
    *(date(2025, 10, day) for day in (1, 4, 6, 13, 19, 20, 26, 27, 28)),
    *(date(2025, 11, day) for day in (1, 2, 3)),
]


def _progress(chance: random.Random) -> Iterator[Request]:
    for user in [*CROWD, *NAMED]:
        for module in chance.sample(["m-1", "m-2", "m-3", "m-4"], 3):
            moments = _moments(chance, 4)
            totals = sorted(chance.choice([5, 12.5, 33.3, 40, 66.7, 80, 100]) for _ in moments)
            for step, (at, pct) in enumerate(zip(moments, totals, strict=True)):
                late = chance.choice([0, 0, 0, 0, 0, 2, 9, 30]) * DAY
                yield _mindtickle(
                    "module.progress", at, late=late, userId=user, moduleId=module,
                    moduleName=f"Module {module}", progressPct=pct, timeSpentSec=600 * step,
                )  # fmt: skip


SCORES: dict[str, Sequence[dict[str, Any]]] = {
    "q-price": [{"score": score, "maxScore": 20} for score in (6, 13, 14, 20)],
    "q-hard": [{"score": score, "maxScore": 10} for score in (2, 3, 5, 9)],
    "q-raw": [{"score": 55}, {"score": 80, "passed": True}, {"score": 3, "passed": False}],
    "q-bonus": [{"score": 24, "maxScore": 20}, {"score": 9, "maxScore": 20}],
    "q-own": [{"score": score, "maxScore": 100} for score in (85, 90, 95)],
    "q-passed": [
        {"score": 8, "maxScore": 10, "passed": False},
        {"score": 5, "maxScore": 10, "passed": True},
        {"passed": True},
    ],
    "q-survey": [{"score": 0, "maxScore": 0}],
    "q-practice": [{"quizType": "Practice run"}, {"quizType": "practice", "score": 1}],
}
"""A quiz without a maximum, one above 100 %, one with a threshold of its own, one where the vendor
judges otherwise, and two that are not graded."""


def _quizzes(chance: random.Random) -> Iterator[Request]:
    for user in [*CROWD, *NAMED]:
        for quiz in chance.sample(list(SCORES), 4):
            for at in _moments(chance, chance.randint(1, 3)):
                yield _mindtickle(
                    "quiz.submitted", at, late=chance.choice([0, 0, 3]) * DAY, userId=user,
                    quizId=quiz, quizName=f"Quiz {quiz}", **chance.choice(SCORES[quiz]),
                )  # fmt: skip


def _courses(chance: random.Random) -> Iterator[Request]:
    for user in CROWD[:10]:
        for at in _moments(chance, 2):
            lesson, pct = chance.choice(["l-1", "l-2"]), chance.choice([None, 61.5, 79.9, 80, 100])
            retake = 80 if lesson == "l-1" else None
            yield _lesson(at, user[2:], f"Learner {user}", lesson, pct, retake=retake,
                          email=f"{user}@X.com")  # fmt: skip
    for user in [*CROWD[5:], "ann"]:
        for at in _moments(chance, 2):
            yield _mindtickle(
                "course.completed", at, late=chance.choice([0, 4]) * DAY, userId=user,
                courseId=chance.choice(["c-1", "c-2"]), courseName="Course", score=80,
                completedAt=at.isoformat(),
            )  # fmt: skip
    # Known only from a vendor without a roster; a new surname, and one without an id.
    for at, surname in ((_on(9, 5), "Old"), (_on(10, 25), "New")):
        yield _lesson(at, "77", f"Gus {surname}", "l-1", 50, retake=80, email="gus@x.com")
    yield _course(_on(10, 2), "ann@x.com", "ie-1", ("Ann", "Archer"), "k-1")
    yield _course(_on(10, 30), "Fay@x.com", None, ("Fay", "Fox"), "k-2")
    yield _course(_on(10, 12, 18, 29), "bob@x.com", "ie-2", ("Bob", "Older"), "k-1")


def _certificates() -> Iterator[Request]:
    def expired(
        user: str, name: str, at: datetime, deadline: datetime | None = None, **more: Any
    ) -> Request:
        more |= {"renewalDeadline": deadline.isoformat()} if deadline else {}
        said = more.pop("said", at)
        return _mindtickle("certification.expired", said, userId=user, certName=name,
                           expiredAt=at.isoformat(), **more)  # fmt: skip

    def done(user: str, name: str, at: datetime) -> Request:
        return _mindtickle("course.completed", at, userId=user, courseId=f"c-{name}",
                           courseName=name, completedAt=at.isoformat())  # fmt: skip

    yield expired("ann", "Expert", _on(10, 1), _on(10, 31))  # overdue
    yield expired("p-00", "Expert", _on(10, 1), _on(11, 20))  # due soon
    yield expired("p-01", "Expert", _on(10, 1), datetime(2026, 3, 1, tzinfo=UTC))
    yield expired("p-02", "Expert", _on(10, 1))
    yield expired("p-03", "Expert", _on(11, 20), said=_on(10, 1))  # to come
    yield expired("p-04", "Expert", datetime(2026, 6, 1, tzinfo=UTC), said=_on(10, 1))
    yield expired("p-05", "Expert", _on(9, 20), _on(10, 1))  # renewed by a course
    yield done("p-05", " EXPERT", _on(9, 25))
    yield expired("p-06", "Expert", _on(9, 20))  # and expired again
    yield done("p-06", "Expert", _on(9, 25))
    yield expired("p-06", "Expert", _on(10, 20), _on(11, 1))
    yield done("p-07", "Expert", _on(9, 1))  # of before the expiry
    yield expired("p-07", "Expert", _on(9, 20), late=9 * DAY)
    yield expired("p-08", "Basics", MARKED[0], _on(10, 9))  # marked by hand
    yield expired("p-09", "Basics", MARKED[0])  # marked, and expired again
    yield expired("p-09", "Basics", _on(10, 24))
    yield expired("bob-1", "Basics", _on(9, 10), _on(9, 30))  # renewed by the second account
    yield done("bob-2", "basics", _on(10, 3))
    yield expired("cy", "Basics", _on(9, 10))  # of a leaver


MARKED = (_on(9, 12), ("p-08", "p-09"))


def _deeds(chance: random.Random) -> Iterator[Request]:
    for user in [*CROWD[:8], "bob", "fay", "customer"]:
        for at in _moments(chance, 4):
            late = chance.choice([0, 0, 5]) * DAY
            kind = chance.choice(["deal.won", "meeting.held", "note.written"])
            ways: list[dict[str, Any]] = [
                {"owner": {"email": f"{user}@x.com"}},
                {"ownerEmail": f"{user.upper()}@X.COM"},
                {"user": f"{user}@x.com"},
                {"user": None, "email": f" {user}@x.com"},
            ]
            yield _deed(kind, at, late, chance.choice(ways))
    yield _deed("deal.won", _on(10, 8), timedelta(0), {"amount": 7})


FAILED_ON = _on(10, 28, 9, 3)


def _failures() -> Iterator[Request]:
    def step(user: str, key: str | None, at: datetime, **more: Any) -> Request:
        return _mindtickle("module.progress", at, key=key, userId=user, moduleId="m-9",
                           moduleName="Late", progressPct=50, timeSpentSec=60, **more)  # fmt: skip

    at = FAILED_ON
    # Signed with the secret of before: three attempts, and a retry that passes.
    for attempt in range(3):
        late = attempt * 20 * MINUTE
        yield step("p-00", "retried", at, late=late, secret=OLD, fate="old secret")
    yield step("p-00", "retried", at, late=2 * HOUR)
    for number in range(4):  # a replay stores these
        for attempt in range(number + 1):
            yield step(f"p-0{number}", f"replayed-{number}", at + MINUTE, late=attempt * HOUR,
                       secret=OLD, fate="old secret")  # fmt: skip
    for number in range(5):  # and nothing these
        for attempt in range(2):
            yield step("p-05", f"forged-{number}", at + 2 * MINUTE, late=attempt * HOUR,
                       secret=UNKNOWN, fate="forged")  # fmt: skip
    forged = step("p-06", None, at + 3 * MINUTE, secret=UNKNOWN, fate="forged")
    yield forged  # no event ID: its body says which event it is
    yield forged._replace(arrived=forged.arrived + HOUR)
    for number in range(3):
        yield _mindtickle("module.progress", at + 4 * MINUTE, key=f"odd-{number}", fate="odd",
                          userId="p-07", moduleId="m-1", progressPct="many")  # fmt: skip
    for number in range(60):  # more than get a row
        yield Request(MT, at + number * timedelta(seconds=1), "junk", None, b"{}", {})
    yield _lesson(at, "08", "Learner p-08", "l-1", 90, email="p-08@x.com", value="wrong",
                  fate="forged")  # fmt: skip
    elsewhere = _course(at, "p-09@x.com", "ie-9", ("Pat", "Nine"), "k-1")
    yield elsewhere._replace(peer="198.51.100.9", fate="forged")


# The store

DISMISSED = "forged-0"
_CASE = {"vendor": MT, "opened_by": "lea", "updated_by": "lea", "version": 1}


def _case(
    user: str,
    quiz: str,
    status: str,
    opened_at: datetime,
    closed_at: datetime | None = None,
    due: date | None = None,
) -> dict[str, Any]:
    return _CASE | {"user_id": user, "quiz_id": quiz, "status": status, "opened_at": opened_at,
                    "updated_at": opened_at, "closed_at": closed_at, "due": due}  # fmt: skip


def cases() -> list[dict[str, Any]]:
    """Rounds of coaching, the older first."""
    found = []
    rounds: Sequence[Sequence[tuple[Any, ...]]] = [
        [],
        [("open", _on(10, 1), None, date(2025, 10, 20))],
        [("in_progress", _on(9, 10), None, date(2025, 11, 20))],
        [("resolved", _on(9, 10), _on(10, 1), None)],
        [("dismissed", _on(9, 10), _on(9, 20), None)],
        [("resolved", _on(9, 5), _on(9, 25), None), ("open", _on(10, 26), None, None)],
    ]
    takers = [(user, quiz) for quiz in SCORES for user in [*CROWD, *NAMED]]
    for number, taker in enumerate(takers):
        found += [_case(*taker, *one) for one in rounds[number % len(rounds)]]
    return found


def play(store: Engine) -> None:
    """Store the history as a receiver and the people of the company do."""
    now = vendors(playing.SECRET)
    early = [one for one in requests() if one.arrived < STORED]
    _receive(store, now, early)
    with store.begin() as connection:
        for board in ("learners", "teams"):
            draft = CONTEST._replace(board=board)
            made = contests.create(connection, "lea", draft, CONTEST_ENDS - 7 * DAY, None)
            assert isinstance(made, int), made
            assert contests.store_result(connection, made, STORED)
        at, users = MARKED
        for user in users:
            assert mark_renewed(connection, "lea", Expiry(MT, user, "Basics", at))
    _receive(store, now, requests()[len(early) :])
    rotated = vendors(playing.SECRET, OLD)
    replay(store, rotated, MT, outcome="bad_signature", stopping=lambda: False)
    follow(store)
    with store.connect().execution_options(immediate=True) as connection, connection.begin():
        coaching.set_threshold(connection, "lea", MT, *OWN_THRESHOLD)
        open_ones = missing.missing(connection, None)
        missing.dismiss(connection, [one for one in open_ones if one.event_key == DISMISSED])
        connection.execute(table_of(CoachingCase).insert(), cases())


def _receive(store: Engine, served: Mapping[str, Vendor], several: Sequence[Request]) -> None:
    entries = [judge(served[one.vendor], _incoming(one)) for one in several]
    for start in range(0, len(entries), BATCH):
        with store.connect().execution_options(immediate=True) as connection, connection.begin():
            write_batch(connection, entries[start : start + BATCH])
    follow(store)


def _incoming(one: Request) -> Incoming:
    headers = {name: value.encode() for name, value in one.headers.items()}
    return Incoming(headers, one.body, one.peer, one.arrived)


def vendors(*secrets: str) -> Mapping[str, Vendor]:
    """The receiver's side, with these secrets of MindTickle."""
    return {
        MT: MindTickle([one.encode() for one in secrets], None, past=10**9, future=300),
        LESSONLY: Lessonly([playing.AUTHORIZATION.encode()]),
        IE: InnovativeEducators([IPv4Network(ADDRESS)]),
        STANDARD: StandardWebhooks([b64decode(playing.WHSEC.removeprefix("whsec_"))]),
    }
