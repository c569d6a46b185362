"""The figures of a board, as columns: what people and members of teams added in its periods."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from shared.queries.histories import (
    NEVER,
    NOW,
    Asked,
    Figures,
    Flags,
    Had,
    Histories,
    Numbers,
    slot_at,
)
from shared.queries.movement import GAINS, PERIODS, Achieved, Board
from shared.queries.ranking import DECIMALS, Columns
from shared.queries.spells import BEFORE_ALL, FOREVER, Spells
from shared.queries.windows import WEEK, Window
from shared.scoring import Rules
from shared.standing_blocks import SLOT_SEC


class Moved(NamedTuple):
    """What people, or each of their times in a team, added from one moment to another: whether they
    moved, and sums over their accounts. `points` and `modules` are what they had at the end, whose
    latest standing is of the quarter hour `last`."""

    moved: Flags
    gained: Figures
    completed: Numbers
    time: Numbers
    points: Figures
    modules: Numbers
    last: Numbers


def _added(end: Had, start: Had, starts: Numbers) -> Moved:
    total = partial(_summed, starts=starts)
    return Moved(
        total((end.slot > NEVER) & (end.slot > start.slot), by=np.logical_or),
        _exact(total(end.points - start.points)),
        total(end.completed - start.completed),
        total(end.time - start.time),
        total(end.points),
        total(end.modules),
        total(end.slot, by=np.maximum),
    )


def _summed(values: Any, starts: Numbers, by: Any = np.add) -> Any:
    return by.reduceat(values, starts) if len(starts) else values[:0]


def _exact(values: Figures) -> Figures:
    """Without the noise of binary fractions, so that equal figures are ties."""
    return np.round(values, DECIMALS)


def _average(points: Figures, modules: Numbers) -> Figures:
    """Percent over the modules begun; NaN without one."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return _exact(np.where(modules > 0, points / modules, np.nan))


def _slots(window: Window) -> Sequence[tuple[int, int]]:
    """The begin and the end of both periods of a window."""
    begin = NEVER if window.since is None else slot_at(window.since)
    end = NOW if window.until is None else slot_at(window.until)
    if window.before is None:
        return (begin, end), (NEVER, NEVER)
    assert window.before_until is not None  # noqa: S101 (a period before has an end)
    return (begin, end), (slot_at(window.before), slot_at(window.before_until))


# People


def of_people(found: Histories, board: Board, achieved: Achieved) -> Columns:
    """A row for each person who is asked about, with every metric of both periods, `begun`, whether
    they have begun a module by the end of the window, and `after_leaving`: whether they have left
    and moved after that."""
    asked = found.asked(board.who)
    persons = asked.persons.tolist()
    columns: dict[str, Sequence[Any]] = {
        name: list(map(values.__getitem__, persons)) for name, values in found.people.items()
    }
    for number, (period, (begin, end)) in enumerate(
        zip(PERIODS, _slots(board.window), strict=True)
    ):
        row = _between(found, asked, begin, end)
        if not number:
            columns["begun"] = (row.last > NEVER).tolist()
            columns["after_leaving"] = _after_leaving(columns["left_at"], row)
        points, times = _achieved(achieved, columns["person"], number)
        for name, values in _figures(row, board.rules, points, times).items():
            columns[f"{name}{period}"] = values
    return columns


def _between(found: Histories, asked: Asked, begin: int, end: int) -> Moved:
    had = partial(found.had, accounts=asked.accounts)
    return _added(had(end), had(begin), asked.starts)


def _after_leaving(left_at: Sequence[datetime | None], row: Moved) -> Sequence[bool]:
    return [
        at is not None and moved and last * SLOT_SEC >= at.timestamp()
        for at, moved, last in zip(left_at, row.moved.tolist(), row.last.tolist(), strict=True)
    ]


def _achieved(of: Achieved, keys: Sequence[Any], number: int) -> tuple[Any, Any]:
    """What each person, or each time in a team, scored beside progress in a period: points, and how
    often."""
    if not of:
        return 0.0, 0
    nothing = [(0.0, 0)] * (number + 1)
    both = [of.get(key, nothing)[number] for key in keys]
    return np.array([one[0] for one in both], float), np.array([one[1] for one in both], int)


def _figures(row: Moved, rules: Rules, points: Any, times: Any) -> Mapping[str, Sequence[Any]]:
    average = _average(row.points, row.modules)
    return {
        "moved": (row.moved | (times > 0)).tolist(),
        "gained": row.gained.tolist(),
        "completed": row.completed.tolist(),
        "time": row.time.tolist(),
        "average": [None if one != one else one for one in average.tolist()],  # noqa: PLR0124 (NaN)
        "score": _score(row, rules, points).tolist(),
    }


def _score(row: Moved, rules: Rules, points: Any) -> Figures:
    progressed = rules.points("progress") * row.gained
    return _exact(progressed + rules.points("module") * row.completed + points)


class Added(NamedTuple):
    """How many people moved, and what they all added."""

    active: int
    gained: float
    completed: int
    time: int


def of_weeks(
    found: Histories, board: Board, ends: Sequence[datetime], achieved: Achieved
) -> Sequence[Added]:
    """What the people of a board added in the seven days up to each of `ends`."""
    asked = found.asked(board.who)
    persons = [found.people["person"][at] for at in asked.persons.tolist()] if achieved else []
    moments = {slot_at(at) for end in ends for at in (end - WEEK, end)}
    had = {slot: found.had(slot, asked.accounts) for slot in moments}
    weeks = []
    for number, end in enumerate(ends):
        row = _added(had[slot_at(end)], had[slot_at(end - WEEK)], asked.starts)
        _, times = _achieved(achieved, persons, number)
        weeks.append(
            Added(
                int(np.sum(row.moved | (times > 0))),
                round(float(np.sum(row.gained)), DECIMALS),
                int(np.sum(row.completed)),
                int(np.sum(row.time)),
            )
        )
    return weeks


def gained(
    found: Histories, begins: Sequence[datetime], persons: Sequence[str]
) -> Mapping[str, Sequence[float]]:
    """What some people gained from each of `begins` to the next, the last one until now."""
    places = np.array([found.at_person[one] for one in persons if one in found.at_person], int)
    asked = found.of_accounts(np.flatnonzero(np.isin(found.owners, places)))
    slots = [*map(slot_at, begins), NOW]
    weeks = [_between(found, asked, begin, end).gained.tolist() for begin, end in pairwise(slots)]
    names = [found.people["person"][at] for at in asked.persons.tolist()]
    return dict(zip(names, map(list, zip(*weeks, strict=True)), strict=True))


# Teams


class Members(NamedTuple):
    """People of teams in a period: a row for each person and team, which `teams` counts by."""

    member: Flags
    moved: Flags
    figures: Mapping[str, Figures]
    """By metric; NaN for an average without a module."""


class Teams(NamedTuple):
    """The teams by name, the team of each row, and the rows in both periods."""

    names: Sequence[str]
    of_row: Numbers
    now: Members
    before: Members


def of_teams_today(columns: Columns) -> Teams:
    """The people of a board, by the team they are in today."""
    rows = [at for at, team in enumerate(columns["team_id"]) if team is not None]
    names, of_row = _named([columns["team_id"][at] for at in rows])

    def members(period: str) -> Members:
        def column(name: str, kind: Any) -> Any:
            values = columns[f"{name}{period}"]
            return np.array([values[at] for at in rows], kind)

        figures = {name: column(name, float) for name in (*GAINS, "average")}
        return Members(np.ones(len(rows), bool), column("moved", bool), figures)

    return Teams(names, of_row, members(""), members(PERIODS[1]))


def _named(teams: Sequence[str]) -> tuple[Sequence[str], Numbers]:
    names = sorted(set(teams))
    place = {name: at for at, name in enumerate(names)}
    return names, np.array([place[team] for team in teams], np.int64)


def of_teams_then(found: Histories, board: Board, spells: Spells, achieved: Achieved) -> Teams:
    """By the team that they were in at the time, of the part of a period in which they were in it;
    `spells` are these times in the order of person and team."""
    usable = np.ones(len(found.owners), bool)
    if board.who.vendor is not None:
        usable = found.vendors == board.who.vendor
    times = _Times(found, np.flatnonzero(usable), spells, board.who.teams)
    periods = []
    for number, span in enumerate(_seconds(board.window)):
        row = times.added(*span)
        points, often = _achieved(achieved, times.keys if achieved else (), number)
        score = _score(row, board.rules, points)
        moved = row.moved | (often > 0)
        periods.append(_of_members(row, moved, times.listed(*span), score, times.first))
    return Teams(*_named([times.keys[at][1] for at in times.first.tolist()]), *periods)


def _seconds(window: Window) -> Sequence[tuple[float, float]]:
    """The begin and the end of both periods of a window; of one that there is not both in the
    past."""

    def second(at: datetime | None, otherwise: datetime) -> float:
        return (at or otherwise).timestamp()

    now = second(window.since, BEFORE_ALL), second(window.until, FOREVER)
    if window.before is None:
        return now, (second(None, BEFORE_ALL),) * 2
    return now, (second(window.before, BEFORE_ALL), second(window.before_until, FOREVER))


class _Times:
    """The times that people were in teams: person, team and begin (in seconds since 1970) of each
    are its `keys`, and `first` the places at which a person or a team follows another."""

    def __init__(
        self,
        found: Histories,
        usable: Numbers,
        spells: Spells,
        teams: tuple[str, ...] | None,
    ) -> None:
        """Of people with an account among `usable`, in these teams (None: in any)."""
        self._found = found
        owners = np.array([found.at_person[one] for one in spells.person], np.int64)
        of_usable = found.owners[usable]
        begins = np.searchsorted(of_usable, owners)
        counts = np.searchsorted(of_usable, owners, "right") - begins
        asked = counts > 0
        if teams is not None:
            asked &= np.array([team in teams for team in spells.team_id], bool)
        kept = np.flatnonzero(asked)
        begins, self._counts = begins[kept], counts[kept]
        self._starts: Numbers = np.cumsum(self._counts) - self._counts
        places = np.arange(int(self._counts.sum()))
        self._accounts: Numbers = usable[places + np.repeat(begins - self._starts, self._counts)]
        self._began: Figures = np.array(spells.began_at, np.float64)[kept]
        self._ended: Figures = np.array(spells.ended_at, np.float64)[kept]
        self._credited: Figures = np.array(spells.credited_from, np.float64)[kept]
        rows = list(zip(spells.person, spells.team_id, spells.began_at, strict=True))
        self.keys = [rows[at] for at in kept.tolist()]
        firsts = [at == 0 or key[:2] != self.keys[at - 1][:2] for at, key in enumerate(self.keys)]
        self.first: Numbers = np.flatnonzero(np.array(firsts, bool))

    def added(self, since: float, until: float) -> Moved:
        """What was gained in each of the times, within a period."""
        return _added(self._had(self._ended, since, until),
                      self._had(self._credited, since, until), self._starts)  # fmt: skip

    def _had(self, at: Figures, since: float, until: float) -> Had:
        slots = np.ceil(np.clip(at, since, until) / SLOT_SEC).astype(np.int64)
        return self._found.had(np.repeat(slots, self._counts), self._accounts)

    def listed(self, since: float, until: float) -> Flags:
        """Which of them overlap a period."""
        return (self._ended > since) & (self._began < until)


def _of_members(row: Moved, moved: Flags, listed: Flags, score: Figures, first: Numbers) -> Members:
    """The times of a person in one team as one row. Totals only grow, so the largest is that of the
    last time."""
    member = listed | moved
    total = partial(_summed, starts=first)
    points = total(np.where(member, row.points, 0), by=np.maximum)
    modules = total(np.where(member, row.modules, 0), by=np.maximum)
    return Members(
        total(member, by=np.logical_or),
        total(moved, by=np.logical_or),
        {
            "gained": total(row.gained),
            "completed": total(row.completed).astype(float),
            "time": total(row.time).astype(float),
            "average": _average(points, modules),
            "score": total(score),
        },
    )


class TeamFigures(NamedTuple):
    """What a team added by a metric: sums over its members, and the average of each."""

    team_id: str
    members: int
    members_before: int
    moved: int
    total: float
    average: float
    average_before: float


def by_team(teams: Teams, metric: str) -> Sequence[TeamFigures]:
    """Of each team with a member in the window."""
    now, before = (_of_period(teams, of, metric) for of in (teams.now, teams.before))
    rows = zip(teams.names, now[0], before[0], *now[1:], before[3], strict=True)
    return [row for row in map(TeamFigures._make, rows) if row.members]


def _of_period(teams: Teams, of: Members, metric: str) -> Sequence[Sequence[Any]]:
    """By team: members, who moved, the total, and the average of a member."""
    values = of.figures[metric]
    known = ~np.isnan(values)
    count = partial(np.bincount, teams.of_row, minlength=len(teams.names))
    members, moved = count(of.member).astype(int), count(of.moved).astype(int)
    total: Figures = count(np.where(known, values, 0)).astype(float)
    over = count(known) if metric == "average" else members
    average: Figures = np.where(over > 0, total / np.maximum(over, 1), 0.0)
    return members.tolist(), moved.tolist(), _exact(total).tolist(), _exact(average).tolist()
