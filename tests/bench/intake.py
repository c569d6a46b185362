"""How many deliveries a second are accepted, beside what else could take them."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil
from sqlmodel import SQLModel

from shared.database import open_engine
from shared.models import Event
from tests import playing
from tests.bench import parts, report
from tests.bench.load import check_wrk, write_requests, wrk
from tests.bench.stores import KINDS, Stores
from tests.bench.textbook import WebhookEvent
from tests.running import ROOT, Receiver, environment, free_port, is_up, until
from tests.stores import count

CONNECTIONS = (128,)
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
    processor for each in the threads of event loops, in those of writers, and in its follower."""

    rate: float
    p50: float
    p95: float
    p99: float
    loop: float
    writer: float
    follower: float


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
medians of {rounds} rounds of {seconds} s in turn, each on a fresh store, on the same machine as
wrk. After each round the events in the store are counted: every 200 is one. Repboard has a follower
beside its workers, which keeps all read models; *express* is the handler of MindTickle's guide on
Node.js, with the same signature check and events in memory only; the *textbook* is FastAPI with one
SQLModel session and commit a request, the same signature check and no read models; *nothing* is a
FastAPI endpoint that answers at once. SQLite: WAL, `synchronous=FULL`. Postgres {version}:
`fsync={fsync}`, `synchronous_commit={commit}`. The last three columns are processor time a
delivery, without that of Postgres' own processes.

"""


def _section(stores: Stores, folder: Path, files: tuple[Path, Path], kind: str) -> str:
    programs = all_programs(folder)
    found = {(program.name, connections): [] for connections in CONNECTIONS for program in programs}
    for number in range(ROUNDS):
        for connections in CONNECTIONS:
            for program in programs:
                seen = one_round(stores, folder, files, kind, program, connections)
                found[program.name, connections].append(seen)
                report.say(
                    f"{KINDS[kind]}, round {number + 1}, {connections} connections, "
                    f"{program.name}: {seen.rate:,.0f} a second, p99 {seen.p99:.0f} ms"
                )
    middle = {key: Round(*map(median, zip(*seen, strict=True))) for key, seen in found.items()}
    return _report(kind, middle)


def one_round(
    stores: Stores,
    folder: Path,
    files: tuple[Path, Path],
    kind: str,
    program: Program,
    conns: int,
    seconds: int = SECONDS,
) -> Round:
    """Load one program on a fresh store. Ends the command if an answer has no event."""
    warm_up, requests = files
    with stores.fresh(kind) as store, program.serve(store, folder) as (url, pid):
        first = wrk(url, warm_up, conns, WARM_UP_SEC)
        before = _processor(pid)
        seen = wrk(url, requests, conns, seconds)
        spent = (now - then for now, then in zip(_processor(pid), before, strict=True))
        loop, writer, follower = (1e6 * one / seen.requests for one in spent)
        if program.keeps:
            _check(store, program, first.requests + seen.requests, 2 * conns + 1)
    if seen.refused or seen.broken:
        sys.exit(f"{program.name}: {seen.refused} refused, {seen.broken} without an answer")
    if first.requests + conns >= WARM_UP or seen.requests + conns >= REQUESTS:
        sys.exit("All requests were sent before the time was over: raise REQUESTS.")
    return Round(seen.rate, seen.p50, seen.p95, seen.p99, loop, writer, follower)


def _processor(pid: int) -> tuple[float, float, float]:
    """Seconds of processor that a program has had: in the first threads of processes that answer,
    in their other threads, and in the follower."""
    first = others = follower = 0.0
    for process in (psutil.Process(pid), *psutil.Process(pid).children()):
        spent = {one.id: one.user_time + one.system_time for one in process.threads()}
        if process.name() == "follower":
            follower += sum(spent.values())
        else:
            first += spent.pop(process.pid)
            others += sum(spent.values())
    return first, others, follower


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
            _compared(seen.rate, middle, "express", connections),
            f"{100 * seen.rate / middle['nothing', connections].rate:.0f} %",
            *(f"{seen.loop:.0f}", f"{seen.writer:.0f}", f"{seen.follower:.0f}"),
        )
        for (name, connections), seen in middle.items()
    ]
    head = (
        *(KINDS[kind], "a second", "p50 ms", "p95 ms", "p99 ms"),
        *("of the textbook", "of express", "of nothing"),
        *("event loop µs", "writer µs", "follower µs"),
    )
    most = CONNECTIONS[-1]
    one, two = (middle[name, most] for name in (ONE, TWO))
    nothing = middle["nothing", most]
    targets = [
        report.holds(
            f"at {most} connections at least 5 × the textbook",
            one.rate >= 5 * middle["textbook", most].rate,
        ),
        report.holds(f"p99 under 100 ms at {most} connections", one.p99 < 100),
        report.holds(
            f"event loop at most 1.1 × nothing at {most} connections",
            one.loop <= 1.1 * nothing.loop,
        ),
    ]
    if express := middle.get(("express", most)):
        words = f"two workers at least 1.2 × express at {most} connections"
        targets.append(report.holds(words, two.rate >= 1.2 * express.rate))
    return f"{report.table(head, rows)}\n\n" + "\n".join(targets)


def _compared(
    rate: float, middle: dict[tuple[str, int], Round], other: str, connections: int
) -> str:
    found = middle.get((other, connections))
    return f"{rate / found.rate:.2f} ×" if found else ""


@contextmanager
def repboard(workers: int, store: str, folder: Path, code: Path = ROOT) -> Iterator[Served]:
    """Repboard with so many workers, as the checkout `code` has it."""
    with Receiver(store, folder, RECEIVER_WORKERS=str(workers), PYTHONPATH=str(code)) as receiver:
        yield Served(receiver.url, receiver.process.pid)
        if receiver.stop():
            sys.exit("The receiver did not stop as it should.")


@contextmanager
def _module(name: str, with_store: bool, store: str, folder: Path) -> Iterator[Served]:
    given = [store] if with_store else []
    command = [sys.executable, "-m", f"tests.bench.{name}", *given]
    with _running(name, lambda port: [*command, str(port)], folder, ROOT) as served:
        yield served


@contextmanager
def _express(at: Path, _store: str, folder: Path) -> Iterator[Served]:
    script = Path(__file__).parent / "express.mjs"

    def command(port: int) -> Sequence[str]:
        return ["node", str(script), str(port), playing.SECRET]

    with _running("express", command, folder, at) as served:
        yield served


@contextmanager
def _running(
    name: str, command: Callable[[int], Sequence[str]], folder: Path, cwd: Path
) -> Iterator[Served]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command(port), env=environment(), cwd=cwd, stdout=log, stderr=log
        )
    try:
        until(partial(is_up, f"{url}/healthz"))
        yield Served(url, process.pid)
    finally:
        process.kill()
        process.wait()


ONE, TWO = "Repboard", "Repboard, 2 workers"


def all_programs(folder: Path) -> Sequence[Program]:
    """What is compared."""
    programs = [
        Program(ONE, partial(repboard, 1), Event),
        Program(TWO, partial(repboard, 2), Event),
        Program("textbook", partial(_module, "textbook", True), WebhookEvent),
        Program("nothing", partial(_module, "nothing", False), None),
    ]
    if (at := _express_folder(folder)) is not None:
        programs.append(Program("express", partial(_express, at), None))
    return programs


def _express_folder(folder: Path) -> Path | None:
    """Where Express is installed, below `folder`; None without Node.js."""
    if shutil.which("npm") is None:
        report.say("Without npm there is no comparison with Express.")
        return None
    at = folder / "express"
    if not at.exists():
        at.mkdir()
        subprocess.run(
            ["npm", "install", "--prefix", str(at), "--no-save", "--no-audit", "--no-fund",
             "express@5"],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    return at
