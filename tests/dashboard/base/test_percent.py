"""Percentages as pages show them."""

import pandas as pd
import pytest
from hypothesis import given, strategies as st

from dashboard.base.percent import columns, exact, percent, rounded


@pytest.mark.parametrize(
    ("pct", "limit", "shown"),
    [
        (69.96, 70, "69.96 %"),
        (69.6, 70, "69.6 %"),
        (69.4, 70, "69 %"),
        (70, 70, "70 %"),
        (70.04, 70, "70.04 %"),
        (72.4, 72.5, "72 %"),
        (72.46, 72.5, "72 %"),
        (72.5, 72.5, "72.5 %"),
        (72.6, 72.5, "73 %"),
        (99.6, None, "99.6 %"),
        (99.999999, None, "99.999999 %"),
        (100, None, "100 %"),
        (100.3, None, "100.3 %"),
        (120, None, "120 %"),
        (10**13, None, "10,000,000,000,000 %"),
        (0, None, "0 %"),
        (0.2, None, "0.2 %"),
        (float("nan"), 70, "unknown"),
        (None, 70, "unknown"),
    ],
)
def test_a_percentage_has_as_many_digits_as_tell_it_apart_from_its_limit(
    pct: float | None, limit: float | None, shown: str
) -> None:
    assert percent(pct, limit) == shown


SIXTHS = st.integers(0, 150_000_000).map(lambda millionths: millionths / 1_000_000)


@given(SIXTHS, SIXTHS)
def test_what_is_shown_stands_on_the_same_side_of_its_limit_and_of_all(
    pct: float, limit: float
) -> None:
    shown = rounded(pct, limit)
    assert (shown < limit, shown == limit) == (pct < limit, pct == limit)
    assert (shown < 100, shown == 100) == (pct < 100, pct == 100)


def test_a_threshold_is_shown_as_it_was_set() -> None:
    assert (exact(72.5), exact(70.0), exact(66.666667)) == ("72.5 %", "70 %", "66.666667 %")


def test_a_change_has_its_sign_and_is_total_only_if_nothing_is_left() -> None:
    assert percent(-99.7, -100, sign=True) == "-99.7 %"
    assert percent(110, sign=True) == "+110 %"


def test_a_column_stays_of_numbers_each_beside_the_limit_of_its_row() -> None:
    frame = pd.DataFrame({"pct": [69.96, 69.96, None], "limit": [70, 80, 70]})
    shown = columns(frame, "pct", limits=["limit"])["pct"]
    assert shown.dtype == float
    assert shown.tolist()[:2] == [69.96, 70]
