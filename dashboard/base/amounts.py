"""How sentences write figures."""

from dashboard.base.percent import percent

NOUNS = {"gained": "point", "completed": "module", "time": "hour", "score": "point"}
FEW = 10
"""Under this a fraction matters."""


def number(value: float) -> str:
    """With a decimal only where it matters: `312`, `3.5`."""
    return f"{value:,.1f}" if value % 1 and value < FEW else f"{value:,.0f}"


def amount(metric: str, value: float) -> str:
    """A figure in a sentence: `312 points`, `1 module`, `54 %`, `3.5 hours`."""
    if metric == "average":
        return percent(value)
    shown = number(value)
    noun = NOUNS[metric]
    return f"{shown} {noun}" if shown == "1" else f"{shown} {noun}s"


def ordinal(place: int) -> str:
    """`1st`, `2nd`, `11th`."""
    teen = place // 10 % 10 == 1
    return f"{place:,}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(place % 10, 'th')}"
