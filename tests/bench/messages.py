"""What messages cost: the intake beside 1,000 subscriptions, and 10,000 messages that wait."""

import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psutil
from sqlalchemy import Engine, func, insert, select

from shared.bulk import table_of
from shared.database import write_transaction
from shared.facts import Provisioned
from shared.models import Notification, Subscription
from shared.rules import TEST
from shared.subscriptions import LOCAL
from tests.bench import report
from tests.bench.load import check_wrk, write_requests, wrk
from tests.bench.stores import KINDS, Stores
from tests.receiver.notify.hooks import Server, serving, status
from tests.running import Receiver
from tests.shared.tables import LONG_AGO, fold
from tests.waiting import until

SUBSCRIPTIONS, TARGET = 1_000, 0.97
ROUNDS, SECONDS, CONNECTIONS, REQUESTS = 3, 8, 128, 150_000
WAITING, LONGEST_SEC = 10_000, 1_200.0
PEOPLE = [f"manager-{number}@acme.example" for number in range(SUBSCRIPTIONS)]
LEARNERS = 5_000
"""Of the deliveries; each manager has a team of five."""
EVERY_SEC = 0.05


class Round(NamedTuple):
    """Deliveries a second, processor time of the receivers for each in milliseconds, and the share
    of a processor that the notifier took, in percent. On a machine that others use too, only the
    last two say much."""

    rate: float
    cost_ms: float
    notifier_pct: float


def measure(stores: Stores, _events: int) -> str:
    """The section of the report."""
    check_wrk()
    pairs = {kind: _pair(stores, kind) for kind in KINDS}
    seconds, megabytes = _sent(stores)
    rows = [
        (
            KINDS[kind],
            words,
            f"{one.rate:,.0f}",
            f"{one.cost_ms:.2f}",
            f"{one.notifier_pct:.1f}",
        )
        for kind, pair in pairs.items()
        for words, one in zip(("none", f"{SUBSCRIPTIONS:,}"), pair, strict=True)
    ]
    targets = [
        report.holds(
            f"{beside.rate / alone.rate:.2f} × of the intake without subscriptions on "
            f"{KINDS[kind]}, target {TARGET} ×; {beside.cost_ms / alone.cost_ms:.2f} × of its "
            "processor time",
            beside.rate / alone.rate >= TARGET,
        )
        for kind, (alone, beside) in pairs.items()
    ]
    return (
        f"Medians of {ROUNDS} rounds of {SECONDS} s in turn. A notifier works in all; every tenth "
        f"delivery is a graded quiz. The subscriptions are for low scores, of as many managers "
        f"with {LEARNERS // SUBSCRIPTIONS} learners each.\n\n"
        + report.table(
            ("", "subscriptions", "deliveries a second", "processor ms each", "notifier, % of one"),
            rows,
        )
        + "\n\n"
        + "\n".join(targets)
        + f"\n\n{WAITING:,} waiting messages to one HTTP channel on the same machine; memory is "
        "that of the notifier and of its process that sends.\n\n"
        + report.table(
            ("", "seconds", "a second", "peak MB"),
            [("SQLite", f"{seconds:.0f}", f"{WAITING / seconds:,.0f}", f"{megabytes:.0f}")],
        )
    )


def _pair(stores: Stores, kind: str) -> tuple[Round, Round]:
    """Without subscriptions, and with them."""
    rounds: dict[bool, list[Round]] = {False: [], True: []}
    with tempfile.TemporaryDirectory(dir=stores.folder) as name:
        requests = write_requests(Path(name) / "requests", REQUESTS, "evt")
        for number in range(ROUNDS):
            for subscribed, found in rounds.items():
                found.append(_round(stores, kind, Path(name), requests, subscribed=subscribed))
                words = "with" if subscribed else "without"
                report.say(f"{KINDS[kind]}, round {number + 1}, {words}: {found[-1]}")
    return _median(rounds[False]), _median(rounds[True])


def _median(rounds: list[Round]) -> Round:
    return Round(*(median(values) for values in zip(*rounds, strict=True)))


def _round(stores: Stores, kind: str, folder: Path, requests: Path, *, subscribed: bool) -> Round:
    login = {"OIDC_CLIENT_ID": "repboard", "DASHBOARD_MANAGERS": ",".join(PEOPLE)}
    with (
        serving(status(200)) as hook,
        stores.fresh(kind) as store,
        Receiver(store, folder, **_channel(hook), **login) as receiver,
    ):
        fold(receiver.engine, map(_learner, range(LEARNERS)))
        if subscribed:
            _subscribe(receiver.engine, PEOPLE, "manager")
        before = [_cpu_sec(receiver, name) for name in ("receiver", "notifier")]
        seen = wrk(receiver.url, requests, CONNECTIONS, SECONDS)
        after = [_cpu_sec(receiver, name) for name in ("receiver", "notifier")]
    if seen.refused or seen.broken or seen.requests + CONNECTIONS >= REQUESTS:
        sys.exit(f"{seen}: some were refused, or all were sent before the time was over")
    intake, notifier = (now - then for now, then in zip(after, before, strict=True))
    return Round(seen.rate, 1000 * intake / seen.requests, 100 * notifier / SECONDS)


def _cpu_sec(receiver: Receiver, name: str) -> float:
    """Of its processes of this name, and of those that they started and have ended."""
    return sum(sum(one.cpu_times()[:4]) for one in receiver.processes(name))


def _channel(hook: Server) -> dict[str, str]:
    return {"NOTIFY_HOOK": hook.address, "NOTIFY_PRIVATE_ADDRESSES": "yes"}


def _learner(number: int) -> Provisioned:
    user, team = f"u-{number:05}", f"team-{number % SUBSCRIPTIONS}"
    return Provisioned("mindtickle", user, f"{user}@acme.example", None, None, team, LONG_AGO)


def _subscribe(engine: Engine, people: list[str], role: str) -> None:
    row = {"rule": "low-quiz", "channel": "hook", "role": role, "zone": "UTC", "hour": 9,
           "created_at": datetime.now(UTC)}  # fmt: skip
    rows = [
        row | {"person": one, "token": one, "teams": f'["team-{place}"]'}
        for place, one in enumerate(people)
    ]
    with write_transaction(engine) as connection:
        connection.execute(insert(table_of(Subscription)), rows)


def _sent(stores: Stores) -> tuple[float, float]:
    """Seconds until all waiting messages are sent, and the peak of megabytes."""
    with (
        serving(status(200)) as hook,
        tempfile.TemporaryDirectory(dir=stores.folder) as name,
        stores.fresh("sqlite") as store,
        Receiver(store, Path(name), **_channel(hook)) as receiver,
    ):
        (notifier,) = receiver.processes("notifier")
        _subscribe(receiver.engine, [LOCAL], "admin")
        with _peak(notifier) as peak:
            began = time.monotonic()
            _wait(receiver.engine)
            until(lambda: _waiting(receiver.engine) == 0, LONGEST_SEC)
            seconds = time.monotonic() - began
        if len(hook.requests) != WAITING:
            sys.exit(f"{len(hook.requests):,} messages came instead of {WAITING:,}")
    report.say(f"{WAITING:,} messages in {seconds:.0f} s, {peak[0]:.0f} MB")
    return seconds, peak[0]


def _wait(engine: Engine) -> None:
    """Test messages, each to another recipient, so that none joins another."""
    now = datetime.now(UTC)
    row: dict[str, Any] = {
        "rule": TEST, "round": "1", "subscription_id": 1, "channel": "hook", "urgent": False,
        "state": "waiting", "attempts": 0, "caused_at": now, "next_try_at": now,
    }  # fmt: skip
    rows = [row | {"subject": str(n), "recipient": f"{n} via hook"} for n in range(WAITING)]
    with write_transaction(engine) as connection:
        connection.execute(insert(table_of(Notification)), rows)


def _waiting(engine: Engine) -> int:
    time.sleep(0.5)
    query = select(func.count()).where(table_of(Notification).c.state != "sent")
    with engine.connect() as connection:
        return connection.scalar(query) or 0


@contextmanager
def _peak(process: psutil.Process) -> Iterator[list[float]]:
    """The most that a process and its children had, in megabytes without what they share."""
    peak, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(EVERY_SEC):
            peak[0] = max(peak[0], _megabytes(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def _megabytes(process: psutil.Process) -> float:
    found = 0.0
    for one in (process, *process.children()):
        try:
            found += one.memory_full_info().uss / 1e6
        except psutil.NoSuchProcess:
            continue  # a process that sends ends within seconds
    return found
