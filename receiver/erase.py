"""Erase a person: remove everything that the store knows about them, in one transaction.

Three things stay. Of each event a tombstone with its key and digest, so that a redelivery is a
duplicate and does not bring the person back. Of each delivery its time, duration and response. In
`erased` the number of rows. docs/privacy.md lists what happens to each table, and why.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

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

from receiver import quarantine
from receiver.errors import EraseError
from receiver.readmodels import teams
from receiver.readmodels.events import StoredEvent, facts_of
from receiver.readmodels.follower import fold_rest
from receiver.readmodels.projections import READ_MODELS, fold_names
from receiver.readmodels.rebuild import discard_unfinished, fold_all
from receiver.traces import Account, Traces, as_compared
from shared.audit import note
from shared.bulk import Columns, table_of
from shared.database import hold_write_lock, overwrite_deleted
from shared.facts import Acted, Attempted, Fact, Progressed
from shared.models import (
    Activity,
    AuditLog,
    CertificateRenewal,
    CoachingCase,
    Contest,
    ContestResult,
    Delivery,
    Erased,
    Event,
    FieldHourly,
    ImportFinding,
    ImportRun,
    Learner,
    Module,
    Notification,
    Quarantine,
    Quiz,
    ReplayRequest,
    Subscription,
    UnknownAddress,
)
from shared.queries import rows_of

T = TypeVar("T")
ID_BATCH = 500
BODY_BATCH = 50
TOMBSTONE = {"type": "erased", "company_id": None, "user_id": None, "payload": ""}

event = table_of(Event)
delivery = table_of(Delivery)
body = table_of(Quarantine)
case = table_of(CoachingCase)
renewal = table_of(CertificateRenewal)
places = table_of(ContestResult)
contest = table_of(Contest)
unknown = table_of(UnknownAddress)
message = table_of(Notification)
subscription = table_of(Subscription)
audit = table_of(AuditLog)
finding = table_of(ImportFinding)
field = table_of(FieldHourly)
learner = table_of(Learner).c
activity = table_of(Activity)

FREE_TEXT = (
    (audit, ("subject", "detail")),
    (case, ("notes", "outcome")),
    (delivery, ("event_type", "reason")),
    (table_of(ReplayRequest), ("problem",)),
    (contest, ("name",)),
    (unknown, ("latest_path",)),
    (table_of(ImportRun), ("file_name",)),
)
"""Columns that may mention a person, besides payloads and bodies."""


class Gone(NamedTuple):
    """Numbers of erased and changed rows. The names are the columns of `erased`."""

    accounts: int
    events: int
    deliveries: int
    held: int
    cases: int
    mentions: int

    def in_words(self) -> str:
        return (
            f"{self.accounts:,} accounts, {self.events:,} events, {self.deliveries:,} deliveries, "
            f"{self.held:,} quarantined bodies, {self.cases:,} coaching cases, "
            f"{self.mentions:,} mentions elsewhere"
        )


class AccountRow(NamedTuple):
    """One account of the person."""

    account: Account
    email: str | None
    events: int

    def in_words(self) -> str:
        words = f"{'/'.join(self.account)}: {self.email or 'no address'}, {self.events:,} events"
        # IDs and addresses come from a sender: invisible characters could control a terminal.
        return "".join(
            sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in words
        )


def accounts_of(
    engine: Engine, email: str | None = None, account: Account | None = None
) -> Sequence[AccountRow]:
    """The accounts that `erase_person` removes. Changes nothing and locks nothing."""
    with engine.connect() as connection:
        accounts, _ = _person(connection, email, account)
        return [row for one in accounts if (row := _account_row(connection, one))]


def _account_row(connection: Connection, account: Account) -> AccountRow | None:
    """None if the store does not know the account."""
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
    """Erase the person with this email address or account, at every vendor. A dry run does the same
    and rolls back.

    Events that the read models do not have yet are folded first, as an address may be in one of
    them. On Postgres receivers go on. On SQLite they cannot write meanwhile: after a few seconds
    they answer 503, and vendors retry.

    Raises EraseError if the store does not know the person, or if a replay has locked one of their
    deliveries.
    """
    with engine.connect().execution_options(immediate=True) as connection:
        transaction = connection.begin()
        hold_write_lock(connection)
        fold_rest(connection)
        gone = _erase(connection, email, account)
        if not any(gone):
            raise EraseError("The store does not know this person. Nothing was changed.")
        if dry_run:
            transaction.rollback()
            return gone
        row = {"erased_at": datetime.now(UTC), "actor": actor} | gone._asdict()
        row_id = table_of(Erased).c.id
        id_ = connection.scalar(table_of(Erased).insert().values(row).returning(row_id))
        note(connection, actor, "erase", f"person {id_}", gone.in_words())
        discard_unfinished(connection)
        transaction.commit()
    return gone


def clean(engine: Engine) -> bool:
    """Have the store overwrite the bytes of erased rows. False if another process used a SQLite
    file and old bytes may remain: repeat it then."""
    tables = [
        event,
        delivery,
        body,
        case,
        renewal,
        places,
        contest,
        unknown,
        message,
        subscription,
        audit,
        finding,
        field,
        *map(table_of, READ_MODELS),
    ]
    return overwrite_deleted(engine, tables)


def _erase(connection: Connection, email: str | None, account: Account | None) -> Gone:
    accounts, address = _person(connection, email, account)
    traces = Traces(accounts, [address] if address else [])
    named = _named_by(connection, accounts)
    ids = _events(connection, accounts, traces)
    bodies = _bodies(connection, traces)
    deliveries = {*bodies, *_repeats(connection, bodies), *_deliveries(connection, ids, traces)}
    _forget_deliveries(connection, deliveries)
    _forget_activity(connection, ids)
    _bury(connection, ids, traces)
    mentions, differ = _replace_in_payloads(connection, traces)
    known = _forget_read_models(connection, accounts, address)
    cases = _forget_cases(connection, accounts, address)
    _forget_audited(connection, renewal, "renewal", accounts)
    _forget_places(connection, accounts)
    _forget_messages(connection, accounts, address)
    _forget_findings(connection, accounts, traces)
    _forget_fields(connection, traces)
    mentions += sum(
        _replace_in_text(connection, table, names, traces) for table, names in FREE_TEXT
    )
    if differ:
        fold_all(connection)
    elif named:
        _restore_names(connection, named)
    return Gone(known, len(ids), len(deliveries), len(bodies), cases, mentions)


def _person(
    connection: Connection, email: str | None, account: Account | None
) -> tuple[Sequence[Account], str | None]:
    """All accounts of the person, and their shared address if they have one. Addresses are compared
    as a whole, never by pattern: another person's address can contain it."""
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


def _is_of(row: Columns, accounts: Sequence[Account]) -> ColumnElement[bool]:
    whose = (and_(row.vendor == one.vendor, row.user_id == one.user_id) for one in accounts)
    return or_(false(), *whose)


NAMED = ((table_of(Module), "module_id", Progressed), (table_of(Quiz), "quiz_id", Attempted))


class Named(NamedTuple):
    """A module or quiz, and the kind of fact that names it."""

    kind: type[Fact]
    vendor: str
    id: str


def _named_by(connection: Connection, accounts: Sequence[Account]) -> Sequence[Named]:
    """The modules and quizzes whose name comes from their events. Without these events the name of
    another event applies, or none."""
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
    """Name modules and quizzes from the remaining events."""
    for table, id_, kind in NAMED:
        for one in named:
            if one.kind is kind:
                same = and_(table.c.vendor == one.vendor, table.c[id_] == one.id)
                connection.execute(delete(table).where(same))
    row = event.c
    columns = [row[name] for name in StoredEvent._fields]
    for some in _some(named):
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


def _may_mention(column: ColumnElement[str], traces: Traces) -> ColumnElement[bool]:
    """Whether a closer look is needed: an escape in JSON can spell any character."""
    words = (func.lower(column).contains(needle) for needle in traces.needles)
    return or_(column.contains("\\", autoescape=True), *words)


def _events(connection: Connection, accounts: Sequence[Account], traces: Traces) -> list[int]:
    """The IDs of their events, and of events without a learner that mention them and are not what
    another person did."""
    theirs = select(event.c.id).where(_is_of(event.c, accounts))
    without_learner = select(*(event.c[name] for name in StoredEvent._fields)).where(
        event.c.user_id.is_(None), event.c.payload != "", _may_mention(event.c.payload, traces)
    )
    about_them = (
        row.id
        for row in connection.execute(without_learner, execution_options={"yield_per": ID_BATCH})
        if traces.in_body(row.vendor, row.payload.encode())
        and not any(
            isinstance(fact, Acted) and not traces.in_text(fact.person)
            for fact in facts_of(StoredEvent._make(row))
        )
    )
    return [*connection.scalars(theirs), *about_them]


class QuarantinedBody(NamedTuple):
    """What quarantine has of a delivery."""

    delivery_id: int
    vendor: str
    headers: str
    body: bytes


def _bodies(connection: Connection, traces: Traces) -> list[int]:
    """Remove quarantined bodies that mention them. Returns their delivery IDs. A body is signed as
    a whole, so no part of it can stay."""
    found = [
        row.delivery_id
        for row in _quarantined(connection)
        if traces.in_body(row.vendor, row.body) or traces.in_body(row.vendor, row.headers.encode())
    ]
    for ids in _some(found):
        if len(quarantine.remove(connection, ids)) < len(ids):
            raise EraseError("A replay is using one of the person's deliveries. Try again.")
    return found


def _repeats(connection: Connection, bodies: Sequence[int]) -> Iterator[int]:
    """The deliveries that repeated one of these bodies."""
    for ids in _some(bodies):
        yield from connection.scalars(select(delivery.c.id).where(delivery.c.held_as.in_(ids)))


def _quarantined(connection: Connection) -> Iterator[QuarantinedBody]:
    query = select(*(body.c[name] for name in QuarantinedBody._fields))
    query = query.order_by(body.c.delivery_id).limit(BODY_BATCH)
    last = 0
    while rows := rows_of(
        QuarantinedBody, connection.execute(query.where(body.c.delivery_id > last))
    ):
        yield from rows
        last = rows[-1].delivery_id


def _deliveries(connection: Connection, events: Sequence[int], traces: Traces) -> Iterator[int]:
    """The IDs of the deliveries of these events, and of deliveries whose key names the person."""
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
    """Remove key and address; the rows stay, for the counts. A person with access to the vendor can
    look the key up. The address may be that of the person's own machine."""
    for ids in _some(sorted(found)):
        forgotten = update(delivery).where(delivery.c.id.in_(ids))
        connection.execute(forgotten.values(event_key=None, remote_ip=None))


def _forget_activity(connection: Connection, events: Sequence[int]) -> None:
    """Remove what these events say that the person did. Rows of before name them in a spelling of
    their own, so the address alone does not find them."""
    row = activity.c
    same = and_(event.c.vendor == row.vendor, event.c.event_key == row.event_key)
    for ids in _some(events):
        theirs = select(event.c.id).where(same, event.c.id.in_(ids)).exists()
        connection.execute(delete(activity).where(theirs))


def _bury(connection: Connection, events: Sequence[int], traces: Traces) -> None:
    """Leave tombstones. A key made from the user ID goes too: such a vendor repeats the same bytes,
    so the digest is enough."""
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


def _replace_in_payloads(connection: Connection, traces: Traces) -> tuple[int, bool]:
    """Replace mentions in other people's events. Returns how many, and whether a fact of one has
    changed, such as the name of a module."""
    row = event.c
    columns = [row[name] for name in StoredEvent._fields]
    query = select(*columns).where(row.payload != "", _may_mention(row.payload, traces))
    found = connection.execute(query, execution_options={"yield_per": ID_BATCH})
    changed = [
        (one, payload)
        for one in found
        if (payload := traces.replaced(one.vendor, one.payload)) != one.payload
    ]
    differ = False
    for one, payload in changed:
        connection.execute(update(event).where(row.id == one.id).values(payload=payload))
        now = connection.execute(select(*columns).where(row.id == one.id)).one()
        differ = differ or facts_of(StoredEvent._make(now)) != facts_of(StoredEvent._make(one))
    return len(changed), differ


def _forget_read_models(
    connection: Connection, accounts: Sequence[Account], address: str | None
) -> int:
    """Remove their rows. Returns the number of known accounts."""
    if address:
        connection.execute(delete(activity).where(activity.c.person == address))
    persons = teams.persons_of(connection, [(one.vendor, one.user_id) for one in accounts])
    gone = {
        table.name: connection.execute(delete(table).where(_is_of(table.c, accounts))).rowcount
        for table in map(table_of, READ_MODELS)
        if "user_id" in table.c
    }
    teams.follow(connection, persons)
    return gone[table_of(Learner).name]


def _forget_cases(connection: Connection, accounts: Sequence[Account], address: str | None) -> int:
    """Remove their coaching cases. Cases of other people that they own lose their owner."""
    removed = _forget_audited(connection, case, "case", accounts)
    if address:
        owned = update(case).where(func.lower(case.c.owner) == address)
        connection.execute(owned.values(owner=None, version=case.c.version + 1))
    return removed


def _forget_audited(
    connection: Connection, table: Table, noun: str, accounts: Sequence[Account]
) -> int:
    """Remove their rows of a table, and the details of these in the audit log, which keeps who did
    what and when. Returns the number of rows."""
    ids = connection.scalars(select(table.c.id).where(_is_of(table.c, accounts))).all()
    for some in _some(ids):
        subjects = [f"{noun} {id_}" for id_ in some]
        connection.execute(update(audit).where(audit.c.subject.in_(subjects)).values(detail=None))
        connection.execute(delete(table).where(table.c.id.in_(some)))
    return len(ids)


def _forget_places(connection: Connection, accounts: Sequence[Account]) -> None:
    """Remove their names from stored results of contests. Places stay, so that those of other
    people do not change."""
    theirs = update(places).where(_is_of(places.c, accounts))
    connection.execute(theirs.values(vendor=None, user_id=None))


def _forget_messages(
    connection: Connection, accounts: Sequence[Account], address: str | None
) -> None:
    """Messages about them, and messages to them. What is in channels stays."""
    to_them = select(subscription.c.id).where(func.lower(subscription.c.person) == address)
    theirs = or_(_is_of(message.c, accounts), message.c.subscription_id.in_(to_them))
    connection.execute(delete(message).where(theirs))
    connection.execute(delete(subscription).where(func.lower(subscription.c.person) == address))


def _forget_findings(connection: Connection, accounts: Sequence[Account], traces: Traces) -> None:
    """What reconciliations of exports list of them. Of other people, a value may mention them."""
    row = finding.c
    connection.execute(delete(finding).where(_is_of(row, accounts)))
    columns = (row.run_id, row.kind, row.line, row.vendor, row.event_key, row.detail)
    mentions = or_(_may_mention(row.detail, traces), _may_mention(row.event_key, traces))
    for one in connection.execute(select(*columns).where(mentions)).all():
        if traces.in_key(one.vendor, one.event_key) or traces.in_text(one.detail or ""):
            key = {"run_id": one.run_id, "kind": one.kind, "line": one.line}
            connection.execute(delete(finding).filter_by(**key))


def _forget_fields(connection: Connection, traces: Traces) -> None:
    """Counts of fields and event types that are named after the person."""
    row = field.c
    names = (row.vendor, row.event_type, row.field)
    mentions = or_(_may_mention(row.event_type, traces), _may_mention(row.field, traces))
    for one in connection.execute(select(*names).where(mentions).distinct()).all():
        if traces.in_path(one.vendor, one.field) or traces.in_text(one.event_type):
            connection.execute(delete(field).filter_by(**one._asdict()))


def _replace_in_text(
    connection: Connection, table: Table, names: Sequence[str], traces: Traces
) -> int:
    """Replace addresses in free text. Returns the number of changed rows."""
    columns = [table.c[name] for name in names]
    (key,) = table.primary_key.columns
    query = select(key.label("key"), *columns).where(
        or_(*(_may_mention(one, traces) for one in columns))
    )
    count = 0
    for row in connection.execute(query).all():
        old = {name: getattr(row, name) for name in names}
        new = {name: text and traces.without(text) for name, text in old.items()}
        if new != old:
            connection.execute(update(table).where(key == row.key).values(new))
            count += 1
    return count


def _some(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    return (rows[at : at + ID_BATCH] for at in range(0, len(rows), ID_BATCH))
