"""Reads from a store in tests."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Row, create_engine, func, select
from sqlmodel import SQLModel

from receiver.readmodels.follower import Follower, open_follower_engine
from receiver.readmodels.projections import READ_MODELS
from shared.bulk import table_of
from shared.database import hold_write_lock, write_transaction
from shared.models import Checkpoint, Event, Heartbeat, Table, Vendor
from tests.waiting import until


def rows(engine: Engine, model: type[SQLModel], **wanted: Any) -> Sequence[Row[Any]]:
    """The rows whose columns have the wanted values, in the order of their keys."""
    table = table_of(model)
    query = select(table).filter_by(**wanted).order_by(*table.primary_key)
    with engine.connect() as connection:
        return connection.execute(query).all()


def row(engine: Engine, model: type[SQLModel], **wanted: Any) -> Any:
    """The only row with the wanted values."""
    (one,) = rows(engine, model, **wanted)
    return one


def count(engine: Engine, model: type[SQLModel]) -> int:
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table_of(model))) or 0


def planned_for(engine: Engine) -> dict[str, int]:
    """The number of rows that the planner assumes for each table with statistics."""
    statistics = {
        "sqlite": "SELECT tbl, max(CAST(stat AS INTEGER)) FROM sqlite_stat1 GROUP BY tbl",
        "postgresql": "SELECT relname, reltuples FROM pg_class WHERE relkind = 'r'",
    }
    with engine.connect() as connection:
        found = connection.exec_driver_sql(statistics[engine.dialect.name]).all()
        return {table: int(rows) for table, rows in found if rows >= 0}


def empty(engine: Engine) -> None:
    """Remove the rows of earlier tests from a store that a receiver still uses."""
    with write_transaction(engine) as connection:
        hold_write_lock(connection)  # the receiver's follower may be at work
        for table in reversed(Table.metadata.sorted_tables):
            if table not in (table_of(Heartbeat), table_of(Vendor)):
                connection.execute(table.delete())


def follow(engine: Engine) -> None:
    """Fold all stored events into the read models, as a follower does. If another one works, wait
    until it has."""
    own = open_follower_engine(engine.url.render_as_string(hide_password=False))
    follower = Follower(own)

    def followed() -> bool:
        done = follower.step()
        return is_followed(engine) if not done.works else not done.events

    until(followed)
    follower.release()
    own.dispose()


def is_followed(engine: Engine) -> bool:
    """Whether the follower of a running receiver has folded all stored events."""
    with engine.connect() as connection:
        reached = connection.scalar(select(table_of(Checkpoint).c.event_id))
        return (reached or 0) == (connection.scalar(select(func.max(table_of(Event).c.id))) or 0)


def read_models(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in the read models, by table."""
    tables = map(table_of, READ_MODELS)
    return {
        table.name: [
            tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))
        ]
        for table in tables
    }


@contextmanager
def write_locked(engine: Engine) -> Iterator[None]:
    """While the block runs, no other process can write deliveries."""
    with engine.connect().execution_options(immediate=True) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("LOCK TABLE delivery")
        else:
            connection.exec_driver_sql("SELECT 1")  # starts the transaction and takes the lock
        yield
        connection.rollback()


@contextmanager
def unreachable(store: Engine) -> Iterator[None]:
    """While the block runs, no other process can write to the store."""
    if store.dialect.name == "sqlite":
        with write_locked(store):
            yield
        return
    name = store.url.database
    server = create_engine(store.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        connection.exec_driver_sql(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        yield
        connection.exec_driver_sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    server.dispose()
