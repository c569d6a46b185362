"""How long `repboard import` takes, beside only reading the same CSV, and how much memory and
processor time. The processor time is without that of Postgres' own processes."""

import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, sleep
from typing import NamedTuple

import psutil

from tests.bench import report
from tests.bench.stores import KINDS, Stores
from tests.exports import MINDTICKLE, progress, written
from tests.running import environment

MILLION = 1_000_000
EVERY_SEC = 0.2
STEPS: Sequence[tuple[str, Sequence[str]]] = (
    ("compare", ()),
    ("import", ("--apply",)),
    ("import again", ("--apply",)),
)
FIRST = datetime(2025, 1, 1, tzinfo=UTC)


def measure(stores: Stores, events: int) -> str:
    """The section of the report, for a million rows or `events` if that is less."""
    number = min(events, MILLION)
    with tempfile.TemporaryDirectory() as scratch:
        export = written(Path(scratch), (_row(n) for n in range(number)))
        (export.parent / "mapping.toml").write_text(MINDTICKLE)
        plain = _read(export)
        rows = [("reading the CSV, no more", f"{plain:.1f}", "1", "–", "–")]
        for kind, name in KINDS.items():
            with stores.fresh(kind) as store:
                for words, more in STEPS:
                    ran = _command(store, export, *more)
                    ratio, each = ran.seconds / plain, 1e6 * ran.processor / number
                    rows.append((f"{words}, {name}", f"{ran.seconds:.1f}", f"{ratio:,.0f}",
                                 f"{each:,.0f}", f"{ran.peak_mb:,.0f}"))  # fmt: skip
    head = (f"{number:,} rows", "seconds", "times the reading", "µs of processor a row", "peak MB")
    return report.table(head, rows)


def _row(number: int) -> tuple[object, ...]:
    at = FIRST + timedelta(seconds=27 * number)
    return tuple(progress(f"evt-{number}", f"u-{number % 5000}", number % 101, at.isoformat()))


def _read(export: Path) -> float:
    """Seconds in which Python reads the rows."""
    began = perf_counter()
    with export.open(newline="") as file:
        for _ in csv.reader(file):
            pass
    return perf_counter() - began


class Ran(NamedTuple):
    """What the whole command took: seconds, seconds of processor, and megabytes at its peak."""

    seconds: float
    processor: float
    peak_mb: float


def _command(store: str, export: Path, *more: str) -> Ran:
    asked = ("import", str(export), "--vendor", "mindtickle", "--mapping", "mapping.toml", *more)
    began = perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "receiver", *asked],
        env=environment(DATABASE_URL=store), cwd=export.parent,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    watched = psutil.Process(process.pid)
    peak = ended = status = 0
    while not ended:
        # What the kernel says of a process at its end includes that of its parent before `exec`.
        with suppress(psutil.Error):
            peak = max(peak, watched.memory_info().rss)
        sleep(EVERY_SEC)
        ended, status, used = os.wait4(process.pid, os.WNOHANG)
    if status:
        sys.exit("repboard import failed.")
    took = perf_counter() - began
    report.say(f"import {' '.join(more)} on {store.partition(':')[0]}: {took:.1f} s")
    return Ran(took, used.ru_utime + used.ru_stime, peak / 1e6)
