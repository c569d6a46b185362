"""When no receiver was up, from the heartbeats of its runs. Pure functions."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

UNSEEN = timedelta(minutes=1)
"""Runs note every 15 seconds that they are up; a minute without a note is an outage."""


class Run(NamedTuple):
    """One run of a receiver: since when, and when it last said that it is up."""

    started_at: datetime
    seen_at: datetime


class Outage(NamedTuple):
    """No receiver was up from `begin` to `end`; `over` unless that is still so."""

    begin: datetime
    end: datetime
    over: bool


def outages(runs: Iterable[Run], now: datetime) -> list[Outage]:
    """The gaps between runs, the oldest first. Before the first run nothing was expected."""
    found: list[Outage] = []
    up_until: datetime | None = None
    for run in sorted(runs):
        if up_until and run.started_at - up_until > UNSEEN:
            found.append(Outage(up_until, run.started_at, over=True))
        up_until = max(up_until or run.seen_at, run.seen_at)
    if up_until and now - up_until > UNSEEN:
        found.append(Outage(up_until, now, over=False))
    return found
