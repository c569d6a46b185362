"""Each scenario of the simulator makes its finding appear on a running receiver."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from receiver.replay import Replayed, replay
from receiver.simulator import SCENARIOS, Plan, Play, Summary, mindtickle, simulate
from receiver.simulator.base import Delivery, Fault
from receiver.simulator.deliverer import Deliverer
from receiver.vendors import vendor_facts
from receiver.vendors.mindtickle import TIMESTAMP
from shared.diagnosis import Severity, diagnose
from shared.evidence import Evidence
from shared.models import Delivery as DeliveryRow, Event
from shared.queries import deliveries, evidence
from shared.retries import Attempt, Schedule, chain
from shared.settings import ReceiverSettings
from shared.verdict import Clock, Level, Traffic, verdict
from tests import playing
from tests.conftest import FreshStore
from tests.holding import V, vendor
from tests.running import Receiver, command
from tests.stores import count as count_rows, empty, rows

SECOND = timedelta(seconds=1)
SETTINGS = ReceiverSettings(
    _env_file=None, mindtickle_retry_delays=(4, 15, 60), mindtickle_suspend_after=60
)
MINDTICKLE = vendor_facts(SETTINGS)[V]
PLAN = Plan(
    "http://127.0.0.1:8000",
    V,
    playing.SECRET.encode(),
    MINDTICKLE.schedule.offsets[1:],
    suspend_after=MINDTICKLE.suspend_after,
    tolerance_future=timedelta(seconds=SETTINGS.timestamp_tolerance_future),
    company_id=playing.COMPANY,
    learners=30,
    rate=200,
    backfill_days=0,
    duration=1,
    faults=0,
)
DEMO_FAULTS = 0.06
"""The share of deliveries with a fault in the demo."""
NOTES = {"practice", "repeats"}
"""Findings that an ordinary day may have."""
WITH_A_TIME = ("course.completed", "certification.expired")
YEAR_SEC = 365 * 86_400
START = datetime(2025, 6, 20, 13, 30, tzinfo=UTC)


def played(receiver: Receiver, scenario: str | None, **more: Any) -> Summary:
    return simulate([replace(plan_with(scenario), url=receiver.url, **more)])[V]


def happened(receiver: Receiver, scenario: str | None, seconds: int = 1, **more: Any) -> Summary:
    """The deliveries of the last seconds at the rate of the plan, however busy the machine is."""
    now = datetime.now(UTC)
    start = now - seconds * SECOND
    plan = replace(plan_with(scenario), duration=seconds, **more)
    play = Play(plan, start)
    history = list(play.history())
    turns = play.live(ticking(start, SECOND / plan.rate), now)
    return send(receiver, [*history, *filter(None, turns)]).summary


def plan_with(scenario: str | None) -> Plan:
    return replace(PLAN, scenario=SCENARIOS[scenario]) if scenario else PLAN


def kinds(engine: Engine, later: timedelta = timedelta(0)) -> set[str]:
    """What is diagnosed at a time after now, looking back over an hour."""
    return {finding.kind for finding in diagnose(gathered(engine, later))}


def gathered(engine: Engine, later: timedelta = timedelta(0)) -> Evidence:
    now = datetime.now(UTC)
    with engine.connect() as connection:
        return evidence.gather(connection, MINDTICKLE, hour_ago(), now + later, SETTINGS)


def hour_ago() -> datetime:
    earlier = datetime.now(UTC) - timedelta(hours=1)
    return earlier.replace(minute=0, second=0, microsecond=0)


def ticking(after: datetime, step: timedelta = SECOND) -> Callable[[], datetime]:
    ticks = count()
    return lambda: after + step * next(ticks)


def live(
    scenario: str | None, how_many: int = 200, start: datetime = START, **more: Any
) -> list[Delivery]:
    """The live deliveries of the first turns, one a second, with none accepted."""
    play = Play(replace(plan_with(scenario), **{"duration": None, **more}), start)
    for _ in play.history():
        pass
    return [one for one in islice(play.live(ticking(start)), how_many) if one is not None]


def by_event(deliveries: Iterable[Delivery]) -> dict[str, list[Delivery]]:
    found = defaultdict(list)
    for one in deliveries:
        found[one.event_id].append(one)
    return found


def types(deliveries: Iterable[Delivery]) -> Counter[str]:
    return Counter(json.loads(one.body)["event"] for one in deliveries)


def signed_with(secret: str, one: Delivery) -> bool:
    signed = mindtickle.headers(one.at, one.event_id, one.body, secret.encode())
    return signed.items() <= one.headers.items()


# On a running receiver


@pytest.fixture(scope="module")
def lasting(
    fresh_store: FreshStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Receiver]:
    with (
        fresh_store("sqlite") as url,
        Receiver(
            url, tmp_path_factory.mktemp("receiver"), TIMESTAMP_TOLERANCE_PAST=str(10 * YEAR_SEC)
        ) as running,
    ):
        yield running


@pytest.fixture
def receiver(lasting: Receiver) -> Receiver:
    """One receiver for all, as each takes a while to start, on a store that is empty again."""
    empty(lasting.engine)
    return lasting


def test_an_ordinary_day_has_no_finding(receiver: Receiver) -> None:
    assert happened(receiver, None).accepted > 100
    assert kinds(receiver.engine) <= NOTES


def test_an_ordinary_day_with_its_faults_is_green(receiver: Receiver) -> None:
    summary = happened(receiver, None, seconds=3, faults=DEMO_FAULTS)
    assert summary.accepted > 300
    seen = gathered(receiver.engine)
    assert seen.failures
    assert {finding.severity for finding in diagnose(seen)} == {Severity.NOTE}
    with receiver.engine.connect() as connection:
        counts = deliveries.totals(connection, hour_ago(), V)
    now = datetime.now(UTC)
    traffic = Traffic(counts.all, counts.accepted, now)
    assert verdict([seen], traffic, (), "24 hours", Clock(now, "UTC")).level is Level.GOOD


@pytest.mark.parametrize(
    ("scenario", "kind"),
    [
        ("rotated-secret", "rotated-secret"),
        ("missing-subscription", "missing-subscription"),
        ("clock-skew", "clock-skew"),
        ("wrong-company", "wrong-company"),
        ("unreadable", "unreadable"),
        ("flood", "strangers"),
        ("repeats", "repeats"),
        ("practice", "practice"),
    ],
)
def test_a_scenario_is_recognised(receiver: Receiver, scenario: str, kind: str) -> None:
    assert happened(receiver, scenario).failed == 0
    assert kinds(receiver.engine) - NOTES | {kind} == {kind}
    assert kind in kinds(receiver.engine)


def test_a_suspension_is_foreseen_and_then_recognised(receiver: Receiver) -> None:
    played(receiver, "suspension")
    assert kinds(receiver.engine, 40 * SECOND) == {"suspension-near", "rotated-secret"}
    assert kinds(receiver.engine, 61 * SECOND) == {"suspended", "rotated-secret"}


def test_after_an_outage_events_come_late_by_a_step_of_the_schedule(receiver: Receiver) -> None:
    # Slow enough that the retries come in time on a busy machine, too.
    plan = replace(PLAN, url=receiver.url, backfill_days=60, duration=6, rate=50)
    began = datetime.now(UTC)
    summary = simulate([replace(plan, scenario=SCENARIOS["outage"])], start=START)[V]
    assert (summary.refused, summary.failed) == (0, 0)
    missed = [
        missed_before(one.occurred_at, one.received_at)
        for one in rows(receiver.engine, Event)
        if one.type in WITH_A_TIME and one.occurred_at > began
    ]
    assert set(missed) == {0, 1}


def test_the_vendor_does_not_retry_an_accepted_delivery(receiver: Receiver) -> None:
    summary = played(receiver, "outage", duration=4, retry_after=(SECOND,), rate=50)
    assert summary.accepted > 50
    assert summary.duplicates < 20


def missed_before(occurred_at: datetime, received_at: datetime) -> int:
    """Attempts that never reached us. A second of the schedule stands for 75: less than the
    minute that `shared.retries` allows for clocks and queues would be lost in it."""
    stretched = occurred_at + 75 * (received_at - occurred_at)
    schedule = Schedule.of([75 * sec for sec in (4, 15, 60)], "gaps")
    return chain([Attempt(stretched, accepted=True)], schedule, stretched, occurred_at).missed


def send(receiver: Receiver, deliveries: Iterable[Delivery]) -> Deliverer:
    """Sends them all; has the summary and the accepted events."""

    async def send_all() -> Deliverer:
        async with Deliverer(receiver.url, f"/webhooks/{V}") as deliverer:
            await deliverer.send_all(deliveries)
            return deliverer

    return asyncio.run(send_all())


def test_the_vendors_retries_after_a_rotation_are_duplicates_of_the_replay(
    sqlite_url: str, tmp_path: Path
) -> None:
    start = datetime.now(UTC) - timedelta(minutes=10)
    sent = live("rotated-secret", 300, start, retry_after=PLAN.retry_after[:2])
    attempts = by_event(sent)
    before = [tries[0] for tries in attempts.values()]
    retries = [again for tries in attempts.values() for again in tries[1:]]
    with Receiver(sqlite_url, tmp_path) as receiver:
        assert send(receiver, before).summary.refused == len(before)
    new = f"{playing.SECRET}-rotated"
    with Receiver(sqlite_url, tmp_path, MINDTICKLE_WEBHOOK_SECRET=new) as receiver:
        replayed = replay(receiver.engine, {V: vendor(new, past=86_400)}, V)
        assert replayed == Replayed(len(before), 0, 0)
        after = send(receiver, retries)
        assert after.summary.duplicates == len(retries) > 50
        assert after.accepted == {one.event_id for one in retries}
        assert count_rows(receiver.engine, Event) == len(before)


def test_the_command_line_plays_a_scenario_on_the_schedule_of_its_settings(
    receiver: Receiver, tmp_path: Path
) -> None:
    ended = command(
        "simulate", "--scenario", "rotated-secret", "--duration", "2", "--faults", "0",
        "--url", receiver.url, "--rate", "20", "--learners", "5",
        folder=tmp_path,
        MINDTICKLE_WEBHOOK_SECRET=playing.SECRET,
        MINDTICKLE_COMPANY_ID=playing.COMPANY,
        MINDTICKLE_RETRY_DELAYS="1,60",
    )  # fmt: skip
    refused = rows(receiver.engine, DeliveryRow, outcome="bad_signature")
    assert ended.returncode == 0, ended.stderr
    assert set(Counter(one.event_key for one in refused).values()) == {1, 2}


def test_an_unknown_scenario_fails_with_one_line_that_names_all_scenarios(tmp_path: Path) -> None:
    ended = command(
        "simulate", "--scenario", "earthquake", folder=tmp_path, MINDTICKLE_WEBHOOK_SECRET="s"
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert "'earthquake'" in line
    assert all(scenario in line for scenario in SCENARIOS)


# What is sent


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_same_seed_and_start_give_the_same_deliveries(scenario: str) -> None:
    assert live(scenario, faults=0.5) == live(scenario, faults=0.5)


@pytest.mark.parametrize("scenario", [one for one in SCENARIOS if one != "missing-subscription"])
def test_a_scenario_leaves_the_history_as_it_is(scenario: str) -> None:
    plan = replace(PLAN, backfill_days=20, faults=0.2)
    ordinary = list(Play(plan, START).history())
    assert list(Play(replace(plan, scenario=SCENARIOS[scenario]), START).history()) == ordinary


def test_no_user_provisioned_was_ever_sent_without_the_subscription() -> None:
    plan = replace(plan_with("missing-subscription"), backfill_days=20)
    play = Play(plan, START)
    found = types(play.history())
    found += types(one for one in islice(play.live(ticking(START)), 9_000) if one)
    assert "user.provisioned" not in found
    assert {"module.progress", "user.deprovisioned"} <= set(found)


def test_after_a_rotation_every_delivery_is_signed_with_the_new_secret() -> None:
    assert all(signed_with("secret-one-rotated", one) for one in live("rotated-secret"))


def test_a_refused_delivery_is_retried_on_the_schedule_with_a_fresh_signature() -> None:
    attempts = by_event(live("rotated-secret", 1_000))
    first_of_all = next(iter(attempts.values()))
    times = [one.at - first_of_all[0].at for one in first_of_all]
    assert times == list(MINDTICKLE.schedule.offsets)
    assert {one.body for one in first_of_all} == {first_of_all[0].body}
    assert [int(one.headers[TIMESTAMP]) for one in first_of_all] == [
        int(one.at.timestamp()) for one in first_of_all
    ]


def test_an_accepted_event_is_not_retried() -> None:
    accepted: set[str] = set()
    sent = []
    play = Play(replace(plan_with("rotated-secret"), duration=None), START)
    for one in islice(play.live(ticking(START), accepted=accepted), 300):
        assert one is not None
        accepted.add(one.event_id)
        sent.append(one)
    assert max(map(len, by_event(sent).values())) == 1


def test_no_delivery_comes_after_the_suspension() -> None:
    suspended = live("suspension", 1_000)
    assert START + 50 * SECOND < suspended[-1].at <= START + 60 * SECOND
    assert live("rotated-secret", 1_000)[-1].at > START + 600 * SECOND


def test_first_attempts_in_an_outage_are_lost_and_their_retries_arrive() -> None:
    sent = live("outage", 60, duration=90, retry_after=(5 * SECOND,))
    assert [one.at for one in sent[:5]] == [START + sec * SECOND for sec in range(30, 35)]
    attempts = by_event(sent)
    assert [len(attempts[one.event_id]) for one in sent[:6]] == [1, 1, 1, 1, 1, 2]


def test_an_outage_without_an_end_of_the_play_lasts_a_minute() -> None:
    assert live("outage")[0].at == START + 60 * SECOND


def test_timestamps_creep_ahead_until_they_are_past_the_tolerance() -> None:
    ahead = [
        int(one.headers[TIMESTAMP]) - one.at.timestamp()
        for one in live("clock-skew", 120, duration=100, retry_after=PLAN.retry_after[2:])
    ]
    assert ahead[0] == 0
    assert ahead[:70] == sorted(ahead[:70])
    assert max(ahead) == 450


def test_a_flood_is_mostly_unsigned_and_loses_nothing() -> None:
    sent = live("flood", 500)
    junk = [one for one in sent if one.fault is Fault.NO_CREDENTIALS]
    assert len(junk) == 450


def test_repeats_are_redeliveries_and_retakes() -> None:
    sent = live("repeats", 1_000)
    assert sum(one.fault is Fault.DUPLICATE for one in sent) > 300
    completed = Counter(
        json.loads(one.body)["data"]["userId"]
        for one in sent
        if one.fault is None and types([one])["course.completed"]
    )
    assert sum(times > 1 for times in completed.values()) > 10


def test_most_of_what_practice_sends_is_practice() -> None:
    sent = [json.loads(one.body)["data"] for one in live("practice", 500)]
    assert sum(data.get("quizType") == "practice" for data in sent) > 350
