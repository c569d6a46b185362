"""The columns of the queue."""

import pytest

from dashboard.coaching import view

DESK_PX, PHONE_PX = 620, 360
"""The width of the queue on screens of 1280 and 390 pixels."""
BESIDE_PX = 33 + 50 + 46
"""The box to select a row, the button that opens it, and the face."""
LATEST_PX = 95


def widths(name: str) -> list[int]:
    shown = [one for one in view.SHOWN[name].split() if one != "face"]
    known = {one: column["width"] for one, column in view.COLUMNS.items()}
    return [(known | {"latest_pct": LATEST_PX})[one] for one in shown[: view.FITTING - 1]]


@pytest.mark.parametrize("name", view.SHOWN)
def test_no_column_of_the_queue_is_cut_off_on_a_small_desk_and_the_first_two_fit_a_phone(
    name: str,
) -> None:
    assert BESIDE_PX + sum(widths(name)) <= DESK_PX
    assert BESIDE_PX + sum(widths(name)[:2]) <= PHONE_PX
