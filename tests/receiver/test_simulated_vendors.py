"""Each vendor's part of the play, against the adapters and on a running receiver."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from receiver.__main__ import cli
from receiver.errors import ReceiverError
from receiver.pipeline import judge
from receiver.simulator import PARTS, SCENARIOS, Plan, Play, Summary, simulate
from receiver.simulator.base import Delivery, Fault
from receiver.simulator.deliverer import FOREIGN_ADDRESS
from receiver.simulator.standard_webhooks import WEIGHTS
from receiver.vendors import ADAPTERS, configured, vendor_facts
from receiver.vendors.base import Incoming
from shared.diagnosis import diagnose
from shared.models import (
    CourseCompletion,
    Delivery as DeliveryRow,
    Event,
    Learner,
    Quarantine,
    QuizAttempt,
)
from shared.queries import evidence
from shared.settings import ReceiverSettings
from tests import playing
from tests.conftest import FreshStore
from tests.running import Receiver, command
from tests.stores import empty, rows

SECOND = timedelta(seconds=1)
START = datetime(2025, 6, 20, 13, 30, tzinfo=UTC)
MT, IE, LESSONLY, STANDARD = PARTS
OTHERS = (IE, LESSONLY, STANDARD)
VALUE = "Bearer välue"
"""Not only ASCII, as an admin may type it."""
SETTINGS = ReceiverSettings(
    _env_file=None,
    mindtickle_webhook_secret=playing.SECRET,
    innovative_educators_allowed_ips="127.0.0.1",
    lessonly_authorization=VALUE,
    standard_webhooks_secret=playing.WHSEC,
    timestamp_tolerance_past=10 * 365 * 86_400,
    **{f"{slug.replace('-', '_')}_retry_delays": (1, 2) for slug in PARTS},
)
SERVED = configured(SETTINGS)
FACTS = vendor_facts(SETTINGS)


def plan_of(vendor: str, **more: Any) -> Plan:
    plan = Plan(
        "http://127.0.0.1:8000",
        vendor,
        PARTS[vendor].credential(SETTINGS),
        FACTS[vendor].schedule.offsets[1:],
        company_id=playing.COMPANY,
        learners=40,
        backfill_days=60,
        faults=0,
    )
    return replace(plan, **more)


def ticking() -> Any:
    ticks = iter(range(10**9))
    return lambda: START + timedelta(milliseconds=100 * next(ticks))


def sent(vendor: str, **more: Any) -> list[Delivery]:
    """The history, then a minute that is live."""
    play = Play(plan_of(vendor, **more), START)
    history = list(play.history())
    live = play.live(ticking(), START + 60 * SECOND)
    return history + [one for one in live if one is not None]


def incoming(one: Delivery) -> Incoming:
    headers = {name: value.encode() for name, value in one.headers.items()}
    peer = FOREIGN_ADDRESS if one.foreign else "127.0.0.1"
    return Incoming(headers, one.body, peer, one.at)


def verdict(vendor: str, one: Delivery) -> str:
    return judge(SERVED[vendor], incoming(one)).outcome


def bodies(vendor: str, **more: Any) -> list[dict[str, Any]]:
    return [json.loads(one.body) for one in sent(vendor, **more)]


# What is sent


def test_every_vendor_has_a_part() -> None:
    assert PARTS.keys() == ADAPTERS.keys()


@pytest.mark.parametrize("vendor", PARTS)
def test_the_same_seed_gives_the_same_deliveries(vendor: str) -> None:
    assert sent(vendor, faults=0.5) == sent(vendor, faults=0.5)


@pytest.mark.parametrize("vendor", OTHERS)
def test_another_seed_gives_other_bodies(vendor: str) -> None:
    assert bodies(vendor) != bodies(vendor, seed=8)


@pytest.mark.parametrize("vendor", OTHERS)
def test_good_deliveries_are_accepted_under_different_keys(vendor: str) -> None:
    good = sent(vendor)
    assert {verdict(vendor, one) for one in good} == {"accepted"}
    keys = {SERVED[vendor].claims(incoming(one)).event_key for one in good}
    assert len(keys) == len(good) > 50


@pytest.mark.parametrize(
    ("vendor", "expected"),
    [
        (IE, {Fault.FORGED: {"ip_not_allowed"}, Fault.REFUSED_FIRST: {"ip_not_allowed"},
              Fault.BROKEN_BODY: {"unreadable"}}),
        (LESSONLY, {Fault.FORGED: {"wrong_credentials"}, Fault.BROKEN_BODY: {"unreadable"},
                    Fault.REFUSED_FIRST: {"wrong_credentials"},
                    Fault.NO_CREDENTIALS: {"missing_credentials"}}),
        (STANDARD, {Fault.FORGED: {"bad_signature"}, Fault.REFUSED_FIRST: {"bad_signature"},
                    Fault.STALE: {"stale_timestamp"}, Fault.BROKEN_BODY: {"unreadable"},
                    Fault.NO_CREDENTIALS: {"missing_credentials"}}),
    ],
)  # fmt: skip
def test_a_fault_is_what_it_says(vendor: str, expected: Mapping[Fault, set[str]]) -> None:
    found = defaultdict(set)
    for one in sent(vendor, faults=1):
        if one.fault:
            found[one.fault].add(verdict(vendor, one))
    repeated = {Fault.DUPLICATE: {"accepted"}, Fault.LATE_RETRY: {"accepted"}}
    assert dict(found) == {**expected, **repeated}


@pytest.mark.parametrize("vendor", OTHERS)
def test_a_delivery_refused_first_is_retried_on_the_schedule(vendor: str) -> None:
    attempts = defaultdict(list)
    for one in sent(vendor, faults=1):
        if one.fault in (None, Fault.REFUSED_FIRST):
            attempts[one.event_id].append(one)
    again = [tries for tries in attempts.values() if len(tries) > 1]
    assert again
    for tries in again:
        offsets = tuple(one.at - tries[0].at for one in tries)
        assert offsets == FACTS[vendor].schedule.offsets[: len(tries)]
        assert len({one.body for one in tries}) == 1
        assert tries[-1].fault is None


@pytest.mark.parametrize("vendor", OTHERS)
def test_a_history_lies_in_its_window_in_order(vendor: str) -> None:
    times = [one.at for one in Play(plan_of(vendor, faults=1), START).history()]
    assert times == sorted(times)
    assert START - timedelta(days=60) <= times[0] <= times[-1] <= START


@pytest.mark.parametrize("vendor", OTHERS)
@pytest.mark.parametrize("learners", [1, 2])
def test_the_smallest_company_without_a_history_plays(vendor: str, learners: int) -> None:
    assert len(sent(vendor, learners=learners, backfill_days=0)) >= 600


def test_innovative_educators_test_the_address_once_before_anything_else() -> None:
    first, *others = bodies(IE)
    assert "event" not in first
    assert all(body["event"] == "courseCompletion" for body in others)


def test_innovative_educators_leave_fields_of_the_learner_null() -> None:
    details = [body["userDetail"] for body in bodies(IE)[1:]]
    assert {detail["sfContactId"] for detail in details} == {None}
    assert {detail["externalCustomerId"] is None for detail in details} == {True, False}


def test_a_lesson_is_taken_again_until_the_score_is_high_enough() -> None:
    tries = defaultdict(list)
    for one in Play(plan_of(LESSONLY), START).history():
        body = json.loads(one.body)
        if body.get("score_percent") is not None:
            tries[str(body["user"]["id"]), str(body["lesson"]["id"])].append(body)
    failed = [each for each in tries.values() if low(each[0])]
    assert len(failed) > 10
    assert sum(not low(each[-1]) for each in failed) > len(failed) / 2
    assert all(low(body) for each in tries.values() for body in each[:-1])


def low(body: dict[str, Any]) -> bool:
    return bool(body["score_percent"] < body["lesson"]["retake_score"])


def test_lessonly_sends_lessons_without_questions_and_ids_of_either_kind() -> None:
    sent = bodies(LESSONLY)
    assert {"null" if "score_percent" in body else "absent" for body in sent
            if body.get("score_percent") is None} == {"null", "absent"}  # fmt: skip
    for part in ("user", "lesson"):
        assert {type(body[part]["id"]) for body in sent} == {int, str}


def test_some_standard_webhooks_carry_two_signatures_and_each_type_occurs() -> None:
    found = sent(STANDARD)
    signatures = Counter(len(one.headers["webhook-signature"].split()) for one in found)
    assert signatures.keys() == {1, 2}
    assert {json.loads(one.body)["type"] for one in found} == set(WEIGHTS)


# On a running receiver


@pytest.fixture(scope="module")
def lasting(
    fresh_store: FreshStore, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Receiver]:
    with (
        fresh_store("sqlite") as url,
        Receiver(
            url,
            tmp_path_factory.mktemp("receiver"),
            LESSONLY_AUTHORIZATION=VALUE,
            TIMESTAMP_TOLERANCE_PAST=str(SETTINGS.timestamp_tolerance_past),
        ) as running,
    ):
        yield running


@pytest.fixture
def receiver(lasting: Receiver) -> Receiver:
    """One receiver for all, as each takes a while to start, on a store that is empty again."""
    empty(lasting.engine)
    return lasting


def played(receiver: Receiver, *vendors: str, **more: Any) -> Mapping[str, Summary]:
    plans = [plan_of(vendor, **{"url": receiver.url, **more}) for vendor in vendors]
    return simulate(plans)


def kinds(engine: Engine, vendor: str) -> set[str]:
    now = datetime.now(UTC)
    with engine.connect() as connection:
        gathered = evidence.gather(
            connection, FACTS[vendor], now - timedelta(hours=2), now, SETTINGS
        )
    return {finding.kind for finding in diagnose(gathered)}


def test_the_deliveries_of_each_vendor_are_in_the_store(receiver: Receiver) -> None:
    summaries = played(
        receiver, *PARTS, faults=0.6, rate=40, duration=4, learners=15, backfill_days=5
    )
    for vendor, summary in summaries.items():
        kept = rows(receiver.engine, DeliveryRow, vendor=vendor)
        outcomes = Counter(one.outcome for one in kept)
        assert summary.failed == 0
        assert outcomes["accepted"] == summary.accepted > 20
        assert outcomes["duplicate"] == summary.duplicates
        assert len(kept) - summary.accepted - summary.duplicates == summary.refused > 0
        assert len(rows(receiver.engine, Event, vendor=vendor)) == summary.accepted
    assert sum(summary.duplicates for summary in summaries.values()) > 0


def test_one_person_is_at_several_vendors_and_some_at_one_only(receiver: Receiver) -> None:
    played(receiver, MT, IE, LESSONLY, duration=0, learners=15, backfill_days=10)
    receiver.followed()
    vendors = defaultdict(set)
    for one in rows(receiver.engine, Learner):
        vendors[(one.email or one.user_id).lower()].add(one.vendor)
    assert {MT, IE, LESSONLY} in vendors.values()
    assert {IE} in vendors.values()
    assert {LESSONLY} in vendors.values()
    assert rows(receiver.engine, CourseCompletion, vendor=IE)
    assert rows(receiver.engine, QuizAttempt, vendor=LESSONLY)
    assert not rows(receiver.engine, Quarantine)


def test_each_vendor_retries_what_an_outage_lost(receiver: Receiver) -> None:
    summaries = played(
        receiver, *OTHERS, scenario=SCENARIOS["outage"], rate=15, duration=6, backfill_days=0
    )
    for vendor, summary in summaries.items():
        assert (summary.refused, summary.failed) == (0, 0)
        events = [one for one in rows(receiver.engine, Event, vendor=vendor) if one.type != "test"]
        over = min(one.occurred_at for one in events) + 2 * SECOND
        assert min(one.received_at for one in events) > over
        assert sum(one.occurred_at < over for one in events) > 5


@pytest.mark.parametrize(
    ("scenario", "vendor", "kind", "outcome"),
    [
        ("wrong-credentials", LESSONLY, "wrong-credentials", "wrong_credentials"),
        ("foreign-address", IE, "address-not-allowed", "ip_not_allowed"),
    ],
)
def test_a_scenario_is_recognised_at_its_vendor_only(
    receiver: Receiver, scenario: str, vendor: str, kind: str, outcome: str
) -> None:
    summaries = played(
        receiver, IE, LESSONLY, scenario=SCENARIOS[scenario], rate=15, duration=4, backfill_days=5
    )
    assert summaries[vendor].refused > 20
    assert kinds(receiver.engine, vendor) - {"repeats"} == {kind}
    refused = rows(receiver.engine, DeliveryRow, outcome=outcome)
    assert {one.vendor for one in refused} == {vendor}
    (other,) = {IE, LESSONLY} - {vendor}
    assert summaries[other].refused == 0


# From the command line


def test_by_default_each_configured_vendor_plays(receiver: Receiver, tmp_path: Path) -> None:
    ended = command(
        "simulate", "--duration", "1", "--rate", "40", "--learners", "5",
        "--url", receiver.url,
        folder=tmp_path,
        MINDTICKLE_WEBHOOK_SECRET=playing.SECRET,
        MINDTICKLE_COMPANY_ID=playing.COMPANY,
        STANDARD_WEBHOOKS_SECRET=playing.WHSEC,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert [line.partition(":")[0] for line in ended.stdout.splitlines()] == [MT, STANDARD]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--vendor", "acme"], "--vendor: 'acme' is unknown. Use one of mindtickle, "),
        (["--vendor", LESSONLY], "LESSONLY_AUTHORIZATION is not set. "),
        (["--scenario", "foreign-address"], "--scenario: foreign-address needs "),
    ],
)
def test_a_play_that_cannot_start_fails_with_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(
        cli, ["simulate", *arguments], env={"MINDTICKLE_WEBHOOK_SECRET": "s"}
    )
    assert isinstance(ended.exception, ReceiverError)
    assert str(ended.exception).startswith(said)
