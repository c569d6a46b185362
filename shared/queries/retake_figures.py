"""Retakes in the histories of a quiz (`shared.quiz_histories`), and figures of them."""

from binascii import unhexlify
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared.quiz_histories import END, OVER, REFUSED, UNJUDGED, microseconds
from shared.setting_types import CoachingRule

Flags: TypeAlias = NDArray[np.bool_]
Numbers: TypeAlias = NDArray[np.int64]
Figures: TypeAlias = NDArray[np.float64]

DAY = 86_400_000_000
"""In microseconds."""
RECORD = np.dtype([("time", "<i8"), ("pct", "<f8")])


class Runs(NamedTuple):
    """Retakes as columns: the place of their history in the text, first and last attempt in
    microseconds since 1970, whether the last one passes, and the percentage points between the two,
    NaN where nothing tells."""

    history: Numbers
    failed_at: Numbers
    last_at: Numbers
    passed: Flags
    lift: Figures

    def where(self, flags: Flags) -> "Runs":
        return Runs._make(column[flags] for column in self)

    def open_between(self, cases: Sequence[tuple[int, int, int]]) -> Flags:
        """Which of them a case was open during: (history, opened, closed) of each case."""
        flags = np.zeros(len(self.history), bool)
        places = np.array([place for place, *_ in cases])
        begins, ends = np.searchsorted(self.history, (places, places + 1))
        for (_, opened_at, closed_at), begin, end in zip(cases, begins, ends, strict=True):
            last_at, failed_at = self.last_at[begin:end], self.failed_at[begin:end]
            flags[begin:end] |= (opened_at < last_at) & (closed_at > failed_at)
        return flags


def runs_of(
    histories: str, threshold_pct: float, rule: CoachingRule, since: datetime | None
) -> Runs:
    """The retakes in histories of a quiz with `END` between them, whose last attempt is not before
    `since`. A retake is everything up to a pass or the latest attempt, with a fail in it."""
    attempts = np.frombuffer(unhexlify(histories + END), RECORD)
    times, pct = attempts["time"], np.ascontiguousarray(attempts["pct"])
    said = times & 3
    low = _is_low(pct, said, threshold_pct, rule)
    passes = ~low & (~np.isnan(pct) | (said < UNJUDGED))
    ends = said == OVER
    last = np.flatnonzero(passes | ends)
    first = np.concatenate(([0], last[:-1] + 1))
    history = np.cumsum(ends[last]) - ends[last]
    last -= ends[last]
    found = (last > first) & np.logical_or.reduceat(low, first)
    if since is not None:
        found &= times[last] >> 2 >= microseconds(since)
    first, last = first[found], last[found]
    return Runs(
        history[found], times[first] >> 2, times[last] >> 2, passes[last], pct[last] - pct[first]
    )


def _is_low(pct: Figures, said: Numbers, threshold_pct: float, rule: CoachingRule) -> Flags:
    """As `quiz_standings.is_low` has it."""
    under, refused = pct < threshold_pct, said == REFUSED
    low: dict[CoachingRule, Flags] = {
        "either": under | refused,
        "threshold": np.where(np.isnan(pct), refused, under),
        "vendor": np.where(said == UNJUDGED, under, refused),
    }
    return low[rule]


class Tally(NamedTuple):
    """How many retakes there are, the lifts of those that have one, and the days of those that are
    passed."""

    retakes: int
    lifts: Figures
    days: Figures

    def without(self, others: "Tally") -> "Tally":
        """Less others that are among them."""
        if not others.retakes:
            return self
        lifts, days = _less(self.lifts, others.lifts), _less(self.days, others.days)
        return Tally(self.retakes - others.retakes, lifts, days)


def tally(several: Iterable[Runs]) -> Tally:
    columns = [np.concatenate(column) for column in zip(*several, strict=True)]
    if not columns:
        return Tally(0, np.empty(0), np.empty(0))
    runs = Runs(*columns)
    days = (runs.last_at - runs.failed_at)[runs.passed] / DAY
    return Tally(len(runs.lift), runs.lift[~np.isnan(runs.lift)], days)


def _less(values: Figures, others: Figures) -> Figures:
    """Of equal values as many fewer as there are among the others."""
    values, others = np.sort(values), np.sort(others)
    nth = np.arange(len(others)) - np.searchsorted(others, others)
    return np.delete(values, np.searchsorted(values, others) + nth)


def median(values: Figures) -> float | None:
    return float(np.median(values)) if len(values) else None
