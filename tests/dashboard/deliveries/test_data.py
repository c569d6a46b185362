"""What a brush over the timeline asks for."""

from datetime import UTC, datetime

import pytest

from dashboard.deliveries import data
from shared.queries.deliveries import Search

BEGIN = datetime(2026, 3, 28, 0, tzinfo=UTC)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "zone", "brush", "listed"),
    [
        ("24h", "Asia/Tokyo", (at(28, 3, 50), at(28, 5, 10)), (at(28, 3), at(28, 6))),
        ("24h", "Asia/Tokyo", (at(28, 3, 10), at(28, 3, 11)), (at(28, 3), at(28, 4))),
        ("7d", "Asia/Tokyo", (at(27, 20), at(28, 14)), (at(27, 15), at(28, 15))),
        ("7d", "Asia/Tokyo", (at(28, 4), at(28, 5)), (at(28, 3), at(28, 9))),
        ("30d", "Europe/Berlin", (at(28, 12), at(29, 12)), (at(27, 23), at(29, 22))),  # 47 hours
        ("90d", "Europe/Berlin", (at(28, 12), at(28, 13)), (at(27, 23), at(28, 23))),
    ],
)
def test_a_brush_lists_the_whole_of_each_bar_that_it_touches(
    window: str,
    zone: str,
    brush: tuple[datetime, datetime],
    listed: tuple[datetime, datetime],
) -> None:
    begin, end = (moment.timestamp() * 1000 for moment in brush)
    wanted = data.between(Search(BEGIN), (begin, end), window, zone)
    assert (wanted.since, wanted.until) == listed


def test_without_a_brush_all_of_the_window_is_listed() -> None:
    assert data.between(Search(BEGIN), None, "24h", "UTC") == Search(BEGIN)
