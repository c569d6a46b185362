"""How pages show what was sent, to which person and when."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import access
from dashboard.base.people import without_addresses
from dashboard.base.store import actor, framed, local
from dashboard.base.windows import viewer_zone
from shared.queries.sent import SentRow
from shared.rules import RULES

STATES = {
    "waiting": "Waiting",
    "sending": "Waiting",
    "sent": "Sent",
    "failed": "Failed",
    "held": "Held until later",
    "superseded": "Not needed any more",
}
COLUMNS: Mapping[str, Any] = {
    "caused_at": st.column_config.DatetimeColumn("When", format="D MMM, HH:mm", width=110),
    "what": st.column_config.TextColumn("Message", width=190),
    "to": st.column_config.TextColumn("To", width=240),
    "shown": st.column_config.TextColumn("State"),
    "attempts": st.column_config.NumberColumn("Attempts", format="%,d"),
    "error": st.column_config.TextColumn("Reason", width="large"),
}


def frame_of(rows: Sequence[SentRow]) -> pd.DataFrame:
    """The fields of `SentRow`, and `what`, `to` and `shown` in words."""
    return framed(rows, _in_words)


def _in_words(frame: pd.DataFrame) -> pd.DataFrame:
    return local(frame, viewer_zone(), "caused_at").assign(
        what=[RULES[key].title if key in RULES else key for key in frame["rule"]],
        to=frame["recipient"].map(to),
        shown=frame["state"].map(STATES),
        error=frame["error"].fillna("–"),
    )


def to(recipient: str) -> str:
    """`ines@acme.example via sales`, or the name of a target. Another person than the viewer is "a
    colleague" to a manager, and has no address where names are hidden."""
    person, via, channel = recipient.partition(" via ")
    if not via:
        return recipient.removeprefix("forward ")
    if person == actor():
        return recipient
    if not access.may("coach"):
        return f"a colleague via {channel}"
    return without_addresses(recipient)
