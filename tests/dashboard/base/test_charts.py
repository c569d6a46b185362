"""Charts that several subjects draw."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import Engine

from dashboard.base import charts, store as base
from dashboard.base.colours import LIGHT
from shared.facts import Provisioned
from shared.queries import learner
from tests.shared.tables import V, attempts, fold


def drawn_of(store: Engine, *rows: dict[str, Any]) -> tuple[Any, pd.DataFrame]:
    """The datasets of the line and of the marks, and the attempts."""
    at = datetime.now(UTC) - timedelta(days=1)
    fold(store, [Provisioned(V, "u-1", "dana@acme.example", None, None, None, at)])
    attempts(store, *rows)
    with store.connect() as connection:
        found = learner.attempts(connection, "dana@acme.example", 70)
    frame = base.local(base.framed(found), "UTC", "submitted_at")
    points = charts.on_the_clock(frame)
    drawn = charts.quiz_scores(points, charts.around(points["at"]), LIGHT)
    _, line, marks = (
        drawn["datasets"][layer["data"]["name"]].to_dict("records") for layer in drawn["layer"]
    )
    return (line, marks), frame


def test_a_practice_run_is_at_its_score_and_on_no_line(store: Engine) -> None:
    (line, marks), frame = drawn_of(store, {}, {"score": 9, "graded": False})
    assert [point["result"] for point in line] == ["low"]
    assert {point["result"]: point["pct"] for point in marks} == {"low": 50, "practice": 90}
    assert charts.not_drawn(frame) == ""


def test_an_attempt_without_a_score_is_not_drawn_at_zero_and_is_counted(store: Engine) -> None:
    (_, marks), frame = drawn_of(
        store, {}, {"score": None, "graded": False}, {"score": None, "passed": False}
    )
    assert [point["pct"] for point in marks] == [50]
    assert charts.not_drawn(frame) == (
        " Not drawn, as they have no score: 1 practice run and 1 graded attempt."
    )


@pytest.mark.parametrize(("best", "top"), [(60, 100), (100, 100), (130, 130)])
def test_a_score_above_100_percent_is_drawn_on_a_longer_axis(best: float, top: float) -> None:
    tried = pd.DataFrame(
        {"submitted_at": pd.to_datetime(["2026-01-01", "2026-01-02"], utc=True),
         "pct": [50, best], "threshold_pct": 70.0, "result": ["low", "passed"]}
    )  # fmt: skip
    points = charts.on_the_clock(tried)
    drawn = charts.quiz_scores(points, charts.around(points["at"]), LIGHT)
    for layer in drawn["layer"][1:]:
        assert layer["encoding"]["y"]["scale"]["domain"] == [0, top]
        assert layer["encoding"]["y"]["axis"]["values"] == sorted({0, 50, 100, top})
