"""Every read, one file a subject. Aggregates are worked out in SQL; rows come ready to show."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Result, case, func

R = TypeVar("R")


def rows_of(row_type: Callable[..., R], result: Result[Any]) -> Sequence[R]:
    """The rows of a result, by name, as a type with a field for each column. Raises TypeError where
    columns and fields are not the same."""
    names = tuple(result.keys())
    return [row_type(**dict(zip(names, row, strict=True))) for row in result]


def row_of(row_type: Callable[..., R], result: Result[Any]) -> R | None:
    """The only row of a result; None without one."""
    row = result.mappings().one_or_none()
    return None if row is None else row_type(**row)


def counted(flag: ColumnElement[bool]) -> ColumnElement[int]:
    """How many rows of a group are so; 0 without a row."""
    return func.coalesce(func.sum(case((flag, 1), else_=0)), 0)
