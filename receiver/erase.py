"""Erase a person: whatever the store knows of them goes, in one transaction.

What stays is what the store needs to go on being right without them: of each event a tombstone
with its key and digest, so that a redelivery is a duplicate and does not bring them back; of each
delivery that it came, when, how long it took and what was answered; and in `erased` how much of
everything there was. docs/privacy.md says what is done with each table, and why.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Table,
    and_,
    delete,
    false,
    func,
    or_,
    select,
    update,
)

from receiver.errors import EraseError
from receiver.quarantine import size_of
from receiver.readmodels.projections import READ_MODELS, fold_names
from receiver.readmodels.rebuild import facts_of, fold_anew
from receiver.replay import remove_from_totals
from receiver.traces import Account, Traces, as_compared
from shared.audit import note
from shared.bulk import table_of
from shared.database import hold_write_lock, overwrite_deleted
from shared.facts import Attempted, Fact, Progressed
from shared.models import (
    AuditLog,
    CertificateRenewal,
    CoachingCase,
    Delivery,
    Erased,
    Event,
    Learner,
    Module,
    Quarantine,
    Quiz,
    ReplayRequest,
)
from shared.outcomes import QuarantineState

T = TypeVar("T")
ID_BATCH = 500
BODY_BATCH = 50
TOMBSTONE = {"type": "erased", "company_id": None, "user_id": None, "payload": ""}

event = table_of(Event)
delivery = table_of(Delivery)
quarantine = table_of(Quarantine)
case = table_of(CoachingCase)
renewal = table_of(CertificateRenewal)
audit = table_of(AuditLog)
learner = table_of(Learner).c

FREE_TEXT = (
    (audit, ("subject", "detail")),
    (case, ("notes", "outcome")),
    (delivery, ("event_type", "reason")),
    (table_of(ReplayRequest), ("problem",)),
)
"""Where somebody or something else may mention them, beside payloads and bodies."""


class Gone(NamedTuple):
    """How many rows were erased or blotted."""

    accounts: int
    events: int
    deliveries: int
    held: int
    cases: int
    mentions: int

    def in_words(self) -> str:
        return (
            f"{self.accounts:,} accounts, {self.events:,} events, {self.deliveries:,} deliveries, "
            f"{self.held:,} kept bodies, {self.cases:,} coaching cases, "
            f"{self.mentions:,} mentions elsewhere"
        )


class AccountRow(NamedTuple):
    """One account of the person who would be erased."""

    account: Account
    email: str | None
    events: int

    def in_words(self) -> str:
        words = f"{'/'.join(self.account)}: {self.email or 'no address'}, {self.events:,} events"
        # Ids and addresses are the sender's: what is not seen may steer a terminal.
        return "".join(
            sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in words
        )


def accounts_of(
    engine: Engine, email: str | None = None, account: Account | None = None
) -> Sequence[AccountRow]:
    """The accounts that `erase_person` would remove. Changes nothing and locks nothing."""
    with engine.connect() as connection:
        accounts, _ = _person(connection, email, account)
        return [row for one in accounts if (row := _account_row(connection, one))]


def _account_row(connection: Connection, account: Account) -> AccountRow | None:
    """None for an account that the store does not know."""
    theirs = event.c.vendor == account.vendor, event.c.user_id == account.user_id
    events = connection.scalar(select(func.count()).select_from(event).where(*theirs)) or 0
    known = select(learner.email).filter_by(**account._asdict())
    row = connection.execute(known).first()
    return AccountRow(account, row.email if row else None, events) if row or events else None


def erase_person(
    engine: Engine,
    email: str | None = None,
    account: Account | None = None,
    *,
    actor: str = "command line",
    dry_run: bool = False,
) -> Gone:
    """Erase whoever has this e-mail address or this account, at every vendor where they are the
    same person. A dry run does all of it and takes it back.

    Receivers cannot write meanwhile: they answer 503, and the vendors try again.

    Raises EraseError if there is no trace of them, or if a replay has one in hand just now.
    """
    with engine.connect().execution_options(immediate=True) as connection:
        transaction = connection.begin()
        hold_write_lock(connection)
        gone = _erase(connection, email, account)
        if not any(gone):
            raise EraseError("There is no trace of that person here; nothing was changed.")
        if dry_run:
            transaction.rollback()
            return gone
        row = {"erased_at": datetime.now(UTC), "actor": actor} | gone._asdict()
        row_id = table_of(Erased).c.id
        id_ = connection.scalar(table_of(Erased).insert().values(row).returning(row_id))
        note(connection, actor, "erase", f"person {id_}", gone.in_words())
        transaction.commit()
    return gone


def clean(engine: Engine) -> bool:
    """Have the store overwrite what the erased rows leave behind. False if others were at work
    on a SQLite file and the old bytes may still be there: then do it again."""
    return overwrite_deleted(
        engine, [event, delivery, quarantine, case, renewal, audit, *map(table_of, READ_MODELS)]
    )


def _erase(connection: Connection, email: str | None, account: Account | None) -> Gone:
    accounts, address = _person(connection, email, account)
    traces = Traces(accounts, [address] if address else [])
    named = _named_by(connection, accounts)
    ids = _events(connection, accounts, traces)
    bodies = _bodies(connection, traces)
    deliveries = {*bodies, *_repeats(connection, bodies), *_deliveries(connection, ids, traces)}
    _forget_deliveries(connection, deliveries)
    _bury(connection, ids, traces)
    mentions, differ = _blot_payloads(connection, traces)
    known = _forget_read_models(connection, accounts)
    cases = _forget_cases(connection, accounts, address)
    _forget_renewals(connection, accounts)
    mentions += sum(_blot(connection, table, names, traces) for table, names in FREE_TEXT)
    if differ:
        fold_anew(connection)
    elif named:
        _restore_names(connection, named)
    return Gone(known, len(ids), len(deliveries), len(bodies), cases, mentions)


def _person(
    connection: Connection, email: str | None, account: Account | None
) -> tuple[Sequence[Account], str | None]:
    """All accounts of the person, and the address that they share if they have one. An address is
    theirs if it is equal as it is compared, never by a pattern: a neighbour's can contain it."""
    sought = as_compared(email or "")
    if account:
        person = connection.scalar(select(learner.person).filter_by(**account._asdict())) or ""
        sought = as_compared(person) if "@" in person and " " not in person else ""
    if not sought:
        return [account] if account else [], None
    query = select(learner.vendor, learner.user_id, learner.email).where(learner.email.is_not(None))
    rows = connection.execute(query, execution_options={"yield_per": ID_BATCH})
    found = {Account(row.vendor, row.user_id) for row in rows if as_compared(row.email) == sought}
    return sorted(found | ({account} if account else set())), sought


def _is_of(row: Any, accounts: Sequence[Account]) -> ColumnElement[bool]:
    whose = (and_(row.vendor == one.vendor, row.user_id == one.user_id) for one in accounts)
    return or_(false(), *whose)


NAMED = ((table_of(Module), "module_id", Progressed), (table_of(Quiz), "quiz_id", Attempted))


class Named(NamedTuple):
    """A module or quiz, and the kind of fact that names it."""

    kind: type[Fact]
    vendor: str
    id: str


def _named_by(connection: Connection, accounts: Sequence[Account]) -> Sequence[Named]:
    """The modules and quizzes that have their name from them: without their events another event's
    name holds again, or none."""
    return [
        Named(kind, *row)
        for table, id_, kind in NAMED
        for row in connection.execute(
            select(table.c.vendor, table.c[id_]).distinct()
            .join(event, and_(table.c.vendor == event.c.vendor,
                              table.c.named_at.in_([event.c.occurred_at, event.c.received_at])))
            .where(_is_of(event.c, accounts))
        )
    ]  # fmt: skip


def _restore_names(connection: Connection, named: Sequence[Named]) -> None:
    """Name them as the events say that are left."""
    for table, id_, kind in NAMED:
        for one in named:
            if one.kind is kind:
                same = and_(table.c.vendor == one.vendor, table.c[id_] == one.id)
                connection.execute(delete(table).where(same))
    row = event.c
    when = (row.occurred_at, row.received_at)
    columns = (row.id, row.vendor, row.event_key, row.type, *when, row.payload)
    for some in _some(named):
        names_one = or_(
            row.payload.contains("\\", autoescape=True),  # an escape can spell any id
            *(row.payload.contains(id_, autoescape=True) for id_ in {one.id for one in some}),
        )
        query = select(*columns).where(row.vendor.in_({one.vendor for one in some}), names_one)
        found = connection.execute(query, execution_options={"yield_per": ID_BATCH})
        for part in found.partitions():
            facts = [fact for one in part for fact in facts_of(one)]
            fold_names(connection, [fact for fact in facts if _named(fact) in some])


def _named(fact: Fact) -> Named | None:
    if isinstance(fact, Progressed):
        return Named(Progressed, fact.vendor, fact.module_id)
    if isinstance(fact, Attempted):
        return Named(Attempted, fact.vendor, fact.quiz_id)
    return None


def _may_mention(column: Any, traces: Traces) -> ColumnElement[bool]:
    """Whether it is worth a look: an escape in JSON can spell any sign."""
    words = (func.lower(column).contains(needle) for needle in traces.needles)
    return or_(column.contains("\\", autoescape=True), *words)


def _events(connection: Connection, accounts: Sequence[Account], traces: Traces) -> list[int]:
    """The ids of their events, and of those that name no learner but mention them."""
    theirs = select(event.c.id).where(_is_of(event.c, accounts))
    nobodys = select(event.c.id, event.c.vendor, event.c.payload).where(
        event.c.user_id.is_(None), event.c.payload != "", _may_mention(event.c.payload, traces)
    )
    about_them = (
        row.id
        for row in connection.execute(nobodys, execution_options={"yield_per": ID_BATCH})
        if traces.in_body(row.vendor, row.payload.encode())
    )
    return [*connection.scalars(theirs), *about_them]


def _bodies(connection: Connection, traces: Traces) -> list[int]:
    """Remove what is kept of refused deliveries that mention them; their delivery ids. A body is
    signed as it is, so nothing of it can stay."""
    found = [
        row.delivery_id
        for row in _kept(connection)
        if traces.in_body(row.vendor, row.body) or traces.in_body(row.vendor, row.headers.encode())
    ]
    for ids in _some(found):
        mine = quarantine.c.delivery_id.in_(ids)
        columns = (
            quarantine.c.vendor,
            quarantine.c.kind,
            quarantine.c.state,
            size_of(quarantine.c).label("size"),
        )
        locked = select(*columns).where(mine).with_for_update(skip_locked=True)
        rows = connection.execute(locked).all()
        if len(rows) < len(ids):  # to wait for a replay, which waits for us, would never end
            raise EraseError("A replay has a delivery of theirs in hand just now: try again.")
        connection.execute(delete(quarantine).where(mine))
        still = (row for row in rows if row.state == QuarantineState.QUARANTINED)
        remove_from_totals(connection, [(row.vendor, row.kind, row.size) for row in still])
    return found


def _repeats(connection: Connection, bodies: Sequence[int]) -> Iterator[int]:
    """The deliveries that brought one of these bodies again."""
    for ids in _some(bodies):
        yield from connection.scalars(select(delivery.c.id).where(delivery.c.held_as.in_(ids)))


def _kept(connection: Connection) -> Iterator[Any]:
    query = select(
        quarantine.c.delivery_id, quarantine.c.vendor, quarantine.c.headers, quarantine.c.body
    )
    query = query.order_by(quarantine.c.delivery_id).limit(BODY_BATCH)
    last = 0
    while rows := connection.execute(query.where(quarantine.c.delivery_id > last)).all():
        yield from rows
        last = rows[-1].delivery_id


def _deliveries(connection: Connection, events: Sequence[int], traces: Traces) -> Iterator[int]:
    """The ids of the deliveries of these events, and of those whose key names the person."""
    same = and_(event.c.vendor == delivery.c.vendor, event.c.event_key == delivery.c.event_key)
    for ids in _some(events):
        of_them = select(delivery.c.id).join(event, same).where(event.c.id.in_(ids))
        yield from connection.scalars(of_them)
    named = select(delivery.c.id, delivery.c.vendor, delivery.c.event_key).where(
        _may_mention(delivery.c.event_key, traces)
    )
    for row in connection.execute(named).all():
        if traces.in_key(row.vendor, row.event_key):
            yield row.id


def _forget_deliveries(connection: Connection, found: set[int]) -> None:
    """That they came stays, for the counts. The key names the event to whoever may ask the vendor;
    the address may be that of the person's own machine, as most of these are nobody's for sure."""
    for ids in _some(sorted(found)):
        forgotten = update(delivery).where(delivery.c.id.in_(ids))
        connection.execute(forgotten.values(event_key=None, remote_ip=None))


def _bury(connection: Connection, events: Sequence[int], traces: Traces) -> None:
    """Leave tombstones. A key that is made from the user id goes too: such a vendor sends the same
    bytes again, so that the digest is enough."""
    row = event.c
    for ids in _some(events):
        mine = row.id.in_(ids)
        keys = select(row.id, row.vendor, row.event_key, row.digest).where(mine)
        for one in connection.execute(keys).all():
            if traces.in_key(one.vendor, one.event_key):
                buried = update(event).where(row.id == one.id)
                connection.execute(buried.values(event_key=f"erased:{one.digest}"))
        connection.execute(
            update(event).where(mine).values(TOMBSTONE | {"occurred_at": row.received_at})
        )


def _blot_payloads(connection: Connection, traces: Traces) -> tuple[int, bool]:
    """Blot mentions out of other people's events: how many, and if any of them now says another
    thing, as that a module has another name."""
    row = event.c
    columns = (row.id, row.vendor, row.event_key, row.type, row.occurred_at, row.received_at,
               row.payload)  # fmt: skip
    query = select(*columns).where(row.payload != "", _may_mention(row.payload, traces))
    found = connection.execute(query, execution_options={"yield_per": ID_BATCH})
    changed = [
        (one, payload)
        for one in found
        if (payload := traces.blotted(one.vendor, one.payload)) != one.payload
    ]
    differ = False
    for one, payload in changed:
        connection.execute(update(event).where(row.id == one.id).values(payload=payload))
        now = connection.execute(select(*columns).where(row.id == one.id)).one()
        differ = differ or facts_of(now) != facts_of(one)
    return len(changed), differ


def _forget_read_models(connection: Connection, accounts: Sequence[Account]) -> int:
    """How many accounts were known."""
    gone = {
        table.name: connection.execute(delete(table).where(_is_of(table.c, accounts))).rowcount
        for table in map(table_of, READ_MODELS)
        if "user_id" in table.c
    }
    return gone[table_of(Learner).name]


def _forget_cases(connection: Connection, accounts: Sequence[Account], address: str | None) -> int:
    """Remove their coaching, and what the audit log quotes of it; the cases of others that they
    look after are nobody's. That somebody did something, and who, the audit log keeps."""
    ids = connection.scalars(select(case.c.id).where(_is_of(case.c, accounts))).all()
    for some in _some(ids):
        subjects = [f"case {id_}" for id_ in some]
        connection.execute(update(audit).where(audit.c.subject.in_(subjects)).values(detail=None))
        connection.execute(delete(case).where(case.c.id.in_(some)))
    if address:
        owned = update(case).where(func.lower(case.c.owner) == address)
        connection.execute(owned.values(owner=None, version=case.c.version + 1))
    return len(ids)


def _forget_renewals(connection: Connection, accounts: Sequence[Account]) -> None:
    """Remove the marks on their certificates, and what the audit log quotes of them."""
    ids = connection.scalars(select(renewal.c.id).where(_is_of(renewal.c, accounts))).all()
    for some in _some(ids):
        subjects = [f"renewal {id_}" for id_ in some]
        connection.execute(update(audit).where(audit.c.subject.in_(subjects)).values(detail=None))
        connection.execute(delete(renewal).where(renewal.c.id.in_(some)))


def _blot(connection: Connection, table: Table, names: Sequence[str], traces: Traces) -> int:
    """Blot addresses out of free text: how many rows had one."""
    columns = [table.c[name] for name in names]
    query = select(table.c.id, *columns).where(or_(*(_may_mention(one, traces) for one in columns)))
    count = 0
    for row in connection.execute(query).all():
        old = {name: getattr(row, name) for name in names}
        new = {name: text and traces.without(text) for name, text in old.items()}
        if new != old:
            connection.execute(update(table).where(table.c.id == row.id).values(new))
            count += 1
    return count


def _some(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    return (rows[at : at + ID_BATCH] for at in range(0, len(rows), ID_BATCH))
