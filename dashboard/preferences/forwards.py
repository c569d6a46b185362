"""What is forwarded to other systems, for admins: targets, attempts, and another attempt."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import access
from dashboard.base import sent
from dashboard.base.pieces import heading, plain, row, table
from dashboard.base.store import actor, each, query_fresh, write
from dashboard.base.windows import ago
from shared.forwards import AGAIN, send_again
from shared.queries import sent as read
from shared.queries.sent import TargetRow
from shared.wording import number_of


def shown() -> None:
    """The targets and their forwards; nothing for other roles, or while no target is set."""
    if not access.may("forward"):
        return
    targets = query_fresh(read.targets)
    frame = sent.frame_of(query_fresh(read.forwards))
    if targets or len(frame):
        heading("Forwards")
        _targets(targets)
        _attempts(frame)


def _targets(targets: Sequence[TargetRow]) -> None:
    for one in targets:
        st.markdown(
            f"**{plain(one.name)}** · {plain(', '.join(one.types))} · since {ago(one.since)} · "
            f"{number_of(one.waiting, 'forward')} waiting"
        )
        if one.problem:
            st.warning(
                f"Nothing is sent to {plain(one.name)}: {plain(one.problem)}. Correct its settings "
                "and restart the receiver.",
                icon=":material/warning:",
            )


def _attempts(frame: pd.DataFrame) -> None:
    if frame.empty:
        st.caption("Nothing was forwarded yet.")
        return
    table(frame, sent.COLUMNS, "Forwards", "forwards")
    again = frame[frame["state"].isin(AGAIN)]
    labels = {int(one.id): _label(one) for one in each(again)}
    if labels:
        with row():
            number = st.selectbox(
                "Forward", list(labels), format_func=lambda one: labels[one], key="forward",
                width=520,
            )  # fmt: skip
            st.button("Send again", key="send_again", on_click=send_one_again, args=(number,))


def _label(one: Any) -> str:
    return f"{one.what}, {one.caused_at:%-d %b %H:%M}, {one.to}: {one.shown}"


def send_one_again(number: int) -> None:
    """Have the notifier send a forward again."""
    with write("forward") as connection:
        send_again(connection, actor(), number)
