"""How many deliveries a second are accepted, beside the textbook and beside doing nothing."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil
from sqlmodel import SQLModel

from shared.database import open_engine
from shared.models import Event
from tests.bench import parts, report
from tests.bench.load import check_wrk, write_requests, wrk
from tests.bench.stores import KINDS, Stores
from tests.bench.textbook import WebhookEvent
from tests.running import ROOT, Receiver, environment, free_port, is_up, until
from tests.stores import count

CONNECTIONS = (32, 128)
ROUNDS, SECONDS = 3, 10
WARM_UP_SEC, WARM_UP, REQUESTS = 2, 50_000, 300_000


class Served(NamedTuple):
    """A program that runs: its address and its process."""

    url: str
    pid: int


Serve = Callable[[str, Path], AbstractContextManager[Served]]


class Program(NamedTuple):
    """Something that takes deliveries: how it is started on a store, and where it keeps events."""

    name: str
    serve: Serve
    keeps: type[SQLModel] | None


class Round(NamedTuple):
    """What a program did: answers a second, milliseconds until they came, and microseconds of
    processor for each in the thread of its event loop and in its other threads."""

    rate: float
    p50: float
    p95: float
    p99: float
    loop: float
    others: float


def measure(stores: Stores, events: int) -> str:
    """The section of the report. `events` bounds nothing here: load goes by time."""
    check_wrk()
    with tempfile.TemporaryDirectory(dir=stores.folder) as name:
        folder = Path(name)
        files = (
            write_requests(folder / "warm-up", WARM_UP, "warm-up"),
            write_requests(folder / "requests", REQUESTS, "evt"),
        )
        sections = [_section(stores, folder, files, kind) for kind in KINDS]
        sections.append(parts.measure(stores))
    fsync = stores.postgres.ask("SHOW fsync"), stores.postgres.ask("SHOW synchronous_commit")
    return INTRODUCTION.format(
        rounds=ROUNDS, seconds=SECONDS, version=stores.postgres.ask("SHOW server_version"),
        fsync=fsync[0], commit=fsync[1],
    ) + "\n\n".join(sections)  # fmt: skip


INTRODUCTION = """\
`wrk` with one thread sends unique signed deliveries over kept connections, after a warm-up; the
medians of {rounds} rounds of {seconds} s in turn, each on a fresh store. Everything runs in one
process on the same machine as wrk. After each round the events in the store are counted: every
200 is one. Repboard keeps all read models; the *textbook* is FastAPI with one SQLModel session and
commit a request, the same signature check and no read models; *nothing* is a FastAPI endpoint that
answers at once. SQLite: WAL, `synchronous=FULL`. Postgres {version}: `fsync={fsync}`,
`synchronous_commit={commit}`. The last two columns are processor time a delivery, without that of
Postgres' own processes.

"""


def _section(stores: Stores, folder: Path, files: tuple[Path, Path], kind: str) -> str:
    found = {(program.name, connections): [] for connections in CONNECTIONS for program in PROGRAMS}
    for number in range(ROUNDS):
        for connections in CONNECTIONS:
            for program in PROGRAMS:
                seen = _round(stores, folder, files, kind, program, connections)
                found[program.name, connections].append(seen)
                report.say(
                    f"{KINDS[kind]}, round {number + 1}, {connections} connections, "
                    f"{program.name}: {seen.rate:,.0f} a second, p99 {seen.p99:.0f} ms"
                )
    middle = {key: Round(*map(median, zip(*seen, strict=True))) for key, seen in found.items()}
    return _report(kind, middle)


def _round(
    stores: Stores, folder: Path, files: tuple[Path, Path], kind: str, program: Program, conns: int
) -> Round:
    warm_up, requests = files
    with stores.fresh(kind) as store, program.serve(store, folder) as (url, pid):
        first = wrk(url, warm_up, conns, WARM_UP_SEC)
        before = _processor(pid)
        seen = wrk(url, requests, conns, SECONDS)
        spent = (now - then for now, then in zip(_processor(pid), before, strict=True))
        loop, others = (1e6 * seconds / seen.requests for seconds in spent)
        if program.keeps:
            _check(store, program, first.requests + seen.requests, 2 * conns + 1)
    if seen.refused or seen.broken:
        sys.exit(f"{program.name}: {seen.refused} refused, {seen.broken} without an answer")
    if first.requests + conns >= WARM_UP or seen.requests + conns >= REQUESTS:
        sys.exit("All requests were sent before the time was over: raise REQUESTS.")
    return Round(seen.rate, seen.p50, seen.p95, seen.p99, loop, others)


def _processor(pid: int) -> tuple[float, float]:
    """Seconds of processor that a process has had: its first thread, and its others."""
    spent = {one.id: one.user_time + one.system_time for one in psutil.Process(pid).threads()}
    first = spent.pop(pid)
    return first, sum(spent.values())


def _check(store: str, program: Program, answered: int, under_way: int) -> None:
    """Every answer is an event; what was under way as wrk stopped may be one or not."""
    assert program.keeps is not None
    engine = open_engine(store)
    stored = count(engine, program.keeps)
    engine.dispose()
    if not answered - 1 <= stored <= answered + under_way:
        sys.exit(f"{program.name}: {answered:,} answers, but {stored:,} events in the store.")


def _report(kind: str, middle: dict[tuple[str, int], Round]) -> str:
    rows = [
        (
            f"{name}, {connections} connections",
            *(f"{seen.rate:,.0f}", f"{seen.p50:.1f}", f"{seen.p95:.1f}", f"{seen.p99:.1f}"),
            f"{seen.rate / middle['textbook', connections].rate:.1f} ×",
            f"{100 * seen.rate / middle['nothing', connections].rate:.0f} %",
            *(f"{seen.loop:.0f}", f"{seen.others:.0f}"),
        )
        for (name, connections), seen in middle.items()
    ]
    head = (
        *(KINDS[kind], "a second", "p50 ms", "p95 ms", "p99 ms", "of the textbook", "of nothing"),
        *("event loop µs", "other threads µs"),
    )
    ours, textbook, nothing = (middle[one.name, CONNECTIONS[-1]] for one in PROGRAMS)
    targets = [
        report.holds(
            f"at {CONNECTIONS[-1]} connections at least 5 × the textbook",
            ours.rate >= 5 * textbook.rate,
        ),
        report.holds(f"p99 under 100 ms at {CONNECTIONS[-1]} connections", ours.p99 < 100),
    ]
    if kind == "sqlite":
        words = f"at {CONNECTIONS[-1]} connections at least 80 % of nothing"
        targets.append(report.holds(words, ours.rate >= 0.8 * nothing.rate))
    return f"{report.table(head, rows)}\n\n" + "\n".join(targets)


@contextmanager
def _repboard(store: str, folder: Path) -> Iterator[Served]:
    with Receiver(store, folder) as receiver:
        yield Served(receiver.url, receiver.process.pid)
        if receiver.stop():
            sys.exit("The receiver did not stop as it should.")


@contextmanager
def _module(name: str, with_store: bool, store: str, folder: Path) -> Iterator[Served]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    given = [store] if with_store else []
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"tests.bench.{name}", *given, str(port)],
            env=environment(), cwd=ROOT, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        until(partial(is_up, f"{url}/healthz"))
        yield Served(url, process.pid)
    finally:
        process.kill()
        process.wait()


PROGRAMS = (
    Program("Repboard", _repboard, Event),
    Program("textbook", partial(_module, "textbook", True), WebhookEvent),
    Program("nothing", partial(_module, "nothing", False), None),
)
