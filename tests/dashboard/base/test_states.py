"""The page before the first delivery."""

import pytest
from sqlalchemy import Engine

from receiver.vendors import note_vendors
from shared.bulk import table_of
from shared.models import Vendor
from shared.settings import ReceiverSettings
from tests.dashboard.conftest import Open
from tests.pages import written


def test_before_a_receiver_has_started_the_page_says_how_to_start_one(
    open_page: Open, store: Engine
) -> None:
    with store.begin() as connection:
        connection.execute(table_of(Vendor).delete())
    page = open_page()
    assert "No receiver has started on this store yet." in written(page)
    assert [block.value for block in page.code] == ["repboard serve"]


def test_without_any_credential_the_page_says_to_set_one(open_page: Open) -> None:
    page = open_page()
    assert "No vendor has its credential set." in written(page)
    assert not page.code


@pytest.mark.parametrize(
    ("setting", "value", "shown", "hidden", "blocks"),
    [
        ("mindtickle_webhook_secret", "whsec-hidden", "MindTickle", "Lessonly", 2),
        ("lessonly_authorization", "whsec-hidden", "Lessonly", "MindTickle", 2),
        ("innovative_educators_allowed_ips", "127.0.0.1", "Innovative", "Lessonly", 1),
    ],
)
def test_the_page_shows_the_address_of_each_configured_vendor_and_no_other(
    open_page: Open, store: Engine, setting: str, value: str, shown: str, hidden: str, blocks: int
) -> None:
    note_vendors(store, ReceiverSettings(_env_file=None, **{setting: value}))
    page = open_page()
    text = written(page) + "".join(block.value for block in page.code)
    assert shown in text
    assert hidden not in text
    assert "-hidden" not in text
    assert len(page.code) == blocks
