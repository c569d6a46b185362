"""Exports and mappings as people have them: recognised, or refused in one line that says where."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine

from receiver.errors import ImportingError
from shared.models import Event
from tests.exports import AT, HEAD, MINDTICKLE, progress, reconciled, written
from tests.holding import V
from tests.running import command
from tests.stores import row

GOOD = progress("e-1", pct="87.5")


def as_csv(separator: str = ",", rows: Sequence[Sequence[object]] = (GOOD,)) -> str:
    return "".join(f"{separator.join(map(str, one))}\r\n" for one in (HEAD, *rows))


def with_time(at: str) -> bytes:
    return as_csv(";", [progress("e-1", at=at)]).encode()


def as_json(**changes: object) -> bytes:
    return json.dumps(dict(zip(HEAD, GOOD, strict=True)) | changes).encode() + b"\n"


RECOGNISED = {
    "a byte order mark": (as_csv().encode("utf-8-sig"), ""),
    "UTF-16 of a spreadsheet": (as_csv("\t").encode("utf-16"), ""),
    "another encoding": (as_csv().replace("Discovery", "Größe").encode("cp1252"),
                         'encoding = "cp1252"'),
    "semicolons": (as_csv(";").encode(), ""),
    "tabs": (as_csv("\t").encode(), ""),
    "a quoted line end": (as_csv().replace("Discovery calls", '"Discovery\r\ncalls"').encode(), ""),
    "a number with a comma": (as_csv(";").replace("87.5", "87,5").encode(), ""),
    "JSON lines": (as_json(), ""),
    "epoch seconds": (with_time("1762161600"), ""),
    "epoch milliseconds": (with_time("1762161600000"), ""),
    "ISO with a zone": (with_time("2025-11-03T10:20:00+01:00"), ""),
    "ISO without a zone": (with_time("2025-11-03 10:20"), 'zone = "Europe/Berlin"'),
    "points between day and month": (with_time("03.11.2025 09:20"), ""),
    "the month first": (with_time("11/03/2025 9:20 AM"), 'date_order = "month-first"'),
    "the day first": (with_time("03/11/2025 09:20"), 'date_order = "day-first"'),
}  # fmt: skip


@pytest.mark.parametrize("name", RECOGNISED)
def test_an_export_is_read_with(store: Engine, tmp_path: Path, name: str) -> None:
    sent, more = RECOGNISED[name]
    export = tmp_path / "export.csv"
    export.write_bytes(sent)
    run = reconciled(store, export, f"{more}\n{MINDTICKLE}", applies=True)
    assert run.counts == (0, 1, 1, 0, 0)
    expected = datetime.fromtimestamp(1762161600, UTC) if "epoch" in name else AT
    assert row(store, Event).occurred_at == expected


REFUSED = {
    "another encoding": (as_csv().replace("Discovery", "Größe").encode("cp1252"),
                         "line 2, byte 36: 0xf6 is not utf-8: set encoding"),
    "a number that could be two": (as_csv(";").replace("87.5", "1,234").encode(),
                                   "line 2, column Progress: 1,234 could be two numbers"),
    "a day that could be two": (with_time("03/11/2025 09:20"),
                                "line 2, column Time: 03/11/2025 09:20 could be two days"),
    "no time": (with_time("soon"), "line 2, column Time: soon is no time in a known style"),
    "no such day": (with_time("31.02.2025 09:20"), "line 2, column Time: 31.02.2025 09:20 day is"),
    "a time ahead": (with_time("2199-01-01"), "line 2, column Time: 2199-01-01T00:00:00+00:00"),
    "no number": (as_csv().replace("87.5", "most").encode(),
                  "line 2, column Progress: progressed.progress_pct: should be a"),
    "no learner": (as_csv().replace("u-1", "").encode(),
                   "line 2, column User ID: user.id: is missing"),
    "no event ID": (as_csv().replace("e-1", "").encode(), "line 2, column Event ID: is empty"),
    "too few cells": (as_csv(rows=[GOOD, GOOD[:4]]).encode(), "line 3: has 4 columns, and the"),
    "an open quote": (as_csv().replace("Discovery calls", '"Discovery').encode(), "is no CSV"),
    "a column twice": (as_csv().replace("Module ID", "Module").encode(),
                       "line 1: the column 'Module' is there twice"),
    "a missing column": (as_csv().replace("Seconds", "Duration").encode(),
                         "module.progress: time_spent_sec: the export has no column 'Seconds'; it "
                         "has Event ID, User ID, Time, Module ID, Module, Progress, Duration"),
    "no row": (b"\n", "is empty"),
    "a JSON array": (b"[" + as_json() + b"]", "line 1: is a JSON array"),
    "half a JSON object": (as_json() + b'{"Event ID":\n', "line 2: The body is not JSON"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_an_export_is_refused_in_one_line_with(sqlite_url: str, tmp_path: Path, name: str) -> None:
    sent, words = REFUSED[name]
    (tmp_path / "export.csv").write_bytes(sent)
    (tmp_path / "mapping.toml").write_text(MINDTICKLE)
    asked = ("export.csv", "--vendor", V, "--mapping", "mapping.toml")
    ended = command("import", *asked, folder=tmp_path, DATABASE_URL=sqlite_url)
    assert ended.returncode == 1
    assert words in ended.stderr.splitlines()[-1]
    assert ended.stdout == ""


WRONG_MAPPINGS = {
    "no TOML": ("event_id = ", "is not TOML"),
    "an unknown word": (MINDTICKLE + 'colour = "Progress"', "progressed has no colour"),
    "no events": ("event_type = \"'x'\"", "events: is missing"),
    "no time": (MINDTICKLE.replace('at = "Time"', ""), "module.progress needs at"),
    "an unknown zone": (f'zone = "Mars"\n{MINDTICKLE}', "zone: should be a time zone"),
    "no such encoding": (f'encoding = "x"\n{MINDTICKLE}', "encoding: should be an encoding"),
}


@pytest.mark.parametrize("name", WRONG_MAPPINGS)
def test_a_mapping_is_refused_in_one_line_with(store: Engine, tmp_path: Path, name: str) -> None:
    mapping, words = WRONG_MAPPINGS[name]
    with pytest.raises(ImportingError) as refused:
        reconciled(store, written(tmp_path, [GOOD]), mapping)
    assert words in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_an_unknown_vendor_is_refused_with_those_that_there_are(
    sqlite_url: str, tmp_path: Path
) -> None:
    (tmp_path / "mapping.toml").write_text(MINDTICKLE)
    asked = ("export.csv", "--vendor", "acme", "--mapping", "mapping.toml")
    ended = command("import", *asked, folder=tmp_path, DATABASE_URL=sqlite_url)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("--vendor: use one of ")
