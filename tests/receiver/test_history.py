"""The demo's history: what its pages have to show on a Monday at half past eight."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from random import Random
from statistics import median
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, Engine

from receiver.simulator import PARTS, Plan, Play, story
from receiver.simulator.base import Delivery
from receiver.simulator.company import HARD_QUIZ, SLIPPING_TEAM, Company
from receiver.simulator.history import write_history
from receiver.simulator.story import OUTAGE, ROTATION, acts, working_day
from receiver.vendors import vendor_facts
from receiver.vendors.mindtickle.contract import SLUG as MINDTICKLE
from shared import contests
from shared.database import open_engine
from shared.models import Contest, Delivery as DeliveryRow, Event, Learner, Quarantine
from shared.queries import (
    audit,
    certifications,
    coaching,
    deliveries,
    evidence,
    leaderboard,
    learner as learners,
    quizzes,
    team_boards,
)
from shared.queries.failures import outages_since
from shared.queries.missing import missing
from shared.queries.movement import Board
from shared.queries.people import Who
from shared.queries.quiz_standings import Filters
from shared.queries.windows import window_of
from shared.settings import ReceiverSettings
from shared.verdict import Clock, Level, Traffic, verdict
from tests import playing
from tests.conftest import FreshStore
from tests.stores import rows

DAYS = 90
MONDAY = datetime(2025, 6, 16, 8, 30, tzinfo=UTC)
WEEK = timedelta(weeks=1)
MARKS = 10
SETTINGS = ReceiverSettings(
    _env_file=None,
    mindtickle_webhook_secret=playing.SECRET,
    innovative_educators_allowed_ips="127.0.0.1",
    lessonly_authorization="Bearer of-the-demo",
    standard_webhooks_secret=playing.WHSEC,
)
FACTS = vendor_facts(SETTINGS)
PLAN = Plan("http://127.0.0.1:8000", MINDTICKLE, b"", ())
"""As long and as large as the demo's."""


def plays(end: datetime, *, size: int = 60, days: int = DAYS) -> list[Play]:
    plans = [
        replace(
            PLAN,
            vendor=slug,
            secret=PARTS[slug].credential(SETTINGS),
            retry_after=FACTS[slug].schedule.offsets[1:],
            learners=size,
            backfill_days=days,
            past=story.past(slug, end),
        )
        for slug in PARTS
    ]
    return [Play(plan, end) for plan in plans]


@pytest.fixture(scope="module")
def store(fresh_store: FreshStore) -> Iterator[Engine]:
    with fresh_store("sqlite") as url:
        engine = open_engine(url)
        write_history(engine, SETTINGS, plays(MONDAY), MONDAY)
        yield engine
        engine.dispose()


@pytest.fixture
def connection(store: Engine) -> Iterator[Connection]:
    with store.connect() as connection:
        yield connection


def received(store: Engine) -> list[datetime]:
    return [one.received_at for one in rows(store, DeliveryRow, sender="vendor")]


def mindtickles(end: datetime) -> Sequence[Delivery]:
    return list(plays(end)[0].history())


# What the pages show


@pytest.mark.parametrize("window", ["7d", "30d"])
def test_the_leaderboard_has_ten_learners(connection: Connection, window: str) -> None:
    board = Board(window=window_of(window, MONDAY, "UTC"))
    assert len(leaderboard.learners(connection, "gained", board)) >= MARKS


def test_ten_learners_of_the_demo_have_moved_this_week() -> None:
    midnight = MONDAY.replace(hour=0, minute=0)
    moved = {
        event.data["userId"]
        for event in Company(PLAN.seed, PLAN.learners, MONDAY, DAYS).history()
        if event.type == "module.progress" and event.at >= midnight
    }
    assert len(moved) >= MARKS


def test_the_coaching_queue_has_ten_items_in_all_its_views(connection: Connection) -> None:
    filters = Filters(since=MONDAY - timedelta(days=30), problems=True)
    found = Counter(item.state for item in coaching.items(connection, filters))
    assert found.total() >= MARKS
    assert {"new", "closed"} < set(found)
    assert found["open"] + found["in_progress"]


def test_the_timeline_has_deliveries_on_most_days(connection: Connection) -> None:
    counts = deliveries.by_hour(connection, MONDAY - timedelta(days=DAYS), None)
    assert len({one.hour.date() for one in counts}) > 0.8 * DAYS


def test_a_learner_has_ten_points_of_progress(store: Engine, connection: Connection) -> None:
    board = Board(window=window_of("30d", MONDAY, "UTC"))
    first, *_ = leaderboard.learners(connection, "gained", board)
    assert learners.event_count(connection, first.person) >= MARKS


def test_certificates_are_expired_announced_and_renewed(connection: Connection) -> None:
    open_ones = certifications.certificates(connection, Who(), MONDAY)
    renewed = certifications.certificates(connection, Who(), MONDAY, renewed=True)
    assert len(open_ones) + len(renewed) >= MARKS
    assert renewed
    assert {one.expired_at > MONDAY for one in open_ones} == {True, False}


def test_the_audit_log_names_three_people_and_five_things_they_did(connection: Connection) -> None:
    entries = audit.entries(connection, audit.Asked())
    assert len(entries) >= MARKS
    assert len({one.actor for one in entries}) > 2
    assert len({one.action for one in entries}) > 4
    assert all(MONDAY - timedelta(days=DAYS) <= one.at <= MONDAY for one in entries)


def test_one_contest_is_over_one_runs_and_one_is_to_come(store: Engine) -> None:
    over, running, to_come = rows(store, Contest)
    assert over.stored_at
    assert running.first_day <= MONDAY.date() <= running.last_day
    assert to_come.first_day > MONDAY.date()


def test_contests_begin_at_midnight_where_the_company_is(store: Engine) -> None:
    zone = ZoneInfo("Europe/Berlin")
    begins = [contests.begins(one).astimezone(zone) for one in rows(store, Contest)]
    assert {one.time() for one in begins} == {time()}


# The story


def test_the_last_week_has_about_as_many_deliveries_as_the_others(store: Engine) -> None:
    weeks = Counter((MONDAY - at) // WEEK for at in received(store))
    assert median(weeks.values()) / 2 < weeks[0] < 2 * median(weeks.values())


def test_a_delivery_arrives_when_its_event_happens(store: Engine) -> None:
    lags = [one.received_at - one.occurred_at for one in rows(store, Event, type="module.progress")]
    assert max(lags) < timedelta(hours=8)


def test_after_the_outage_the_vendors_retries_bring_its_events(
    store: Engine, connection: Connection
) -> None:
    span = OUTAGE.before(MONDAY)
    assert not [at for at in received(store) if span.has(at)]
    (outage,) = [
        one for one in outages_since(connection, MONDAY - timedelta(days=30), MONDAY) if one.over
    ]
    assert (outage.begin, outage.end) == span


def test_what_was_refused_after_the_rotation_is_replayed(store: Engine) -> None:
    refused = rows(store, DeliveryRow, outcome="bad_signature")
    assert refused
    assert all(ROTATION.before(MONDAY).has(one.received_at) for one in refused)
    states = {one.state for one in rows(store, Quarantine, kind="well_formed")}
    assert "replayed" in states
    assert "held" not in states


def test_the_deliveries_page_says_that_all_is_well(connection: Connection) -> None:
    since = MONDAY - timedelta(days=30)
    seen = [evidence.gather(connection, facts, since, MONDAY, SETTINGS) for facts in FACTS.values()]
    counts = [deliveries.totals(connection, since, slug) for slug in FACTS]
    traffic = Traffic(sum(one.all for one in counts), sum(one.accepted for one in counts), MONDAY)
    down = outages_since(connection, since, MONDAY)
    said = verdict(seen, traffic, down, "30 days", Clock(MONDAY, "UTC"))
    assert said.level is Level.GOOD, said.text
    assert not missing(connection, since)


def test_most_takers_fail_one_quiz(connection: Connection) -> None:
    (quiz,) = [
        one
        for one in quizzes.quizzes(connection, SETTINGS.coaching_threshold_pct)
        if one.quiz_id == HARD_QUIZ.id
    ]
    assert quiz.low > quiz.takers / 2


def test_one_team_slips(connection: Connection) -> None:
    board = Board(window=window_of("7d", MONDAY, "UTC"))
    slipped = team_boards.slipped(connection, "gained", board)
    assert slipped
    assert slipped.team_id == SLIPPING_TEAM


def test_coaching_helps_some_and_not_others(connection: Connection) -> None:
    filters = Filters(problems=True)
    closed = coaching.items(connection, filters, "closed")
    assert {one.status for one in closed} == {"resolved", "dismissed"}


def test_there_are_hires_and_leavers(store: Engine) -> None:
    found = rows(store, Learner, vendor=MINDTICKLE)
    assert [one for one in found if one.deprovisioned_at]
    assert [one for one in found if one.provisioned_at and one.provisioned_at > MONDAY - 8 * WEEK]


# What is the same each time


def test_the_same_seed_and_end_give_the_same_history() -> None:
    first, second = mindtickles(MONDAY), mindtickles(MONDAY)
    assert first == second
    times = [
        [one.at for one in acts(each, MONDAY, SETTINGS, Random(7))] for each in (first, second)
    ]
    assert times[0] == times[1]


@pytest.mark.parametrize("hour", [0, 8, 23])
@pytest.mark.parametrize("day", range(7))
def test_what_went_wrong_is_over_a_day_before_the_end(day: int, hour: int) -> None:
    end = MONDAY.replace(hour=hour) + timedelta(days=day)
    for span in (OUTAGE.before(end), ROTATION.before(end)):
        assert end - timedelta(days=30) < span.begin < span.end < end - timedelta(days=1)
        assert span.begin.weekday() < 5


def test_working_days_skip_weekends() -> None:
    assert working_day(MONDAY.date(), -1) == MONDAY.date() - timedelta(days=3)
    assert working_day(MONDAY.date(), 5) == MONDAY.date() + timedelta(days=7)


@pytest.mark.parametrize("days", [1, 10])
def test_a_short_history_has_no_time_before_its_begin(fresh_store: FreshStore, days: int) -> None:
    with fresh_store("sqlite") as url:
        engine = open_engine(url)
        write_history(engine, SETTINGS, plays(MONDAY, size=10, days=days), MONDAY)
        with engine.connect() as connection:
            times = received(engine) + [one.at for one in audit.entries(connection, audit.Asked())]
        engine.dispose()
    assert min(times) >= MONDAY - timedelta(days=days)
    assert max(times) <= MONDAY


def test_a_history_that_is_written_is_not_sent_again(fresh_store: FreshStore) -> None:
    with fresh_store("sqlite") as url:
        engine = open_engine(url)
        played = plays(MONDAY, size=5, days=2)
        assert write_history(engine, SETTINGS, played, MONDAY) > 0
        engine.dispose()
    assert not [one for play in played for one in play.history()]
