"""A person's events become tombstones; mentions in those of other people are replaced."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, and_, delete, or_, select, update

from receiver.erase.person import ID_BATCH, batches, is_of
from receiver.readmodels.events import StoredEvent, facts_of
from receiver.readmodels.projections import fold_names
from receiver.traces import Account, Traces
from shared.bulk import table_of
from shared.facts import Attempted, Fact, Progressed
from shared.models import Activity, Event, Module, Quiz
from shared.queries import rows_of

TOMBSTONE = {"type": "erased", "company_id": None, "user_id": None, "payload": ""}
NAMED = ((table_of(Module), "module_id", Progressed), (table_of(Quiz), "quiz_id", Attempted))

event = table_of(Event)
activity = table_of(Activity)


class Named(NamedTuple):
    """A module or quiz, and the kind of fact that names it."""

    kind: type[Fact]
    vendor: str
    id: str


def named_by(connection: Connection, accounts: Sequence[Account]) -> Sequence[Named]:
    """The modules and quizzes whose name comes from their events. Without these events the name of
    another event applies, or none."""
    return [
        Named(kind, *row)
        for table, id_, kind in NAMED
        for row in connection.execute(
            select(table.c.vendor, table.c[id_]).distinct()
            .join(event, and_(table.c.vendor == event.c.vendor,
                              table.c.named_at.in_([event.c.occurred_at, event.c.received_at])))
            .where(is_of(event.c, accounts))
        )
    ]  # fmt: skip


def restore_names(connection: Connection, named: Sequence[Named]) -> None:
    """Name modules and quizzes from the remaining events."""
    for table, id_, kind in NAMED:
        for one in named:
            if one.kind is kind:
                same = and_(table.c.vendor == one.vendor, table.c[id_] == one.id)
                connection.execute(delete(table).where(same))
    row = event.c
    columns = [row[name] for name in StoredEvent._fields]
    for some in batches(named):
        names_one = or_(
            row.payload.contains("\\", autoescape=True),  # an escape can spell any ID
            *(row.payload.contains(id_, autoescape=True) for id_ in {one.id for one in some}),
        )
        query = select(*columns).where(row.vendor.in_({one.vendor for one in some}), names_one)
        found = connection.execute(query, execution_options={"yield_per": ID_BATCH})
        for part in found.partitions():
            facts = [fact for one in part for fact in facts_of(StoredEvent._make(one))]
            fold_names(connection, [fact for fact in facts if _named(fact) in some])


def _named(fact: Fact) -> Named | None:
    if isinstance(fact, Progressed):
        return Named(Progressed, fact.vendor, fact.module_id)
    if isinstance(fact, Attempted):
        return Named(Attempted, fact.vendor, fact.quiz_id)
    return None


def events_of(connection: Connection, accounts: Sequence[Account]) -> Sequence[int]:
    """The IDs of their events."""
    return connection.scalars(select(event.c.id).where(is_of(event.c, accounts))).all()


def forget_activity(connection: Connection, events: Sequence[int]) -> None:
    """Remove what these events say that the person did. Rows of before name them in a spelling of
    their own, so the address alone does not find them."""
    row = activity.c
    same = and_(event.c.vendor == row.vendor, event.c.event_key == row.event_key)
    for ids in batches(events):
        theirs = select(event.c.id).where(same, event.c.id.in_(ids)).exists()
        connection.execute(delete(activity).where(theirs))


def bury(connection: Connection, events: Sequence[int], traces: Traces) -> None:
    """Leave tombstones. A key made from the user ID goes too: such a vendor repeats the same bytes,
    so the digest is enough."""
    row = event.c
    for ids in batches(events):
        mine = row.id.in_(ids)
        keys = select(row.id, row.vendor, row.event_key, row.digest).where(mine)
        for one in connection.execute(keys).all():
            if traces.in_key(one.vendor, one.event_key):
                buried = update(event).where(row.id == one.id)
                connection.execute(buried.values(event_key=f"erased:{one.digest}"))
        connection.execute(
            update(event).where(mine).values(TOMBSTONE | {"occurred_at": row.received_at})
        )


def replace_in_payloads(
    connection: Connection, events: Sequence[int], traces: Traces
) -> tuple[int, bool]:
    """Replace mentions in those of these events that are another person's. Returns how many, and
    whether a fact of one has changed, such as the name of a module."""
    row = event.c
    columns = [row[name] for name in StoredEvent._fields]
    changed, differ = 0, False
    for ids in batches(events):
        query = select(*columns).where(row.id.in_(ids), row.payload != "")
        for one in rows_of(StoredEvent, connection.execute(query)):
            new = one._replace(payload=traces.replaced(one.vendor, one.payload))
            if new == one:
                continue
            connection.execute(update(event).where(row.id == one.id).values(payload=new.payload))
            changed += 1
            differ = differ or facts_of(new) != facts_of(one)
    return changed, differ
