"""Wall displays: the one of a token, and those that are paired."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select, true

from shared.bulk import table_of
from shared.models import Screen
from shared.queries import row_of, rows_of

screen = table_of(Screen).c


class ScreenRow(NamedTuple):
    """A wall display. One that waits has a `code` until `expires_at`; a paired one has
    `confirmed_by`, and `teams` as JSON, None for all teams."""

    id: int
    code: str | None
    expires_at: datetime | None
    confirmed_at: datetime | None
    confirmed_by: str | None
    teams: str | None
    seen_at: datetime | None

    @property
    def shown_teams(self) -> tuple[str, ...] | None:
        """The teams that a paired one may show; None is all."""
        return None if self.teams is None else tuple(json.loads(self.teams))


COLUMNS = [screen[name] for name in ScreenRow._fields]


def of_token(connection: Connection, token_hash: str) -> ScreenRow | None:
    """The display that holds a token, waiting or paired; `token_hash` is of `shared.screens`."""
    query = select(*COLUMNS).where(screen.token_hash == token_hash)
    return row_of(ScreenRow, connection.execute(query))


def paired(connection: Connection, by: str | None = None) -> Sequence[ScreenRow]:
    """The paired displays, the latest first: those that one person paired, or with None all."""
    query = select(*COLUMNS).where(
        screen.confirmed_by.isnot(None), true() if by is None else screen.confirmed_by == by
    )
    newest_first = query.order_by(screen.confirmed_at.desc(), screen.id.desc())
    return rows_of(ScreenRow, connection.execute(newest_first))
