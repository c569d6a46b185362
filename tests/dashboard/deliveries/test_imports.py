"""What admins see of imports, and where a figure says that an import brought it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from tests import playing
from tests.dashboard.conftest import Open, Send
from tests.exports import progress, reconciled, written
from tests.holding import of_body, take, vendor
from tests.stores import follow

SECRET = "secret-one"
OURS = vendor(SECRET, past=10**9)
YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).replace(microsecond=0)


@pytest.fixture
def export(store: Engine, tmp_path: Path) -> Path:
    """Three events of yesterday, one of which a delivery brought with another progress."""
    body = playing.body_of("module.progress", playing.progress(progressPct=30))
    take(store, [of_body(body, "e-1", SECRET, YESTERDAY)], OURS)
    at = YESTERDAY.isoformat()
    sent = [progress("e-1", at=at), progress("e-2", pct=60, at=at), progress("e-3", "u-2", at=at)]
    return written(tmp_path, sent)


def shown(page: AppTest, column: str) -> list[dict[Any, Any]]:
    (frame,) = [one.value for one in page.dataframe if column in one.value.columns]
    return list(frame.to_dict("records"))


def test_before_the_first_import_the_page_says_how_to_make_one(
    open_page: Open, export: Path
) -> None:
    page = open_page("deliveries", view="imports")
    assert any(one.value.startswith("repboard import ") for one in page.code)
    assert any("run it again with `--apply`" in one.value for one in page.markdown)


def test_the_page_says_what_arrived_of_an_export_and_lists_the_rest(
    open_page: Open, store: Engine, export: Path, files: dict[str, bytes]
) -> None:
    reconciled(store, export)
    page = open_page("deliveries", view="imports")
    headings = [one.value for one in page.header]
    assert "Of 3 events in the export 1 arrived, 2 did not." in headings
    assert any("run the command with `--apply`" in one.value for one in page.caption)
    (day,) = shown(page, "lost_pct")
    assert (day["events"], day["arrived"], day["missing"]) == (3, 1, 2)
    assert round(day["lost_pct"]) == 67
    assert [row["event_key"] for row in shown(page, "why")] == ["e-2", "e-3"]
    assert files["import-missing.csv"].count(b"\n") == 3


def test_differing_events_are_shown_with_both_values(
    open_page: Open, store: Engine, export: Path
) -> None:
    reconciled(store, export)
    (row,) = shown(open_page("deliveries", view="imports", events="differing"), "why")
    assert row["why"] == "progressed.progress_pct: 40.0 in the export, 30.0 here"


def test_why_a_learner_has_their_rank_names_the_export_in_place_of_a_delivery(
    open_page: Open, store: Engine, export: Path
) -> None:
    reconciled(store, export, applies=True)
    follow(store)
    source = f"imported from export.csv on {datetime.now(UTC):%-d %b %Y}"
    page = open_page("leaderboard", learner="mindtickle/u-1", window="7d")
    said = " ".join(one.value for one in page.caption).replace("\\", "").replace("\u2060", "")
    assert "Discovery calls: 60 %" in said
    assert source in said
    by_score = open_page("leaderboard", learner="mindtickle/u-1", metric="score", window="7d")
    said = " ".join(one.value for one in by_score.caption).replace("\\", "")
    assert source in said.replace("\u2060", "")


def test_the_events_of_a_learner_name_the_export(
    open_page: Open, store: Engine, export: Path
) -> None:
    reconciled(store, export, applies=True)
    follow(store)
    events = shown(open_page("learner", id="mindtickle/u-2"), "imported")
    assert [row["imported"] for row in events] == [
        f"imported from export.csv on {datetime.now(UTC):%-d %b %Y}"
    ]
    assert [row["delivery"] for row in events] == [""]


def test_a_late_delivery_says_which_export_brought_its_event(
    open_page: Open, store: Engine, export: Path
) -> None:
    reconciled(store, export, applies=True)
    body = playing.body_of("module.progress", playing.progress("u-2"))
    (late,) = take(store, [of_body(body, "e-3", SECRET, YESTERDAY)], OURS)
    page = open_page("deliveries", delivery=str(late.delivery_id))
    said = " ".join(one.value for one in page.caption).replace("\\", "").replace("\u2060", "")
    assert "Event, imported from export.csv on " in said


def test_an_import_is_a_sentence_in_the_audit_log(
    open_page: Open, store: Engine, export: Path, send: Send
) -> None:
    reconciled(store, export, applies=True)
    rows = [row for one in open_page("audit").dataframe for row in one.value.to_dict("records")]
    assert "command line imported missing events of MindTickle from export.csv" in str(rows)
