"""Erase a person: remove everything that the store knows about them, in one transaction.

Three things stay. Of each event a tombstone with its key and digest, so that a redelivery is a
duplicate and does not bring the person back. Of each delivery its time, duration and response. In
`erased` the number of rows. docs/privacy.md lists what happens to each table, and why.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, Engine
from sqlmodel import SQLModel

from receiver.erase.deliveries import (
    deliveries_of,
    forget_deliveries,
    remove_bodies,
    repeats_of,
)
from receiver.erase.events import (
    bury,
    events_of,
    forget_activity,
    named_by,
    replace_in_payloads,
    restore_names,
)
from receiver.erase.mentions import (
    FREE_TEXT,
    forget_audited,
    forget_cases,
    forget_fields,
    forget_findings,
    forget_messages,
    forget_places,
    forget_read_models,
    renewal,
    replace_in_text,
)
from receiver.erase.person import AccountRow, Person, accounts_of, person_of
from receiver.erase.search import TEXTS, Found, Newest, newest, search
from receiver.errors import EraseError
from receiver.readmodels.follower import fold_rest, note_change
from receiver.readmodels.projections import READ_MODELS
from receiver.readmodels.rebuild import discard_unfinished, fold_all
from receiver.traces import Account
from shared.audit import note
from shared.bulk import table_of
from shared.database import hold_write_lock, overwrite_deleted
from shared.models import (
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
    Notification,
    Quarantine,
    Subscription,
    UnknownAddress,
)

__all__ = ["AccountRow", "Gone", "accounts_of", "clean", "erase_person"]

OVERWRITTEN: Sequence[type[SQLModel]] = (
    Event,
    Delivery,
    Quarantine,
    CoachingCase,
    CertificateRenewal,
    ContestResult,
    Contest,
    UnknownAddress,
    Notification,
    Subscription,
    AuditLog,
    ImportFinding,
    FieldHourly,
    *READ_MODELS,
)
"""Tables that `clean` has overwritten."""


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
    them. Receivers go on. On SQLite they wait for the transaction, which the search precedes.

    Raises EraseError if the store does not know the person, or if a replay has locked one of their
    deliveries.
    """
    before = _before(engine, email, account)
    with engine.connect().execution_options(immediate=True) as connection:
        transaction = connection.begin()
        hold_write_lock(connection)
        fold_rest(connection)
        note_change(connection)
        person = person_of(connection, email, account)
        gone = _erase(connection, person, _found(connection, person, before))
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


class Before(NamedTuple):
    """What was found before the transaction: of whom, and in rows up to which."""

    person: Person
    newest: Newest
    found: Found


def _before(engine: Engine, email: str | None, account: Account | None) -> Before | None:
    """None on Postgres: receivers do not wait there, and rows do not appear in the order of their
    IDs."""
    if engine.dialect.name == "postgresql":
        return None
    with engine.connect() as connection:
        person = person_of(connection, email, account)
        found = search(connection, person.traces(), Newest())
        return Before(person, newest(connection), found)


def _found(connection: Connection, person: Person, before: Before | None) -> Found:
    if before is None or before.person != person:  # an event that was just folded names them
        return search(connection, person.traces(), Newest())
    return before.found.and_also(search(connection, person.traces(), before.newest))


def clean(engine: Engine) -> bool:
    """Have the store overwrite the bytes of erased rows. False if another process used a SQLite
    file and old bytes may remain: repeat it then."""
    return overwrite_deleted(engine, map(table_of, OVERWRITTEN))


def _erase(connection: Connection, person: Person, found: Found) -> Gone:
    accounts, address = person
    traces = person.traces()
    named = named_by(connection, accounts)
    ids = [*events_of(connection, accounts), *found.about]
    bodies = remove_bodies(connection, found.bodies)
    of_events = deliveries_of(connection, ids)
    deliveries = {*bodies, *repeats_of(connection, bodies), *of_events, *found.keys}
    forget_deliveries(connection, deliveries)
    forget_activity(connection, ids)
    bury(connection, ids, traces)
    mentions, differ = replace_in_payloads(connection, found.payloads, traces)
    known = forget_read_models(connection, accounts, address)
    cases = forget_cases(connection, accounts, address)
    forget_audited(connection, renewal, "renewal", accounts)
    forget_places(connection, accounts)
    forget_messages(connection, accounts, address)
    forget_findings(connection, accounts, traces)
    forget_fields(connection, traces)
    mentions += replace_in_text(connection, table_of(Delivery), TEXTS, traces, found.texts)
    mentions += sum(replace_in_text(connection, table, names, traces) for table, names in FREE_TEXT)
    if differ:
        fold_all(connection)
    elif named:
        restore_names(connection, named)
    return Gone(known, len(ids), len(deliveries), len(bodies), cases, mentions)
