"""A whole board in memory: the people of one look at the store, in the order of any metric.

All that a page says of a board (the first places, the figures, climbers, neighbours) comes from the
same rows, so they are looked up once. There is one for each person, however many events.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection

from shared.queries.movement import Board, achieved, spans_of
from shared.queries.people import PersonRow

if TYPE_CHECKING:
    from shared.queries.histories import Histories

FIRST_PLACES = 100
"""Among so many at the top a few are mostly one module behind the next."""
MOST_AT_ONCE = 5_000
DECIMALS = 6
"""As `shared.figures.exact` rounds."""
Columns = Mapping[str, Sequence[Any]]
"""A list for each field of a row, all in one order."""


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
    average: float | None
    score: float
    moved_before: bool
    gained_before: float
    completed_before: int
    time_before: int
    average_before: float | None
    score_before: float


OF_RANKING = ("rank", "rank_before", "tied", "equals", "place")
IN_COLUMNS = [one.name for one in fields(LearnerRow) if one.name not in OF_RANKING]


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


class Standings:
    """The people of a board at one look at the store. Nothing of it changes, so sessions can share
    it."""

    def __init__(self, columns: Columns) -> None:
        """See `board_figures.of_people`."""
        self.columns = columns
        self._rankings: dict[str, Ranking] = {}

    def by(self, metric: str) -> "Ranking":
        """In the order of a metric."""
        if metric not in self._rankings:
            self._rankings[metric] = Ranking(self.columns, metric)
        return self._rankings[metric]

    def how_many(self) -> int:
        """How many people there are, also without any activity."""
        return len(self.columns["person"])

    def totals(self) -> Totals:
        return Totals(*self._summed(""), *self._summed("_before"))

    def _summed(self, period: str) -> tuple[int, float, int, int]:
        moved, gained, completed, time = (
            sum(self.columns[f"{name}{period}"])
            for name in ("moved", "gained", "completed", "time")
        )
        return moved, round(gained, DECIMALS), completed, time

    def still(self, limit: int) -> Sequence[StillRow]:
        """See `leaderboard.still`."""
        of = self.columns
        flags = zip(of["active"], of["begun"], of["moved"], strict=True)
        found = [
            at for at, (active, begun, moved) in enumerate(flags) if active and begun and not moved
        ]
        gained = of["gained_before"]

        def order(at: int) -> tuple[Any, ...]:
            return -gained[at], _first_of(of["name"][at], of["email"][at]), of["key"][at]

        return [
            StillRow(of["key"][at], of["person"][at], of["name"][at], of["email"][at], gained[at],
                     len(found))
            for at in nsmallest(limit, found, order)
        ]  # fmt: skip


def standings(connection: Connection, board: Board) -> Standings:
    """All people of a board."""
    from shared.queries.histories import histories  # noqa: PLC0415 (see there)

    found = histories(connection, board.window.earliest(), board.module)
    return standings_of(connection, found, board)


def standings_of(connection: Connection, found: "Histories", board: Board) -> Standings:
    """The same of histories that are there already, of all people, from the begin of the board's
    first period or earlier, and of its module if it has one."""
    from shared.queries.board_figures import of_people  # noqa: PLC0415

    scored = achieved(connection, board, spans_of(board.window))
    return Standings(of_people(found, board, scored))


class Ranking:
    """The people of a board who moved, in the order of a metric.

    Ranks are competition ranks (1-2-2-4); ties are in the order of name or address.
    """

    def __init__(self, columns: Columns, metric: str) -> None:
        self._of = columns
        self._figures = _figures(columns[metric])
        names = list(zip(columns["name"], columns["email"], columns["key"], strict=True))
        rows = [at for at, moved in enumerate(columns["moved"]) if moved]
        # Columns are in the order of persons, which decides between people of one name.
        rows.sort(key=lambda at: (-self._figures[at], _first_of(*names[at]), at))
        self._rows = rows
        self._ranks = _ranks([self._figures[at] for at in rows])
        self._equals = Counter(self._ranks)
        self._before = _ranks_before(columns, metric)
        self._at = {columns["person"][row]: at for at, row in enumerate(rows)}

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
        keys = self._of["key"]
        return next((at + 1 for at, row in enumerate(self._rows) if keys[row] == key), None)

    def climbers(self, limit: int) -> Sequence[ClimberRow]:
        """See `leaderboard.climbers`."""
        found = []
        for row, rank in zip(self._rows, self._ranks, strict=True):
            before = self._before.get(row)
            if before is not None and before > rank:
                found.append((rank - before, rank, before, row))
        found.sort(key=lambda one: one[0])
        of = self._of
        return [
            ClimberRow(of["key"][row], of["person"][row], of["name"][row], of["email"][row],
                       rank, before)
            for _, rank, before, row in found[:limit]
        ]  # fmt: skip

    def neighbours(self, person: str, around: int) -> Sequence[NeighbourRow]:
        """See `leaderboard.neighbours`."""
        if person not in self._at:
            return []
        own = self._at[person]
        rank = self._ranks[own]
        near = {*range(own - around, own + around + 1), rank - 2, rank - 1 + self._equals[rank]}
        figure = self._figures[self._rows[own]]
        return [
            NeighbourRow(
                **vars(self._row(at)),
                gap=round(self._figures[self._rows[at]] - figure, DECIMALS),
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
            behind = [at for at in behind if at == self._at.get(person)]
        found: list[CloseCall] = []
        first = 0
        while first < len(behind) and len(found) < limit:
            some = behind[first : first + min(max(FIRST_PLACES, first), MOST_AT_ONCE)]
            first += len(some)
            left = unfinished(tuple(self._of["person"][self._rows[at]] for at in some))
            found += islice(self._calls(some, left), limit - len(found))
        return found

    def _calls(
        self, some: Iterable[int], unfinished: Mapping[str, Unfinished]
    ) -> Iterator[CloseCall]:
        for at in some:
            row, ahead = self._rows[at], self._rows[self._ranks[at] - 2]
            left = unfinished.get(self._of["person"][row])
            gap = round(self._figures[ahead] - self._figures[row], DECIMALS)
            if left is not None and left.left > gap:
                yield CloseCall(
                    **vars(self._row(at)),
                    ahead_gained=self._of["gained"][ahead],
                    ahead_name=self._of["name"][ahead],
                    ahead_email=self._of["email"][ahead],
                    ahead_key=self._of["key"][ahead],
                    gap=gap,
                    left=left.left,
                    module_name=left.module_name,
                )

    def _row(self, at: int) -> LearnerRow:
        row, rank = self._rows[at], self._ranks[at]
        equals = self._equals[rank] - 1
        return LearnerRow(
            **{name: self._of[name][row] for name in IN_COLUMNS},
            rank=rank,
            rank_before=self._before.get(row),
            tied=equals > 0,
            equals=equals,
            place=at + 1,
        )

    def _found(self, find: str) -> Sequence[int]:
        """The places from 0 of rows with these words in name or address, or at the start of the
        id."""
        everyone = range(len(self._rows))
        words = find.replace("\0", "\N{REPLACEMENT CHARACTER}").lower()  # as names are stored
        return [at for at in everyone if self._has(self._rows[at], words)] if words else everyone

    def _has(self, row: int, words: str) -> bool:
        named = (self._of["name"][row] or "", self._of["email"][row] or "")
        in_name = any(words in one.lower() for one in named)
        return in_name or f"/{words}" in self._of["key"][row].lower()


def _figures(column: Sequence[float | None]) -> Sequence[float]:
    """A metric; of an average without a module less than any."""
    return [float("-inf") if value is None else value for value in column]


def _ranks_before(columns: Columns, metric: str) -> Mapping[int, int]:
    """The ranks in the period before, of those who moved in it."""
    figures = _figures(columns[f"{metric}_before"])
    moved = [at for at, flag in enumerate(columns["moved_before"]) if flag]
    ordered = sorted((figures[at] for at in moved), reverse=True)
    first_at = dict(zip(reversed(ordered), range(len(ordered), 0, -1), strict=True))
    return {at: first_at[figures[at]] for at in moved}


def _ranks(figures: Sequence[float]) -> list[int]:
    """The first place of equals, of figures in order."""
    ranks: list[int] = []
    for at, figure in enumerate(figures):
        ranks.append(ranks[-1] if at and figure == figures[at - 1] else at + 1)
    return ranks


def _first_of(*names: str | None) -> str:
    """As SQL's COALESCE."""
    return next((name for name in names if name is not None), "")
