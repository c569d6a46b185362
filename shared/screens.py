"""Wall displays: how one gets a code, is paired by it, and is revoked.

A display holds a random token, of which the store has a SHA-256. It shows a code of six digits; a
person who is signed in enters it, and the display shows the teams of that person.
"""

import json
import re
import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from sqlalchemy import Connection, delete, func, insert, select, update

from shared.audit import note
from shared.bulk import table_of
from shared.models import AuditLog, Screen
from shared.queries import screens as read

VALID = timedelta(minutes=10)
"""How long a code can be entered; then the display gets another one."""
MOST_WAITING = 50
"""Displays that wait at the same time. Anyone can open one, so this bounds what strangers store."""
TRIES = 5
"""Wrong codes of one person within `TRY_WINDOW`: guessing takes years."""
TRY_WINDOW = timedelta(minutes=10)
SEEN_EVERY = timedelta(minutes=1)
WRONG, REFUSED = "wrong screen code", "refuse screen code"
"""Actions in the audit log."""

screen = table_of(Screen)
entry = table_of(AuditLog).c


class Pairing(StrEnum):
    """What became of a code that a person entered."""

    PAIRED = "paired"
    WRONG = "wrong"
    REFUSED = "refused"


def hash_of(token: str) -> str:
    """What the store has of a token. It is random, so a plain digest cannot be reversed."""
    return sha256(token.encode()).hexdigest()


def wait(connection: Connection, token_hash: str, now: datetime) -> str | None:
    """The code of a display that is not paired: the one it has, or a new one. None if it is paired
    or too many displays wait. Removes those whose code has expired."""
    _one_at_a_time(connection)
    connection.execute(delete(screen).where(screen.c.expires_at <= now))
    known = read.of_token(connection, token_hash)
    if known:
        return known.code
    taken = connection.scalars(select(screen.c.code).where(screen.c.code.isnot(None))).all()
    if len(taken) >= MOST_WAITING:
        return None
    code = _digits()
    while code in taken:
        code = _digits()
    row = {"token_hash": token_hash, "code": code, "created_at": now, "expires_at": now + VALID}
    connection.execute(insert(screen), [row])
    return code


def _digits() -> str:
    return f"{secrets.randbelow(1_000_000):06}"


def confirm(
    connection: Connection,
    actor: str,
    code: str,
    teams: tuple[str, ...] | None,
    now: datetime,
) -> Pairing:
    """Pair the display that shows this code, for `teams` (None is all), with an entry in the audit
    log. After too many wrong codes of this person none is looked at."""
    _one_at_a_time(connection)
    if _entries(connection, actor, WRONG, now) >= TRIES:
        if not _entries(connection, actor, REFUSED, now):
            note(connection, actor, REFUSED, None, f"{TRIES} wrong codes in 10 minutes")
        return Pairing.REFUSED
    pair = (
        update(screen)
        .where(screen.c.code == re.sub(r"\s", "", code), screen.c.expires_at > now)
        .values(
            code=None,
            expires_at=None,
            confirmed_at=now,
            confirmed_by=actor,
            teams=None if teams is None else json.dumps(teams),
        )
        .returning(screen.c.id)
    )
    number = connection.scalar(pair)
    if number is None:
        note(connection, actor, WRONG, None, "")
        return Pairing.WRONG
    note(connection, actor, "pair screen", f"screen {number}", in_words(teams))
    return Pairing.PAIRED


def in_words(teams: tuple[str, ...] | None) -> str:
    """`all teams`, `team west`, `teams east, west`."""
    if teams is None:
        return "all teams"
    return f"team{'' if len(teams) == 1 else 's'} {', '.join(teams)}" if teams else "no team"


def revoke(connection: Connection, actor: str, number: int, *, of_all: bool) -> bool:
    """Remove a paired display, with an entry in the audit log: it shows nothing more. False if it
    is not there, or another person paired it and not `of_all`."""
    gone = delete(screen).where(screen.c.id == number, screen.c.confirmed_by.isnot(None))
    if not of_all:
        gone = gone.where(screen.c.confirmed_by == actor)
    paired_by = connection.scalar(gone.returning(screen.c.confirmed_by))
    if paired_by is None:
        return False
    note(connection, actor, "revoke screen", f"screen {number}", f"paired by {paired_by}")
    return True


def seen(connection: Connection, number: int, now: datetime) -> None:
    """Write down that a display is on. Callers do so every `SEEN_EVERY`."""
    connection.execute(update(screen).where(screen.c.id == number).values(seen_at=now))


def _entries(connection: Connection, actor: str, action: str, now: datetime) -> int:
    recent = (entry.actor == actor, entry.action == action, entry.at > now - TRY_WINDOW)
    return (
        connection.scalar(select(func.count()).select_from(table_of(AuditLog)).where(*recent)) or 0
    )


def _one_at_a_time(connection: Connection) -> None:
    """So that limits hold with any number of dashboards. SQLite does this by itself."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("LOCK TABLE screen IN SHARE ROW EXCLUSIVE MODE")
