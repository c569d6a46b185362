"""Metrics for Prometheus. Labels come from our own tables, never from a payload."""

import asyncio
import os
from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
    values,
)

DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def share_metrics(folder: str) -> None:
    """Have this process and its children keep metrics in files there, so that each worker's
    /metrics has those of all. The library looks for its own setting only when it is imported,
    which is long before the workers are."""
    os.environ[FOLDER] = folder
    values.ValueClass = values.MultiProcessValue()  # type: ignore[no-untyped-call]


def forget_process(pid: int) -> None:
    """Let gauges of a process that has ended count no more. Its counters stay."""
    multiprocess.mark_process_dead(pid, os.environ[FOLDER])  # type: ignore[no-untyped-call]


def _observe_all(histogram: Histogram, seconds: Sequence[float]) -> None:
    """Observe many values of a histogram with the bounds DURATIONS. The library has no function for
    it, so this uses what `observe` itself uses: one call of that for each value costs the event
    loop an eighth of its time."""
    histogram._sum.inc(sum(seconds))
    for place, number in Counts(bisect_left(DURATIONS, one) for one in seconds).items():
        histogram._buckets[place].inc(number)


class Metrics:
    """The metrics of one application: of all its workers, after `share_metrics`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.deliveries = Counter(
            "repboard_deliveries",
            "Requests to a configured vendor, by outcome.",
            ["vendor", "outcome"],
            registry=self._registry,
        )
        self.not_stored = Counter(
            "repboard_deliveries_not_stored",
            "Requests answered 503: the store is not writable, or the body is incomplete.",
            ["vendor"],
            registry=self._registry,
        )
        self.ignored_fields = Counter(
            "repboard_fields_ignored",
            "Fields of accepted events that were ignored because their value was not understood.",
            ["vendor", "event_type", "field"],
            registry=self._registry,
        )
        self.unknown_addresses = Counter(
            "repboard_unknown_addresses",
            "Requests below /webhooks/ to an address without a vendor.",
            registry=self._registry,
        )
        self.bytes_under_way = Gauge(
            "repboard_body_bytes_under_way",
            "Bytes of incomplete bodies.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        self.seconds = Histogram(
            "repboard_delivery_seconds",
            "Seconds from the first byte of a request to its response.",
            ["vendor"],
            buckets=DURATIONS,
            registry=self._registry,
        )
        self.commit_seconds = Histogram(
            "repboard_commit_seconds",
            "Seconds of one transaction.",
            buckets=DURATIONS,
            registry=self._registry,
        )
        self.batch_size = Histogram(
            "repboard_batch_deliveries",
            "Deliveries in one transaction.",
            buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500),
            registry=self._registry,
        )
        self.events_behind = Gauge(
            "repboard_events_behind",
            "Events that the read models do not have yet, up to 100,000; of the last second.",
            registry=self._registry,
            multiprocess_mode="mostrecent",
        )
        self.seconds_behind = Gauge(
            "repboard_seconds_behind",
            "Seconds since the oldest of these was stored.",
            registry=self._registry,
            multiprocess_mode="mostrecent",
        )
        self.messages = Gauge(
            "repboard_messages",
            "Messages and forwards of the last 24 hours, by rule or type and state.",
            ["rule", "state"],
            registry=self._registry,
            multiprocess_mode="mostrecent",
        )
        self.store_failures = Counter(
            "repboard_store_failures",
            "Transactions that failed.",
            registry=self._registry,
        )

        self._messages: set[tuple[str, str]] = set()

        self._delivered: list[tuple[str, str, float]] = []

    def delivered(self, vendor: str, outcome: str, seconds: float) -> None:
        """Count a request with its outcome, and the seconds to its response. Those of a transaction
        are counted together: one by one that is an eighth of what the event loop does for each."""
        if not self._delivered:
            asyncio.get_running_loop().call_soon(self._count_delivered)
        self._delivered.append((vendor, outcome, seconds))

    def _count_delivered(self) -> None:
        delivered, self._delivered = self._delivered, []
        outcomes = Counts((vendor, outcome) for vendor, outcome, _ in delivered)
        for labels, number in outcomes.items():
            self.deliveries.labels(*labels).inc(number)
        for vendor in {vendor for vendor, _ in outcomes}:
            seconds = [one[2] for one in delivered if one[0] == vendor]
            _observe_all(self.seconds.labels(vendor), seconds)

    def sent(self, counts: Mapping[tuple[str, str], int]) -> None:
        """How many messages there are by rule and state; others that were counted are 0 now."""
        self._messages |= counts.keys()
        for labels in self._messages:
            self.messages.labels(*labels).set(counts.get(labels, 0))

    def ignored(self, vendor: str, event_type: str, fields: Iterable[str]) -> None:
        """Count the ignored fields of an accepted event. An adapter ignores fields only of event
        types that it knows, so the labels are known names."""
        for field in fields:
            self.ignored_fields.labels(vendor, event_type, field).inc()

    def text(self) -> bytes:
        """The metrics in Prometheus' text format."""
        self._count_delivered()
        if FOLDER not in os.environ:
            return generate_latest(self._registry)
        of_all = CollectorRegistry()
        multiprocess.MultiProcessCollector(of_all)  # type: ignore[no-untyped-call]
        return generate_latest(of_all)
