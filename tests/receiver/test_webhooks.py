"""`repboard webhooks …` and its client, against an API played over real HTTP."""

import gzip
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from receiver.__main__ import cli
from receiver.errors import WebhooksError
from receiver.webhooks import MAX_ANSWER_BYTES, MAX_TEXT, Timings, WebhooksApi
from shared.settings import ReceiverSettings
from tests.mindtickle_api import TOKEN, Asked, MindTickleApi, Played, answer, playing_api
from tests.running import command, free_port, until

HOOK = "https://hooks.example/webhooks/mindtickle"
ALL_SIX = [
    "course.completed",
    "quiz.submitted",
    "user.provisioned",
    "user.deprovisioned",
    "module.progress",
    "certification.expired",
]
SOON = Timings(connect=10, read=10, backoff=(0.01, 0.01, 0.01), longest_pause=0.1)
HASTY = Timings(connect=10, read=0.2, backoff=(0.01,), longest_pause=0.1)

Call = Callable[[WebhooksApi], object]


@pytest.fixture
def mindtickle() -> Iterator[MindTickleApi]:
    with playing_api() as api:
        yield api


def client(api: MindTickleApi, timings: Timings = SOON, token: str = TOKEN) -> WebhooksApi:
    return WebhooksApi(api.url, SecretStr(token), timings)


def register(api: WebhooksApi) -> str:
    return api.register(HOOK, ["quiz.submitted"], "acme")


def reactivate(api: WebhooksApi) -> None:
    api.reactivate("wh_1")


def complaint(call: Call, api: WebhooksApi) -> str:
    """The error message: one line, without the token."""
    with pytest.raises(WebhooksError) as wrong:
        call(api)
    line = str(wrong.value)
    assert line.isprintable()
    assert TOKEN not in line
    return line


# Requests


def test_a_registration_names_address_events_and_company(mindtickle: MindTickleApi) -> None:
    mindtickle.will(answer(201, {"webhookId": "wh_1"}))
    assert client(mindtickle).register(HOOK, ["quiz.submitted"], "acme") == "wh_1"
    content = {"url": HOOK, "events": ["quiz.submitted"], "companyId": "acme"}
    assert mindtickle.asked == [Asked("POST", "/v2/webhooks", content)]


@pytest.mark.parametrize(
    ("webhook_id", "path"),
    [
        ("wh_1", "/v2/webhooks/wh_1"),
        ("a/../b?c=d#e %2F", "/v2/webhooks/a%2F..%2Fb%3Fc%3Dd%23e%20%252F"),
        ("größe\r\nX: 1", "/v2/webhooks/gr%C3%B6%C3%9Fe%0D%0AX%3A%201"),
        ("\udcff", "/v2/webhooks/%FF"),
    ],
)
def test_an_id_stays_one_part_of_the_path(
    mindtickle: MindTickleApi, webhook_id: str, path: str
) -> None:
    mindtickle.will(answer(200, {"status": "active"}))
    client(mindtickle).reactivate(webhook_id)
    assert mindtickle.asked == [Asked("PATCH", path, {})]


@pytest.mark.parametrize("webhook_id", ["", " ", ".", "..", "x" * 201])
def test_an_impossible_id_is_not_sent(mindtickle: MindTickleApi, webhook_id: str) -> None:
    line = complaint(lambda api: api.reactivate(webhook_id), client(mindtickle))
    assert "is not a webhook ID" in line
    assert mindtickle.asked == []


def test_a_reactivation_may_be_answered_without_content(mindtickle: MindTickleApi) -> None:
    mindtickle.will(answer(204))
    reactivate(client(mindtickle))


# Refusals


@pytest.mark.parametrize("call", [register, reactivate])
def test_a_wrong_token_names_the_setting(mindtickle: MindTickleApi, call: Call) -> None:
    line = complaint(call, client(mindtickle, token="another"))
    assert line.startswith("MindTickle answered 401. Check MINDTICKLE_API_TOKEN")
    assert len(mindtickle.asked) == 1


@pytest.mark.parametrize(
    ("call", "status", "said"),
    [
        (register, 403, "This MINDTICKLE_API_TOKEN lacks permission"),
        (register, 404, "Check MINDTICKLE_API_URL"),
        (register, 409, "It is already registered"),
        (register, 422, "Correct the request."),
        (reactivate, 403, "This MINDTICKLE_API_TOKEN lacks permission"),
        (reactivate, 404, "It has no webhook 'wh_1'. Check the ID"),
        (reactivate, 409, "It may already be active"),
        (reactivate, 422, "Correct the request."),
    ],
)
def test_a_refusal_says_what_to_do(
    mindtickle: MindTickleApi, call: Call, status: int, said: str
) -> None:
    mindtickle.will(answer(status))
    line = complaint(call, client(mindtickle))
    assert line.startswith(f"MindTickle answered {status}. {said}")
    assert len(mindtickle.asked) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"message": "url is taken"}, 'Message: "url is taken"'),
        ({"error": {"code": 7}}, 'Message: "{"code":7}"'),
        ({"detail": [{"loc": ["url"]}]}, 'Message: "[{"loc":["url"]}]"'),
        ({"title": "no url"}, 'Message: "{"title":"no url"}"'),
        (["no url"], 'Message: "["no url"]"'),
        ({}, "Correct the request."),
    ],
)
def test_the_apis_own_message_is_shown_in_any_shape(
    mindtickle: MindTickleApi, content: object, said: str
) -> None:
    mindtickle.will(answer(422, content))
    assert complaint(register, client(mindtickle)).endswith(said)


def test_a_hostile_message_is_shown_as_one_short_printable_line(mindtickle: MindTickleApi) -> None:
    hostile = "\x1b[2J\x1b]0;owned\x07 done\r\nRegistered\u202e\u2028\x9b\x00" + "x" * 9999
    mindtickle.will(answer(422, {"message": hostile}))
    line = complaint(register, client(mindtickle))
    assert 'Message: "[2J ]0;owned done Registered x' in line
    assert len(line) < MAX_TEXT + 100


def test_a_token_that_the_api_repeats_is_not_shown(mindtickle: MindTickleApi) -> None:
    mindtickle.will(answer(422, {"message": f"Bearer {TOKEN} is odd"}))
    assert complaint(register, client(mindtickle)).endswith('"Bearer [token] is odd"')


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_a_token_is_not_quoted_as_it_may_hold_a_part_of_it(
    mindtickle: MindTickleApi, status: int
) -> None:
    mindtickle.will(answer(status, {"message": f"no such token: {TOKEN[:8]}"}))
    assert TOKEN[:8] not in complaint(register, client(mindtickle))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_with_the_token(mindtickle: MindTickleApi, status: int) -> None:
    with playing_api() as elsewhere:
        mindtickle.will(answer(status, location=f"{elsewhere.url}/v2/webhooks"))
        line = complaint(reactivate, client(mindtickle))
        assert elsewhere.asked == []
    assert "Redirects are not followed" in line
    assert "MINDTICKLE_API_URL" in line


# Unusable responses


NO_JSON = [
    Played(200, b"<html>Log in to the network</html>"),
    Played(200, b'{"webhookId": "wh_'),
    Played(200, b'{"webhookId": "\xff"}'),
    Played(200, b"[" * 100_000),
    Played(200, b'{"webhookId": "' + b"x" * 50 * MAX_ANSWER_BYTES + b'"}'),
    # The request allows no compression: decompressed it could be a thousand times as long.
    Played(200, gzip.compress(b'{"webhookId": "wh_1"}'), {"Content-Encoding": "gzip"}),
]


@pytest.mark.parametrize("play", NO_JSON, ids=["html", "cut", "no-utf-8", "deep", "huge", "packed"])
@pytest.mark.parametrize("call", [register, reactivate])
def test_a_response_without_json_of_a_sane_size_is_an_error(
    mindtickle: MindTickleApi, call: Call, play: Played
) -> None:
    mindtickle.will(play)
    line = complaint(call, client(mindtickle))
    assert line.startswith("MindTickle answered 200, but the body is not JSON or too long. Check")
    assert len(mindtickle.asked) == 1


@pytest.mark.parametrize(
    "content",
    [
        None,
        {},
        ["wh_1"],
        {"webhookId": None},
        {"webhookId": ""},
        {"webhookId": ["wh_1"]},
        {"webhookId": "wh_1\x1b[2J"},
        {"webhookId": "x" * (MAX_TEXT + 1)},
        {"webhookId": TOKEN},
    ],
)
def test_a_response_without_a_webhook_id_is_an_error(
    mindtickle: MindTickleApi, content: object
) -> None:
    mindtickle.will(answer(201, content))
    line = complaint(register, client(mindtickle))
    assert line.startswith("MindTickle's response has no usable webhookId. The webhook may be")
    assert "Admin > Integrations" in line


# Retries


@pytest.mark.parametrize("call", [register, reactivate])
@pytest.mark.parametrize("status", [429, 503])
def test_a_request_that_was_turned_away_is_retried(
    mindtickle: MindTickleApi, call: Call, status: int
) -> None:
    good = answer(200, {"webhookId": "wh_1"})
    mindtickle.will(answer(status), answer(status, retry_after="0"), good)
    call(client(mindtickle))
    assert len(mindtickle.asked) == 3
    assert len(set(map(str, mindtickle.asked))) == 1


UNSURE = [answer(500), answer(502), answer(504), Played(drops=True)]


@pytest.mark.parametrize("play", UNSURE, ids=["500", "502", "504", "dropped"])
def test_a_failed_reactivation_is_retried(mindtickle: MindTickleApi, play: Played) -> None:
    mindtickle.will(play, play, answer(200))
    reactivate(client(mindtickle))
    assert len(mindtickle.asked) == 3


@pytest.mark.parametrize("play", UNSURE, ids=["500", "502", "504", "dropped"])
def test_a_registration_that_may_have_succeeded_is_not_retried(
    mindtickle: MindTickleApi, play: Played
) -> None:
    mindtickle.will(play)
    line = complaint(register, client(mindtickle))
    assert "The webhook may be registered anyway: look in MindTickle under" in line
    assert len(mindtickle.asked) == 1


def test_a_registration_without_an_answer_is_not_retried(mindtickle: MindTickleApi) -> None:
    mindtickle.will(Played(hangs=True))
    line = complaint(register, client(mindtickle, HASTY))
    assert "did not answer within 0.2 s" in line
    assert "may be registered anyway" in line
    until(lambda: len(mindtickle.asked) == 1)


def test_a_reactivation_without_an_answer_is_retried(mindtickle: MindTickleApi) -> None:
    mindtickle.will(Played(hangs=True), Played(hangs=True))
    line = complaint(reactivate, client(mindtickle, HASTY))
    assert "did not answer within 0.2 s. Try again later." in line
    until(lambda: len(mindtickle.asked) == 2)


@pytest.mark.parametrize("call", [register, reactivate])
@pytest.mark.parametrize(
    ("status", "said"), [(429, "Too many requests"), (503, "Its API has a problem")]
)
def test_retries_end_after_some_attempts(
    mindtickle: MindTickleApi, call: Call, status: int, said: str
) -> None:
    mindtickle.will(*[answer(status)] * 9)
    line = complaint(call, client(mindtickle))
    assert line.startswith(f"MindTickle answered {status}. {said}")
    assert "anyway" not in line
    assert len(mindtickle.asked) == 4


def http_date(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [("0", "0.0"), ("20", "0.1"), (http_date(-20), "0.0"), (http_date(3600), "0.1")],
    ids=["none", "too-long", "date-past", "date-too-far"],
)
def test_retry_after_is_followed_within_limits(
    mindtickle: MindTickleApi, retry_after: str, pause: str
) -> None:
    lines: list[str] = []
    patient = Timings(backoff=(0.04,), longest_pause=0.1)
    mindtickle.will(answer(429, retry_after=retry_after), answer(200))
    reactivate(WebhooksApi(mindtickle.url, SecretStr(TOKEN), patient, lines.append))
    assert lines == [f"MindTickle answered 429; retrying in {pause} s."]


@pytest.mark.parametrize("retry_after", ["soon", "-5", "1e9", "Wed, 99 Oct 2015", "9" * 5000])
def test_without_a_readable_retry_after_the_pauses_grow(
    mindtickle: MindTickleApi, retry_after: str
) -> None:
    lines: list[str] = []
    growing = Timings(backoff=(0.0, 0.2), longest_pause=10)
    mindtickle.will(*[answer(429, retry_after=retry_after)] * 2, answer(200))
    reactivate(WebhooksApi(mindtickle.url, SecretStr(TOKEN), growing, lines.append))
    first, second = (float(line.split()[-2]) for line in lines)
    assert first == 0
    assert 0.1 <= second <= 0.2


@pytest.mark.parametrize("call", [register, reactivate])
def test_a_refused_connection_is_retried_and_then_reported(call: Call) -> None:
    lines: list[str] = []
    nowhere = f"http://127.0.0.1:{free_port()}"
    api = WebhooksApi(nowhere, SecretStr(TOKEN), SOON, lines.append)
    line = complaint(call, api)
    assert line.startswith(f"Cannot reach {nowhere} (")
    assert "MINDTICKLE_API_URL" in line
    assert "anyway" not in line
    assert len(lines) == 3


def test_a_registration_that_was_never_sent_is_sent_once_the_api_is_there() -> None:
    port = free_port()
    with ExitStack() as stack:

        def start(_line: str) -> None:
            stack.enter_context(playing_api(port)).will(answer(201, {"webhookId": "wh_1"}))

        api = WebhooksApi(f"http://127.0.0.1:{port}", SecretStr(TOKEN), SOON, start)
        assert register(api) == "wh_1"


# Where the token goes


def test_a_token_for_this_machine_goes_past_the_proxy_of_the_environment(
    mindtickle: MindTickleApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    with playing_api() as proxy:
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        mindtickle.will(answer(200))
        reactivate(client(mindtickle))
        assert proxy.asked == []


def test_an_unusable_proxy_is_reported_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "ftp://me:hunter2@proxy.example")
    line = complaint(reactivate, WebhooksApi("https://api.example", SecretStr(TOKEN), SOON))
    assert "HTTPS_PROXY" in line
    assert "hunter2" not in line


# The command line


@pytest.fixture
def configured(
    mindtickle: MindTickleApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> pytest.MonkeyPatch:
    """The settings for `mindtickle`, and no `.env`; a test can change them."""
    monkeypatch.chdir(tmp_path)
    for name in ReceiverSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("MINDTICKLE_API_TOKEN", TOKEN)
    monkeypatch.setenv("MINDTICKLE_API_URL", mindtickle.url)
    monkeypatch.setenv("MINDTICKLE_COMPANY_ID", "acme")
    monkeypatch.setenv("PUBLIC_URL", "https://hooks.example/")
    return monkeypatch


def run(*arguments: str) -> Result:
    """`repboard webhooks …`, which never shows the token."""
    ended = CliRunner().invoke(cli, ["webhooks", *arguments])
    assert TOKEN not in f"{ended.output}{ended.exception}"
    return ended


@pytest.mark.usefixtures("configured")
def test_register_sends_all_events_to_the_public_address_and_names_the_next_step(
    mindtickle: MindTickleApi,
) -> None:
    mindtickle.will(answer(201, {"webhookId": "wh 1"}))
    ended = run("register")
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Registered as webhook wh 1. Keep this ID.\n")
    assert "MINDTICKLE_WEBHOOK_SECRET" in ended.stdout
    assert ended.stdout.endswith("\nrepboard webhooks reactivate 'wh 1'\n")
    content = {"url": HOOK, "events": ALL_SIX, "companyId": "acme"}
    assert mindtickle.asked == [Asked("POST", "/v2/webhooks", content)]


def test_register_accepts_an_address_and_events(
    mindtickle: MindTickleApi, configured: pytest.MonkeyPatch
) -> None:
    configured.delenv("PUBLIC_URL")
    mindtickle.will(answer(201, {"webhookId": "wh_1"}))
    one, two = ("--event", "quiz.submitted"), ("--event", "coaching.booked")
    assert run("register", "--url", "https://other.example/x", *one, *two).exit_code == 0
    (asked,) = mindtickle.asked
    assert asked.content == {
        "url": "https://other.example/x",
        "events": ["quiz.submitted", "coaching.booked"],
        "companyId": "acme",
    }


@pytest.mark.usefixtures("configured")
def test_reactivate_reports_its_pause_and_its_success(mindtickle: MindTickleApi) -> None:
    mindtickle.will(answer(429, retry_after="0"), answer(200, {"webhookId": "wh_1"}))
    ended = run("reactivate", "wh_1")
    assert ended.exit_code == 0
    assert ended.stderr == "MindTickle answered 429; retrying in 0.0 s.\n"
    assert ended.stdout.startswith("Reactivated. ")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MINDTICKLE_API_TOKEN", "", "MINDTICKLE_API_TOKEN is not set"),
        ("MINDTICKLE_API_URL", "http://api.example", "MINDTICKLE_API_URL: should be https://"),
        ("MINDTICKLE_COMPANY_ID", "", "MINDTICKLE_COMPANY_ID is not set"),
        ("PUBLIC_URL", "", "PUBLIC_URL: should be the https://"),
        ("PUBLIC_URL", "http://hooks.example", "PUBLIC_URL: should be the https://"),
        ("PUBLIC_URL", "https://localhost:8000", "PUBLIC_URL: should be the https://"),
        ("PUBLIC_URL", "https://127.0.0.1", "PUBLIC_URL: should be the https://"),
        ("PUBLIC_URL", "https://[::1]", "PUBLIC_URL: should be the https://"),
    ],
)
def test_nothing_is_registered_while_a_setting_is_missing_or_wrong(
    mindtickle: MindTickleApi, configured: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    configured.setenv(name, value)
    assert str(run("register").exception).startswith(said)
    assert mindtickle.asked == []


@pytest.mark.parametrize("name", ["register", "reactivate"])
@pytest.mark.usefixtures("configured")
def test_each_command_explains_itself_without_the_token(name: str) -> None:
    shown = run(name, "--help")
    assert shown.exit_code == 0
    assert f"webhooks {name} [OPTIONS]" in shown.stdout


def process(*arguments: str, folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """The same in its own process, as a person runs it."""
    ended = command(
        "webhooks", *arguments, folder=folder, **{"MINDTICKLE_API_TOKEN": TOKEN} | settings
    )
    assert TOKEN not in ended.stdout + ended.stderr
    return ended


def test_a_process_exits_with_zero_when_the_api_succeeds(
    mindtickle: MindTickleApi, tmp_path: Path
) -> None:
    mindtickle.will(answer(204))
    ended = process("reactivate", "wh_1", folder=tmp_path, MINDTICKLE_API_URL=mindtickle.url)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Reactivated. ")


def test_a_process_fails_with_one_line_when_the_api_refuses(
    mindtickle: MindTickleApi, tmp_path: Path
) -> None:
    mindtickle.will(answer(404, {"message": f"nothing\x1b[2J\nfor {TOKEN}"}))
    ended = process("reactivate", "wh_9", folder=tmp_path, MINDTICKLE_API_URL=mindtickle.url)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "MindTickle answered 404. It has no webhook 'wh_9'. Check the ID, or register again. "
        'Message: "nothing [2J for [token]"\n'
    )


def test_a_token_that_no_header_can_carry_is_one_line(tmp_path: Path) -> None:
    ended = process("reactivate", "wh_1", folder=tmp_path, MINDTICKLE_API_TOKEN=f"{TOKEN}\nX: 1")
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("MINDTICKLE_API_TOKEN: has U+000A in it")
