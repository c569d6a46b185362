"""Two receivers on one Postgres that is some way off, beside one."""

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median

from sqlalchemy import make_url

from tests.bench import report
from tests.bench.load import check_wrk, seen, sending, write_requests
from tests.bench.stores import Stores
from tests.running import Receiver

DELAY_SEC, CONNECTIONS, ROUNDS, SECONDS, REQUESTS, TARGET = 0.005, 32, 3, 10, 100_000, 1.8
CHUNK = 65_536


def measure(stores: Stores, events: int) -> str:
    """The section of the report. `events` bounds nothing here: load goes by time."""
    check_wrk()
    rounds = [(_rate(stores, 1), _rate(stores, 2)) for _ in range(ROUNDS)]
    ratio = median(two / one for one, two in rounds)
    rows = [(n, f"{one:,.0f}", f"{two:,.0f}", f"{two / one:.2f} ×")
            for n, (one, two) in enumerate(rounds, 1)]  # fmt: skip
    return (
        f"Each statement takes {1000 * DELAY_SEC:.0f} ms to the server and as long back, as over a "
        f"network. {CONNECTIONS} connections send to each receiver for {SECONDS} s. If receivers "
        "waited for one another, two would take as many as one. Deliveries a second:\n\n"
        + report.table(("round", "one receiver", "two", "two of one"), rows)
        + f"\n\nMedian: {ratio:.2f} ×.\n\n"
        + report.holds(f"two take at least {TARGET} × one", ratio >= TARGET)
    )


def _rate(stores: Stores, number: int) -> float:
    with (
        tempfile.TemporaryDirectory(dir=stores.folder) as name,
        stores.fresh("postgres") as store,
        _far(store) as far,
        ExitStack() as stack,
    ):
        folder = Path(name)
        receivers = [
            stack.enter_context(Receiver(far, folder, RECEIVER_FOLLOWER="no"))
            for _ in range(number)
        ]
        load = [
            stack.enter_context(
                sending(
                    one.url,
                    write_requests(folder / f"requests-{place}", REQUESTS, f"evt-{place}"),
                    CONNECTIONS,
                    SECONDS,
                )
            )
            for place, one in enumerate(receivers)
        ]
        rate = sum(seen(process).rate for process in load)
    report.say(f"{number} receivers at a distance: {rate:,.0f} a second")
    return rate


@contextmanager
def _far(url: str) -> Iterator[str]:
    """The same store through a port that delays each direction."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    socket = Path(str(make_url(url).query["host"])) / ".s.PGSQL.5432"
    listening = asyncio.run_coroutine_threadsafe(
        asyncio.start_server(lambda *ends: _relay(socket, *ends), "127.0.0.1", 0), loop
    ).result()
    port = listening.sockets[0].getsockname()[1]
    try:
        far = make_url(url).set(host="127.0.0.1", port=port, query={})
        yield far.render_as_string(hide_password=False)
    finally:
        asyncio.run_coroutine_threadsafe(_end_others(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _end_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _relay(socket: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    from_server, to_server = await asyncio.open_unix_connection(socket)
    with suppress(ConnectionError, asyncio.CancelledError):  # a receiver may reset it at its end
        await asyncio.gather(_delayed(reader, to_server), _delayed(from_server, writer))


async def _delayed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, each piece after the delay."""
    loop = asyncio.get_running_loop()
    while piece := await reader.read(CHUNK):
        loop.call_later(DELAY_SEC, writer.write, piece)
    loop.call_later(DELAY_SEC, writer.close)
