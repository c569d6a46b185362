"""A whole board in memory: the people of one look at the store, in the order of any metric.

All that a page says of a board (the first places, the figures, climbers, neighbours) comes from the
same rows, so they are looked up once. There is one for each person, however many events.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, or_, select

from shared.queries.movement import Board, of_people
from shared.queries.people import PersonRow

FIRST_PLACES = 100
"""Among so many at the top a few are mostly one module behind the next."""
MOST_AT_ONCE = 5_000
DECIMALS = 6
"""As `shared.figures.exact` rounds."""


class Moved(NamedTuple):
    """A person of a board: who they are, and every metric of both periods."""

    person: str
    name: str | None
    email: str | None
    team_id: str | None
    role: str | None
    active: bool
    left_at: datetime | None
    vendors: str
    key: str
    after_leaving: bool
    moved: bool
    gained: float
    completed: int
    time: int
    points: float | None
    modules: int | None
    average: float | None
    score: float
    moved_before: bool
    gained_before: float
    completed_before: int
    time_before: int
    points_before: float | None
    modules_before: int | None
    average_before: float | None
    score_before: float

    def figure(self, metric: str) -> float:
        """A metric; of an average without a module less than any."""
        value: float | None = getattr(self, metric)
        return float("-inf") if value is None else value


@dataclass(frozen=True)
class LearnerRow(PersonRow):
    """A person on the board: rank and rank_before (None: did not move before), `place` in the order
    of the board, `equals` (how many others share the rank), and every metric
    of both periods."""

    rank: int
    rank_before: int | None
    tied: bool
    equals: int
    place: int
    after_leaving: bool
    moved: bool
    gained: float
    completed: int
    time: int
    points: float | None
    modules: int | None
    average: float | None
    score: float
    moved_before: bool
    gained_before: float
    completed_before: int
    time_before: int
    points_before: float | None
    modules_before: int | None
    average_before: float | None
    score_before: float


@dataclass(frozen=True)
class NeighbourRow(LearnerRow):
    """A row near a person's own; `gap` is by how much it is ahead of theirs."""

    gap: float


@dataclass(frozen=True)
class CloseCall(LearnerRow):
    """A person who passes the next one above by finishing a module: they are `gap` points behind,
    and `left` points are to gain in the module."""

    ahead_gained: float
    ahead_name: str | None
    ahead_email: str | None
    ahead_key: str
    gap: float
    left: float
    module_name: str


class Unfinished(NamedTuple):
    """The module with most `left` (points) that a person has begun."""

    person: str
    left: float
    module_name: str


class ClimberRow(NamedTuple):
    """A person who rose against the period before."""

    key: str
    person: str
    name: str | None
    email: str | None
    rank: int
    rank_before: int


class StillRow(NamedTuple):
    """A person with earlier progress and none in the window: what they gained in the period before,
    and how many such people there are."""

    key: str
    person: str
    name: str | None
    email: str | None
    gained_before: float
    people: int


class Totals(NamedTuple):
    """The figures over a board, and the ones of the period before; `active` counts who moved."""

    active: int
    gained: float
    completed: int
    time: int
    active_before: int
    gained_before: float
    completed_before: int
    time_before: int


_Added = tuple[bool, float, int, int]


class Standings:
    """The people of a board at one look at the store. Rows never change, so sessions can share
    them."""

    def __init__(self, rows: Sequence[Moved]) -> None:
        self._rows = rows
        self._rankings: dict[str, Ranking] = {}

    def by(self, metric: str) -> "Ranking":
        """In the order of a metric."""
        if metric not in self._rankings:
            self._rankings[metric] = Ranking(self._rows, metric)
        return self._rankings[metric]

    def totals(self) -> Totals:
        now: list[_Added] = []
        before: list[_Added] = []
        for row in self._rows:
            now.append((row.moved, row.gained, row.completed, row.time))
            before.append(
                (row.moved_before, row.gained_before, row.completed_before, row.time_before)
            )
        return Totals(*_summed(now), *_summed(before))

    def still(self, limit: int) -> Sequence[StillRow]:
        """See `leaderboard.still`."""
        found = [
            row for row in self._rows if row.active and row.points is not None and not row.moved
        ]
        found.sort(key=lambda row: (-row.gained_before, _first_of(row.name, row.email), row.key))
        return [
            StillRow(row.key, row.person, row.name, row.email, row.gained_before, len(found))
            for row in found[:limit]
        ]


def _summed(rows: Iterable[_Added]) -> tuple[int, float, int, int]:
    moved, gained, completed, time = zip((0, 0, 0, 0), *rows, strict=True)
    return sum(moved), round(sum(gained), DECIMALS), sum(completed), sum(time)


def standings(connection: Connection, board: Board) -> Standings:
    """All people of a board who moved in one of its periods, or have begun a module."""
    row = of_people(connection.dialect.name, board).subquery().c
    query = select(*(row[name] for name in Moved._fields)).where(
        or_(row.moved, row.moved_before, row.points.isnot(None))
    )
    return Standings([Moved._make(one) for one in connection.execute(query)])


class Ranking:
    """The people of a board who moved, in the order of a metric.

    Ranks are competition ranks (1-2-2-4); ties are in the order of name or address.
    """

    def __init__(self, rows: Sequence[Moved], metric: str) -> None:
        self._metric = metric
        self._rows = sorted(
            (row for row in rows if row.moved),
            key=lambda row: (
                -row.figure(metric),
                _first_of(row.name, row.email, row.key),
                row.person,
            ),
        )
        self._ranks = _ranks([row.figure(metric) for row in self._rows])
        self._equals = Counter(self._ranks)
        before = f"{metric}_before"
        moved_before = [row for row in rows if row.moved_before]
        figures = sorted((row.figure(before) for row in moved_before), reverse=True)
        first_at = dict(zip(reversed(figures), range(len(figures), 0, -1), strict=True))
        self._before = {row.person: first_at[row.figure(before)] for row in moved_before}
        self._at = {row.person: at for at, row in enumerate(self._rows)}

    def __len__(self) -> int:
        return len(self._rows)

    def page(self, limit: int | None, offset: int = 0, find: str = "") -> Sequence[LearnerRow]:
        """See `leaderboard.learners`."""
        end = None if limit is None else offset + limit
        return [self._row(at) for at in self._found(find)[offset:end]]

    def how_many(self, find: str = "") -> int:
        """How many rows `page` has in all."""
        return len(self._found(find))

    def of_persons(self, persons: Collection[str]) -> Sequence[LearnerRow]:
        """See `leaderboard.of_persons`."""
        return [self._row(at) for at in sorted(self._at[one] for one in persons if one in self._at)]

    def place_of(self, key: str) -> int | None:
        """See `leaderboard.place_of`."""
        return next((at + 1 for at, row in enumerate(self._rows) if row.key == key), None)

    def climbers(self, limit: int) -> Sequence[ClimberRow]:
        """See `leaderboard.climbers`."""
        found = []
        for at, row in enumerate(self._rows):
            rank, before = self._ranks[at], self._before.get(row.person)
            if before is not None and before > rank:
                found.append(ClimberRow(row.key, row.person, row.name, row.email, rank, before))
        return sorted(found, key=lambda row: row.rank - row.rank_before)[:limit]

    def neighbours(self, person: str, around: int) -> Sequence[NeighbourRow]:
        """See `leaderboard.neighbours`."""
        if person not in self._at:
            return []
        own = self._at[person]
        rank = self._ranks[own]
        near = {*range(own - around, own + around + 1), rank - 2, rank - 1 + self._equals[rank]}
        figure = self._rows[own].figure(self._metric)
        return [
            NeighbourRow(
                **vars(self._row(at)),
                gap=round(self._rows[at].figure(self._metric) - figure, DECIMALS),
            )
            for at in sorted(near)
            if 0 <= at < len(self._rows)
        ]

    def close_calls(
        self,
        unfinished: Callable[[tuple[str, ...]], Mapping[str, Unfinished]],
        limit: int,
        person: str | None = None,
    ) -> Sequence[CloseCall]:
        """See `leaderboard.close_calls`. `unfinished` is asked about a few people at a time, as
        mostly the first few are close enough."""
        behind = [at for at, rank in enumerate(self._ranks) if rank > 1]
        if person is not None:
            behind = [at for at in behind if self._rows[at].person == person]
        found: list[CloseCall] = []
        first = 0
        while first < len(behind) and len(found) < limit:
            some = behind[first : first + min(max(FIRST_PLACES, first), MOST_AT_ONCE)]
            first += len(some)
            left = unfinished(tuple(self._rows[at].person for at in some))
            found += self._calls(some, left)
        return found[:limit]

    def _calls(self, some: Iterable[int], unfinished: Mapping[str, Unfinished]) -> list[CloseCall]:
        found = []
        for at in some:
            ahead, left = self._rows[self._ranks[at] - 2], unfinished.get(self._rows[at].person)
            gap = round(ahead.gained - self._rows[at].gained, DECIMALS)
            if left is not None and left.left > gap:
                found.append(
                    CloseCall(
                        **vars(self._row(at)),
                        ahead_gained=ahead.gained,
                        ahead_name=ahead.name,
                        ahead_email=ahead.email,
                        ahead_key=ahead.key,
                        gap=gap,
                        left=left.left,
                        module_name=left.module_name,
                    )
                )
        return found

    def _row(self, at: int) -> LearnerRow:
        row, rank = self._rows[at], self._ranks[at]
        equals = self._equals[rank] - 1
        return LearnerRow(
            **row._asdict(),
            rank=rank,
            rank_before=self._before.get(row.person),
            tied=equals > 0,
            equals=equals,
            place=at + 1,
        )

    def _found(self, find: str) -> Sequence[int]:
        """The places from 0 of rows with these words in name or address, or at the start of the
        id."""
        everyone = range(len(self._rows))
        words = find.replace("\0", "\N{REPLACEMENT CHARACTER}").lower()  # as names are stored
        return [at for at in everyone if _has(self._rows[at], words)] if words else everyone


def _ranks(figures: Sequence[float]) -> list[int]:
    """The first place of equals, of figures in order."""
    ranks: list[int] = []
    for at, figure in enumerate(figures):
        ranks.append(ranks[-1] if at and figure == figures[at - 1] else at + 1)
    return ranks


def _has(row: Moved, words: str) -> bool:
    named = (row.name or "", row.email or "")
    return any(words in one.lower() for one in named) or f"/{words}" in row.key.lower()


def _first_of(*names: str | None) -> str:
    """As SQL's COALESCE."""
    return next((name for name in names if name is not None), "")
