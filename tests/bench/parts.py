"""What a delivery costs, part by part, with nothing beside it: where the rest of the time goes."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

import structlog
from sqlalchemy import Engine, event

from receiver import logs
from receiver.pipeline import judge
from receiver.store import Entry, write_batch
from receiver.vendors.base import Incoming
from receiver.vendors.mindtickle import MindTickle
from shared.database import open_engine
from tests import playing
from tests.bench import report
from tests.bench.load import deliveries
from tests.bench.stores import KINDS, Stores

DELIVERIES, BATCH = 20_032, 64
INTRODUCTION = f"""\
### Where the time goes

Parts of a delivery in microseconds, in one process that does nothing else, for {DELIVERIES:,}
deliveries written {BATCH} at a time: alone on the machine, and while a second process does nothing
but count, as wrk and the two threads of a receiver are there at once. *Python* is what is left of
writing a batch without its statements.

"""
Parts = Mapping[str, float]
"""Microseconds a delivery."""
TABLE = re.compile(r"\s*(?:INSERT INTO|UPDATE) (\w+)")


def measure(stores: Stores) -> str:
    """The tables of this section."""
    came = [_incoming(*one) for one in deliveries(DELIVERIES, "part")]
    entries: list[Entry] = []
    alone, beside = {}, {}
    for found, meanwhile in ((alone, nullcontext), (beside, _busy_process)):
        with meanwhile():
            found["the event loop"], entries = _before_the_store(came)
            for kind, name in KINDS.items():
                with stores.fresh(kind) as url:
                    found[f"the writer, {name}"] = _written(url, entries)
    return INTRODUCTION + "\n\n".join(
        report.table(
            (f"in {where}", "alone", "beside another"),
            [(name, f"{one:.1f}", f"{beside[where][name]:.1f}") for name, one in parts.items()],
        )
        for where, parts in alone.items()
    )


@contextmanager
def _busy_process() -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _before_the_store(came: Sequence[Incoming]) -> tuple[Parts, list[Entry]]:
    vendor = MindTickle([playing.SECRET.encode()], playing.COMPANY, past=86_400, future=300)
    entries: list[Entry] = []
    verified = _each(lambda one: entries.append(judge(vendor, one)), came)
    return {"verify and understand": verified, "a line in the log": _logged(entries)}, entries


def _incoming(body: bytes, headers: dict[str, str]) -> Incoming:
    encoded = {name: value.encode() for name, value in headers.items()}
    return Incoming(encoded, body, "127.0.0.1", datetime.now(UTC))


def _each(work: Callable[[Any], object], things: Sequence[Any]) -> float:
    """Microseconds for one of them."""
    began = perf_counter()
    for one in things:
        work(one)
    return 1e6 * (perf_counter() - began) / len(things)


def _logged(entries: Sequence[Entry]) -> float:
    """Microseconds for the line that the receiver logs of each."""
    logs.configure()
    log = structlog.get_logger()

    def line(entry: Entry) -> None:
        log.info(
            "delivery", vendor=entry.vendor, outcome=entry.outcome, status=200,
            event_key=entry.claims.event_key, event_type=entry.claims.event_type,
            remote_ip=entry.remote_ip, body_bytes=entry.body_bytes, duration_ms=1.25, delivery_id=1,
        )  # fmt: skip

    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        return _each(line, entries)


def _written(url: str, entries: Sequence[Entry]) -> Parts:
    engine = open_engine(url, intake=True)
    spent = _watched(engine)
    began = perf_counter()
    for first in range(0, len(entries), BATCH):
        with (
            engine.connect().execution_options(immediate=True) as connection,
            connection.begin() as transaction,
        ):
            write_batch(connection, entries[first : first + BATCH])
            before = perf_counter()
            transaction.commit()
            spent["commit"] += perf_counter() - before
    whole = perf_counter() - began
    engine.dispose()
    spent["Python"] = whole - sum(spent.values())
    spent["together"] = whole
    return {name: 1e6 * seconds / len(entries) for name, seconds in spent.most_common()}


def _watched(engine: Engine) -> Counter[str]:
    """Seconds that statements take, by the table they write."""
    spent: Counter[str] = Counter()
    began = 0.0

    @event.listens_for(engine, "before_cursor_execute")
    def before(*_: object) -> None:
        nonlocal began
        began = perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def after(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        table = TABLE.match(statement)
        spent[f"`{table[1]}`" if table else "locks and look-ups"] += perf_counter() - began

    return spent
