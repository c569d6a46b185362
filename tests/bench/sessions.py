"""What many viewers with filters of their own cost while events come in.

Each viewer is a connection that asks as a browser does: it opens the leaderboard, asks for live
parts as often as the server says, and goes to another address of the page now and then. Twenty
browsers would need the two cores that the dashboard is measured on.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

from tests.bench import report
from tests.bench.report import middle_and_p95
from tests.bench.seed import TEAMS
from tests.bench.stores import Stores
from tests.bench.wall import playing_events
from tests.browser.conftest import serving
from tests.running import Receiver

SESSIONS, A_SECOND = 20, 5
EVENTS = 1_000_000
OPENING_SEC, SECONDS, CHANGE_EVERY_SEC = 60, 120, 60
QUIET_SEC, CORES = 2, 1
TICK_SEC = 0.05
WINDOWS = ("7d", "30d", "month", "quarter")


def measure(stores: Stores, events: int) -> str:
    """The section of the report."""
    size = min(events, EVENTS)
    with (
        tempfile.TemporaryDirectory(dir=stores.folder) as folder,
        _copy(stores.seeded("sqlite", size), Path(folder)) as url,
        Receiver(url, Path(folder)) as receiver,
        serving(url) as dashboard,
        playing_events(receiver, A_SECOND, "u-{:05}"),
        ThreadPoolExecutor(SESSIONS) as threads,
    ):
        opened = monotonic() + OPENING_SEC
        viewers = [Viewer(dashboard, number, opened) for number in range(SESSIONS)]
        watched = [threads.submit(viewer.watch) for viewer in viewers]
        cores = _cores_used(opened)
        quiet = [seconds for one in watched for seconds in one.result()]
    return _report(size, quiet, cores)


@contextmanager
def _copy(url: str, folder: Path) -> Iterator[str]:
    """Of a store that stays as it is."""
    prefix = "sqlite:///"
    copy = shutil.copy(url.removeprefix(prefix), folder / "repboard.db")
    yield f"{prefix}{copy}"


def _cores_used(opened: float) -> float:
    """By the dashboard, once all pages are open."""
    ours = psutil.Process().children(recursive=True)
    dashboard = [one for one in ours if "dashboard" in one.cmdline()]

    def seconds() -> float:
        return sum(sum(one.cpu_times()[:2]) for one in dashboard)

    _sleep_until(opened)
    before = seconds()
    _sleep_until(opened + SECONDS)
    return (seconds() - before) / SECONDS


def _sleep_until(at: float) -> None:
    sleep(max(0, at - monotonic()))


class Viewer:
    """A page that is open: it opens before `opened`, and changes its filters after that."""

    def __init__(self, dashboard: str, number: int, opened: float) -> None:
        self._dashboard = dashboard
        self._number = number
        self._over = opened + SECONDS
        self._begins = opened - OPENING_SEC * (1 - number / SESSIONS)
        self._changes = opened + CHANGE_EVERY_SEC * number / SESSIONS
        self._changed = 0
        self._every: dict[str, float] = {}
        """Seconds between two looks at a live part, by its id."""
        self._due: dict[str, float] = {}

    def watch(self) -> Sequence[float]:
        """The seconds until the page was quiet after each change of its filters."""
        quiet: list[float] = []
        _sleep_until(self._begins)
        with self._connected() as connection:
            self._go(connection)
            asked: float | None = None
            while (now := monotonic()) < self._over or asked:
                if now >= self._changes and not asked:
                    asked, self._changes = now, self._changes + CHANGE_EVERY_SEC
                    self._go(connection)
                self._look(connection, now)
                if self._heard(connection) and asked:
                    quiet.append(monotonic() - asked)
                    asked = None
        return quiet

    def _connected(self) -> ClientConnection:
        return connect(
            f"{self._dashboard.replace('http', 'ws')}/_stcore/stream",
            origin=self._dashboard,  # type: ignore[arg-type]
            subprotocols=["streamlit"],  # type: ignore[list-item]
            max_size=None,
        )

    def _go(self, connection: ClientConnection) -> None:
        """Go to another address of the page, with filters that no other viewer has."""
        step = self._number + SESSIONS * self._changed
        team, window = step % TEAMS, WINDOWS[step // TEAMS % len(WINDOWS)]
        asked = BackMsg()
        asked.rerun_script.query_string = f"team=team-{team:02}&window={window}"
        asked.rerun_script.is_history_navigation = True
        asked.rerun_script.page_name = "leaderboard"
        connection.send(asked.SerializeToString())
        self._every, self._due = {}, {}  # the run says again which parts are live
        self._changed += 1

    def _look(self, connection: ClientConnection, now: float) -> None:
        """Ask for the live parts that are due, as often as the server said."""
        for part, at in self._due.items():
            if now >= at:
                asked = BackMsg()
                asked.rerun_script.fragment_id = part
                asked.rerun_script.is_auto_rerun = True
                connection.send(asked.SerializeToString())
                self._due[part] = now + self._every[part]

    def _heard(self, connection: ClientConnection) -> bool:
        """Whether the server has just finished a run of the whole page."""
        try:
            came = connection.recv(timeout=TICK_SEC)
        except TimeoutError:
            return False
        message = ForwardMsg.FromString(came)  # type: ignore[arg-type]
        match message.WhichOneof("type"):
            case "auto_rerun":
                part, every = message.auto_rerun.fragment_id, message.auto_rerun.interval
                self._every[part], self._due[part] = every, monotonic() + every
            case "script_finished":
                return message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
        return False


def _report(events: int, quiet: Sequence[float], cores: float) -> str:
    middle, p95 = middle_and_p95(quiet)
    rows = [
        ("seconds until quiet after a change, median", f"{middle:.2f}"),
        ("the same, 95th percentile", f"{p95:.2f}"),
        ("the same, longest", f"{max(quiet):.2f}"),
        ("cores that the dashboard uses", f"{cores:.2f}"),
    ]
    return (
        f"{SESSIONS} viewers of the leaderboard, each with filters of their own, on a SQLite store "
        f"of {events:,} events, while a receiver accepts {A_SECOND} events a second, for "
        f"{SECONDS} s; each changes the filters every {CHANGE_EVERY_SEC} s ({len(quiet)} changes). "
        "A viewer is a connection that asks as a browser does; viewers, receiver and dashboard "
        f"share the cores.\n\n{report.table(('', 'figure'), rows)}\n\n"
        + report.holds(f"quiet within {QUIET_SEC} s of each change", max(quiet) <= QUIET_SEC)
        + "\n"
        + report.holds("less than one core in all", cores < CORES)
    )
