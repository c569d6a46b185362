"""`make flood`: strangers send 100,000 unsigned requests of 100 kB while a vendor delivers.

Prints what became of the store, the receiver's memory and the vendor's deliveries.
"""

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import httpx
import psutil

from shared.database import migrate, open_engine
from tests import playing
from tests.running import Receiver

REQUESTS = 100_000
SENDERS = 4
BODY = b"x" * 100_000


def flood(url: str) -> None:
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        for _ in range(REQUESTS // SENDERS):
            client.post("/webhooks/mindtickle", content=BODY)


def deliver(receiver: Receiver) -> float:
    """Seconds until a good delivery was taken."""
    began = time.perf_counter()
    answer = receiver.deliver("badge.earned", {"n": playing.new_id()})
    if answer.json() != {"received": True}:
        sys.exit(f"A good delivery was answered {answer.status_code}.")
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'repboard.db'}"
        migrate(open_engine(url))
        with Receiver(url, folder) as receiver, ThreadPoolExecutor(SENDERS) as pool:
            began = time.monotonic()
            senders = [pool.submit(flood, receiver.url) for _ in range(SENDERS)]
            waits = [deliver(receiver)]
            while not all(sender.done() for sender in senders):
                waits.append(deliver(receiver))
                time.sleep(0.1)
            for sender in senders:
                sender.result()
            seconds = time.monotonic() - began
            memory = psutil.Process(receiver.process.pid).memory_info().rss
            store = sum(file.stat().st_size for file in folder.glob("repboard.db*"))
            sys.stdout.write(
                f"{REQUESTS:,} requests, {REQUESTS * len(BODY) / 1e9:.0f} GB, in {seconds:.0f} s; "
                f"store {store / 1e6:.0f} MB; receiver {memory / 1e6:.0f} MB; {len(waits):,} good "
                f"deliveries all taken, median {1000 * median(waits):.0f} ms, longest "
                f"{1000 * max(waits):.0f} ms\n"
            )


if __name__ == "__main__":
    main()
