"""How often pages are drawn again, by how many are open and what one costs."""

import pytest

from dashboard.base.refresh import EVERY_SEC, LONGEST_SEC, SHARE, Pace


def cost(seconds: float) -> Pace:
    """The pace once pages have cost so much for a while."""
    pace = Pace()
    for _ in range(100):
        pace.took(seconds)
    return pace


def test_pages_that_cost_little_are_drawn_at_each_look() -> None:
    pace = cost(0.1)
    assert max(pace.interval(f"session {number}", 0) for number in range(10)) < EVERY_SEC


def test_many_pages_together_take_no_more_than_their_share() -> None:
    pace = cost(0.5)
    interval = max(pace.interval(f"session {number}", 0) for number in range(20))
    assert 20 * 0.5 / interval == pytest.approx(SHARE, rel=0.01)


def test_a_page_that_has_closed_counts_no_more() -> None:
    pace = cost(1)
    many = max(pace.interval(f"session {number}", 0) for number in range(5))
    assert pace.interval("session 0", 3 * EVERY_SEC) == pytest.approx(many / 5)


def test_no_page_waits_for_longer_than_a_minute() -> None:
    pace = cost(100)
    assert pace.interval("session", 0) == LONGEST_SEC
