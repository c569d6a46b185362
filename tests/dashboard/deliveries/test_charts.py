"""The timeline of deliveries."""

from typing import Any

import pandas as pd

from dashboard.base.colours import LIGHT
from dashboard.deliveries import charts

EIGHT = pd.Timestamp("2026-03-09 08:00")
HOUR = pd.Timedelta(hours=1)
SPAN = (EIGHT - 20 * HOUR, EIGHT + 4 * HOUR)


def drawn(*marks: tuple[pd.Timestamp, pd.Timestamp, str, str]) -> list[dict[str, Any]]:
    """All rows that a timeline of two hours with these marks draws."""
    bars = pd.DataFrame(
        [(EIGHT, "Accepted", 7), (EIGHT, "Failed", 3), (EIGHT + HOUR, "Accepted", 5)],
        columns=["at", "what", "deliveries"],
    )
    frame = pd.DataFrame(marks, columns=["at", "end", "label", "kind"])
    chart = charts.timeline(bars, frame, SPAN, charts.AXES["24h"], LIGHT)
    return [row for rows in chart.to_dict()["datasets"].values() for row in rows]


def test_failures_stand_at_the_base_of_their_bar() -> None:
    bars = [row for row in drawn((EIGHT, EIGHT, "Now", "now")) if "what" in row]
    assert [(row["what"], row["low"], row["high"]) for row in bars] == [
        ("Accepted", 3, 10),
        ("Failed", 0, 3),
        ("Accepted", 0, 5),
    ]
    assert bars[1]["says"] == "Mon 9 Mar, 08:00: 3 failed"


def test_outages_now_and_expiries_are_labelled() -> None:
    labels = {
        row["label"]
        for row in drawn(
            (EIGHT - 2 * HOUR, EIGHT - HOUR, "Down 1 h", "down"),
            (EIGHT, EIGHT, "Now", "now"),
            (EIGHT + 3 * HOUR, EIGHT + 3 * HOUR, "37 expire", "lost"),
        )
        if "label" in row
    }
    assert labels == {"Down 1 h", "Now", "37 expire"}
