"""Boards of learners against figures recomputed from raw payloads, for viewers in three cities at
half past eight on a Monday and on the days on which clocks change."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection

from shared.queries import leaderboard
from shared.queries.movement import Board
from shared.queries.people import Who
from shared.queries.windows import WINDOWS, Calendar, Window, window_of
from shared.scoring import Weight, rules_of
from tests.history import BERLIN, KOLKATA, NEW_YORK, ZONES
from tests.recomputed import ALWAYS, NEVER, Company, Spans, ranks, spans
from tests.shared.queries.conftest import WEIGHTS

NAMED = [name for name in WINDOWS if name != "custom"]
MONDAY = (2025, 11, 3, 8, 30)
MOMENTS = {
    BERLIN: [MONDAY, (2025, 10, 26, 8, 30), (2025, 10, 26, 23, 45)],
    NEW_YORK: [MONDAY, (2025, 11, 2, 8, 30)],
    KOLKATA: [MONDAY, (2025, 11, 1, 0, 15)],
}
"""Mondays, and the days on which the clocks of Berlin and New York go back."""
OVER_THE_CHANGE = ("today", "week", "last_week", "month")
VIEWS = [
    (zone, datetime(*parts, tzinfo=ZoneInfo(zone)).astimezone(UTC))
    for zone, several in MOMENTS.items()
    for parts in several
]
FIGURES = ("gained", "completed", "time", "average", "score")
RULES = rules_of(
    Weight(kind, "", points) if "." not in kind else Weight("event", kind, points)
    for kind, points in WEIGHTS.items()
)


def as_at(window: Window, now: datetime) -> Window:
    """A window that runs, without what happens later."""
    return window._replace(until=window.until or now)


def bounds(window: Window, now: datetime) -> Spans:
    ended = as_at(window, now)
    assert ended.until
    before = (window.before, window.before_until)
    return Spans((ended.since or ALWAYS[0], ended.until), before if window.before else NEVER)  # type: ignore[arg-type]


@pytest.mark.parametrize("zone", ZONES)
def test_every_window_has_the_days_that_belong_to_it(zone: str) -> None:
    moments = [datetime(2025, month, day, hour, minute, tzinfo=ZoneInfo(zone))
               for month, day in ((1, 1), (3, 9), (3, 31), (10, 26), (11, 2), (11, 3), (12, 29))
               for hour, minute in ((0, 0), (8, 30), (23, 59))]  # fmt: skip
    for here in moments:
        now = here.astimezone(UTC)
        for name in NAMED:
            for calendar in (Calendar(), Calendar(6, 2), Calendar(2, 12)):
                seen = bounds(window_of(name, now, zone, calendar), now)
                assert seen == spans(name, now, zone, *calendar), (name, here, calendar)


@pytest.mark.parametrize(("zone", "now"), VIEWS)
def test_boards_of_every_window_are_what_raw_payloads_say(
    reader: Connection, company: Company, zone: str, now: datetime
) -> None:
    is_monday = now.astimezone(ZoneInfo(zone)).weekday() == 0
    for number, name in enumerate(NAMED if is_monday else OVER_THE_CHANGE):
        metric = FIGURES[number % len(FIGURES)]
        window = as_at(window_of(name, now, zone), now)
        board = Board(Who(), window, rules=RULES)
        expected = board_of(company, company.asked(), spans(name, now, zone), metric)
        rows = leaderboard.learners(reader, metric, board, limit=None)
        assert {row.person: shown(row, metric) for row in rows} == expected, (name, metric)


def board_of(company: Company, asked: set[str], of: Spans, metric: str) -> Mapping[str, Any]:
    """person → rank, rank before, value and value before, of all who moved. Without the score,
    who only scores did not move."""
    if metric != "score":
        company = company.by_progress
    now, before = ({one: company.gains(one, span) for one in asked} for span in of)
    rank, rank_before = (
        ranks({one: getattr(gain, metric) for one, gain in gains.items() if gain.moved})
        for gains in (now, before)
    )
    return {
        one: (rank[one], rank_before.get(one), getattr(now[one], metric),
              getattr(before[one], metric))
        for one in rank
    }  # fmt: skip


def shown(row: Any, metric: str) -> Any:
    return row.rank, row.rank_before, getattr(row, metric), getattr(row, f"{metric}_before")
