"""What the page says at half past eight on a Monday, while its first working hours run."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from dashboard.base import filters, windows
from shared.facts import Progressed, Provisioned
from tests.dashboard.conftest import Open, Send, provision
from tests.shared.tables import V, fold

ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata"]
DAYS = 35
POINTS = {time(8, 5): 20, time(15): 60}
"""What each of two people gains every day, and when."""


def monday(zone: str) -> datetime:
    """Half past eight on a Monday that is over."""
    today = datetime.now(ZoneInfo(zone)).date() - timedelta(days=1)
    return datetime.combine(today - timedelta(days=today.weekday()), time(8, 37), ZoneInfo(zone))


def worked(
    store: Engine,
    zone: str,
    *,
    west_rests_from: date | None = None,
    rest_from: date | None = None,
) -> None:
    """Both teams keep a steady rhythm; team west or both stop on a day."""
    now = monday(zone)
    facts = [Provisioned(V, u, f"{u}@x.com", None, "rep", team, now - timedelta(days=99))
             for u, team in (("ana", "west"), ("bo", "east"))]  # fmt: skip
    fold(store, facts)
    for user in ("ana", "bo"):
        for day in (now.date() - timedelta(days=n) for n in range(DAYS)):
            rests = min(filter(None, [rest_from, west_rests_from if user == "ana" else None]),
                        default=date.max)  # fmt: skip
            if day >= rests:
                continue
            for at, pct in POINTS.items():
                moment = datetime.combine(day, at, now.tzinfo)
                if moment <= now:
                    fold(store, [Progressed(V, user, f"m-{day}", None, float(pct), 60, moment)])


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, send: Send) -> str:
    """The viewer's, where it is that Monday."""
    provision(send, "u-x", "idle@x.com", "")  # a page shows nothing before the first delivery
    zone: str = request.param
    now = monday(zone)
    for module in (windows, filters):
        monkeypatch.setattr(module, "now", lambda: now)
        monkeypatch.setattr(module, "today", now.date)
        monkeypatch.setattr(module, "viewer_zone", lambda: zone)
    return zone


def test_a_steady_company_did_not_change(open_page: Open, store: Engine, zone: str) -> None:
    worked(store, zone)
    for window in ("today", "week", "last_week", "7d"):
        page = open_page(window=window)
        gained = next(one for one in page.metric if one.label == "Progress gained")
        assert gained.delta == "±0 %", window
        assert "slipped" not in " ".join(one.value for one in page.markdown)


def test_a_fall_is_said_with_what_it_is_measured_against(
    open_page: Open, store: Engine, zone: str
) -> None:
    worked(store, zone, west_rests_from=monday(zone).date() - timedelta(days=2))
    page = open_page(window="7d")
    gained = next(one for one in page.metric if one.label == "Progress gained")
    west, before = 4 * 60, 6 * 60 + 20
    other = before
    assert gained.delta == f"{100 * (west - before) / (before + other):+.0f} %"
    against = "the same weekdays a week earlier, up to 08:30"
    first = monday(zone).date() - timedelta(days=6)
    place = zone.partition("/")[2].replace("_", " ")
    said = f"Figures since {first:%a %-d %b}, 00:00 {place}. Changes are against {against}."
    assert said in [one.value for one in page.caption]
    slipped = f"Team **west** slipped: {west} points a member, {before} on {against}."
    assert slipped in " ".join(one.value for one in page.markdown)
    today = open_page(window="today")
    fell = "slipped: 0 points a member, 20 on the same weekday a week earlier, up to 08:30."
    assert fell in " ".join(one.value for one in today.markdown)


def test_a_monday_without_points_offers_last_week_with_a_click(
    open_page: Open, store: Engine, zone: str
) -> None:
    worked(store, zone, rest_from=monday(zone).date())
    page = open_page(window="week")
    assert page.title[0].value == "No points this week yet"
    place = zone.partition("/")[2].replace("_", " ")
    today = f"{monday(zone):%a %-d %b}, 00:00 {place}"
    assert [one.value for one in page.info] == [f"No activity since {today}."]
    assert "slipped" not in " ".join(one.value for one in page.markdown)
    click(page, "Show last week")
    assert page.query_params["window"] in ("last_week", ["last_week"])
    assert page.title[0].value.endswith("lead with 420 points each")


def test_a_week_that_has_only_begun_says_so_and_offers_the_last_one(
    open_page: Open, store: Engine, zone: str
) -> None:
    worked(store, zone)
    page = open_page(window="week")
    assert "This week so far, 2 learners share the first place." in page.markdown[0].value
    click(page, "Show last week")
    assert page.query_params["window"] in ("last_week", ["last_week"])
    assert "Show last week" not in [one.label for one in page.button]


def click(page: AppTest, label: str) -> None:
    next(one for one in page.button if one.label == label).click().run()
    assert not page.exception


def test_a_period_that_is_over_is_compared_with_whole_days() -> None:
    now = datetime(2025, 11, 22, 8, 37, tzinfo=UTC)
    said = {
        name: windows.compared_with(windows_of(name, now), "Europe/Berlin")
        for name in ("last_week", "last_month", "quarter", "all", "today")
    }
    assert said == {
        "last_week": "the same weekdays a week earlier",
        "last_month": "the same weekdays 5 weeks earlier",
        "quarter": "the same weekdays 8 weeks earlier, up to 09:30",
        "all": "",
        "today": "the same weekday a week earlier, up to 09:30",
    }


def windows_of(name: str, now: datetime) -> windows.Window:
    return filters.window_of(name, now, "Europe/Berlin")
