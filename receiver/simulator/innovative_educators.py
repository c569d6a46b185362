"""Innovative Educators: completed courses, authenticated by source address only."""

import json
from collections.abc import Iterator
from datetime import datetime
from operator import attrgetter
from random import Random
from typing import Any

from receiver.simulator.base import Fault, Part
from receiver.simulator.company import Company, Event, iso_millis
from receiver.simulator.people import Person, active, people_of

TITLES = (
    "Writing for the web",
    "Presenting with confidence",
    "Time management that lasts",
    "Giving and taking feedback",
    "Accessible documents",
    "Working across time zones",
    "Numbers for everyone",
)
COURSES = {f"course-{number}": title for number, title in enumerate(TITLES, 301)}
SHARE = 0.6
"""Share of the company that takes courses here."""


class Courses:
    """A test notification after set-up, then a few completed courses for each person."""

    def __init__(self, company: Company, dice: Random) -> None:
        self._company = company
        self._dice = dice
        self._people = people_of(company, dice, SHARE, 9001, "campus.example")
        self._active = active(self._people, company)

    def history(self) -> Iterator[Event]:
        """The events before the start, in order of time."""
        yield notification(self._company.begin)
        if self._company.days:
            completed = [event for person in self._people for event in self._completions(person)]
            yield from sorted(completed, key=attrgetter("at"))

    def _completions(self, person: Person) -> Iterator[Event]:
        chosen = self._dice.sample(list(COURSES), self._dice.choice((0, 1, 1, 2, 2, 3, 4)))
        moments = person.moments(len(chosen), self._dice)
        for course_id, at in zip(chosen, moments, strict=True):
            yield Event(at, "completion", _data(person, course_id))

    def live_event(self, at: datetime) -> Event:
        """A completed course at `at`."""
        course_id = self._dice.choice(list(COURSES))
        return Event(at, "completion", _data(self._dice.choice(self._active), course_id))


def _data(person: Person, course_id: str) -> dict[str, Any]:
    """For half of the people the vendor knows only the address and its own ID."""
    known = person.id % 2 == 0
    return {
        "user": person.email,
        "notifiableId": course_id,
        "title": COURSES[course_id],
        "userDetail": {
            "id": f"ie-{person.id}",
            "firstName": person.first_name if known else None,
            "lastName": person.last_name if known else None,
            "externalCustomerId": f"idp-{person.id}" if known and person.team else None,
            "sfContactId": None,
            "sfAccountId": None,
        },
        "client": "acme",
        "ref1": person.team,
        "ref2": None,
        "ref3": "",
    }


def notification(at: datetime) -> Event:
    """What the vendor sends after set-up. It names no learner."""
    return Event(at, "test", {"message": "This is a test notification."})


def body(event: Event, event_id: str, company_id: str) -> bytes:
    """The JSON body of an event. A test notification has no learner and fewer fields."""
    completed = {
        "source": "course_completed",
        "type": "status_change",
        "companyId": company_id,
        "event": "courseCompletion",
    }
    head = {"id": event_id, "timestamp": iso_millis(event.at)}
    content = head | (completed if "user" in event.data else {}) | event.data
    return json.dumps(content, separators=(",", ":")).encode()


PART = Part(
    weight=1,
    credential=lambda _: b"",
    story=Courses,
    sample=notification,
    body=body,
    headers=lambda *_: {},
    credential_header=None,
    faults={
        Fault.DUPLICATE: 35,
        Fault.LATE_RETRY: 20,
        Fault.REFUSED_FIRST: 20,
        Fault.FORGED: 15,
        Fault.BROKEN_BODY: 10,
    },
    forged={"user": "mallory@elsewhere.example", "userDetail": None},
    unreadable={"user": None, "userDetail": None},
)
