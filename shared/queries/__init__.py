"""Every read, one file a subject. Aggregates are worked out in SQL; rows come ready to show."""

from typing import Any

from sqlalchemy import ColumnElement, Row, case, func

AnyRow = Row[*tuple[Any, ...]]


def counted(flag: ColumnElement[bool]) -> ColumnElement[int]:
    """How many rows of a group are so; 0 without a row."""
    return func.coalesce(func.sum(case((flag, 1), else_=0)), 0)
