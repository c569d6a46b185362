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


class Spells(NamedTuple):
    """Rows of `team_spell` as columns, with times in seconds since 1970."""

    person: Sequence[str]
    team_id: Sequence[str]
    began_at: Sequence[float]
    ended_at: Sequence[float]
    credited_from: Sequence[float]


def spells_since(connection: Connection, since: datetime) -> Spells:
    """Those that end after a moment, in the order of person and team."""
    row = table_of(TeamSpell).c
    times = (row.began_at, row.ended_at, row.credited_from)
    query = (
        select(row.person, row.team_id, *(type_coerce(one, Text) for one in times))
        .where(row.ended_at > moment(since))
        .order_by(row.person, row.team_id)
    )
    columns = [*zip(*connection.execute(query).all(), strict=True)] or [(), (), (), (), ()]
    return Spells(*columns[:2], *(list(map(seconds, one)) for one in columns[2:]))


@lru_cache(maxsize=20_000)
def seconds(at: str | datetime) -> float:
    """Since 1970. Thousands of times at once come as the stores give them: SQLite as text without
    an offset."""
    time = datetime.fromisoformat(at) if isinstance(at, str) else at
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def moment(at: datetime) -> ColumnElement[datetime]:
    return literal(at, UtcDateTime())
