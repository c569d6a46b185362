"""The store as pages see it: connection, caches, and what every page asks.

Everything cached is keyed by `version`, which moves with the follower's checkpoint, with every
delivery and with every action on a page. It is looked up every five seconds at most, so all viewers
of a view share one answer, and one is worked out only after it has moved.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from threading import current_thread
from types import FunctionType
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

import pandas as pd
import streamlit as st
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import SQLAlchemyError
from streamlit.runtime.scriptrunner import add_script_run_ctx, get_script_run_ctx

from dashboard import access
from dashboard.settings import settings as dashboard_settings
from shared import subscriptions
from shared.audit import note
from shared.database import is_current, open_engine, write_transaction
from shared.imports import source
from shared.queries import catalog, imports
from shared.queries.people import Who
from shared.queries.preferences import by_token
from shared.queries.vendors import configured, vendor_facts
from shared.setting_types import Names
from shared.vendors import VendorFacts

Version: TypeAlias = catalog.Version
settings = dashboard_settings
REFRESH_SEC = 5
"""How long pages show one version of the store, unless a viewer changes it."""
SHARED = 32
"""How many large answers are kept: each is some megabytes for thousands of people."""
LARGEST = 4
"""How many of the largest: some ten megabytes each after millions of events."""
ANSWER_SEC = 60
"""How long a page waits for Postgres."""
P = ParamSpec("P")
R = TypeVar("R")


def _cached(
    ttl: str | float, max_entries: int | None = None, cache: Any = st.cache_data
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A read that is cached for all sessions, one answer for each way of naming people. Viewers
    without a role get none. Inside, there is no viewer."""

    def decorate(read: Callable[P, R]) -> Callable[P, R]:
        def for_all(named: Names, *args: P.args, **kwargs: P.kwargs) -> R:
            with access.for_all_sessions(named):
                return read(*args, **kwargs)

        # What is kept goes by the name of a function, and each of these has another one inside.
        for_all.__module__, for_all.__qualname__ = read.__module__, read.__qualname__
        keep = cache(ttl=ttl, max_entries=max_entries, show_spinner=False, hash_funcs=KEYS)(for_all)

        @wraps(read)
        def admitted(*args: P.args, **kwargs: P.kwargs) -> R:
            access.admit()
            answer: R = keep(access.names(), *args, **kwargs)
            return answer

        return admitted

    return decorate


def _name(function: FunctionType) -> str:
    """A function as a part of a key. One without a name of its own could get rows of another."""
    name = f"{function.__module__}.{function.__qualname__}"
    if "<" in name:
        raise TypeError(f"{name} has no name of its own: give a function of a module")
    return name


KEYS = {FunctionType: _name, tuple: repr}
"""How parts of a key differ. Arguments are words, numbers, times and tuples of these, which
`repr` shows in full; Streamlit takes milliseconds for each key of nested tuples."""


@st.cache_resource
def _engine() -> Engine:
    engine = open_engine(settings().database_url, answer_sec=ANSWER_SEC)
    event.listen(engine, "before_cursor_execute", _as_kept, retval=True)
    return engine


def _as_kept(*execution: Any) -> tuple[str, Any]:
    """A statement and its parameters, which can be words of an address. Postgres has no NUL in a
    text, so the receiver keeps a replacement character for it; so it is looked for as well."""
    _, _, statement, parameters, *_ = execution
    return statement, _without_nul(parameters)


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if isinstance(value, dict):
        return {name: _without_nul(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_without_nul, value))
    return value


def _read() -> Connection:
    access.admit()
    return _engine().connect()


def query(ask: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The answer of a module's function that reads the read models, or what was done on pages, as
    `query(audit.entries, asked)`. Asked once for each change of these.

    What limits the answer to the viewer must be among the arguments: the answer is cached for all
    sessions, one for each way of naming people, and `ask` cannot ask for the viewer.
    """
    return _of_version(version().models, ask, args, kwargs)


def query_traffic(
    ask: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """The same for an answer that also moves with deliveries that gave no event."""
    return _of_version(version(), ask, args, kwargs)


def query_shared(
    ask: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """The same for an answer too large to copy for each session, which must not change it."""
    return _of_all_sessions(version().models, ask, args, kwargs)


def query_now(ask: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
    """The same for an answer that the clock alone changes: asked every five seconds."""
    return _of_the_moment(ask, args, kwargs)


def query_seldom(
    ask: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """The same for what a filter offers, and what takes long: asked every 30 seconds however many
    deliveries come in, and after each action on a page."""
    return _of_a_while(version().note, ask, args, kwargs)


def query_rarely(
    ask: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """The same for what looks back on weeks and takes long: asked every five minutes, and after
    each action on a page."""
    return _of_minutes(version().note, ask, args, kwargs)


def query_fresh(
    ask: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """The answer as of now, not cached: for files, and for what the viewer is about to change."""
    return _answer(ask, args, kwargs)


def query_largest(
    ask: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """The same for what other shared answers are made of, of which few are kept."""
    return _of_all_answers(version().models, ask, args, kwargs)


@_cached("60s", max_entries=2_000)
def _of_version(version: tuple[int, ...], ask: Callable[..., R], args: Any, kwargs: Any) -> R:
    return _answer(ask, args, kwargs)


@_cached("60s", max_entries=SHARED, cache=st.cache_resource)
def _of_all_sessions(version: tuple[int, ...], ask: Callable[..., R], args: Any, kwargs: Any) -> R:
    return _answer(ask, args, kwargs)


@_cached("60s", max_entries=LARGEST, cache=st.cache_resource)
def _of_all_answers(version: tuple[int, ...], ask: Callable[..., R], args: Any, kwargs: Any) -> R:
    return _answer(ask, args, kwargs)


@_cached(5, max_entries=200)
def _of_the_moment(ask: Callable[..., R], args: Any, kwargs: Any) -> R:
    return _answer(ask, args, kwargs)


@_cached("30s", max_entries=200)
def _of_a_while(note: int, ask: Callable[..., R], args: Any, kwargs: Any) -> R:
    return _answer(ask, args, kwargs)


@_cached("5m", max_entries=200)
def _of_minutes(note: int, ask: Callable[..., R], args: Any, kwargs: Any) -> R:
    return _answer(ask, args, kwargs)


_reading: ContextVar[Connection | None] = ContextVar("_reading", default=None)


def _answer(ask: Callable[..., R], args: Any, kwargs: Any) -> R:
    """An answer that is made of others reads them by its own connection: with one each, a few
    sessions could wait for one another's."""
    if (connection := _reading.get()) is not None:
        return ask(connection, *args, **kwargs)
    with _read() as connection:
        token = _reading.set(connection)
        try:
            return ask(connection, *args, **kwargs)
        finally:
            _reading.reset(token)


@contextmanager
def write(action: str) -> Iterator[Connection]:
    """A transaction for an action on a page, one of `access.ACTIONS`. Raises
    `access.Refused` if they may not."""
    access.require(action)
    with write_transaction(_engine()) as connection:
        yield connection
    _version.clear()  # what was done shows at once


def ask_by_token(
    ask: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """The answer for a token that was presented without a sign-in: about the wall display or the
    subscription whose token it is, and nothing else."""
    with _engine().connect() as connection:
        return ask(connection, *args, **kwargs)


def write_by_token(
    change: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs
) -> R:
    """The same for a change of its own row."""
    with write_transaction(_engine()) as connection:
        return change(connection, *args, **kwargs)


def stop_by_token(token: str) -> None:
    """End the subscription of this token, if there is one."""
    if ask_by_token(by_token, token) is not None:
        write_by_token(subscriptions.stop, token)


def actor() -> str:
    """Who is at the page, for the audit log."""
    return access.present().name


def everybody() -> Who:
    """All people that the viewer may see, leavers too."""
    return access.who(Who(leavers=True))


def note_export(name: str, rows: int) -> None:
    """Write down that the viewer has exported rows."""
    with write("export") as connection:
        note(connection, actor(), "export", f"{name}.csv", f"{rows:,} rows")


def as_the_viewer(made: Callable[[], R]) -> Callable[[], R]:
    """The same, to be called later and outside of a run of the page, for the viewer of now:
    Streamlit makes a download's data so. Whether they still may is looked at then."""
    page = get_script_run_ctx()

    def later() -> R:
        def begin() -> None:
            add_script_run_ctx(current_thread(), page)

        with ThreadPoolExecutor(1, initializer=begin) as thread:
            return thread.submit(made).result()

    return later


@_cached("15s")
def can_note() -> bool:
    """Whether the audit log can be written here: tried, and taken back."""
    try:
        with write_transaction(_engine()) as connection:
            note(connection, "dashboard", "export", None, "")
            connection.rollback()
    except SQLAlchemyError:
        return False
    return True


def problem() -> str | None:
    """Why the store cannot be read, with what to do; None if it can."""
    try:
        current = is_current(_engine())
    except SQLAlchemyError:
        return "The store cannot be reached. Check DATABASE_URL and that the database is running."
    return None if current else "The store has no current schema. Run `repboard migrate`."


def version() -> Version:
    """How far the store has come."""
    access.admit()
    return _version()


@st.cache_data(ttl=REFRESH_SEC, show_spinner=False)
def _version() -> Version:
    with _read() as connection:
        return catalog.version(connection)


def has_events() -> bool:
    """Whether any delivery was ever accepted."""
    return version().event > 0


def is_empty() -> bool:
    """Whether no delivery was ever received."""
    return version().event == version().delivery == 0


def imported_from(delivery_id: float | None) -> str | None:
    """`imported from export.csv on 26 Nov 2026`, of an event that an import brought; None of any
    other. The file name is text of an admin's, so show it `plain`."""
    if delivery_id is None or not delivery_id < 0:  # NaN is not
        return None
    known = {-one.id: source(one.file_name, one.imported_at) for one in query(imports.sources)}
    return known.get(int(delivery_id), "imported")


def receiver_url() -> str:
    return settings().receiver_url


def teams() -> list[str]:
    """The teams that the viewer may see."""
    return access.teams(query_seldom(catalog.teams))


def modules() -> dict[str, str]:
    """Module names by `vendor/id`; of two with one name, each with its id."""
    rows = query_seldom(catalog.modules)
    names = Counter(row.module_name for row in rows)
    return {
        f"{row.vendor}/{row.module_id}": row.module_name
        if names[row.module_name] == 1
        else f"{row.module_name} ({row.module_id})"
        for row in rows
    }


def vendors() -> dict[str, str]:
    """The names of vendors with data on any learner, by slug."""
    facts, slugs = query_seldom(vendor_facts), query_seldom(catalog.vendors)
    return {slug: facts[slug].name if slug in facts else slug for slug in slugs}


def configured_vendors() -> Sequence[VendorFacts] | None:
    """The vendors that have their credential set; None before a receiver has noted any vendor."""
    return query_now(configured) if query_now(vendor_facts) else None


def framed(
    rows: Sequence[Any],
    shape: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame,
) -> pd.DataFrame:
    """Rows as a DataFrame, put into shape; without rows an empty one."""
    return shape(pd.DataFrame(rows)) if rows else pd.DataFrame()


def each(frame: pd.DataFrame) -> list[Any]:
    """The rows of a frame, with columns by name."""
    return list(frame.itertuples(index=False))


def local(frame: pd.DataFrame, zone: str, *columns: str) -> pd.DataFrame:
    """Times on the viewer's clock."""
    return frame.assign(
        **{name: pd.to_datetime(frame[name], utc=True).dt.tz_convert(zone) for name in columns}
    )
