"""Percentages as pages show them, in tables, charts, sentences and files."""

from collections.abc import Iterable

import pandas as pd

COMPLETE = 100.0
DIGITS = 6
"""Queries give no more (`shared.figures`)."""
FORMAT = "%g %%"
"""Of a column whose values were `rounded`: as many digits as each of them has."""


def rounded(pct: float, *limits: float | None) -> float:
    """A percentage to as few digits as tell it apart from each limit that it is judged by, from
    nothing and from all: 69.96 beside a pass mark of 70, 99.6 of what is not complete. Others are
    whole."""
    known = [one for one in (0.0, COMPLETE, *limits) if one is not None and not pd.isna(one)]
    for digits in range(DIGITS):
        shown = round(pct, digits)
        if all(_side(shown, limit) == _side(pct, limit) for limit in known):
            return shown
    return round(pct, DIGITS)


def _side(pct: float, limit: float) -> int:
    return (pct > limit) - (pct < limit)


def exact(pct: float) -> str:
    """A pass mark, which was set: `72.5 %`."""
    return _written(round(pct, DIGITS))


def percent(pct: float | None, *limits: float | None, sign: bool = False) -> str:
    """`70 %`, rounded as above; `unknown` without a value."""
    if pct is None or pd.isna(pct):
        return "unknown"
    return _written(rounded(pct, *limits), "+" if sign else "")


def _written(pct: float, sign: str = "") -> str:
    """`1,250 %`, `-0.5 %`; no noughts at the end of a fraction."""
    return f"{bare(pct, sign)} %"


def bare(pct: float, sign: str = "") -> str:
    """A rounded percentage without its unit."""
    return f"{pct:{sign},.{DIGITS}f}".rstrip("0").rstrip(".")


def columns(
    frame: pd.DataFrame, *names: str, limits: Iterable[str] = (), fixed: Iterable[float] = ()
) -> pd.DataFrame:
    """A frame with some columns of percentages rounded, each value beside the limits of its row;
    the limits themselves as they were set."""
    of_rows = [frame[name] for name in limits]
    beside = list(zip(*of_rows, strict=True)) if of_rows else [()] * len(frame)
    return frame.assign(
        **{
            name: pd.Series(
                [
                    None if pd.isna(pct) else rounded(pct, *row, *fixed)
                    for pct, row in zip(frame[name], beside, strict=True)
                ],
                index=frame.index,
                dtype=float,
            )
            for name in names
        }
    )
