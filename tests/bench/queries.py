"""Every query of every page, with what pages ask by default and at most."""

import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from importlib import import_module
from time import perf_counter
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

import shared.queries
from receiver.vendors import vendor_facts
from shared.bulk import table_of
from shared.contests import window as window_of_contest
from shared.models import Delivery, Learner
from shared.naming import Naming
from shared.outcomes import Outcome
from shared.queries import causes, digest
from shared.queries.audit import Asked
from shared.queries.contests import contests
from shared.queries.deliveries import Search
from shared.queries.evidence import LATEST, MISSING
from shared.queries.histories import histories
from shared.queries.movement import Board, spans_of
from shared.queries.people import Who
from shared.queries.quiz_standings import Filters, Taker
from shared.queries.spells import BEFORE_ALL
from shared.queries.windows import first_hour, week_begins, window_of
from shared.scoring import DEFAULT, KINDS, Weight, rules_of
from shared.settings import ReceiverSettings
from tests.bench.seed import ACTIVITIES

VENDOR, ZONE = "mindtickle", "Europe/Berlin"
WRITES = ("ask_for_replay", "ask_for_test", "dismiss", "set_rules")
PERSON = "learner.00000@acme.example"
RULES = rules_of(
    [Weight(kind, "", 1) for kind in KINDS if kind != "event"]
    + [Weight("event", kind, 1) for kind in ACTIVITIES]
)
RUNS, WARM_UP, SLOW_SEC = 10, 2, 3.0

delivery = table_of(Delivery).c


class Question(NamedTuple):
    """A query, and what it is asked for in words."""

    name: str
    about: str
    ask: Callable[[Connection], object]


def timed(connection: Connection, asked: Question) -> list[float]:
    """Milliseconds of each run on a warm cache; only few runs of one that takes seconds."""
    times = []
    for number in range(WARM_UP + RUNS):
        began = perf_counter()
        asked.ask(connection)
        times.append(1000 * (perf_counter() - began))
        if sum(times) > 1000 * SLOW_SEC and number > WARM_UP:
            break
    return times[WARM_UP:]


def all_asked(connection: Connection, now: datetime) -> list[Question]:
    """Each public function of shared.queries that takes a connection, with every window that
    makes a difference to it."""
    given = {about: _arguments(connection, now, about) for about in WINDOWS}
    return [one for function in _functions() for one in _asked(function, given)]


WINDOWS = {
    "by default": ("7d", "24h"),
    "30 days": ("30d", "30d"),
    "quarter": ("quarter", "30d"),
    "all time": ("all", "30d"),
    "a module": ("quarter", "30d"),
    "by score": ("quarter", "30d"),
}
"""Windows of boards, and of deliveries."""
WINDOWED = (
    "board",
    "found",
    "spans",
    "window",
    "since",
    "hour",
    "wanted",
    "begin",
    "filters",
    "asked",
)


def _functions() -> Iterator[Callable[..., object]]:
    for found in pkgutil.iter_modules(shared.queries.__path__):
        module = import_module(f"shared.queries.{found.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            own = function.__module__ == module.__name__ and not name.startswith("_")
            if (
                own
                and name not in WRITES
                and "connection" in inspect.signature(function).parameters
            ):
                yield function


def _asked(
    function: Callable[..., object], given: Mapping[str, Mapping[str, Any]]
) -> Iterator[Question]:
    subject = function.__module__.rpartition(".")[2]
    parameters = list(inspect.signature(function).parameters.values())[1:]
    fixed = given["by default"].get(subject, {})
    windowed = any(one.name in WINDOWED and one.name not in fixed for one in parameters)
    for about, values in given.items() if windowed else [("by default", given["by default"])]:
        own = {**values, **values.get(subject, {})}
        needed = {
            one.name: own[one.name]
            for one in parameters
            if one.name in WINDOWED or one.default is inspect.Parameter.empty
        }
        yield Question(f"{subject}.{function.__name__}", about, partial(_call, function, needed))


def _call(function: Callable[..., object], needed: dict[str, Any], connection: Connection) -> None:
    function(connection, **needed)


def _arguments(connection: Connection, now: datetime, about: str) -> dict[str, Any]:
    """By the name of a parameter, and of a subject where it means something else there."""
    board_window, span = WINDOWS[about]
    settings = ReceiverSettings.load()
    facts = vendor_facts(settings)[VENDOR]
    window = window_of(board_window, now, ZONE)
    module, by_score = (VENDOR, "m-07") if about == "a module" else None, about == "by score"
    board = Board(Who(), window, module, rules=RULES if by_score else DEFAULT)
    contest = next(one for one in contests(connection, None) if one.stored_at)
    refused = connection.execute(
        select(delivery.id, delivery.event_key)
        .where(delivery.outcome == Outcome.BAD_SIGNATURE)
        .order_by(delivery.received_at.desc())
    ).first()
    assert refused is not None
    since = first_hour(span, now)
    earliest = window.earliest()
    return {
        "metric": "score" if by_score else "gained",
        "board": board,
        "found": histories(connection, earliest, module, with_teams=earliest is None),
        "spans": spans_of(window),
        "rules": RULES,
        "window": window,
        "who": board.who,
        "person": PERSON,
        "address": PERSON,
        "persons": _on_the_board(connection),
        "begins": week_begins(now.date(), ZONE),
        "ends": [now - number * timedelta(weeks=1) for number in range(8)],
        "user_id": "u-00000",
        "key": f"{VENDOR}/u-00000",
        "now": now,
        "since": since,
        "hour": since,
        "vendor": VENDOR,
        "facts": facts,
        "wanted": Search(since, failed=about == "by default"),
        "delivery_id": refused.id,
        "event_key": refused.event_key,
        "begin": since,
        "end": since + timedelta(hours=1),
        "until": since + timedelta(hours=1) + 2 * facts.schedule.span,
        "settings": settings,
        "default_threshold_pct": settings.coaching_threshold_pct,
        "default_pct": settings.coaching_threshold_pct,
        "filters": Filters(since=window.since),
        "recent": now - timedelta(days=1),
        "today": now.date(),
        "taker": Taker(VENDOR, "u-00000", "q-07"),
        "takers": [Taker(VENDOR, f"u-{number:05}", "q-07") for number in range(500)],
        "coaches": True,
        "case_id": 1,
        "case_ids": range(1, 100),
        "of": (VENDOR, "q-07"),
        "pct": 80.0,
        "threshold_pct": 80.0,
        "words": "learner.001",
        "token_hash": 64 * "0",
        "limit": 10,
        "asked": Asked(window),
        "row": contest,
        "contest_id": contest.id,
        "teams": None,
        "ended_before": now.date(),
        "number": 1,
        "token": 32 * "x",
        "newest_id": 0,
        "at": now,
        "zone": ZONE,
        "causes": {
            "rule": "low-quiz",
            "asked": causes.Asked(
                Who(), now - timedelta(days=1), now, settings, Naming("full", None)
            ),
        },
        "histories": {"since": earliest},
        "spells": {"since": earliest or BEFORE_ALL},
        "digest": {"asked": digest.Asked("week", Who(), now, ZONE, Naming("full", None))},
        "contests": {"window": window_of_contest(contest)},
        "deliveries": {"vendor": None},
        "imports": {"kind": "missing", "keys": [f"evt-{number}" for number in range(500)]},
        "evidence": {"vendor": facts},
        "failures": {"limit": MISSING, "look_at": LATEST},
    }


def _on_the_board(connection: Connection) -> list[str]:
    query = select(table_of(Learner).c.person).order_by(table_of(Learner).c.user_id)
    return list(connection.scalars(query.limit(200)))
