"""Small pictures as SVG: initials of a person, the course of a figure, hours of a vendor.

Images need no script of the browser, so nothing loads late and nothing jumps. Only letters and
numbers of a payload get into one.
"""

import base64
import hashlib
import re
from collections.abc import Sequence

from dashboard.base.colours import LIGHT, Palette

Colours = tuple[str, str]
FACES: Sequence[Colours] = (
    ("#DCE4FC", "#2342A6"), ("#D8F1EF", "#0B5E5E"), ("#FFE9CC", "#7A4600"), ("#EBDFFA", "#5B2C9C"),
    ("#FBDDE2", "#8E1830"), ("#E0F0DD", "#2A642A"), ("#E3E8F0", "#3D4860"), ("#F8DFEC", "#85305B"),
)  # fmt: skip
"""Ground and letters; the same in both themes, as a ground of its own carries the contrast."""
FONT = "Source Sans,Helvetica,Arial,sans-serif"
RINGS = {1: "#E0A100", 2: "#8C98AE", 3: "#B8703A"}
"""Gold, silver and bronze."""
WELL, WATCH = 98, 80
"""Percent of deliveries accepted in an hour from which it is drawn as well, and as one to watch."""


def avatar(shown: str, ring: str | None = None) -> str:
    """The initials of a person as a round picture, by the name that the viewer may see."""
    letters = re.findall(r"[^\W\d_]+", shown.partition("@")[0]) or ["?"]
    initials = (letters[0][0] + (letters[-1][0] if len(letters) > 1 else "")).upper()
    # Which colour does not matter, only that it stays the same for one name.
    number = hashlib.sha256(shown.encode("utf-8", "surrogatepass")).digest()[0]
    ground, ink = FACES[number % len(FACES)]
    circle = f'<circle cx="20" cy="20" r="{16 if ring else 18}" fill="{ground}"/>'
    if ring:
        circle += (
            f'<circle cx="20" cy="20" r="18.7" fill="none" stroke="{ring}" stroke-width="2.6"/>'
        )
    text = (
        f'<text x="20" y="25" text-anchor="middle" font-family="{FONT}" '
        f'font-weight="600" font-size="14" fill="{ink}">{initials}</text>'
    )
    return _svg(circle + text, 40, 40)


def spark(values: Sequence[float], colours: Palette = LIGHT) -> str:
    """A line over equal steps of time with its last point marked; 96 by 44 px. It begins at zero,
    so that a small change looks small."""
    width, height, pad = 96, 44, 5
    highest = max(values) or 1
    step = (width - 2 * pad) / max(len(values) - 1, 1)
    points = [
        (pad + place * step, height - pad - value / highest * (height - 2 * pad))
        for place, value in enumerate(values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    (first, _), (last, end) = points[0], points[-1]
    return _svg(
        f'<polygon points="{first:.1f},{height} {line} {last:.1f},{height}" '
        f'fill="{colours.accent}" fill-opacity=".12"/>'
        f'<polyline points="{line}" fill="none" stroke="{colours.accent}" stroke-width="2" '
        f'stroke-linejoin="round" stroke-linecap="round"/>'
        f'<circle cx="{last:.1f}" cy="{end:.1f}" r="3.4" fill="{colours.accent}" '
        f'stroke="{colours.ground}" stroke-width="1.6"/>',
        width,
        height,
    )


def empty_podium(colours: Palette = LIGHT) -> str:
    """Three places without people; 220 by 110 px."""
    places = ((2, 8, 62), (1, 76, 40), (3, 144, 74))
    parts = [
        f'<rect x="{x}" y="{top}" width="64" height="{108 - top}" rx="5" fill="{colours.accent}" '
        f'fill-opacity=".1" stroke="{colours.accent}" stroke-opacity=".35" stroke-dasharray="4 3"/>'
        f'<circle cx="{x + 32}" cy="{top - 19}" r="13" fill="none" stroke="{colours.accent}" '
        f'stroke-opacity=".4" stroke-dasharray="3 3"/>'
        f'<text x="{x + 32}" y="{top + 26}" text-anchor="middle" font-family="{FONT}" '
        f'font-weight="600" font-size="16" fill="{colours.accent}" '
        f'fill-opacity=".5">{rank}</text>'
        for rank, x, top in places
    ]
    return _svg("".join(parts), 220, 110)


def strip(rates: Sequence[float | None], colours: Palette = LIGHT) -> str:
    """One bar an hour, of percent accepted: tall and green is well, short and red is failing, a
    dash is an hour without a delivery. Distinguished by height, not by colour alone."""
    width, height = 240, 34
    step = (width - 8) / len(rates)
    bars = [_bar(4 + place * step, step - 2.5, rate, colours) for place, rate in enumerate(rates)]
    return _svg("".join(bars), width, height)


def _bar(x: float, width: float, rate: float | None, colours: Palette) -> str:
    if rate is None:
        tall, colour = 4.0, colours.muted
    elif rate >= WELL:
        tall, colour = 34.0, colours.good
    elif rate >= WATCH:
        tall, colour = 24.0, colours.warn
    else:
        tall, colour = 14.0, colours.bad
    return (
        f'<rect x="{x:.1f}" y="{34 - tall:.1f}" width="{width:.1f}" height="{tall:.1f}" '
        f'rx="1.5" fill="{colour}"/>'
    )


def _svg(body: str, width: int, height: int) -> str:
    whole = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}">{body}</svg>'
    )
    return "data:image/svg+xml;base64," + base64.b64encode(whole.encode()).decode()
