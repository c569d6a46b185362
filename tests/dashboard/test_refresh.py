"""How a page that stays open moves on: with the follower's checkpoint. Asked for as a browser does
every five seconds, of a running dashboard."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

from dashboard.base.store import REFRESH_SEC
from tests import playing
from tests.browser.conftest import serving
from tests.conftest import FreshStore
from tests.running import Receiver

RUN_SEC = 60


class Site(NamedTuple):
    url: str
    receiver: Receiver


@pytest.fixture(scope="module")
def site(fresh_store: FreshStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with (
        fresh_store("sqlite") as url,
        Receiver(url, tmp_path_factory.mktemp("receiver")) as receiver,
        serving(url) as dashboard,
    ):
        assert receiver.deliver("module.progress", playing.progress("u-1")).is_success
        receiver.followed()
        yield Site(dashboard, receiver)


class Drawn(NamedTuple):
    """The headings of a run, and the parts of the page that the browser asks for every 5 s."""

    headings: list[str]
    looks: list[str]


def drawn(connection: ClientConnection, part: str = "") -> Drawn:
    """What comes of a run of the leaderboard, or of a look at one of its parts."""
    asked = BackMsg()
    asked.rerun_script.page_name = "" if part else "leaderboard"
    asked.rerun_script.fragment_id = part
    asked.rerun_script.is_auto_rerun = bool(part)
    connection.send(asked.SerializeToString())
    headings, looks = [], []
    while True:
        message = ForwardMsg.FromString(connection.recv(timeout=RUN_SEC))  # type: ignore[arg-type]
        headings += filter(None, [message.delta.new_element.heading.body])
        looks += filter(None, [message.auto_rerun.fragment_id])
        if message.WhichOneof("type") == "script_finished" and (
            message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN
        ):
            return Drawn(headings, looks)


@pytest.fixture
def page(site: Site) -> Iterator[ClientConnection]:
    with connect(
        f"{site.url.replace('http', 'ws')}/_stcore/stream",
        origin=site.url,  # type: ignore[arg-type]
        subprotocols=["streamlit"],  # type: ignore[list-item]
        max_size=None,
    ) as connection:
        yield connection


def test_a_page_asks_in_one_place_whether_the_store_has_moved(page: ClientConnection) -> None:
    assert len(drawn(page).looks) == 1


def test_while_the_store_stays_as_it_is_nothing_is_drawn_again(page: ClientConnection) -> None:
    (look,) = drawn(page).looks
    time.sleep(REFRESH_SEC)
    assert drawn(page, look).headings == []


def test_live_parts_are_drawn_again_once_an_event_is_in_the_read_models(
    page: ClientConnection, site: Site
) -> None:
    shown = drawn(page)
    assert site.receiver.deliver("module.progress", playing.progress("u-2")).is_success
    site.receiver.followed()
    time.sleep(REFRESH_SEC)
    assert len(drawn(page, *shown.looks).headings) >= 1
