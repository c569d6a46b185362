"""What the coaching page says on the viewer's calendar."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine

from dashboard.base.paging import WHOLE
from dashboard.coaching import data
from shared.queries.people import Who
from tests.dashboard.test_access import Ask, ask, claims, login
from tests.shared import tables

__all__ = ["ask", "login"]


# At half past eight on a Monday


MONDAY = date(2025, 11, 24)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Kolkata"])
def test_since_yesterday_and_overdue_go_by_the_viewers_calendar(
    ask: Ask, store: Engine, zone: str
) -> None:
    sunday = datetime(2025, 11, 23, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    week_ago = sunday - timedelta(days=9)
    moments = {
        "before": sunday - timedelta(seconds=1),
        "sunday": sunday,
        "due-sunday": week_ago,
        "due-monday": week_ago,
    }
    rows = [
        {"user_id": user, "event_key": user, "submitted_at": at} for user, at in moments.items()
    ]
    tables.attempts(store, *rows)
    opened = sunday - timedelta(days=8)
    due = {"due-sunday": MONDAY - timedelta(days=1), "due-monday": MONDAY}
    tables.cases(store, *({"user_id": user, "due": day, "opened_at": opened}
                          for user, day in due.items()))  # fmt: skip
    asked = data.Asked("30d", MONDAY, zone, Who(), quiz="mindtickle/q-1")

    def read() -> Any:
        queue = data.queue(asked, "progress", WHOLE)
        return data.counts(asked), dict(zip(queue["user_id"], queue["why"], strict=True))

    counts, whys = ask(claims("ada"), read)
    assert (counts.new, counts.fresh, counts.progress, counts.overdue) == (2, 1, 2, 1)
    assert whys["due-sunday"].startswith("1 day overdue, 50 %")
    assert whys["due-monday"].startswith("due today, 50 %")


@pytest.mark.parametrize(
    ("setting", "value", "window", "first"),
    [
        ("WEEK_BEGINS", "sunday", "week", date(2025, 11, 23)),
        ("FISCAL_YEAR_BEGINS", "2", "quarter", date(2025, 11, 1)),
    ],
)
def test_periods_begin_as_the_company_counts(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, setting: str, value: str, window: str, first: date
) -> None:
    monkeypatch.setenv(setting, value)
    asked = data.Asked(window, MONDAY, "UTC", Who())
    since = ask(claims("ada"), asked.since)
    assert since.date() == first
