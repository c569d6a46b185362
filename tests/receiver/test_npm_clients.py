"""Deliveries of the real senders' clients: `svix` and `standardwebhooks` from npm, on Node.js."""

import base64
import json
import os
import shutil
import subprocess
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from shared.models import Delivery, Event
from shared.outcomes import Outcome
from tests import playing
from tests.running import Receiver
from tests.stores import rows
from tests.waiting import START_SEC

SLUG = "standard-webhooks"
PACKAGES = ("svix@1.99.1", "standardwebhooks@1.1.1")
SCRIPT = Path(__file__).with_name("npm_sender.mjs")
OTHER = "whsec_" + base64.b64encode(b"another key of 24 bytes!").decode()
BODY = playing.sample(SLUG, "contact.created").decode()
CLIENTS = ("standardwebhooks", "svix")


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the clients are installed."""
    assert shutil.which("npm"), "Install Node.js with npm: on Debian `apt-get install npm`."
    folder = tmp_path_factory.mktemp("clients")
    ended = subprocess.run(
        ["npm", "install", "--prefix", str(folder), "--no-save", "--no-package-lock",
         "--no-audit", "--no-fund", *PACKAGES],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return folder


def sent(
    clients: Path, receiver: Receiver, ids: dict[str, str], secret: str = playing.WHSEC
) -> tuple[int, Any]:
    """Status and answer of a delivery under the headers of these clients, with the ID of each."""
    url = f"{receiver.url}/webhooks/{SLUG}"
    delivery = {"url": url, "body": BODY, "secret": secret, "ids": ids}
    environment = {"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1"}
    ended = subprocess.run(
        ["node", str(SCRIPT)], input=json.dumps(delivery), cwd=clients, env=environment,
        capture_output=True, text=True, timeout=START_SEC, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    status, answer = json.loads(ended.stdout)
    return status, answer


def outcomes(receiver: Receiver, event_id: str) -> list[str]:
    """What became of the deliveries with this ID, in the order of their arrival."""
    found = sorted(rows(receiver.engine, Delivery), key=attrgetter("id"))
    return [one.outcome for one in found if one.event_key == event_id]


def payloads(receiver: Receiver, event_id: str) -> list[str]:
    return [one.payload for one in rows(receiver.engine, Event) if one.event_key == event_id]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_delivery_of_a_client_is_accepted(
    clients: Path, lasting_receiver: Receiver, client: str
) -> None:
    event_id = playing.new_id()
    assert sent(clients, lasting_receiver, {client: event_id}) == (200, {"received": True})
    assert payloads(lasting_receiver, event_id) == [BODY]


def test_an_event_under_the_headers_of_either_client_or_of_both_counts_once(
    clients: Path, lasting_receiver: Receiver
) -> None:
    event_id = playing.new_id()
    for names in (["svix"], ["standardwebhooks"], ["svix", "standardwebhooks"]):
        status, _ = sent(clients, lasting_receiver, dict.fromkeys(names, event_id))
        assert status == 200
    repeated = [Outcome.DUPLICATE, Outcome.DUPLICATE]
    assert outcomes(lasting_receiver, event_id) == [Outcome.ACCEPTED, *repeated]
    assert payloads(lasting_receiver, event_id) == [BODY]


def test_a_delivery_whose_two_sets_of_headers_disagree_is_refused(
    clients: Path, lasting_receiver: Receiver
) -> None:
    """Each set is authentic by itself."""
    ids = {"standardwebhooks": playing.new_id(), "svix": playing.new_id()}
    status, _ = sent(clients, lasting_receiver, ids)
    assert status == 403
    assert [payloads(lasting_receiver, one) for one in ids.values()] == [[], []]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_delivery_of_a_client_with_another_secret_is_refused(
    clients: Path, lasting_receiver: Receiver, client: str
) -> None:
    event_id = playing.new_id()
    status, _ = sent(clients, lasting_receiver, {client: event_id}, OTHER)
    assert status == 403
    assert outcomes(lasting_receiver, event_id) == [Outcome.BAD_SIGNATURE]
