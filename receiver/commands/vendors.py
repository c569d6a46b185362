"""`repboard vendors check`: try a file with declared vendors."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import httpx
import typer

from receiver.errors import StartError, first_line
from receiver.key_sets import fetched
from receiver.pipeline import joined
from receiver.vendors import adapters, packaged
from receiver.vendors.declared.authentication import Jwt
from receiver.vendors.declared.check import Mark, served, steps
from receiver.vendors.declared.declaration import Declaration
from receiver.vendors.declared.file import read_file
from receiver.vendors.declared.keys import Held, keys_in
from shared.settings import ReceiverSettings

vendors = typer.Typer(no_args_is_help=True, help="Vendors that are declared in a file.")


@vendors.callback()
def _of_vendors() -> None:
    """Vendors that are declared in a file."""


@vendors.command()
def check(
    file: Annotated[Path, typer.Argument(help="With the declarations, as for VENDORS_FILE.")],
    sample: Annotated[
        Path | None, typer.Option(help="The body of a delivery, byte for byte.")
    ] = None,
    headers: Annotated[
        Path | None, typer.Option(help="Its headers, one a line: `name: value`.")
    ] = None,
    vendor: Annotated[
        str | None, typer.Option(help="Which vendor of the file; needed if it has several.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="The address that it came from.")] = None,
) -> None:
    """Read the file, and say step by step what would become of a delivery."""
    settings = ReceiverSettings.load(vendors_file=file)
    adapters(settings)
    declarations = read_file(file, packaged()).vendors
    if not declarations:
        typer.echo(f"{file}: has no [[vendors]].")
    for one in declarations:
        state = "is set" if served(one, settings) else "is not set in .env or the environment"
        typer.echo(f"{one.slug}: {one.name}, {one.authentication.variable} {state}")
    if sample is None:
        return
    chosen = _chosen(declarations, vendor)
    sent = joined(_headers(_bytes(headers))) if headers else {}
    failed = False
    body, keys = _bytes(sample), _keys(chosen)
    for step in steps(chosen, settings, sent, body, address, datetime.now(UTC), keys):
        failed = failed or step.mark is Mark.FAILS
        typer.echo(f"{step.mark} {step.line}")
    if failed:
        raise typer.Exit(1)


def _chosen(declarations: Sequence[Declaration], slug: str | None) -> Declaration:
    known = {one.slug: one for one in declarations}
    if slug is None and len(known) == 1:
        return declarations[0]
    if slug not in known:
        raise StartError(f"--vendor: use one of {', '.join(known)}.")
    return known[slug]


def _keys(one: Declaration) -> Sequence[Held]:
    """The public keys of a vendor that signs tokens."""
    if not isinstance(one.authentication, Jwt):
        return ()
    url = one.authentication.keys
    try:
        return keys_in(fetched(url))
    except (httpx.HTTPError, ValueError) as error:
        raise StartError(f"Cannot get the keys at {url}: {first_line(error)}") from None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartError(f"{path}: cannot be read: {error.strerror}") from None


def _headers(lines: bytes) -> list[tuple[bytes, bytes]]:
    """`Name: value`, one a line, also as `curl -v` prints it; other lines, such as that of the
    request, are left out."""
    pairs = (line.lstrip(b"<> ").partition(b":") for line in lines.splitlines())
    return [(name.strip().lower(), value) for name, colon, value in pairs if colon]
