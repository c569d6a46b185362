"""What pages cost on stores of 100 thousand, 1 million and 10 million events."""

import gc
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from math import isfinite
from time import perf_counter, process_time, thread_time
from typing import Any

import pandas as pd
import streamlit as st
from sqlalchemy import func, select
from streamlit.testing.v1 import AppTest

from shared.bulk import table_of
from shared.database import open_engine
from shared.models import Event
from tests.bench import report
from tests.bench.queries import all_asked, timed
from tests.bench.report import middle_and_p95
from tests.bench.stores import KINDS, Stores
from tests.pages import DASHBOARD, PAGES, go_to

SIZES = (100_000, 1_000_000, 10_000_000)
TEXTBOOK_UP_TO = 1_000_000
LIMIT_MS, GROWTH, NOISE_MS = 150, 1.5, 5
OPENED = 5
FIRST = "leaderboard"
ASKED = {"learner": {"id": "mindtickle/u-00000"}}

Times = Mapping[str, tuple[float, float]]
"""Median and p95 in milliseconds, by what was timed."""


def measure(stores: Stores, events: int) -> str:
    """The section of the report on pages, for stores of up to so many events. They are the last
    that need the largest one."""
    section = PAGES_INTRODUCTION + _tables(stores, events, "page", _pages)
    if not stores.kept and events > TEXTBOOK_UP_TO:
        for kind in KINDS:
            stores.drop(kind, min(events, SIZES[-1]))
    return section


def measure_queries(stores: Stores, events: int) -> str:
    """The section on queries."""
    return QUERIES_INTRODUCTION + _tables(stores, events, "query", _queries, _verdict)


QUERIES_INTRODUCTION = f"""\
Stores of 5,000 learners and 40 modules over a year. Every public query of `shared/queries/` that
takes a connection, ten times on a warm cache: median / p95 in milliseconds, for the window that
costs most. After a store was filled `ANALYZE` has run once, with `analysis_limit=1000` on SQLite
and as `VACUUM (ANALYZE)` on Postgres. The targets are {LIMIT_MS} ms, and {GROWTH} × what a query
costs at the smallest size if it takes more than {NOISE_MS} ms at all.

"""
PAGES_INTRODUCTION = """\
The same stores as for queries. A page's script is run by streamlit's AppTest with empty caches:
what it takes of a processor, in the thread of the script alone, as AppTest itself reads the names
of all installed packages each time. The textbook page loads all payloads into pandas and groups
them by learner and module.

"""


def _tables(
    stores: Stores,
    events: int,
    what: str,
    ask: Callable[[str], Times],
    verdict: Callable[[Sequence[Times]], str] = lambda _: "",
) -> str:
    """A table for each kind of store, with a column for each size."""
    sizes = [size for size in SIZES if size <= events] or [events]
    tables = []
    for kind, name in KINDS.items():
        columns = []
        for size in sizes:
            report.say(f"{name}, {size:,} events")
            columns.append(ask(stores.seeded(kind, size)))
        table = _table(what, [f"{size:,}" for size in sizes], columns)
        tables.append(f"### {name}\n\n{table}\n\n{verdict(columns)}".rstrip())
    return "\n\n".join(tables)


def _queries(url: str) -> Times:
    """Of each query the window that costs most."""
    engine = open_engine(url)
    found: dict[str, tuple[float, float]] = {}
    with engine.connect() as connection:
        for asked in all_asked(connection, datetime.now(UTC)):
            times = middle_and_p95(timed(connection, asked))
            found[asked.name] = max(times, found.get(asked.name, times))
            connection.rollback()
    engine.dispose()
    return found


def _pages(url: str) -> Times:
    with _dashboard_on(url):
        times = {f"page {name}": _opened(name) for name in PAGES}
    if _events(url) <= TEXTBOOK_UP_TO:
        times["textbook page"] = _textbook(url)
    return times


def _events(url: str) -> int:
    engine = open_engine(url)
    with engine.connect() as connection:
        newest = connection.scalar(select(func.max(table_of(Event).c.id)))
    engine.dispose()
    return newest or 0


@contextmanager
def _dashboard_on(url: str) -> Iterator[None]:
    before = os.environ.get("DATABASE_URL")
    os.environ["DATABASE_URL"] = url
    try:
        yield
    finally:
        os.environ.pop("DATABASE_URL")
        os.environ.update({"DATABASE_URL": before} if before else {})


def _opened(name: str) -> tuple[float, float]:
    """Milliseconds of a processor that a page's script takes; infinite if it fails. The first run
    of a process also imports the page and does not count."""
    times = []
    for number in range(1 + OPENED):
        app = AppTest.from_file(str(DASHBOARD / "app.py"), default_timeout=300)
        app.query_params.update(ASKED.get(name, {}))
        if name != FIRST:
            go_to(app, name)
        st.cache_data.clear()
        st.cache_resource.clear()
        gc.collect()
        began, here = process_time(), thread_time()
        app.run()
        if number:
            times.append(1000 * (process_time() - began - (thread_time() - here)))
        if app.exception:
            report.say(f"{name} fails: {app.exception[0].message}")
            return float("inf"), float("inf")
    return middle_and_p95(times)


def _textbook(url: str) -> tuple[float, float]:
    """Every payload into pandas, and a board out of it."""
    engine = open_engine(url)
    times = []
    for _ in range(3):
        began = perf_counter()
        with engine.connect() as connection:
            payloads = connection.scalars(select(table_of(Event).c.payload)).all()
        _board([json.loads(payload) for payload in payloads])
        times.append(1000 * (perf_counter() - began))
    engine.dispose()
    return middle_and_p95(times)


def _board(bodies: Sequence[dict[str, Any]]) -> pd.DataFrame:
    events = pd.DataFrame([one["data"] | {"event": one.get("event")} for one in bodies])
    progress = events[events["event"] == "module.progress"]
    best = progress.groupby(["userId", "moduleId"])["progressPct"].max().reset_index()
    return best.groupby("userId")["progressPct"].sum().sort_values(ascending=False).head(200)


def _table(what: str, sizes: Sequence[str], columns: Sequence[Times]) -> str:
    rows = [
        (name, *(_shown(column.get(name)) for column in columns), _growth(name, columns))
        for name in columns[0]
    ]
    return report.table((what, *sizes, "growth"), rows)


def _shown(times: tuple[float, float] | None) -> str:
    if times is None:
        return "–"
    return "fails" if times[0] == float("inf") else f"{times[0]:.1f} / {times[1]:.1f}"


def _growth(name: str, columns: Sequence[Times]) -> str:
    present = [column[name][0] for column in columns if name in column]
    return f"{present[-1] / present[0]:.2f} ×" if isfinite(present[-1]) else "–"


def _verdict(columns: Sequence[Times]) -> str:
    last, first = columns[-1], columns[0]
    slow = [name for name, (middle, _) in last.items() if middle >= LIMIT_MS]
    grown = [
        name
        for name, (middle, _) in last.items()
        if middle > NOISE_MS and middle > GROWTH * first[name][0]
    ]
    return "\n".join(
        report.holds(f"{words}{': not ' if names else ''}{', '.join(names)}", not names)
        for words, names in (
            (f"every query under {LIMIT_MS} ms at the largest size", slow),
            (f"every query within {GROWTH} × its cost at the smallest size", grown),
        )
    )
