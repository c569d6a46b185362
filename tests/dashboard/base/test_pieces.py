"""Text that Markdown shows as it is."""

import re

import pytest

from dashboard.base.pieces import plain
from tests.hostile import CORPUS

JOINER = "\u2060"


@pytest.mark.parametrize("text", CORPUS.values(), ids=CORPUS)
def test_nothing_but_escapes_and_joiners_is_added(text: str) -> None:
    assert re.sub(r"\\(.)", r"\1", plain(text)).replace(JOINER, "") == text


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://evil.example", rf"https\:{JOINER}//evil\.example"),
        ("HTTP://evil.example", rf"HTTP\:{JOINER}//evil\.example"),
        ("www.evil.example", rf"www{JOINER}\.evil\.example"),
    ],
)
def test_a_web_address_is_parted_so_that_no_link_is_made_of_it(address: str, shown: str) -> None:
    assert plain(address) == shown


def test_other_text_with_a_colon_is_not_parted() -> None:
    assert JOINER not in plain("userId: field required; www is no address, https: neither")
