"""Seismic Learning (Lessonly): completed lessons, retaken until the score is high enough."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from operator import attrgetter
from random import Random
from typing import Any, NamedTuple

from receiver.simulator.company import Company
from receiver.simulator.people import Person, people_of, still_there
from receiver.simulator.post import Delivery, Event, Fault, iso, iso_millis, new_id, spoiled
from receiver.vendors.lessonly import AUTHORIZATION


class Lesson(NamedTuple):
    id: int
    title: str
    retake_score: int | None
    """Percent under which it must be taken again; None for a lesson without questions."""


LESSONS = (
    Lesson(4411, "Handling price objections", 80),
    Lesson(4412, "Welcome to the team", None),
    Lesson(4413, "The first call", 70),
    Lesson(4414, "Notes that help the next rep", None),
    Lesson(4415, "Reading a contract", 75),
    Lesson(4416, "Our customers' trade", 70),
    Lesson(4417, "How we use the CRM", 60),
    Lesson(4418, "News of the quarter", None),
)
SHARE = 0.7
"""Of the company, how many take lessons here, too."""
MAX_TRIES = 4
FAULTS = {
    Fault.DUPLICATE: 35,
    Fault.LATE_RETRY: 15,
    Fault.REFUSED_FIRST: 20,
    Fault.FORGED: 10,
    Fault.BROKEN_BODY: 10,
    Fault.NO_CREDENTIALS: 10,
}


class Lessons:
    """Everybody takes some lessons, and again those that went badly."""

    def __init__(self, company: Company, dice: Random) -> None:
        self._end = company.end
        self._dice = dice
        self._people = people_of(company, dice, SHARE, 88, "agency.example")
        self._active = still_there(self._people, company)
        self._days = (company.end - company.begin).days
        self._tries: dict[tuple[int, int], int] = {}
        self._to_retake: list[tuple[Person, Lesson]] = []

    def history(self) -> Iterator[Event]:
        """What happened from the beginning to the end, in order of time."""
        if self._days:
            done = [event for person in self._people for event in self._completions(person)]
            yield from sorted(done, key=attrgetter("at"))

    def _completions(self, person: Person) -> Iterator[Event]:
        lessons = self._dice.sample(LESSONS, self._dice.randint(2, len(LESSONS)))
        moments = person.moments(len(lessons), self._dice)
        for lesson, first in zip(lessons, moments, strict=True):
            at = first
            while at <= person.until:
                event, passed = self._taken(person, lesson, at)
                yield event
                if passed:
                    break
                at += timedelta(days=self._dice.randint(1, 5), minutes=self._dice.randint(-60, 60))

    def live_event(self, at: datetime) -> Event:
        """Something that happens at `at`, after the history; every third time a retake."""
        if self._to_retake and self._dice.random() < 1 / 3:
            person, lesson = self._to_retake.pop(0)
        else:
            person, lesson = self._dice.choice(self._active), self._dice.choice(LESSONS)
        event, passed = self._taken(person, lesson, at)
        if not passed:
            self._to_retake.append((person, lesson))
        return event

    def _taken(self, person: Person, lesson: Lesson, at: datetime) -> tuple[Event, bool]:
        """A lesson taken once, and whether that was enough."""
        tries = self._tries[person.id, lesson.id] = self._tries.get((person.id, lesson.id), 0) + 1
        score = None
        if lesson.retake_score is not None:
            right = 48 + 40 * person.skill + 11 * tries + self._dice.gauss(0, 8)
            score = round(min(100.0, max(0.0, right)), 1)
        passed = score is None or score >= (lesson.retake_score or 0) or tries >= MAX_TRIES
        return Event(at, "lesson.completed", self._data(person, lesson, score, at)), passed

    def _data(
        self, person: Person, lesson: Lesson, score: float | None, at: datetime
    ) -> dict[str, Any]:
        began = at - timedelta(minutes=self._dice.randint(6, 40))
        retake = {} if score is None else {"retake_score": lesson.retake_score}
        return {
            "user": self._user(person),
            "lesson": {"id": self._either(lesson.id), "title": lesson.title, **retake},
            **_scores(lesson, score),
            "started_at": iso(began),
            "completed_at": iso_millis(at),
            "assigned_at": iso(began - timedelta(days=self._dice.randint(0, 9))),
            "report_card_url": f"https://acme.lessonly.example/lesson/{lesson.id}?user={person.id}",
        }

    def _user(self, person: Person) -> dict[str, Any]:
        # Some e-mails are written as their owners typed them: it is the same person.
        typed = person.email.title() if person.id % 5 == 0 else person.email
        fields = {"Region": person.team, "Tags": ["new", 7]} if person.team else {}
        user = {
            "id": self._either(person.id),
            "name": f"{person.first_name} {person.last_name}",
            "email": typed,
            "custom_fields": fields,
        }
        return user | ({"ext_uid": f"idp-{person.id}"} if person.team else {})

    def _either(self, number: int) -> int | str:
        """Ids come as numbers or as strings."""
        return self._dice.choice((number, str(number)))


def _scores(lesson: Lesson, score: float | None) -> dict[str, float | None]:
    """Without questions there is no score: now null, now nothing."""
    if score is not None:
        return {"score": round(score / 100, 3), "score_percent": score}
    return {"score": None, "score_percent": None} if lesson.id % 4 else {}


class LessonlyWire:
    """How Lessonly writes it, under the value that its admin typed."""

    faults = FAULTS

    def __init__(self, value: bytes) -> None:
        self._value = value.decode()
        self.extras = {
            Fault.FORGED: self._forged,
            Fault.BROKEN_BODY: self._broken_body,
            Fault.NO_CREDENTIALS: self._no_credentials,
        }

    def body(self, event: Event, event_id: str) -> bytes:
        """The JSON body of an event, which has no id."""
        return json.dumps(event.data, separators=(",", ":")).encode()

    def genuine(self, at: datetime, event_id: str, body: bytes) -> Delivery:
        """A delivery under the right value."""
        return self._delivery(at, event_id, body, self._value)

    def forged(self, at: datetime, event_id: str, body: bytes) -> Delivery:
        """A delivery under a value that the receiver does not have."""
        return self._delivery(at, event_id, body, f"{self._value}-of-somebody-else")

    def _delivery(self, at: datetime, event_id: str, body: bytes, value: str) -> Delivery:
        headers = {"content-type": "application/json", AUTHORIZATION: value}
        return Delivery(at, event_id, headers, body)

    def _forged(self, good: Delivery, _event: Event, dice: Random) -> Delivery:
        return self.forged(good.at, new_id(dice), b'{"user":{"id":1},"lesson":{"id":4411}}')

    def _broken_body(self, good: Delivery, event: Event, dice: Random) -> Delivery:
        nameless = {name: it for name, it in event.data.items() if name != "user"}
        body = spoiled(good, dice, json.dumps(nameless).encode())
        return self.genuine(good.at, new_id(dice), body)

    def _no_credentials(self, good: Delivery, _event: Event, dice: Random) -> Delivery:
        stranger = self.genuine(good.at, new_id(dice), b'{"ping":true}')
        del stranger.headers[AUTHORIZATION]
        return stranger
