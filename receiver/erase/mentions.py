"""What all other tables say of a person: read models, decisions, messages and free text."""

from collections.abc import Sequence

from sqlalchemy import Connection, Table, delete, func, or_, select, update

from receiver.erase.person import batches, is_of, may_mention
from receiver.readmodels import teams
from receiver.readmodels.projections import READ_MODELS
from receiver.traces import Account, Traces
from shared.bulk import table_of
from shared.models import (
    Activity,
    AuditLog,
    CertificateRenewal,
    CoachingCase,
    Contest,
    ContestResult,
    FieldHourly,
    ImportFinding,
    ImportRun,
    Learner,
    Notification,
    ReplayRequest,
    Subscription,
    UnknownAddress,
)

activity = table_of(Activity)
audit = table_of(AuditLog)
case = table_of(CoachingCase)
renewal = table_of(CertificateRenewal)
places = table_of(ContestResult)
message = table_of(Notification)
subscription = table_of(Subscription)
finding = table_of(ImportFinding)
field = table_of(FieldHourly)

FREE_TEXT = (
    (audit, ("subject", "detail")),
    (case, ("notes", "outcome")),
    (table_of(ReplayRequest), ("problem",)),
    (table_of(Contest), ("name",)),
    (table_of(UnknownAddress), ("latest_path",)),
    (table_of(ImportRun), ("file_name",)),
)
"""Columns that may mention a person, besides what `receiver.erase.search` reads."""


def forget_read_models(
    connection: Connection, accounts: Sequence[Account], address: str | None
) -> int:
    """Remove their rows. Returns the number of known accounts."""
    if address:
        connection.execute(delete(activity).where(activity.c.person == address))
    persons = teams.persons_of(connection, [(one.vendor, one.user_id) for one in accounts])
    gone = {
        table.name: connection.execute(delete(table).where(is_of(table.c, accounts))).rowcount
        for table in map(table_of, READ_MODELS)
        if "user_id" in table.c
    }
    teams.follow(connection, persons)
    return gone[table_of(Learner).name]


def forget_cases(connection: Connection, accounts: Sequence[Account], address: str | None) -> int:
    """Remove their coaching cases. Cases of other people that they own lose their owner."""
    removed = forget_audited(connection, case, "case", accounts)
    if address:
        owned = update(case).where(func.lower(case.c.owner) == address)
        connection.execute(owned.values(owner=None, version=case.c.version + 1))
    return removed


def forget_audited(
    connection: Connection, table: Table, noun: str, accounts: Sequence[Account]
) -> int:
    """Remove their rows of a table, and the details of these in the audit log, which keeps who did
    what and when. Returns the number of rows."""
    ids = connection.scalars(select(table.c.id).where(is_of(table.c, accounts))).all()
    for some in batches(ids):
        subjects = [f"{noun} {id_}" for id_ in some]
        connection.execute(update(audit).where(audit.c.subject.in_(subjects)).values(detail=None))
        connection.execute(delete(table).where(table.c.id.in_(some)))
    return len(ids)


def forget_places(connection: Connection, accounts: Sequence[Account]) -> None:
    """Remove their names from stored results of contests. Places stay, so that those of other
    people do not change."""
    theirs = update(places).where(is_of(places.c, accounts))
    connection.execute(theirs.values(vendor=None, user_id=None))


def forget_messages(
    connection: Connection, accounts: Sequence[Account], address: str | None
) -> None:
    """Messages about them, and messages to them. What is in channels stays."""
    to_them = select(subscription.c.id).where(func.lower(subscription.c.person) == address)
    theirs = or_(is_of(message.c, accounts), message.c.subscription_id.in_(to_them))
    connection.execute(delete(message).where(theirs))
    connection.execute(delete(subscription).where(func.lower(subscription.c.person) == address))


def forget_findings(connection: Connection, accounts: Sequence[Account], traces: Traces) -> None:
    """What reconciliations of exports list of them. Of other people, a value may mention them."""
    row = finding.c
    connection.execute(delete(finding).where(is_of(row, accounts)))
    columns = (row.run_id, row.kind, row.line, row.vendor, row.event_key, row.detail)
    mentions = or_(may_mention(row.detail, traces), may_mention(row.event_key, traces))
    for one in connection.execute(select(*columns).where(mentions)).all():
        if traces.in_key(one.vendor, one.event_key) or traces.in_text(one.detail or ""):
            key = {"run_id": one.run_id, "kind": one.kind, "line": one.line}
            connection.execute(delete(finding).filter_by(**key))


def forget_fields(connection: Connection, traces: Traces) -> None:
    """Counts of fields and event types that are named after the person."""
    row = field.c
    names = (row.vendor, row.event_type, row.field)
    mentions = or_(may_mention(row.event_type, traces), may_mention(row.field, traces))
    for one in connection.execute(select(*names).where(mentions).distinct()).all():
        if traces.in_path(one.vendor, one.field) or traces.in_text(one.event_type):
            connection.execute(delete(field).filter_by(**one._asdict()))


def replace_in_text(
    connection: Connection,
    table: Table,
    names: Sequence[str],
    traces: Traces,
    ids: Sequence[int] | None = None,
) -> int:
    """Replace addresses in free text: in the rows with these IDs, or wherever they are. Returns the
    number of changed rows."""
    columns = [table.c[name] for name in names]
    (key,) = table.primary_key.columns
    query = select(key.label("key"), *columns)
    if ids is None:
        queries = [query.where(or_(*(may_mention(one, traces) for one in columns)))]
    else:
        queries = [query.where(key.in_(some)) for some in batches(ids)]
    count = 0
    for row in (row for one in queries for row in connection.execute(one).all()):
        old = {name: getattr(row, name) for name in names}
        new = {name: text and traces.without(text) for name, text in old.items()}
        if new != old:
            connection.execute(update(table).where(key == row.key).values(new))
            count += 1
    return count
