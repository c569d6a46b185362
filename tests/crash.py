"""`python -m tests.crash 200`: a receiver is killed with SIGKILL under load, again and again.

Each time one of its two workers or its follower first, then all of it. Half of the kills on SQLite,
half on Postgres. Prints what became of the acknowledged events.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from sqlalchemy import Connection, Engine

from receiver.readmodels.rebuild import rebuild
from shared.database import migrate, open_engine
from tests.load import Load
from tests.own_postgres import own_postgres
from tests.running import Receiver, until
from tests.stores import follow, read_models

LONGEST_LOAD_SEC = 0.4


class Proof(NamedTuple):
    """What a store has after `kills` of its receiver."""

    kills: int
    acknowledged: int
    lost: int
    """Acknowledged, and no such event is there."""
    doubled: int
    """Accepted more than once."""
    rebuilt_alike: bool
    """Whether a rebuild from the events gives the read models that were there."""

    @classmethod
    def of(cls, engine: Engine, loads: Sequence[Load]) -> Self:
        """Looks at the store after all kills, and rebuilds it."""
        acknowledged = set[str]().union(*(load.acknowledged for load in loads))
        follow(engine)
        with engine.connect() as connection:
            events = _keys(connection, "SELECT event_key FROM event")
            accepted = _keys(
                connection, "SELECT event_key FROM delivery WHERE outcome = 'accepted'"
            )
            live = read_models(connection)
        rebuild(engine)
        with engine.connect() as connection:
            alike = read_models(connection) == live
        doubled = max(len(keys) - len(set(keys)) for keys in (events, accepted))
        return cls(len(loads), len(acknowledged), len(acknowledged - set(events)), doubled, alike)

    def in_words(self) -> str:
        return (
            f"{self.kills} kills, {self.acknowledged:,} acknowledged, {self.lost} lost, "
            f"{self.doubled} doubled, read models "
            f"{'equal to' if self.rebuilt_alike else 'OTHER THAN'} those of a rebuild"
        )


def _keys(connection: Connection, query: str) -> Sequence[str]:
    return connection.exec_driver_sql(query).scalars().all()


def killed_under_load(url: str, folder: Path, prefix: str) -> Load:
    """One receiver on the store: at random moments after its first answer a child of it is killed,
    then all of it."""
    with (
        Receiver(url, folder, RECEIVER_WORKERS="2") as receiver,
        Load(receiver.url, prefix) as load,
    ):
        until(lambda: bool(load.acknowledged))
        time.sleep(random.uniform(0, LONGEST_LOAD_SEC))
        _, *children = receiver.processes()
        random.choice(children).kill()
        time.sleep(random.uniform(0, LONGEST_LOAD_SEC))
        receiver.kill()
    return load


def _killed(url: str, folder: Path, kills: int) -> Proof:
    engine = open_engine(url)
    migrate(engine)
    return Proof.of(engine, [killed_under_load(url, folder, f"run{n}") for n in range(kills)])


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    arguments.add_argument("kills", type=int, nargs="?", default=20)
    kills = arguments.parse_args().kills
    with tempfile.TemporaryDirectory() as name, own_postgres() as server:
        folder = Path(name)
        with server.database() as url:
            on_postgres = _killed(url, folder, kills // 2)
        on_sqlite = _killed(f"sqlite:///{folder / 'repboard.db'}", folder, kills - kills // 2)
    sys.stdout.write(f"SQLite: {on_sqlite.in_words()}\nPostgres: {on_postgres.in_words()}\n")
    sys.exit(any(one.lost or one.doubled or not one.rebuilt_alike
                 for one in (on_sqlite, on_postgres)))  # fmt: skip


if __name__ == "__main__":
    main()
