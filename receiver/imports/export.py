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
        marked = next((name for mark, name in _MARKS if begin.startswith(mark)), None)
        self._encoding = marked or encoding or "utf-8"
        self._separator = separator
        first = next((line for line in self._lines_once() if line.strip()), "")
        if not first:
            raise ImportingError(f"{path}: is empty")
        if first.lstrip().startswith("["):
            raise ImportingError(
                f"{path}: line 1: is a JSON array; one object a line is needed, as "
                "`jq -c '.[]'` writes them"
            )
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
                return self._header(next(self._reader(file)))
        found = (row.values for row in islice(self.rows(), LOOKED_AT))
        return list(dict.fromkeys(name for values in found for name in values))

    def _header(self, cells: list[str]) -> list[str]:
        names = [cell.strip() for cell in cells]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ImportingError(f"{self.path}: line 1: the column {twice!r} is there twice")
        return names

    def _json(self, file: BinaryIO) -> Iterator[Row]:
        for line, text in enumerate(self._lines(file), 1):
            if text.strip():
                try:
                    yield Row(line, json_object(text.encode()))
                except Unreadable as wrong:
                    raise ImportingError(f"{self.path}: line {line}: {wrong.reason}") from None

    def _csv(self, file: BinaryIO) -> Iterator[Row]:
        reader = self._reader(file)
        width = len(self._header(next(reader)))
        before = reader.line_num
        for cells in reader:
            line, before = before + 1, reader.line_num
            if not any(cells):
                continue
            if len(cells) != width:
                raise ImportingError(
                    f"{self.path}: line {line}: has {len(cells)} columns, and the first line "
                    f"{width}"
                )
            yield Row(line, dict(zip(self.columns, cells, strict=True)))

    def _reader(self, file: BinaryIO) -> Any:
        lines = self._lines(file)
        separator = self._separator or self._recognised()
        return _Checked(csv.reader(lines, delimiter=separator, strict=True), self.path)

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
                raise ImportingError(f"{self.path}: line {line}: is longer than {MAX_LINE:,}")
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


class _Checked:
    """A CSV reader whose errors say where they are."""

    def __init__(self, reader: Any, path: Path) -> None:
        self._reader, self._path = reader, path

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        try:
            cells: list[str] = next(self._reader)
        except csv.Error as wrong:
            where = f"{self._path}: line {self.line_num}"
            raise ImportingError(f"{where}: is no CSV: {wrong}") from None
        return cells

    @property
    def line_num(self) -> int:
        return int(self._reader.line_num)
