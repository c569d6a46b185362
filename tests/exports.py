"""Exports of vendors, and their reconciliation, for tests."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine

from receiver.imports.run import asked_of, reconcile
from receiver.vendors import vendor_facts
from shared.queries import imports
from shared.queries.imports import RunRow
from shared.settings import ReceiverSettings

MINDTICKLE = """
event_id = "Event ID"
event_type = "'module.progress'"
[[events]]
type = "module.progress"
user_id = "User ID"
at = "Time"
[[events.facts]]
kind = "progressed"
module_id = "Module ID"
module_name = "Module"
progress_pct = "Progress"
time_spent_sec = "Seconds"
"""
LESSONS = """
event_id = ["User", "Lesson", "Completed"]
event_type = "'lesson.completed'"
[[events]]
type = "lesson.completed"
user_id = "User"
at = "Completed"
[[events.facts]]
kind = "completed"
course_id = "Lesson"
course_name = "Title"
[[events.facts]]
kind = "attempted"
quiz_id = "Lesson"
quiz_name = "Title"
score_pct = "Score"
only_with = "score_pct"
"""
HEAD = ("Event ID", "User ID", "Time", "Module ID", "Module", "Progress", "Seconds")
AT = datetime(2025, 11, 3, 9, 20, tzinfo=UTC)


def progress(
    key: str, user: str = "u-1", pct: object = 40, at: str = f"{AT:%Y-%m-%dT%H:%M:%SZ}"
) -> Sequence[object]:
    """A row of the columns in HEAD, as `tests.playing.progress` says it."""
    return key, user, at, "m-1", "Discovery calls", pct, 600


def written(folder: Path, rows: Iterable[Sequence[object]], separator: str = ",") -> Path:
    """An export with these rows below HEAD."""
    path = folder / "export.csv"
    lines = (separator.join(map(str, row)) for row in (HEAD, *rows))
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
    return path


def reconciled(
    engine: Engine,
    export: Path,
    mapping: str = MINDTICKLE,
    vendor: str = "mindtickle",
    *,
    applies: bool = False,
) -> RunRow:
    """The run of an export, as the command line runs it."""
    path = export.with_name("mapping.toml")
    path.write_text(mapping, encoding="utf-8")
    facts = vendor_facts(ReceiverSettings(_env_file=None))[vendor]
    read, asked = asked_of(export, facts, path, applies=applies)
    number = reconcile(engine, read, asked, lambda _: None, lambda: False)
    with engine.connect() as connection:
        row = imports.one(connection, number)
    assert row is not None
    return row
