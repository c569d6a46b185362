"""Renewals of certificates by hand, by a course and by a later expiry. The figures are worked out a
second time, slowly and from raw payloads."""

import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from receiver.pipeline import judge
from receiver.readmodels.rebuild import rebuild
from receiver.store import write_batch
from receiver.vendors.base import Incoming
from receiver.vendors.mindtickle import MindTickle
from shared.certificates import Expiry, mark_renewed, undo_renewal
from shared.database import write_transaction
from shared.models import AuditLog, CertificateRenewal, Event
from shared.queries import certifications, learner
from shared.queries.people import Who
from tests import playing, stores
from tests.shared.tables import V

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
SOON = 30 * DAY
ALL = Who()
VENDOR = MindTickle([playing.SECRET.encode()], None, past=10**9, future=300)


def send(store: Engine, event_type: str, data: dict[str, Any]) -> None:
    """Store an event as the receiver does."""
    body = playing.body_of(event_type, data)
    headers = playing.signed(body, NOW, playing.new_id(), playing.SECRET)
    encoded = {name: value.encode() for name, value in headers.items()}
    entry = judge(VENDOR, Incoming(encoded, body, "192.0.2.7", NOW))
    with write_transaction(store) as connection:
        write_batch(connection, [entry])


def join(store: Engine, user: str, email: str | None = None, team: str = "west") -> None:
    send(store, "user.provisioned", {"userId": user, "email": email or f"{user}@x.com",
                                     "role": "rep", "teamId": team})  # fmt: skip


def expire(store: Engine, user: str, name: str, at: datetime, deadline: datetime | None) -> None:
    data = {"userId": user, "certName": name, "expiredAt": at.isoformat()}
    more = {"renewalDeadline": deadline.isoformat()} if deadline else {}
    send(store, "certification.expired", data | more)


def complete(store: Engine, user: str, name: str, at: datetime) -> None:
    send(store, "course.completed", {"userId": user, "courseId": f"c-{name}", "courseName": name,
                                     "score": 80, "completedAt": at.isoformat()})  # fmt: skip


def mark(store: Engine, user: str, name: str, at: datetime) -> bool:
    with store.begin() as connection:
        return mark_renewed(connection, "lea@x.com", Expiry(V, user, name, at))


def states(store: Engine) -> dict[tuple[str, str], str]:
    with store.connect() as connection:
        rows = [
            *certifications.certificates(connection, ALL, NOW),
            *certifications.certificates(connection, ALL, NOW, renewed=True),
        ]
    return {(row.user_id, row.cert_name): row.state for row in rows}


def test_a_certificate_that_is_marked_leaves_the_counts_and_names_who_marked_it(
    store: Engine,
) -> None:
    join(store, "ann")
    expire(store, "ann", "Expert", NOW - 9 * DAY, NOW - DAY)
    assert mark(store, "ann", "Expert", NOW - 9 * DAY)
    with store.connect() as connection:
        counts = certifications.totals(connection, ALL, NOW)
        (row,) = certifications.certificates(connection, ALL, NOW, renewed=True)
        assert not certifications.certificates(connection, ALL, NOW)
        assert learner.summary(connection, "ann@x.com", 70, NOW).overdue == 0
    assert (counts.overdue, counts.expired, counts.renewed, counts.people) == (0, 0, 1, 0)
    assert (row.renewed_by, row.renewal_id) == ("lea@x.com", 1)
    entry = stores.row(store, AuditLog)
    assert (entry.actor, entry.action, entry.subject) == ("lea@x.com", "mark renewed", "renewal 1")
    assert "ann" not in entry.detail


def test_a_mark_can_be_undone_once_and_both_are_in_the_audit_log(store: Engine) -> None:
    join(store, "ann")
    expire(store, "ann", "Expert", NOW - 9 * DAY, NOW - DAY)
    mark(store, "ann", "Expert", NOW - 9 * DAY)
    with store.begin() as connection:
        assert undo_renewal(connection, "max@x.com", 1)
        assert not undo_renewal(connection, "max@x.com", 1)
    assert states(store) == {("ann", "Expert"): "overdue"}
    assert [(one.actor, one.action) for one in stores.rows(store, AuditLog)] == [
        ("lea@x.com", "mark renewed"),
        ("max@x.com", "undo renewal"),
    ]
    assert mark(store, "ann", "Expert", NOW - 9 * DAY)  # again, after a mistake


def test_a_certificate_is_marked_once_and_only_at_the_expiry_that_was_seen(store: Engine) -> None:
    join(store, "ann")
    expire(store, "ann", "Expert", NOW - 9 * DAY, NOW - DAY)
    assert not mark(store, "ann", "Expert", NOW - 8 * DAY)
    assert not mark(store, "ann", "Other", NOW - 9 * DAY)
    assert mark(store, "ann", "Expert", NOW - 9 * DAY)
    assert not mark(store, "ann", "Expert", NOW - 9 * DAY)
    assert stores.count(store, CertificateRenewal) == 1


def test_a_later_expiry_counts_again_after_a_mark(store: Engine) -> None:
    join(store, "ann")
    expire(store, "ann", "Expert", NOW - 400 * DAY, None)
    mark(store, "ann", "Expert", NOW - 400 * DAY)
    expire(store, "ann", "Expert", NOW - 9 * DAY, NOW - DAY)
    assert states(store) == {("ann", "Expert"): "overdue"}


@pytest.mark.parametrize(
    ("days", "state"), [(5, "expires soon"), (29, "expires soon"), (31, "valid")]
)
def test_an_announced_expiry_replaces_the_earlier_one_and_is_not_expired(
    store: Engine, days: int, state: str
) -> None:
    join(store, "ann")
    expire(store, "ann", "Expert", NOW - 9 * DAY, NOW - DAY)
    expire(store, "ann", "Expert", NOW + days * DAY, None)
    assert states(store) == {("ann", "Expert"): state}
    with store.connect() as connection:
        counts = certifications.totals(connection, ALL, NOW)
    assert (counts.overdue, counts.expired, counts.people) == (0, 0, 0)
    assert (counts.expires_soon, counts.valid) == ((1, 0) if state == "expires soon" else (0, 1))


@pytest.mark.parametrize(
    ("user", "course", "days", "state"),
    [
        ("ann", "EXPERT ", 1, "renewed"),
        ("ann", "expert", -1, "overdue"),  # before the expiry
        ("ann", "Expert", 0, "overdue"),  # at the expiry
        ("ann", "Expert 2", 1, "overdue"),
        ("bob", "Expert", 1, "overdue"),
        ("ann-2", "Expert", 1, "renewed"),  # the same person by another account
    ],
)
def test_a_course_of_the_same_name_renews_after_the_expiry(
    store: Engine, user: str, course: str, days: int, state: str
) -> None:
    join(store, "ann")
    join(store, "ann-2", "Ann@x.com")
    join(store, "bob")
    expire(store, "ann", "Expert", NOW - 9 * DAY, NOW - DAY)
    complete(store, user, course, NOW - 9 * DAY + days * DAY)
    assert states(store) == {("ann", "Expert"): state}


def reference(store: Engine) -> Counter[str]:
    """States by reading every payload and mark, one after the other."""
    events = [(one.received_at, one.type, json.loads(one.payload)["data"])
              for one in stores.rows(store, Event)]  # fmt: skip
    people = {data["userId"]: data["email"].lower() for _, kind, data in events
              if kind == "user.provisioned"}  # fmt: skip
    latest: dict[tuple[str, str], tuple[datetime, Any]] = {}
    for received_at, kind, data in events:
        if kind == "certification.expired":
            at = datetime.fromisoformat(data["expiredAt"])
            known = min(at, received_at)
            key = (data["userId"], data["certName"])
            if key not in latest or known > latest[key][0]:
                latest[key] = (known, data)
    renewals = stores.rows(store, CertificateRenewal, undone_at=None)
    marks = {(one.user_id, one.cert_name, one.expired_at) for one in renewals}
    found: Counter[str] = Counter()
    for (user, name), (_, data) in latest.items():
        at = datetime.fromisoformat(data["expiredAt"])
        by_course = any(
            kind == "course.completed"
            and people[one["userId"]] == people[user]
            and one["courseName"].strip().casefold() == name.strip().casefold()
            and datetime.fromisoformat(one["completedAt"]) > at
            for _, kind, one in events
        )
        deadline = data.get("renewalDeadline")
        left = datetime.fromisoformat(deadline) - NOW if deadline else 1000 * DAY
        if by_course or (user, name, at) in marks:
            found["renewed"] += 1
        elif at > NOW:
            found["expires_soon" if at - NOW <= SOON else "valid"] += 1
        else:
            found["expired"] += 1
            found["overdue"] += left < timedelta(0)
            found["due_soon"] += timedelta(0) <= left < SOON
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_counts_are_those_of_raw_payloads(store: Engine, seed: int) -> None:
    dice = random.Random(seed)
    users = [f"u-{number}" for number in range(8)]
    for number, user in enumerate(users):
        join(store, user, f"p-{number // 2}@x.com", dice.choice(["west", "east"]))
    for _ in range(25):
        user, name = dice.choice(users), dice.choice(["Expert", "expert", "Basics"])
        at = NOW + dice.randint(-90, -1) * DAY
        expire(store, user, name, at, at + dice.randint(1, 200) * DAY)
        complete(store, dice.choice(users), dice.choice(["EXPERT", "Basics", "Other"]),
                 NOW - dice.randint(0, 80) * DAY)  # fmt: skip
    for user in users[:3]:
        expire(store, user, "Expert", NOW + dice.randint(1, 60) * DAY, None)
    with store.connect() as connection:
        rows = certifications.certificates(connection, ALL, NOW)
    for row in rows[::4]:
        assert mark(store, row.user_id, row.cert_name, row.expired_at)
    rebuild(store)  # a mark is no read model: it stays
    with store.connect() as connection:
        counts = certifications.totals(connection, ALL, NOW)._asdict()
        teams = [row._asdict() for row in certifications.by_team(connection, ALL, NOW)]
    del counts["people"]
    assert counts == {name: reference(store)[name] for name in counts}
    for name, count in counts.items():
        assert sum(team[name] for team in teams) == count
