"""360Learning, which is declared in the package. Its samples are made from its public guide and the
description of its API, not recorded."""

import base64
import hmac
import json
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner, Result

from receiver.__main__ import cli
from receiver.errors import WebhooksError
from receiver.pipeline import judge
from receiver.vendors import adapters, vendor_facts
from receiver.vendors.base import Incoming
from shared.facts import Attempted, Completed, Deprovisioned, Identified, Provisioned
from shared.outcomes import Outcome
from tests import playing
from tests.receiver.vendor_cases import NOW, SigningCases, kept, served, settings

SLUG = "360learning"
SECRET = "a-secret-of-one-subscription"
BODIES = [
    line.encode() for line in (playing.SAMPLES / SLUG / "documented.jsonl").read_text().splitlines()
]
BY_TYPE = {json.loads(body)["type"]: body for body in BODIES}
USER = "684c154ab06eb32565e5cbc0"
AT = datetime(2025, 11, 22, 8, 12, 30, tzinfo=UTC)
MAIL = "ada@example.com"


def incoming(body: bytes, *keys: bytes, at: datetime = NOW) -> Incoming:
    stamp = str(int(at.timestamp())).encode()
    text = b"msg_1." + stamp + b"." + body
    tokens = [
        b"v1," + base64.b64encode(hmac.new(key, text, "sha256").digest())
        for key in keys or (SECRET.encode(),)
    ]
    headers = {
        "webhook-id": b"msg_1",
        "webhook-timestamp": stamp,
        "webhook-signature": b" ".join(tokens),
    }
    return Incoming(headers, body, None, NOW)


class TestSecurity(SigningCases):
    slug = SLUG
    settings: ClassVar = {"v360learning_secret": SECRET}
    wrong = Outcome.BAD_SIGNATURE
    credential = "webhook-signature"
    signed = ("webhook-id", "webhook-timestamp")

    def genuine(self) -> Incoming:
        return incoming(BODIES[0])

    def forged(self) -> Incoming:
        return incoming(BODIES[0], b"another-secret")

    def misconfigured(self) -> Mapping[str, str]:
        return {"v360learning_secret": "a-retired-secret"}


def said(body: bytes) -> Any:
    entry = judge(served(SLUG, v360learning_secret=SECRET), incoming(body))
    assert (entry.outcome, entry.reason) == (Outcome.ACCEPTED, None)
    assert entry.event is not None
    again = adapters(settings())[SLUG].facts(kept(entry.event))
    assert tuple(again) == tuple(entry.event.facts)
    return entry.event.facts


@pytest.mark.parametrize(
    ("event_type", "fact"),
    [
        ("user.created", Provisioned(SLUG, USER, MAIL, "Ada Lovelace", None, None, AT)),
        ("user.activated", Provisioned(SLUG, USER, MAIL, "Ada", None, None, AT)),
        ("user.reactivated", Provisioned(SLUG, USER, None, None, None, None, AT)),
        ("user.updated", Identified(SLUG, USER, MAIL, "King", AT)),
        ("user.deleted", Deprovisioned(SLUG, USER, MAIL, AT)),
        ("course.attempt.closed",
         Completed(SLUG, "msg_1", USER, "507f1f77bcf86cd799439012", None, None, AT)),
        ("user.assessment.corrected",
         Attempted(SLUG, "msg_1", USER, "507f1f77bcf86cd799439013", "Final assessment", 87, 100,
                   True, True, AT)),
    ],
)  # fmt: skip
def test_each_documented_event_says_its_fact(event_type: str, fact: Any) -> None:
    assert said(BY_TYPE[event_type]) == (fact,)


def test_an_assessment_without_a_score_is_passed_or_not() -> None:
    body = json.loads(BY_TYPE["user.assessment.corrected"])
    del body["data"]["score"]
    (fact,) = said(json.dumps(body).encode())
    assert (fact.score, fact.passed, fact.graded) == (None, True, True)


def test_an_attempt_that_was_closed_for_another_reason_is_no_completion() -> None:
    body = playing.changed(BY_TYPE["course.attempt.closed"], data__reason="expired")
    assert said(body) == ()


def test_an_event_that_counts_for_nothing_is_kept() -> None:
    assert said(BY_TYPE["user.certificate.awarded"]) == ()


def test_the_last_retry_passes_with_the_time_of_the_first_attempt() -> None:
    facts = vendor_facts(settings())[SLUG]
    assert facts.schedule.span == timedelta(hours=27, minutes=35, seconds=5)
    vendor = served(SLUG, v360learning_secret=SECRET)
    late = facts.schedule.span + facts.schedule.tolerance(7)
    assert judge(vendor, incoming(BODIES[0], at=NOW - facts.schedule.span)).event
    assert judge(vendor, incoming(BODIES[0], at=NOW - timedelta(hours=28, minutes=30))).event
    assert late > timedelta(hours=28)
    older = judge(vendor, incoming(BODIES[0], at=NOW - timedelta(hours=30)))
    assert older.outcome is Outcome.STALE_TIMESTAMP


def test_several_subscriptions_have_several_secrets_and_a_rotation_two_signatures() -> None:
    vendor = served(SLUG, v360learning_secret=f"{SECRET}, another-secret")
    for keys in ((b"another-secret",), (b"new-secret", SECRET.encode())):
        assert judge(vendor, incoming(BODIES[0], *keys)).outcome is Outcome.ACCEPTED


def test_an_account_that_signs_otherwise_changes_only_that(tmp_path: Path) -> None:
    file = tmp_path / "vendors.toml"
    file.write_text(
        f'[[vendors]]\nslug = "{SLUG}"\n[vendors.authentication]\nkey_encoding = "whsec"\n'
        '[[vendors.events]]\ntype = "user.deleted"\nuser_id = "data.userId"\n'
        '[[vendors.events.facts]]\nkind = "identified"\n'
    )
    changed = served(SLUG, vendors_file=str(file), v360learning_secret=playing.WHSEC)
    key = base64.b64decode(playing.WHSEC.removeprefix("whsec_"))
    event = judge(changed, incoming(BY_TYPE["user.deleted"], key)).event
    assert event is not None
    assert [type(one) for one in event.facts] == [Identified]
    assert judge(changed, incoming(BY_TYPE["user.created"], key)).outcome is Outcome.ACCEPTED
    facts = vendor_facts(settings(vendors_file=str(file)))
    assert facts[SLUG].schedule == vendor_facts(settings())[SLUG].schedule


# Let it send failed events again


TOKEN = "token-hidden"
SUBSCRIPTION = "507f1f77bcf86cd799439011"


class Api(ThreadingHTTPServer):
    """360Learning's API: gives a token, and the status that the test says to all else."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.status = 200
        self.token: Any = TOKEN
        self.asked: list[tuple[str, str | None, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    server: Api

    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers.get("Authorization"), sent))
        if self.path == "/api/v2/oauth2/token":
            good = sent["client_secret"] == "client-hidden"
            self._send(200 if good else 401, {"access_token": self.server.token})
        else:
            self._send(self.server.status, {})

    def _send(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the tests look at `asked`."""


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def retry(api: Api, *arguments: str, secret: str = "client-hidden") -> Result:
    variables = {
        "V360LEARNING_CLIENT_ID": "client",
        "V360LEARNING_CLIENT_SECRET": secret,
        "V360LEARNING_API_URL": api.url,
    }
    return CliRunner().invoke(cli, ["webhooks", "retry-failed", *arguments], env=variables)


def test_failed_events_are_asked_for_in_parts_of_three_days(api: Api) -> None:
    ended = retry(api, SUBSCRIPTION, "--since", "7d")
    assert (ended.exit_code, ended.stdout[:5]) == (0, "Asked"), ended.output
    token, *asked = api.asked
    assert token[0] == "/api/v2/oauth2/token"
    path = f"/api/v2/webhooks/subscriptions/{SUBSCRIPTION}/events/retry-failure"
    assert [(one[0], one[1]) for one in asked] == [(path, f"Bearer {TOKEN}")] * 3
    spans = [
        (datetime.fromisoformat(sent["startDate"]), datetime.fromisoformat(sent["endDate"]))
        for _, _, sent in asked
    ]
    assert [end - start for start, end in spans] == [timedelta(days=3)] * 2 + [timedelta(days=1)]
    assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]


@pytest.mark.parametrize(
    ("status", "said"),
    [(400, "Check the subscription's ID"), (403, "scope webhooks:write"),
     (404, "no such subscription"), (429, "Too many requests"), (302, "Try again later"),
     (503, "Try again later")],
)  # fmt: skip
def test_a_refusal_is_one_line_that_says_what_to_do(api: Api, status: int, said: str) -> None:
    api.status = status
    ended = retry(api, SUBSCRIPTION)
    assert isinstance(ended.exception, WebhooksError)
    line = str(ended.exception)
    assert line.startswith(f"360Learning answered {status}. ")
    assert said in line
    assert "hidden" not in line
    assert len(api.asked) == 2


def test_a_wrong_client_and_an_answer_without_a_token_are_named(api: Api) -> None:
    wrong = retry(api, SUBSCRIPTION, secret="another-hidden").exception
    assert str(wrong) == (
        "360Learning answered 401. Check V360LEARNING_CLIENT_ID and V360LEARNING_CLIENT_SECRET."
    )
    for token in (None, 7, "", "tökén", "x" * 10_001):
        api.token = token
        assert "no usable access token" in str(retry(api, SUBSCRIPTION).exception)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["../../users"], "ID: a subscription's ID has 24"), ([SUBSCRIPTION[:-1]], "24 digits"),
     ([SUBSCRIPTION, "--since", "91d"], "for 90 days"), ([SUBSCRIPTION, "--since", "x"], "--since"),
     ([SUBSCRIPTION, "--since", "2199-01-01"], "for 90 days")],
)  # fmt: skip
def test_what_cannot_be_asked_for_is_refused_before_anything_is_sent(
    api: Api, arguments: list[str], said: str
) -> None:
    ended = retry(api, *arguments)
    assert said in str(ended.exception)
    assert api.asked == []


def test_without_its_settings_or_an_api_that_answers_there_is_one_line(api: Api) -> None:
    unset = CliRunner().invoke(cli, ["webhooks", "retry-failed", SUBSCRIPTION])
    assert "V360LEARNING_CLIENT_ID or V360LEARNING_CLIENT_SECRET is not set" in str(unset.exception)
    api.shutdown()
    api.server_close()
    assert str(retry(api, SUBSCRIPTION).exception).startswith(f"Cannot reach {api.url} (")
