"""When no receiver was up, from the heartbeats of its runs. Pure functions."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

UNSEEN = timedelta(minutes=1)
"""A run writes a heartbeat every 15 seconds; a minute without one is an outage."""


class Run(NamedTuple):
    """One run of a receiver: its start and its latest heartbeat."""

    started_at: datetime
    seen_at: datetime


class Outage(NamedTuple):
    """No receiver was up from `begin` to `end`; `over` if one is up again."""

    begin: datetime
    end: datetime
    over: bool


def outages(runs: Iterable[Run], now: datetime) -> list[Outage]:
    """The gaps between runs, the oldest first. There is no outage before the first run."""
    found: list[Outage] = []
    up_until: datetime | None = None
    for run in sorted(runs):
        if up_until and run.started_at - up_until > UNSEEN:
            found.append(Outage(up_until, run.started_at, over=True))
        up_until = max(up_until or run.seen_at, run.seen_at)
    if up_until and now - up_until > UNSEEN:
        found.append(Outage(up_until, now, over=False))
    return found
