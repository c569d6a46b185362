"""Seismic Learning (Lessonly): completed lessons, retaken until the score is high enough."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from operator import attrgetter
from random import Random
from typing import Any, NamedTuple

from receiver.simulator.base import NO_LEARNER, Fault, Part
from receiver.simulator.company import Company, Event, iso, iso_millis
from receiver.simulator.people import Person, active, people_of
from receiver.vendors.lessonly import AUTHORIZATION, LessonlySettings
from shared.settings import ReceiverSettings


class Lesson(NamedTuple):
    id: int
    title: str
    retake_score: int | None
    """Percent below which it must be retaken; None for a lesson without questions."""


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
SHARE = 1
"""Share of the company that takes lessons here: of them names are known, which MindTickle does not
send."""
MAX_TRIES = 4


class Lessons:
    """Each person takes some lessons, and retakes those with a low score."""

    def __init__(self, company: Company, dice: Random) -> None:
        self._company = company
        self._dice = dice
        self._people = people_of(company, dice, SHARE, 88, "agency.example")
        self._active = active(self._people, company)
        self._tries: dict[tuple[int, int], int] = {}
        self._to_retake: list[tuple[Person, Lesson]] = []

    def history(self) -> Iterator[Event]:
        """The events before the start, in order of time."""
        if self._company.days:
            completed = [event for person in self._people for event in self._completions(person)]
            yield from sorted(completed, key=attrgetter("at"))

    def _completions(self, person: Person) -> Iterator[Event]:
        lessons = self._dice.sample(LESSONS, self._dice.randint(2, len(LESSONS)))
        moments = person.moments(len(lessons), self._dice)
        for lesson, first in zip(lessons, moments, strict=True):
            at = first
            while at <= person.until:
                event, passed = self._attempt(person, lesson, at)
                yield event
                if passed:
                    break
                at += timedelta(days=self._dice.randint(1, 5), minutes=self._dice.randint(-60, 60))

    def live_event(self, at: datetime) -> Event:
        """A completed lesson at `at`. Every third is a retake."""
        if self._to_retake and self._dice.random() < 1 / 3:
            person, lesson = self._to_retake.pop(0)
        else:
            person, lesson = self._dice.choice(self._active), self._dice.choice(LESSONS)
        event, passed = self._attempt(person, lesson, at)
        if not passed:
            self._to_retake.append((person, lesson))
        return event

    def _attempt(self, person: Person, lesson: Lesson, at: datetime) -> tuple[Event, bool]:
        """One attempt, and whether the score is high enough."""
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
        # Some addresses differ in case, as people type them. It is the same person.
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
        """IDs arrive as numbers or as strings."""
        return self._dice.choice((number, str(number)))


def _scores(lesson: Lesson, score: float | None) -> dict[str, float | None]:
    """A lesson without questions has no score: the fields are null or absent."""
    if score is not None:
        return {"score": round(score / 100, 3), "score_percent": score}
    return {"score": None, "score_percent": None} if lesson.id % 4 else {}


def body(event: Event, event_id: str, company_id: str) -> bytes:
    """The JSON body of an event. It has no ID and names no company."""
    return json.dumps(event.data, separators=(",", ":")).encode()


def credential(settings: ReceiverSettings) -> bytes:
    """The first value."""
    value, *_ = settings.of_vendor(LessonlySettings).lessonly_authorization
    return value.get_secret_value().encode()


def sample(at: datetime) -> Event:
    """A completed lesson without questions."""
    lesson = {"id": NO_LEARNER, "title": "Test"}
    data = {"user": {"id": NO_LEARNER}, "lesson": lesson, "completed_at": iso_millis(at)}
    return Event(at, "lesson.completed", data)


PART = Part(
    weight=3,
    credential=credential,
    story=Lessons,
    sample=sample,
    body=body,
    headers=lambda _at, _id, _body, value: {AUTHORIZATION: value.decode()},
    credential_header=AUTHORIZATION,
    faults={
        Fault.DUPLICATE: 35,
        Fault.LATE_RETRY: 15,
        Fault.REFUSED_FIRST: 20,
        Fault.FORGED: 10,
        Fault.BROKEN_BODY: 10,
        Fault.NO_CREDENTIALS: 10,
    },
    forged={"user": {"id": 1}},
    unreadable={"user": None},
)
