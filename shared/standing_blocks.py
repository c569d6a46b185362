"""How standings of a learner are written into one text: `standing_block`.

A standing is a record of fixed length, and the records of a block follow one another in base64. As
a record is a multiple of three bytes, texts can be joined and read as one.
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable
from struct import Struct
from typing import NamedTuple

SLOT_SEC = 15 * 60
SLOTS = 4 * 7 * 24 * 4
"""Quarter hours of a block: four weeks. Shorter ones would be more rows for eight weeks, longer
ones more to write again with each event."""
LAST = 2**31 - 1
"""Where the newest block of a learner ends."""
RECORD = Struct("<dqiii2x")
CHARS = RECORD.size // 3 * 4
"""What a record takes in a text."""


class Standing(NamedTuple):
    """What a learner had at the end of a quarter hour, the `slot`th since 1970."""

    points: float
    time_spent_sec: int
    slot: int
    modules: int
    completed: int


def block_of(slot: int) -> int:
    """The block of a quarter hour."""
    return slot // SLOTS


def packed(standings: Iterable[Standing]) -> str:
    return b64encode(b"".join(RECORD.pack(*one) for one in standings)).decode()


def last_of(text: str) -> Standing:
    """The last standing of a text with at least one."""
    return Standing._make(RECORD.unpack(b64decode(text[-CHARS:])))
