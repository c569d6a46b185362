"""Figures that read models and queries compute in the same way, as SQL."""

from typing import Any

from sqlalchemy import ColumnElement, Float, Numeric, cast, func

COMPLETE_PCT = 100


def percent(attempt: Any) -> ColumnElement[Any]:
    """The score of an attempt in percent, None without one. Rounded, so that the noise of binary
    fractions puts no learner under a threshold."""
    return exact(100 * attempt.score / attempt.max_score)


def exact(value: Any) -> ColumnElement[Any]:
    """Without the noise of binary fractions, so that equal figures are ties."""
    rounded: ColumnElement[Any] = cast(func.round(cast(value, Numeric), 6), Float)
    return rounded
