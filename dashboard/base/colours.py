"""The colours of what the theme does not reach: charts, cells and pictures. Knows no page."""

from typing import NamedTuple

import streamlit as st


class Palette(NamedTuple):
    """One colour for each role. `good`, `warn` and `bad` are for marks; their `_text` twins have
    the contrast that words need (WCAG 2.2, 1.4.3: 4.5 to 1)."""

    ink: str
    muted: str
    line: str
    ground: str
    accent: str
    quiet: str
    tint: str
    band: str
    good: str
    good_text: str
    warn: str
    warn_text: str
    bad: str
    bad_text: str


LIGHT = Palette(
    ink="#0B1220", muted="#56607A", line="#E1E6EF", ground="#FFFFFF", accent="#2D52CC",
    quiet="#A9B9EF", tint="#ECF0FD", band="#E9EDF4", good="#1A8754", good_text="#0F6B41",
    warn="#C77700", warn_text="#8F5200", bad="#C42B45", bad_text="#B01E39",
)  # fmt: skip
DARK = Palette(
    ink="#EDF1FA", muted="#A3AEC5", line="#273149", ground="#0D1220", accent="#8EA6FF",
    quiet="#44578F", tint="#1B2647", band="#1A2234", good="#3CCB86", good_text="#74DFAB",
    warn="#F2A33C", warn_text="#FFC67A", bad="#FF6B82", bad_text="#FF9AAA",
)  # fmt: skip


def is_dark() -> bool:
    """Whether the viewer's browser shows the dark theme."""
    return getattr(st.context.theme, "type", None) == "dark"


def palette() -> Palette:
    """The colours of the viewer's theme."""
    return DARK if is_dark() else LIGHT
