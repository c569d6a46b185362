"""Innovative Educators: completed courses, known only by the address that they come from."""

import json
from collections.abc import Iterator
from datetime import datetime
from operator import attrgetter
from random import Random
from typing import Any

from receiver.simulator.company import Company
from receiver.simulator.people import Person, people_of, still_there
from receiver.simulator.post import Delivery, Event, Fault, iso_millis, new_id, spoiled

TITLES = (
    "Writing for the web",
    "Presenting with confidence",
    "Time management that lasts",
    "Giving and taking feedback",
    "Accessible documents",
    "Working across time zones",
    "Numbers for everybody",
)
COURSES = {f"course-{number}": title for number, title in enumerate(TITLES, 301)}
SHARE = 0.6
"""Of the company, how many take courses here, too."""
FAULTS = {
    Fault.DUPLICATE: 35,
    Fault.LATE_RETRY: 20,
    Fault.REFUSED_FIRST: 20,
    Fault.FORGED: 15,
    Fault.BROKEN_BODY: 10,
}


class Courses:
    """A test notification after set-up; then everybody completes a few courses."""

    def __init__(self, company: Company, dice: Random) -> None:
        self._begin = company.begin
        self._dice = dice
        self._people = people_of(company, dice, SHARE, 9001, "campus.example")
        self._active = still_there(self._people, company)
        self._days = (company.end - company.begin).days

    def history(self) -> Iterator[Event]:
        """What happened from the beginning to the end, in order of time."""
        yield Event(self._begin, "test", {"message": "This is a test notification."})
        if self._days:
            done = [event for person in self._people for event in self._completions(person)]
            yield from sorted(done, key=attrgetter("at"))

    def _completions(self, person: Person) -> Iterator[Event]:
        taken = self._dice.sample(list(COURSES), self._dice.choice((0, 1, 1, 2, 2, 3, 4)))
        moments = person.moments(len(taken), self._dice)
        for course_id, at in zip(taken, moments, strict=True):
            yield Event(at, "completion", self._data(person, course_id))

    def live_event(self, at: datetime) -> Event:
        """Something that happens at `at`, after the history."""
        course_id = self._dice.choice(list(COURSES))
        return Event(at, "completion", self._data(self._dice.choice(self._active), course_id))

    def _data(self, person: Person, course_id: str) -> dict[str, Any]:
        """Of half of all people the vendor knows only the address and its own id."""
        known = person.id % 2 == 0
        detail = {
            "id": f"ie-{person.id}",
            "firstName": person.first_name if known else None,
            "lastName": person.last_name if known else None,
            "externalCustomerId": f"idp-{person.id}" if known and person.team else None,
            "sfContactId": None,
            "sfAccountId": None,
        }
        return {
            "user": person.email,
            "notifiableId": course_id,
            "title": COURSES[course_id],
            "userDetail": detail,
            "client": "acme",
            "ref1": person.team,
            "ref2": None,
            "ref3": "",
        }


class InnovativeEducatorsWire:
    """How Innovative Educators write it. Nothing is signed: the address says who it is."""

    faults = FAULTS

    def __init__(self, company_id: str, *, foreign: bool = False) -> None:
        """`foreign` has all of it sent from an address that is not on the allowlist."""
        self._company_id = company_id
        self._foreign = foreign
        self.extras = {Fault.FORGED: self._forged, Fault.BROKEN_BODY: self._broken_body}

    def body(self, event: Event, event_id: str) -> bytes:
        """The JSON body of an event."""
        completed = {
            "source": "course_completed",
            "type": "status_change",
            "companyId": self._company_id,
            "event": "courseCompletion",
        }
        head = {"id": event_id, "timestamp": iso_millis(event.at)}
        return _json(head | (completed if event.type == "completion" else {}) | event.data)

    def genuine(self, at: datetime, event_id: str, body: bytes) -> Delivery:
        """A delivery from the vendor's address."""
        headers = {"content-type": "application/json"}
        return Delivery(at, event_id, headers, body, foreign=self._foreign)

    def forged(self, at: datetime, event_id: str, body: bytes) -> Delivery:
        """A delivery from another address."""
        return self.genuine(at, event_id, body)._replace(foreign=True)

    def _forged(self, good: Delivery, event: Event, dice: Random) -> Delivery:
        other_id = new_id(dice)
        data = event.data | {"user": "nobody@elsewhere.example", "userDetail": None}
        return self.forged(good.at, other_id, self.body(event._replace(data=data), other_id))

    def _broken_body(self, good: Delivery, event: Event, dice: Random) -> Delivery:
        other_id = new_id(dice)
        nameless = event._replace(
            type="completion", data=event.data | {"user": None, "userDetail": None}
        )
        body = spoiled(good, dice, self.body(nameless, other_id))
        return self.genuine(good.at, other_id, body)


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
