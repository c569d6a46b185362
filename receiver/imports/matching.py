"""Which events of an export the store has, and where the two differ."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import isclose
from typing import NamedTuple

from sqlalchemy import Column, Connection, and_, select

from receiver.imports.rows import Item, natures
from receiver.readmodels.events import StoredEvent, facts_of
from shared.bulk import encode, given, table_of
from shared.facts import Attempted, Fact, Identified, Provisioned
from shared.models import Event, UtcDateTime, Words
from shared.queries import rows_of

event = table_of(Event).c
STORED = [event[name] for name in StoredEvent._fields]
NOT_COMPARED = {"vendor", "event_key", "person", "graded", "provisioned_at", "deprovisioned_at",
                "identified_at", "updated_at", "submitted_at", "completed_at", "expired_at",
                "happened_at"}  # fmt: skip
"""Times of facts are that of the event, which is compared once."""


class Difference(NamedTuple):
    """A field with another value in the export than in the store, both as text."""

    field: str
    theirs: str
    ours: str


class Matching(NamedTuple):
    """How events of one vendor are matched. `timed_by_signing` are types whose stored time is that
    of the delivery."""

    vendor: str
    by_nature: bool
    """Also by learner, thing and time: the export has no ID of the vendor's own."""
    within: timedelta
    timed_by_signing: Sequence[str] = ()

    def stored(self, connection: Connection, items: Sequence[Item]) -> Mapping[str, StoredEvent]:
        """The stored events of these items, by the key of the item."""
        found = {one.event_key: one for one in self._by(connection, "event_key", items)}
        rest = [one for one in items if one.key not in found]
        if self.by_nature and rest:
            found |= self._by_nature(connection, rest)
            rest = [one for one in rest if one.key not in found]
        if rest:  # an erased event may have lost its key, never its digest
            by_digest = {one.digest: one for one in rest}
            digests = select(event.digest, *STORED).where(
                event.vendor == self.vendor, event.digest.in_(by_digest)
            )
            for digest, *row in connection.execute(digests):
                found[by_digest[digest].key] = StoredEvent(*row)
        return found

    def _by(
        self, connection: Connection, column: str, items: Sequence[Item]
    ) -> Sequence[StoredEvent]:
        keys = [one.key for one in items]
        query = select(*STORED).where(event.vendor == self.vendor, event[column].in_(keys))
        return rows_of(StoredEvent, connection.execute(query))

    def _by_nature(self, connection: Connection, items: Sequence[Item]) -> dict[str, StoredEvent]:
        near = self._near(connection, items)
        found = {}
        for item in items:
            wanted = set(natures(item.facts))
            same = [one for one in near[item.user_id or ""] if self._fits(item, one)
                    and wanted & set(natures(facts_of(one)))]  # fmt: skip
            if same:
                found[item.key] = min(same, key=lambda one: abs(one.occurred_at - item.at))
        return found

    def _near(
        self, connection: Connection, items: Sequence[Item]
    ) -> Mapping[str, Sequence[StoredEvent]]:
        """The events of these learners about these times, by learner."""
        asked = given(
            connection.dialect.name,
            [Column("user_id", Words), Column("begin", UtcDateTime), Column("end", UtcDateTime)],
        ).subquery("asked")
        query = (
            select(event.user_id.label("whose"), *STORED)
            .join_from(
                asked,
                table_of(Event),
                and_(
                    event.vendor == self.vendor,
                    event.user_id == asked.c.user_id,
                    event.occurred_at >= asked.c.begin,
                    event.occurred_at < asked.c.end,
                ),
            )
            .distinct()
        )
        spans = [(one.user_id, *self._span(one)) for one in items if one.user_id]
        near = defaultdict(list)
        for whose, *row in connection.execute(query, {"rows": encode(spans)}):
            near[whose].append(StoredEvent(*row))
        return near

    def _span(self, item: Item) -> tuple[datetime, datetime]:
        """When the event of an item was, by its precision and the tolerance."""
        return item.at - self.within, item.at + item.precision + self.within

    def _fits(self, item: Item, stored: StoredEvent) -> bool:
        begin, end = self._span(item)
        return begin <= stored.occurred_at < end

    def differences(self, item: Item, stored: StoredEvent) -> Sequence[Difference]:
        """Where an item and its stored event differ. Nothing is known of an erased one."""
        if not stored.payload:
            return ()
        found = []
        if stored.type != item.type:
            found.append(Difference("type", item.type, stored.type))
        if not self._fits(item, stored) and stored.type not in self.timed_by_signing:
            times = (item.at.isoformat(), stored.occurred_at.isoformat())
            found.append(Difference("time", *times))
        return [*found, *_of_facts(item.facts, facts_of(stored))]


def _of_facts(theirs: Sequence[Fact], ours: Sequence[Fact]) -> Iterator[Difference]:
    by_kind = {type(one): one for one in ours}
    for one in theirs:
        kind = type(one).__name__.lower()
        other = by_kind.get(type(one))
        if other is not None:
            yield from _of_fact(kind, one, other)
        elif not isinstance(one, Identified | Provisioned):
            yield Difference(kind, "is in the export", "not in the event")


def _of_fact(kind: str, theirs: Fact, ours: Fact) -> Iterator[Difference]:
    """Only what the export says: it may have fewer columns than an event has fields."""
    mine, own = _compared(theirs), _compared(ours)
    if "score_pct" in mine and "score_pct" in own and mine["max_score"] != own["max_score"]:
        for name in ("score", "max_score"):  # 70 of 100 is 7 of 10
            mine.pop(name)
    else:
        mine.pop("score_pct", None)
    for name, value in mine.items():
        if value is not None and not _equal(value, own.get(name)):
            yield Difference(f"{kind}.{name}", str(value), str(own.get(name)))


def _compared(fact: Fact) -> dict[str, object]:
    values = {name: one for name, one in fact._asdict().items() if name not in NOT_COMPARED}
    if isinstance(fact, Attempted) and fact.score is not None and fact.max_score:
        values["score_pct"] = round(100 * fact.score / fact.max_score, 2)
    return values


def _equal(one: object, other: object) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return isclose(one, other, rel_tol=1e-4, abs_tol=1e-6)
    return one == other
