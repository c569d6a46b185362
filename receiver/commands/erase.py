"""`repboard erase`: remove a person."""

from collections.abc import Sequence
from typing import Annotated

import typer

from receiver.erase import AccountRow, accounts_of, clean, erase_person
from receiver.errors import EraseError
from receiver.schema import current_engine
from receiver.traces import Account
from shared.settings import ReceiverSettings

LEFT_BEHIND = (
    "Another process was reading the store, so old bytes may remain in its log (-wal). Stop "
    "receiver and dashboard, then run `sqlite3 … VACUUM` on the file."
)


def erase(
    email: Annotated[str | None, typer.Option(help="The person's email address.")] = None,
    user: Annotated[
        str | None, typer.Option(help="Or one of their accounts: mindtickle/u-17.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the accounts and count the rows.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Permanently remove a person from the store, at every vendor."""
    address, account = _person(email, user)
    engine = current_engine(ReceiverSettings.load())
    if dry_run or not yes:
        _list(accounts_of(engine, address, account))
    if dry_run:
        typer.echo(f"Dry run: {erase_person(engine, address, account, dry_run=True).in_words()}")
        return
    if not yes:
        typer.confirm("Erase this permanently?", abort=True)
    typer.echo(f"Erased: {erase_person(engine, address, account).in_words()}")
    if not clean(engine):
        raise EraseError(LEFT_BEHIND)


def _list(accounts: Sequence[AccountRow]) -> None:
    for one in accounts:
        typer.echo(one.in_words())
    if not accounts:
        typer.echo("No account is known. Only mentions of the person are removed.")


def _person(email: str | None, user: str | None) -> tuple[str | None, Account | None]:
    if (email is None) == (user is None):
        raise EraseError("Give either --email or --user.")
    if user is not None:
        vendor, slash, user_id = user.partition("/")
        if not (vendor and slash and user_id):
            raise EraseError("--user: should be vendor and user ID, such as mindtickle/u-17.")
        return None, Account(vendor, user_id)
    address = (email or "").strip()
    if "@" not in address.strip("@") or any(map(str.isspace, address)):
        raise EraseError("--email: should be an email address.")
    return address, None
