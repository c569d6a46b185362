"""The response to a delivery and its rows, over real HTTP on both stores."""

import json
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from sqlalchemy import text

from receiver.pipeline import joined, peer
from shared.models import Delivery, DeliveryHourly, Event, Learner, ModuleProgress, Quarantine
from tests import playing, stores
from tests.playing import body_of, new_id, progress, signed
from tests.running import ROOT, Receiver
from tests.stores import row, rows, unreachable
from tests.waiting import until

UNREADABLE = {"received": True, "quarantined": True}


class Kept(NamedTuple):
    """The rows of the deliveries with one event ID."""

    deliveries: list[tuple[str, int]]
    quarantined: int
    events: int


def kept(receiver: Receiver, event_id: str) -> Kept:
    deliveries = rows(receiver.engine, Delivery, event_key=event_id)
    ids = {one.id for one in deliveries}
    quarantined = [q for q in rows(receiver.engine, Quarantine) if q.delivery_id in ids]
    events = rows(receiver.engine, Event, event_key=event_id)
    outcomes = [(one.outcome, one.status_code) for one in deliveries]
    return Kept(outcomes, len(quarantined), len(events))


def now() -> datetime:
    return datetime.now(UTC)


# The table of outcomes


def test_a_signed_delivery_is_accepted_and_changes_the_read_models(
    lasting_receiver: Receiver,
) -> None:
    event_id, user, at = new_id(), new_id(), now().replace(microsecond=0)
    answer = lasting_receiver.deliver("module.progress", progress(user), event_id, at)
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert kept(lasting_receiver, event_id) == Kept([("accepted", 200)], 0, 1)
    event = row(lasting_receiver.engine, Event, event_key=event_id)
    delivery = row(lasting_receiver.engine, Delivery, event_key=event_id)
    assert (event.type, event.user_id, event.company_id) == ("module.progress", user, "acme")
    assert (event.occurred_at, event.delivery_id) == (at, delivery.id)
    assert json.loads(event.payload)["data"] == progress(user)
    assert (delivery.reason, delivery.remote_ip) == (None, "127.0.0.1")
    assert delivery.body_bytes == len(body_of("module.progress", progress(user)))
    lasting_receiver.followed()
    model = row(lasting_receiver.engine, ModuleProgress, user_id=user)
    assert (model.progress_pct, model.time_spent_sec, model.updated_at) == (40, 600, at)


def test_an_event_seen_before_is_a_duplicate_and_changes_nothing(
    lasting_receiver: Receiver,
) -> None:
    event_id, user = new_id(), new_id()
    lasting_receiver.deliver("module.progress", progress(user), event_id, now())
    again = lasting_receiver.deliver("module.progress", progress(user), event_id, now())
    assert (again.status_code, again.json()) == (200, {"duplicate": True})
    assert kept(lasting_receiver, event_id) == Kept([("accepted", 200), ("duplicate", 200)], 0, 1)


def test_an_event_id_under_another_content_is_a_duplicate_and_the_first_content_stays(
    lasting_receiver: Receiver,
) -> None:
    event_id, user = new_id(), new_id()
    lasting_receiver.deliver("module.progress", progress(user), event_id)
    other = lasting_receiver.deliver("module.progress", progress(user, progressPct=99), event_id)
    assert other.json() == {"duplicate": True}
    assert kept(lasting_receiver, event_id).events == 1
    lasting_receiver.followed()
    assert row(lasting_receiver.engine, ModuleProgress, user_id=user).progress_pct == 40


def test_a_captured_delivery_sent_again_under_another_event_id_is_a_duplicate(
    lasting_receiver: Receiver,
) -> None:
    first_id, other_id = new_id(), new_id()
    body = body_of("module.progress", progress(new_id()))
    headers = signed(body, now(), first_id)
    assert lasting_receiver.post(body, headers).json() == {"received": True}
    replayed = lasting_receiver.post(body, headers | {"x-mt-event-id": other_id})
    assert replayed.json() == {"duplicate": True}
    assert kept(lasting_receiver, other_id) == Kept([("duplicate", 200)], 0, 0)


def test_one_event_sent_many_times_at_once_is_accepted_once(
    lasting_receiver: Receiver,
) -> None:
    event_id, user, at = new_id(), new_id(), now()
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda _: lasting_receiver.deliver("module.progress", progress(user), event_id, at),
                range(24),
            )
        )
    assert sorted(json.dumps(one.json()) for one in answers) == [
        *['{"duplicate": true}'] * 23,
        '{"received": true}',
    ]
    assert kept(lasting_receiver, event_id).events == 1


@pytest.mark.parametrize("missing", ["x-mt-webhook-signature", "x-mt-webhook-timestamp"])
def test_a_missing_credential_is_answered_401_and_kept(
    lasting_receiver: Receiver, missing: str
) -> None:
    event_id = new_id()
    body = body_of("module.progress", progress())
    headers = signed(body, now(), event_id)
    del headers[missing]
    refused(lasting_receiver, body, headers, event_id, "missing_credentials", 401)


def test_a_wrong_signature_is_refused_and_kept(lasting_receiver: Receiver) -> None:
    event_id = new_id()
    body = body_of("module.progress", progress())
    headers = signed(body, now(), event_id, secret="another")
    refused(lasting_receiver, body, headers, event_id, "bad_signature", 403)


@pytest.mark.parametrize("age", [timedelta(hours=25), timedelta(minutes=-10)])
def test_a_stale_or_early_timestamp_is_refused_and_kept(
    lasting_receiver: Receiver, age: timedelta
) -> None:
    event_id = new_id()
    body = body_of("module.progress", progress())
    headers = signed(body, now() - age, event_id)
    refused(lasting_receiver, body, headers, event_id, "stale_timestamp", 403)


def test_a_delivery_for_another_company_is_refused_and_kept(lasting_receiver: Receiver) -> None:
    event_id = new_id()
    body = body_of("module.progress", progress(), company="globex")
    headers = signed(body, now(), event_id)
    refused(lasting_receiver, body, headers, event_id, "wrong_company", 403)


def refused(
    receiver: Receiver,
    body: bytes,
    headers: Mapping[str, str],
    event_id: str,
    outcome: str,
    status: int,
) -> None:
    answer = receiver.post(body, headers)
    assert (answer.status_code, answer.json()) == (status, {"received": False, "error": outcome})
    assert kept(receiver, event_id) == Kept([(outcome, status)], 1, 0)
    delivery = row(receiver.engine, Delivery, event_key=event_id)
    assert delivery.event_type == "module.progress"
    assert delivery.reason
    quarantined = row(receiver.engine, Quarantine, delivery_id=delivery.id)
    assert (quarantined.state, quarantined.body) == ("held", body)
    wanted = {name: value for name, value in headers.items() if name.startswith("x-mt-")}
    assert json.loads(quarantined.headers) == wanted


@pytest.mark.parametrize(
    "body",
    [b"", b"hello", b"[]", b"{\xff}", body_of("module.progress", progress(progressPct=1001))],
    ids=["empty", "text", "array", "not UTF-8", "over 100 %"],
)
def test_what_is_signed_but_not_understood_is_acknowledged_and_quarantined(
    lasting_receiver: Receiver, body: bytes
) -> None:
    event_id = new_id()
    answer = lasting_receiver.post(body, signed(body, now(), event_id))
    assert (answer.status_code, answer.json()) == (200, UNREADABLE)
    assert kept(lasting_receiver, event_id) == Kept([("unreadable", 200)], 1, 0)
    delivery = row(lasting_receiver.engine, Delivery, event_key=event_id)
    assert delivery.reason
    assert row(lasting_receiver.engine, Quarantine, delivery_id=delivery.id).body == body


def test_a_body_with_a_too_large_content_length_gets_a_413_and_a_row(
    lasting_receiver: Receiver,
) -> None:
    event_id = new_id()
    body = b"x" * 10_000_000
    answer = lasting_receiver.post(body, signed(body, now(), event_id))
    too_large(lasting_receiver, answer, event_id)
    delivery = row(lasting_receiver.engine, Delivery, event_key=event_id)
    assert delivery.body_bytes == 10_000_000


def test_a_chunked_body_that_is_too_large_gets_a_413_and_a_row(
    lasting_receiver: Receiver,
) -> None:
    event_id = new_id()
    body = b"x" * 1_500_000
    answer = lasting_receiver.post(chunks(body), signed(body, now(), event_id))
    assert "content-length" not in answer.request.headers
    too_large(lasting_receiver, answer, event_id)


def too_large(receiver: Receiver, answer: httpx.Response, event_id: str) -> None:
    assert (answer.status_code, answer.json()) == (413, {"received": False, "error": "too_large"})
    assert kept(receiver, event_id) == Kept([("too_large", 413)], 0, 0)
    assert "MAX_BODY_BYTES" in row(receiver.engine, Delivery, event_key=event_id).reason


def chunks(body: bytes) -> Iterator[bytes]:
    for start in range(0, len(body), 10_000):
        yield body[start : start + 10_000]


def test_a_chunked_body_without_a_length_is_accepted(lasting_receiver: Receiver) -> None:
    event_id = new_id()
    body = body_of("badge.earned", {"n": event_id, "text": "x" * 30_000})
    answer = lasting_receiver.post(chunks(body), signed(body, now(), event_id))
    assert answer.json() == {"received": True}
    assert row(lasting_receiver.engine, Event, event_key=event_id).payload == body.decode()


def test_a_body_of_exactly_the_limit_is_accepted(lasting_receiver: Receiver) -> None:
    data = {"n": new_id(), "text": ""}
    data["text"] = "x" * (1_048_576 - len(body_of("badge.earned", data)))
    body = body_of("badge.earned", data)
    assert len(body) == 1_048_576
    assert lasting_receiver.post(body, signed(body, now(), new_id())).json() == {"received": True}
    assert lasting_receiver.post(body + b" ", signed(body, now(), new_id())).status_code == 413


# Other deliveries


def test_a_delivery_under_the_second_secret_is_accepted(lasting_receiver: Receiver) -> None:
    body = body_of("module.progress", progress(new_id()))
    answer = lasting_receiver.post(body, signed(body, now(), new_id(), secret="secret-two"))
    assert answer.json() == {"received": True}


def test_an_unknown_event_type_is_kept_and_acknowledged(lasting_receiver: Receiver) -> None:
    event_id = new_id()
    answer = lasting_receiver.deliver("badge.earned", {"n": event_id}, event_id)
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert row(lasting_receiver.engine, Event, event_key=event_id).type == "badge.earned"


def test_deliveries_without_an_event_id_are_identified_by_their_content(
    lasting_receiver: Receiver,
) -> None:
    at, user = now(), new_id()
    answers = []
    for pct in (10, 20, 10):
        body = body_of("module.progress", progress(user, progressPct=pct))
        answers.append(lasting_receiver.post(body, signed(body, at)).json())
    assert answers == [{"received": True}, {"received": True}, {"duplicate": True}]


def test_the_roster_follows_the_events_of_a_learner(lasting_receiver: Receiver) -> None:
    user = new_id()
    who = {"userId": user, "email": "dana@example.com"}
    lasting_receiver.deliver("user.provisioned", who | {"role": "rep", "teamId": "west"})
    lasting_receiver.followed()
    assert row(lasting_receiver.engine, Learner, user_id=user).active
    left = (now() + timedelta(minutes=1)).isoformat()
    lasting_receiver.deliver("user.deprovisioned", who | {"deprovisionedAt": left})
    lasting_receiver.followed()
    learner = row(lasting_receiver.engine, Learner, user_id=user)
    assert (learner.active, learner.team_id, learner.email) == (False, "west", "dana@example.com")


@pytest.mark.parametrize("vendor", ["acme", "LESSONLY", "mindtickle ", "%00"])
def test_an_unknown_or_unconfigured_vendor_gets_a_404(
    lasting_receiver: Receiver, vendor: str
) -> None:
    assert lasting_receiver.post(b"{}", {}, vendor=vendor).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {b"x-mt-webhook-signature": b"\xff\xfe", b"x-mt-webhook-timestamp": b"\xff"},
        {b"x-mt-webhook-signature": b"0" * 64, b"x-mt-webhook-timestamp": b"9" * 5000},
        {b"x-mt-event-id": b"\xff" * 5000},
        {b"content-type": b"\xff", b"content-encoding": b"gzip"},
    ],
)
def test_odd_bytes_in_headers_are_refused_like_any_others(
    lasting_receiver: Receiver, headers: Any
) -> None:
    assert lasting_receiver.post(b"{}", headers).status_code in (401, 403)


def test_every_delivery_is_counted_under_its_hour_and_outcome(lasting_receiver: Receiver) -> None:
    def counted() -> dict[str, int]:
        totals: dict[str, int] = {}
        for one in rows(lasting_receiver.engine, DeliveryHourly):
            totals[one.outcome] = totals.get(one.outcome, 0) + one.deliveries
        return totals

    lasting_receiver.deliver("badge.earned", {"n": new_id()})
    with lasting_receiver.engine.connect() as connection:
        query = text("SELECT outcome, count(*) FROM delivery GROUP BY outcome")
        assert counted() == dict(map(tuple, connection.execute(query)))


# Health and metrics


def test_a_receiver_whose_store_can_be_written_is_alive_and_ready(
    lasting_receiver: Receiver,
) -> None:
    alive, ready = (lasting_receiver.client.get(path) for path in ("/healthz", "/readyz"))
    assert (alive.status_code, alive.json()) == (200, {"alive": True})
    assert (ready.status_code, ready.json()["ready"]) == (200, True)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_head_request_is_answered_as_a_get_without_the_body(
    lasting_receiver: Receiver, path: str
) -> None:
    got, head = lasting_receiver.client.get(path), lasting_receiver.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    with unreachable(lasting_receiver.engine):
        assert lasting_receiver.client.head("/readyz").status_code == 503


def test_the_metrics_count_each_outcome_and_what_was_measured(lasting_receiver: Receiver) -> None:
    def samples() -> list[float]:
        of = 'repboard_deliveries_total{{outcome="{}",vendor="mindtickle"}}'
        names = [of.format(one) for one in ("accepted", "duplicate", "missing_credentials")]
        measured = 'repboard_delivery_seconds_count{vendor="mindtickle"}'
        return [lasting_receiver.metric(name) for name in (*names, measured)]

    before = samples()
    event_id = new_id()
    lasting_receiver.deliver("badge.earned", {"n": event_id}, event_id)
    lasting_receiver.deliver("badge.earned", {"n": event_id}, event_id)
    lasting_receiver.post(b"{}", {})
    assert [after - old for after, old in zip(samples(), before, strict=True)] == [1, 1, 1, 3]


def test_every_metric_has_its_line_in_the_guide(lasting_receiver: Receiver) -> None:
    lasting_receiver.deliver("badge.earned", {"n": 1})
    lasting_receiver.post(b"{}", {}, vendor="mindtickle")
    text = lasting_receiver.client.get("/metrics").text
    names = set(re.findall(r"^# TYPE (\w+) (?:counter|histogram)", text, re.MULTILINE))
    assert "repboard_deliveries_total" in names
    guide = (ROOT / "docs" / "operations.md").read_text()
    assert {name for name in names if name not in guide} == set()


# The log


def test_neither_a_secret_nor_a_payload_reaches_the_log(lasting_receiver: Receiver) -> None:
    who = {"userId": new_id(), "email": "leaked@example.com", "role": "leaked-role"}
    body = body_of("user.provisioned", who)
    lasting_receiver.post(body, signed(body, now(), new_id()))
    lasting_receiver.post(body, signed(body, now(), new_id(), secret="leaked-secret"))
    broken = body_of("module.progress", progress(progressPct="leaked@example.com"))
    lasting_receiver.post(broken, signed(broken, now(), new_id()))
    log = lasting_receiver.log.read_text() + lasting_receiver.errors.read_text()
    assert "leaked" not in log
    assert "secret-one" not in log
    assert "secret-two" not in log
    assert playing.signature(body, signed(body, now())["x-mt-webhook-timestamp"]) not in log


def test_the_accepted_deliveries_of_a_transaction_are_one_line_of_the_log(
    lasting_receiver: Receiver,
) -> None:
    event_id = new_id()
    lasting_receiver.deliver("badge.earned", {"n": event_id}, event_id)
    lasting_receiver.deliver("badge.earned", {"n": event_id}, event_id)
    until(lambda: accepted_lines(lasting_receiver, event_id) == ["accepted", "duplicate"])


def accepted_lines(receiver: Receiver, event_id: str) -> list[str]:
    """What the log says of the accepted deliveries of an event, in the order of the lines, each of
    which comes after its answer."""
    lines = [one for one in receiver.log_lines() if one["event"] == "deliveries"]
    return [
        outcome
        for line in lines
        for outcome in ("accepted", "duplicate")
        if event_id in line.get(outcome, ())
    ]


def test_a_setting_makes_each_accepted_delivery_a_line_of_the_log(
    sqlite_url: str, tmp_path: Path
) -> None:
    with Receiver(sqlite_url, tmp_path, RECEIVER_LOG_ACCEPTED="yes") as receiver:
        for _ in range(2):
            receiver.deliver("badge.earned", {"n": 1}, "e-1")
    lines = [one for one in receiver.log_lines() if "outcome" in one]
    assert [(one["outcome"], one["status"], one["event_key"]) for one in lines] == [
        ("accepted", 200, "e-1"),
        ("duplicate", 200, "e-1"),
    ]
    assert accepted_lines(receiver, "e-1") == []


def test_a_newline_or_an_escape_in_what_is_logged_forges_no_line_and_reaches_no_terminal(
    lasting_receiver: Receiver,
) -> None:
    forged = 'x\n{"event": "forged"}\r\n\x1b[31m\x9b31m\u2028\u0085'
    event_id = new_id()
    hostile_id = f"{event_id} \u009b31m \u0085".encode()
    body = body_of(forged, {"n": event_id})
    lasting_receiver.post(body, signed(body, now()) | {"x-mt-event-id": hostile_id})
    refused = {"x-mt-event-id": hostile_id, "x-mt-webhook-signature": "0" * 64}
    lasting_receiver.post(body, signed(body, now()) | refused)
    (line,) = [
        one for one in lasting_receiver.log_lines() if event_id in (one.get("event_key") or "")
    ]
    assert line["event_type"] == forged
    until(lambda: accepted_lines(lasting_receiver, hostile_id.decode()) == ["accepted"])
    assert all(one["event"] != "forged" for one in lasting_receiver.log_lines())
    written = lasting_receiver.log.read_text()
    assert not [character for character in "\r\x1b\x9b\u2028\u0085" if character in written]


# The sender's address


def test_an_address_that_a_sender_claims_is_ignored(lasting_receiver: Receiver) -> None:
    event_id = new_id()
    body = body_of("badge.earned", {"n": event_id})
    headers = signed(body, now(), event_id)
    lasting_receiver.post(body, headers | {"x-forwarded-for": "54.243.7.71"})
    assert row(lasting_receiver.engine, Delivery, event_key=event_id).remote_ip == "127.0.0.1"


@pytest.mark.parametrize(
    ("client", "forwarded_for", "hops", "address"),
    [
        ("10.0.0.1", b"", 0, "10.0.0.1"),
        ("10.0.0.1", b"1.1.1.1, 2.2.2.2", 0, "10.0.0.1"),
        ("10.0.0.1", b"1.1.1.1, 2.2.2.2", 1, "2.2.2.2"),
        ("10.0.0.1", b"1.1.1.1, 2.2.2.2", 2, "1.1.1.1"),
        ("10.0.0.1", b"forged, 2.2.2.2", 1, "2.2.2.2"),
        ("10.0.0.1", b"1.1.1.1, 2.2.2.2", 3, None),
        ("10.0.0.1", b"", 1, None),
        ("10.0.0.1", b"1.1.1.1, ", 1, None),
        ("10.0.0.1", b"1.1.1.1, not an address", 1, None),
        ("10.0.0.1", b"\xff\xfe", 1, None),
        ("10.0.0.1", b"  2.2.2.2  ", 1, "2.2.2.2"),
        ("::ffff:10.0.0.1", b"", 0, "10.0.0.1"),
        ("10.0.0.1", b"::ffff:2.2.2.2", 1, "2.2.2.2"),
        ("10.0.0.1", b"2001:DB8::1", 1, "2001:db8::1"),
        ("::1", b"", 0, "::1"),
        (None, b"", 0, None),
        (None, b"2.2.2.2", 1, "2.2.2.2"),
        ("10.0.0.1", b"2.2.2.2", 2, None),
        ("10.0.0.1", b"1.1.1.1,2.2.2.2,3.3.3.3", 3, "1.1.1.1"),
        ("10.0.0.1", b"1.1.1.1,,3.3.3.3", 2, None),
        ("10.0.0.1", b"2.2.2.2:54321", 1, "2.2.2.2"),
        ("10.0.0.1", b"[2001:db8::1]:443", 1, "2001:db8::1"),
        ("10.0.0.1", b"[2001:db8::1]", 1, "2001:db8::1"),
        ("10.0.0.1", b"[::ffff:2.2.2.2]:443", 1, "2.2.2.2"),
        ("10.0.0.1", b"2001:db8::1:443", 1, "2001:db8::1:443"),
        ("10.0.0.1", b"2.2.2.2:http", 1, None),
        ("10.0.0.1", b"2.2.2.2:", 1, None),
        ("10.0.0.1", b"2.2.2.2 3.3.3.3", 1, None),
        ("10.0.0.1", b"02.2.2.2", 1, None),
        ("10.0.0.1", b"33686018", 1, None),
        ("10.0.0.1", b"2.2.2.2/32", 1, None),
        ("10.0.0.1", b"fe80::1%\x1b[31m", 1, "fe80::1"),
        ("10.0.0.1", b"fe80::1%" + b"x" * 100_000, 1, None),
        ("10.0.0.1", b"," * 10_000, 10_000, None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_the_address_is_the_one_that_the_outermost_trusted_proxy_saw(
    client: str | None, forwarded_for: bytes, hops: int, address: str | None
) -> None:
    assert peer(client, forwarded_for, hops) == address


def test_a_forwarded_for_header_that_is_repeated_counts_from_the_right_of_the_last_one() -> None:
    name = b"x-forwarded-for"
    sent = joined([(name, b"54.243.7.71, 1.1.1.1"), (name, b"2.2.2.2"), (name, b" 3.3.3.3 ")])
    addresses = [peer("10.0.0.1", sent["x-forwarded-for"], hops) for hops in range(6)]
    assert addresses == ["10.0.0.1", "3.3.3.3", "2.2.2.2", "1.1.1.1", "54.243.7.71", None]


# Without its store


def test_a_receiver_whose_store_is_gone_is_alive_but_not_ready_until_it_is_back(
    lasting_receiver: Receiver,
) -> None:
    with unreachable(lasting_receiver.engine):
        assert lasting_receiver.client.get("/readyz").status_code == 503
        assert lasting_receiver.client.get("/healthz").status_code == 200
    assert lasting_receiver.client.get("/readyz").status_code == 200


def test_while_the_store_is_not_writable_a_delivery_gets_a_503_and_its_retry_is_accepted(
    lasting_receiver: Receiver,
) -> None:
    event_id = new_id()
    with unreachable(lasting_receiver.engine):
        refused = lasting_receiver.deliver("badge.earned", {"n": event_id}, event_id)
    assert (refused.status_code, refused.json()) == (503, {"received": False})
    assert int(refused.headers["retry-after"]) > 0
    retried = lasting_receiver.deliver("badge.earned", {"n": event_id}, event_id)
    assert retried.json() == {"received": True}
    assert kept(lasting_receiver, event_id) == Kept([("accepted", 200)], 0, 1)
    (line,) = [one for one in lasting_receiver.log_lines() if one.get("event_key") == event_id]
    assert (line["outcome"], line["status"]) == ("not_stored", 503)
    until(lambda: accepted_lines(lasting_receiver, event_id) == ["accepted"])


def test_a_slash_at_the_end_of_the_address_changes_nothing(lasting_receiver: Receiver) -> None:
    body = body_of("badge.earned", {"n": new_id()})
    headers = signed(body, datetime.now(UTC), new_id())
    answer = lasting_receiver.post(body, headers, vendor="mindtickle/")
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert lasting_receiver.post(body, headers).json() == {"duplicate": True}


@pytest.mark.parametrize("offer", ["h2c", "websocket", "h2c, websocket"])
@pytest.mark.parametrize("send", [bytes, chunks], ids=["whole", "chunked"])
def test_an_offer_to_speak_another_protocol_is_ignored(
    lasting_receiver: Receiver, offer: str, send: Callable[[bytes], Any]
) -> None:
    body = body_of("badge.earned", {"n": new_id(), "text": "x" * 30_000})
    headers = signed(body, datetime.now(UTC), new_id())
    upgrade = {"connection": "upgrade, http2-settings", "upgrade": offer, "http2-settings": "AAMA"}
    answer = lasting_receiver.post(send(body), headers | upgrade)
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert lasting_receiver.post(body, headers).json() == {"duplicate": True}


def test_a_length_beyond_all_numbers_is_too_large(lasting_receiver: Receiver) -> None:
    with socket.create_connection(("127.0.0.1", lasting_receiver.port)) as raw:
        raw.sendall(b"POST /webhooks/mindtickle HTTP/1.1\r\nhost: x\r\n")
        raw.sendall(b"content-length: 999999999999999999\r\n\r\n")
        assert raw.recv(4096).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_only_a_post_is_a_delivery(lasting_receiver: Receiver, method: str) -> None:
    before = stores.count(lasting_receiver.engine, Delivery)
    answer = lasting_receiver.client.request(method, "/webhooks/mindtickle")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert stores.count(lasting_receiver.engine, Delivery) == before


@pytest.mark.parametrize(
    "path",
    ["/docs", "/redoc", "/openapi.json", "/webhooks", "/webhooks/", "/webhooks/acme",
     "/webhooks/mindtickle//", "/webhooks/mindtickle/more", "//webhooks/mindtickle", "/",
     "/webhooks/MindTickle", "/healthz/"],
)  # fmt: skip
def test_no_other_address_is_open(lasting_receiver: Receiver, path: str) -> None:
    assert httpx.get(f"{lasting_receiver.url}{path}", verify=False).status_code == 404
    posted = httpx.post(f"{lasting_receiver.url}{path}", content=b"{}", verify=False)
    assert posted.status_code == 404
