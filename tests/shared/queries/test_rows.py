"""Rows of a query as a named type."""

from typing import NamedTuple

import pytest
from sqlalchemy import Engine, literal, select

from shared.queries import row_of, rows_of


class Pair(NamedTuple):
    """A row of two columns."""

    name: str
    size: int


def test_rows_are_built_by_the_names_of_columns_in_any_order(store: Engine) -> None:
    query = select(literal(2).label("size"), literal("two").label("name"))
    with store.connect() as connection:
        assert rows_of(Pair, connection.execute(query)) == [Pair("two", 2)]
        assert row_of(Pair, connection.execute(query)) == Pair("two", 2)
        assert row_of(Pair, connection.execute(query.where(literal(1) == 0))) is None


def test_a_column_without_a_field_is_an_error(store: Engine) -> None:
    query = select(literal(2).label("sise"), literal("two").label("name"))
    with store.connect() as connection, pytest.raises(TypeError, match="sise"):
        rows_of(Pair, connection.execute(query))
