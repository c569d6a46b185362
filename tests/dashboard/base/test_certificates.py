"""What a click opens from a completed course."""

import pytest

from dashboard.base import certificates


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("https://x.example/r", "https://x.example/r"),
        ("HTTP://x.example", "HTTP://x.example"),
        ("javascript:alert(1)", ""),
        (" https://x.example", ""),
        ("data:text/html,x", ""),
        (None, ""),
    ],
)
def test_a_report_card_is_linked_only_if_it_is_of_the_web(told: str | None, shown: str) -> None:
    assert certificates._of_the_web(told) == shown
