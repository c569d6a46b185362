"""How the graded attempts of a learner at a quiz are written into one text: `quiz_history`.

An attempt is a record of fixed length in hexadecimal digits, which are read five times as quickly
as base64. Texts can be joined with `END` between two learners, and read as one.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from math import nan
from struct import Struct
from typing import NamedTuple

RECORD = Struct("<qd")
REFUSED, ACCEPTED, UNJUDGED, OVER = range(4)
"""What the vendor says of an attempt, the last two bits of its first number: not passed, passed, or
nothing. The last one is not of an attempt: the history of a learner ends before it."""
BEGIN, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class Attempt(NamedTuple):
    """A graded attempt. `passed` is as the vendor says; None where nothing tells."""

    submitted_at: datetime
    pct: float | None
    passed: bool | None


def microseconds(at: datetime) -> int:
    """Since 1970."""
    return (at - BEGIN) // MICROSECOND


def packed(attempts: Iterable[Attempt]) -> str:
    return b"".join(map(_record, attempts)).hex()


def _record(attempt: Attempt) -> bytes:
    said = UNJUDGED if attempt.passed is None else int(attempt.passed)
    pct = nan if attempt.pct is None else attempt.pct
    return RECORD.pack(microseconds(attempt.submitted_at) << 2 | said, pct)


END = RECORD.pack(OVER, nan).hex()
