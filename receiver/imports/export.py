"""The file that a vendor exports: CSV or JSON lines, row by row, in flat memory."""

import codecs
import csv
import hashlib
import os
from collections.abc import Iterator, Mapping
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from receiver.errors import ImportingError
from receiver.vendors.base import Unreadable, json_object

MAX_LINE = 1_048_576
"""Characters of a line. A longer one is no export, and would be held in memory."""
LOOKED_AT = 1_000
"""JSON objects in which columns are looked for: each may lack some."""
SEPARATORS = (",", ";", "\t", "|")
_NO_TEXT = {
    b"\x1f\x8b": "is compressed (gzip): unpack it first",
    b"PK\x03\x04": "is a workbook or a ZIP file: save it as CSV, or unpack it",
    b"\xd0\xcf\x11\xe0": "is a workbook (xls): save it as CSV",
    b"%PDF": "is a PDF: get the export as CSV",
}
"""What is no export, by its first bytes."""
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"),
          (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip


class Row(NamedTuple):
    """A row: the line at which it begins, and its values by column."""

    line: int
    values: Mapping[str, Any]


class Export:
    """A file with an export. `encoding` and `separator` are recognised where they are None.

    Raises ImportingError with line and column for anything that cannot be read.
    """

    def __init__(self, path: Path, encoding: str | None = None, separator: str | None = None):
        self.path = path
        try:
            if not path.is_file():
                raise ImportingError(f"{path}: is no file")
            with path.open("rb") as file:
                begin = file.read(4)
                self.size = os.fstat(file.fileno()).st_size
        except OSError as error:
            raise ImportingError(f"{path}: cannot be read: {error.strerror}") from None
        if no_text := next((why for sign, why in _NO_TEXT.items() if begin.startswith(sign)), None):
            raise ImportingError(f"{path}: {no_text}")
        marked = next((name for mark, name in _MARKS if begin.startswith(mark)), None)
        self._encoding = marked or encoding or "utf-8"
        self._separator = separator
        first = next((line for line in self._lines_once() if line.strip()), "")
        if not first:
            raise ImportingError(f"{path}: is empty")
        if wrong := _no_export(first.strip()):
            raise ImportingError(f"{path}: line 1: {wrong}")
        self.is_json = first.lstrip().startswith("{")
        self.columns = self._columns()
        self.read_bytes = 0
        """How far `rows` has read."""

    def digest(self) -> str:
        """Of the whole file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def rows(self) -> Iterator[Row]:
        """All rows, from the first one on."""
        with self.path.open("rb") as file:
            yield from self._json(file) if self.is_json else self._csv(file)

    def _columns(self) -> list[str]:
        if not self.is_json:
            with self.path.open("rb") as file:
                return self._header(self._reader(file))
        found = (row.values for row in islice(self.rows(), LOOKED_AT))
        return list(dict.fromkeys(name for values in found for name in values))

    def _header(self, reader: "_Checked") -> list[str]:
        """The names in the first row that is not empty."""
        names = [cell.strip() for cell in next(row for row in reader if any(row))]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ImportingError(f"{self.path}: line 1: the column {twice!r} is there twice")
        return names

    def _json(self, file: BinaryIO) -> Iterator[Row]:
        for line, text in enumerate(self._lines(file), 1):
            if text.strip():
                try:
                    yield Row(line, json_object(text.encode()))
                except Unreadable as wrong:
                    raise ImportingError(
                        f"{self.path}: line {line}: is no JSON object by itself. One a line is "
                        f"needed, as `jq -c .` writes them. {wrong.reason}"
                    ) from None

    def _csv(self, file: BinaryIO) -> Iterator[Row]:
        reader = self._reader(file)
        width = len(self._header(reader))
        before = reader.line_num
        for cells in reader:
            line, before = before + 1, reader.line_num
            if not any(cells):
                continue
            if len(cells) != width:
                raise ImportingError(
                    f"{self.path}: line {line}: has {len(cells)} columns, and the first line "
                    f"{width}. Is {reader.separator!r} in a value that is not in quotes?"
                )
            yield Row(line, dict(zip(self.columns, cells, strict=True)))

    def _reader(self, file: BinaryIO) -> "_Checked":
        lines = self._lines(file)
        separator = self._separator or self._recognised()
        return _Checked(lines, separator, self.path)

    def _recognised(self) -> str:
        """The separator that the first line has most often, outside of quotes."""
        first = next((line for line in self._lines_once() if line.strip()), "")
        bare = "".join(first.split('"')[::2])
        return max(SEPARATORS, key=bare.count)

    def _lines_once(self) -> Iterator[str]:
        with self.path.open("rb") as file:
            yield from self._lines(file)

    def _lines(self, file: BinaryIO) -> Iterator[str]:
        text = TextIOWrapper(file, self._encoding, newline="")
        line = 0
        while True:
            line += 1
            try:
                one = text.readline(MAX_LINE + 1)
            except UnicodeError:
                raise ImportingError(f"{self.path}: {self._undecodable()}") from None
            if len(one) > MAX_LINE:
                raise ImportingError(
                    f"{self.path}: line {line}: is longer than {MAX_LINE:,} characters. Has the "
                    "file no line ends?"
                )
            if "\0" in one:
                raise ImportingError(
                    f"{self.path}: line {line}, character {one.index(chr(0)) + 1}: is a NUL, which "
                    'no text has. If the file is UTF-16, set encoding = "utf-16-le" in the mapping'
                )
            if not one:
                text.detach()
                return
            self.read_bytes = file.tell()
            yield one

    def _undecodable(self) -> str:
        """Which byte is of another encoding."""
        with self.path.open("rb") as file:
            for line, sent in enumerate(file, 1):
                try:
                    sent.decode(self._encoding)
                except UnicodeDecodeError as wrong:
                    byte = sent[wrong.start]
                    return (
                        f"line {line}, byte {wrong.start + 1}: 0x{byte:02x} is not "
                        f'{self._encoding}: set encoding in the mapping, as encoding = "cp1252"'
                    )
        return f"is not {self._encoding}"


def _no_export(first: str) -> str | None:
    """What is wrong with a first line; None if rows can follow it."""
    if first.startswith("["):
        return "is a JSON array; one object a line is needed, as `jq -c '.[]'` writes them"
    if first.startswith("<"):
        return "is HTML or XML. Is it a page that asks to sign in?"
    if first.lower().startswith("sep=") and len(first) == len("sep=;"):
        return f"is {first!r} in place of the names of columns: remove this line"
    return None


class _Checked:
    """A CSV reader whose errors say where they are."""

    def __init__(self, lines: Iterator[str], separator: str, path: Path) -> None:
        self._reader = csv.reader(lines, delimiter=separator, strict=True)
        self._path = path
        self.separator = separator

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        begin = self.line_num + 1
        try:
            return next(self._reader)
        except csv.Error as wrong:
            raise ImportingError(f"{self._path}: line {begin}: {_no_row(str(wrong))}") from None

    @property
    def line_num(self) -> int:
        return self._reader.line_num


def _no_row(problem: str) -> str:
    """What is wrong with a row, for a problem of the CSV reader."""
    if "field limit" in problem:
        limit = f"a value is longer than {csv.field_size_limit():,} characters"
        return f"is no row: {limit}. Is a quote not closed?"
    if "end of data" in problem:
        return "is no row: a quote is not closed"
    return f"is no row: {problem}"
