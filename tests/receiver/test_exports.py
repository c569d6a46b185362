"""Exports and mappings as people have them: recognised, or refused in one line that says where."""

import gzip
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
    "an empty line at the begin": (b"\n" + as_csv().encode(), ""),
    "line ends of an old Mac": (as_csv().replace("\r\n", "\r").encode(), ""),
    "numbers as text": (as_json(Progress="87.5", Seconds="600"), ""),
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
    "no such day": (with_time("31.02.2025 09:20"), "31.02.2025 09:20 is no such time: day is"),
    "a time ahead": (with_time("2199-01-01"), "line 2, column Time: 2199-01-01T00:00:00+00:00"),
    "no number": (as_csv().replace("87.5", "most").encode(),
                  "line 2, column Progress: progressed.progress_pct: should be a"),
    "no learner": (as_csv().replace("u-1", "").encode(),
                   "line 2, column User ID: user.id: is missing"),
    "no event ID": (as_csv().replace("e-1", "").encode(), "line 2, column Event ID: is empty"),
    "too few cells": (as_csv(rows=[GOOD, GOOD[:4]]).encode(), "line 3: has 4 columns, and the"),
    "an open quote": (as_csv().replace("Discovery calls", '"Discovery').encode(),
                      "line 2: is no row: a quote is not closed"),
    "a column twice": (as_csv().replace("Module ID", "Module").encode(),
                       "line 1: the column 'Module' is there twice"),
    "a missing column": (as_csv().replace("Seconds", "Duration").encode(),
                         "module.progress: time_spent_sec: the export has no column 'Seconds'. It "
                         "has 'Event ID', 'User ID', 'Time', 'Module ID', 'Module', 'Progress', "
                         "'Duration'"),
    "no row": (b"\n", "is empty"),
    "a JSON array": (b"[" + as_json() + b"]", "line 1: is a JSON array"),
    "half a JSON object": (as_json() + b'{"Event ID":\n', "line 2: is no JSON object by itself"),
    "a column in another case": (as_csv().replace("Progress", "progress").encode(),
                                 "no column 'Progress'. Is 'progress' meant? It has"),
    "JSON over several lines": (json.dumps({"Event ID": "e-1"}, indent=1).encode(),
                                "line 1: is no JSON object by itself. One a line is needed"),
    "another list in JSON": (as_json() + b"[1]\n", "line 2: is no JSON object by itself"),
    "an ID that is no value": (json.dumps({"Event ID": "e"}).encode(), "has no column 'User ID'"),
    "gzip": (gzip.compress(as_csv().encode()), "is compressed (gzip): unpack it first"),
    "a workbook": (b"PK\x03\x04\x14\0\x06\0\x80", "is a workbook or a ZIP file: save it as CSV"),
    "an old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1", "is a workbook (xls): save it as CSV"),
    "a PDF": (b"%PDF-1.7\n%\xe2\xe3", "is a PDF: get the export as CSV"),
    "a page": (b"<!DOCTYPE html><html>", "line 1: is HTML or XML. Is it a page that asks"),
    "UTF-16 without a mark": (as_csv().encode("utf-16-le"), "line 1, character 2: is a NUL"),
    "UTF-32": (as_csv().encode("utf-32"), "line 1, character 1: is a NUL"),
    "a NUL": (as_csv().replace("Discovery", "Dis\0very").encode(), "line 2, character 37: is a"),
    "a line for a spreadsheet": (b"sep=;\n" + as_csv(";").encode(),
                                 "line 1: is 'sep=;' in place of the names of columns: remove"),
    "a title": (b"Progress\n" + as_csv().encode(), "no column 'Event ID'. It has 'Progress'"),
    "a total": (as_csv().encode() + b"Total,,,,,,\n", "line 3, column Time: nothing is no time"),
    "a long line": (as_csv().encode() + b"x" * 1_100_000, "line 3: is longer than 1,048,576 char"),
    "a long value": (as_csv().encode() + b'"' + b"x\n" * 70_000, "line 3: is no row: a value is "
                     "longer than 131,072 characters. Is a quote not closed?"),
    "a decimal comma between commas": (as_csv().replace("87.5", "87,5").encode(),
                                       "line 2: has 8 columns, and the first line 7. Is ',' in"),
    "a month in words": (with_time("3 Nov 2025"), "3 Nov 2025 is no time in a known style: ISO"),
    "a date of a spreadsheet": (with_time("45964.39"), "45964.39 is no time in a known style"),
    "dates in four styles": (as_csv(rows=[progress(f"e-{n}", at=one) for n, one in enumerate(
                                 ("2025-11-03T09:20:00Z", "03.11.2025 09:20", "1762161600",
                                  "11/03/2025 9:20 AM"))]).encode(),
                             "line 5, column Time: 11/03/2025 9:20 AM could be two days: set "),
    "a percentage of thousands": (as_csv().replace("87.5", "870").encode(),
                                  "progressed.progress_pct: should be a percentage from 0 to 100"),
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
    assert ended.stderr.splitlines()[-1].startswith(("export.csv: ", "mapping.toml: "))
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
