"""The command line of `python -m receiver erase`."""

from collections.abc import Sequence
from typing import Annotated

import typer

from receiver.erase import AccountRow, accounts_of, clean, erase_person
from receiver.errors import EraseError
from receiver.schema import current_engine
from receiver.traces import Account
from shared.settings import ReceiverSettings

LEFT_BEHIND = (
    "Others were reading the file, so that the old bytes may still be in its log (-wal): stop "
    "receiver and dashboard, and open the file once with `sqlite3 … VACUUM`."
)


def erase(
    email: Annotated[str | None, typer.Option(help="The person's e-mail address.")] = None,
    user: Annotated[
        str | None, typer.Option(help="Or one of their accounts, as mindtickle/u-17.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the accounts and say how much it is.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a person from the store, at every vendor, for good."""
    address, account = _whom(email, user)
    engine = current_engine(ReceiverSettings.load())
    if dry_run or not yes:
        _list(accounts_of(engine, address, account))
    if dry_run:
        typer.echo(f"Dry run: {erase_person(engine, address, account, dry_run=True).in_words()}")
        return
    if not yes:
        typer.confirm("Erase all that, for good?", abort=True)
    typer.echo(f"Erased: {erase_person(engine, address, account).in_words()}")
    if not clean(engine):
        raise EraseError(LEFT_BEHIND)


def _list(accounts: Sequence[AccountRow]) -> None:
    for one in accounts:
        typer.echo(one.in_words())
    if not accounts:
        typer.echo("No account of theirs is known. What else mentions them goes.")


def _whom(email: str | None, user: str | None) -> tuple[str | None, Account | None]:
    if (email is None) == (user is None):
        raise EraseError("Whom? Give either --email or --user.")
    if user is not None:
        vendor, slash, user_id = user.partition("/")
        if not (vendor and slash and user_id):
            raise EraseError("--user: should be vendor and user id, as mindtickle/u-17.")
        return None, Account(vendor, user_id)
    address = (email or "").strip()
    if "@" not in address.strip("@") or any(map(str.isspace, address)):
        raise EraseError("--email: should be an e-mail address.")
    return address, None
