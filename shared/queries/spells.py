"""Who was in which team, and when."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Text,
    literal,
    select,
    type_coerce,
)

from shared.bulk import table_of
from shared.models import TeamSpell, UtcDateTime

BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)


class SpellRow(NamedTuple):
    """A row of `team_spell` with its times in seconds since 1970."""

    person: str
    team_id: str
    began_at: float
    ended_at: float
    credited_from: float


def spells_since(connection: Connection, since: datetime) -> Sequence[SpellRow]:
    """Those that end after a moment, in the order of person and team."""
    row = table_of(TeamSpell).c
    times = (row.began_at, row.ended_at, row.credited_from)
    query = (
        select(row.person, row.team_id, *(type_coerce(one, Text) for one in times))
        .where(row.ended_at > moment(since))
        .order_by(row.person, row.team_id)
    )
    found = connection.execute(query).all()
    return [SpellRow(*one[:2], *map(seconds, one[2:])) for one in found]


@lru_cache(maxsize=20_000)
def seconds(at: str | datetime) -> float:
    """Since 1970. Thousands of times at once come as the stores give them: SQLite as text without
    an offset."""
    time = datetime.fromisoformat(at) if isinstance(at, str) else at
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def moment(at: datetime) -> ColumnElement[datetime]:
    return literal(at, UtcDateTime())
