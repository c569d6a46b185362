"""Numbers and durations in sentences."""

import re
from collections.abc import Mapping
from datetime import timedelta

MINUTE, HOUR = 60, 3600
NUMBERS: Mapping[str, tuple[str, str]] = {
    "comma": (",", "."),
    "point": (".", ","),
    "space": ("\N{NARROW NO-BREAK SPACE}", ","),
}
"""What a way of writing numbers puts before thousands and before tenths."""
LONG_HOURS = 72
"""From here on, days say more than hours."""


def number_of(count: int, noun: str) -> str:
    """`1 event`, `1,204 events`, `2 deliveries`, `3 days`."""
    if count == 1:
        return f"1 {noun}"
    plural = f"{noun[:-1]}ies" if re.search("[^aeiou]y$", noun) else f"{noun}s"
    return f"{count:,} {plural}"


def duration(span: timedelta) -> str:
    """`40 s`, `5 min`, `2 h 5 min`, `28 h`, `3 days 4 h`; never `0 min`."""
    seconds = max(1, int(span.total_seconds()))
    if seconds < MINUTE:
        return f"{seconds} s"
    hours, minutes = seconds // HOUR, seconds % HOUR // MINUTE
    if not hours:
        return f"{minutes} min"
    if hours < LONG_HOURS:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h" if hours else f"{days} days"


def remaining(span: timedelta) -> str:
    """Time that is left: `1 h 52 min`, or `less than a minute`, also once it has passed."""
    return "less than a minute" if span < timedelta(minutes=1) else duration(span)


def share(part: int, whole: int) -> str:
    """`12 %`, `0.4 %`, `99.9 %`; `100 %` only of all, `0 %` only of none."""
    if part in (0, whole):
        return "100 %" if part else "0 %"
    percent = min(max(100 * part / whole, 0.1), 99.9)
    return f"{percent:.0f} %" if 10 <= percent <= 99 else f"{percent:.1f} %"  # noqa: PLR2004


def rewritten(text: str, numbers: str) -> str:
    """A sentence of ours with its numbers in a way of `NUMBERS`: `1,204 events, 0.4 %`. Not for
    words of a payload, whose figures stay."""
    thousands, tenths = NUMBERS[numbers]
    signs = str.maketrans({",": thousands, ".": tenths})
    written = r"\d{1,3}(,\d{3})+(\.\d(?= %))?|\d+\.\d(?= %)"
    return re.sub(written, lambda found: found[0].translate(signs), text)
