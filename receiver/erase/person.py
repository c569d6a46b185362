"""Which accounts are a person's, and where a closer look for their traces is needed."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, and_, false, func, or_, select

from receiver.traces import Account, Traces, as_compared
from shared.bulk import Columns, table_of
from shared.models import Event, Learner

T = TypeVar("T")
ID_BATCH = 500

event = table_of(Event)
learner = table_of(Learner).c


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


class Person(NamedTuple):
    """Accounts, and the address that they share."""

    accounts: Sequence[Account]
    address: str | None

    def traces(self) -> Traces:
        return Traces(self.accounts, [self.address] if self.address else [])


def accounts_of(
    engine: Engine, email: str | None = None, account: Account | None = None
) -> Sequence[AccountRow]:
    """The accounts that `erase_person` removes. Changes nothing and locks nothing."""
    with engine.connect() as connection:
        accounts = person_of(connection, email, account).accounts
        return [row for one in accounts if (row := _account_row(connection, one))]


def _account_row(connection: Connection, account: Account) -> AccountRow | None:
    """None if the store does not know the account."""
    theirs = event.c.vendor == account.vendor, event.c.user_id == account.user_id
    events = connection.scalar(select(func.count()).select_from(event).where(*theirs)) or 0
    known = select(learner.email).filter_by(**account._asdict())
    row = connection.execute(known).first()
    return AccountRow(account, row.email if row else None, events) if row or events else None


def person_of(connection: Connection, email: str | None, account: Account | None) -> Person:
    """All accounts of the person, and their shared address if they have one. Addresses are compared
    as a whole, never by pattern: another person's address can contain it."""
    sought = as_compared(email or "")
    if account:
        person = connection.scalar(select(learner.person).filter_by(**account._asdict())) or ""
        sought = as_compared(person) if "@" in person and " " not in person else ""
    if not sought:
        return Person([account] if account else [], None)
    query = select(learner.vendor, learner.user_id, learner.email).where(learner.email.is_not(None))
    rows = connection.execute(query, execution_options={"yield_per": ID_BATCH})
    found = {Account(row.vendor, row.user_id) for row in rows if as_compared(row.email) == sought}
    return Person(sorted(found | ({account} if account else set())), sought)


def is_of(row: Columns, accounts: Sequence[Account]) -> ColumnElement[bool]:
    whose = (and_(row.vendor == one.vendor, row.user_id == one.user_id) for one in accounts)
    return or_(false(), *whose)


def may_mention(column: ColumnElement[str], traces: Traces) -> ColumnElement[bool]:
    """Whether a closer look is needed: an escape in JSON can spell any character."""
    words = (func.lower(column).contains(needle) for needle in traces.needles)
    return or_(column.contains("\\", autoescape=True), *words)


def batches(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    return (rows[at : at + ID_BATCH] for at in range(0, len(rows), ID_BATCH))
