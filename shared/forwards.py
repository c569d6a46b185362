"""What can be forwarded to other systems: the types, and the bodies of their messages."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, update

from shared.audit import note
from shared.bulk import table_of
from shared.clock import now
from shared.facts import Completed, Deprovisioned, Expired, Fact, Provisioned
from shared.models import Notification
from shared.naming import Naming
from shared.queries.coaching import Item

TYPES: Mapping[str, str] = {
    "course.completed": "a course was completed",
    "certificate.expired": "a certificate expired, or will at an announced time",
    "learner.provisioned": "a learner joined, or has another role or team",
    "learner.deprovisioned": "a learner left, or will at an announced time",
    "quiz.low": "the latest graded score of a learner at a quiz is low",
    "coaching.passed": "a learner passed the quiz that they were coached at",
}
"""By name."""
OF_STANDINGS = frozenset({"quiz.low", "coaching.passed"})
"""Judged by the read models; the others are in events."""
AGAIN = ("failed", "sent", "superseded")
"""Only a forward in one of these states can be sent again: the others will be."""

notification = table_of(Notification)
Data = Mapping[str, str | float | None]


class Learner(NamedTuple):
    """An account, with its address where the vendor sends one."""

    vendor: str
    user_id: str
    email: str | None


class Happened(NamedTuple):
    """One thing to forward. `subject` and `round` name it for ever."""

    type: str
    subject: str
    round: str
    at: datetime
    learner: Learner
    data: Data

    def payload(self, naming: Naming) -> str:
        """The body, as docs/forwarding.md lists it. Without full names it has a code in place of
        ID and address."""
        named = {"code": naming.link_to(f"{self.learner.vendor}/{self.learner.user_id}")}
        if naming.how == "full":
            named = self.learner._asdict()
        body = {
            "type": self.type,
            "timestamp": _iso(self.at),
            "data": {"learner": named, **self.data},
        }
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def of_events(vendor: str, event_key: str, facts: Sequence[Fact]) -> Iterator[Happened]:
    """What of an event can be forwarded."""
    for place, fact in enumerate(facts):
        found = _of_fact(fact)
        if found is not None:
            kind, at, email, data = found
            learner = Learner(fact.vendor, fact.user_id, email)  # type: ignore[union-attr]
            yield Happened(kind, f"{vendor}/{event_key}", str(place), at, learner, data)


def _of_fact(fact: Fact) -> tuple[str, datetime, str | None, Data] | None:
    """Type, time, address and details."""
    match fact:
        case Completed():
            data = {"course_id": fact.course_id, "course": fact.course_name, "score": fact.score}
            return "course.completed", fact.completed_at, None, data
        case Expired():
            data = {
                "certificate": fact.cert_name,
                "expires_at": _iso(fact.expires_at or fact.expired_at),
                "renewal_deadline": _iso(fact.renewal_deadline),
            }
            return "certificate.expired", fact.expired_at, None, data
        case Provisioned():
            data = {"role": fact.role, "team": fact.team_id}
            return "learner.provisioned", fact.provisioned_at, fact.email, data
        case Deprovisioned():
            data = {"leaves_at": _iso(fact.leaves_at or fact.deprovisioned_at)}
            return "learner.deprovisioned", fact.deprovisioned_at, fact.email, data
    return None


def of_standing(row: Item) -> Iterator[Happened]:
    """What can be forwarded of a learner's standing at a quiz."""
    coached = row.opened_at is not None and row.opened_at < row.submitted_at
    closed = row.closed_at is not None and row.closed_at < row.submitted_at
    if row.low:
        kind = "quiz.low"
    elif row.passes and coached and not closed and row.status != "dismissed":
        kind = "coaching.passed"
    else:
        return
    yield Happened(
        kind,
        f"{row.vendor}/{row.user_id}/{row.quiz_id}",
        row.submitted_at.isoformat(),
        row.submitted_at,
        Learner(row.vendor, row.user_id, row.email),
        {
            "quiz_id": row.quiz_id,
            "quiz": row.quiz_name,
            "score_pct": row.latest_pct,
            "pass_mark_pct": row.threshold_pct,
        },
    )


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds")


def send_again(connection: Connection, actor: str, number: int) -> bool:
    """Have the notifier send a forward again, under its ID. False if it is not there, or waits
    already."""
    theirs = notification.c.id == number, notification.c.payload.is_not(None)
    again = update(notification).where(*theirs, notification.c.state.in_(AGAIN))
    values = {"state": "waiting", "attempts": 0, "next_try_at": now(connection), "sent_at": None}
    sent = notification.c
    row = connection.execute(again.values(values).returning(sent.rule, sent.channel)).first()
    if row is not None:
        note(connection, actor, "send again", f"forward {number}", f"{row.rule}, {row.channel}")
    return row is not None
