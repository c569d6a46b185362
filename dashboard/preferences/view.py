"""The form of a subscription, the viewer's subscriptions, and what was sent to them."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard.base.pieces import answer, heading, plain, row, table
from dashboard.base.sent import STATES
from dashboard.base.windows import viewer_zone
from dashboard.preferences import data
from dashboard.preferences.data import ChannelRow, SubscriptionRow, Wanted
from shared.rules import RULES
from shared.wording import NUMBERS, number_of, rewritten

SAID = "preferences_said"
DOCS = "docs/notifications.md"
COLUMNS = {
    "caused_at": st.column_config.DatetimeColumn("When", format="D MMM, HH:mm", width=110),
    "rule": st.column_config.TextColumn("Message", width=240),
    "channel": st.column_config.TextColumn("Channel"),
    "shown": st.column_config.TextColumn("State"),
    "error": st.column_config.TextColumn("Reason", width="large"),
}
SNOOZES = {1: "Pause for a day", 7: "Pause for a week"}


def headline(subscribed: Sequence[SubscriptionRow]) -> None:
    """How many subscriptions the viewer has."""
    if subscribed:
        count = number_of(len(subscribed), "subscription")
        answer(f"You have {count}", "Each message says why you get it, and how to stop it.")
    else:
        answer("You get no messages yet", "Choose which messages you get, where and when.")


def problems(channels: Sequence[ChannelRow]) -> None:
    """Why messages do not go out."""
    if not channels:
        st.info(
            f"No channel is set up. An admin adds NOTIFY_<NAME>=… to the receiver's settings "
            f"({DOCS}).",
            icon=":material/info:",
        )
    elif not data.is_notified():
        st.warning(
            "No notifier works: messages wait. Start the receiver, or `repboard notify`.",
            icon=":material/warning:",
        )
    for one in channels:
        if one.problem:
            st.warning(
                f"Nothing is sent to {plain(_name(one.name))}: {plain(one.problem)}. An admin "
                "corrects its address and restarts the receiver.",
                icon=":material/warning:",
            )


def _name(channel: str) -> str:
    """`Sales west` of `sales_west`."""
    return channel.replace("_", " ").capitalize()


def form(channels: Sequence[ChannelRow]) -> None:
    """The fields of a subscription, with what it would have sent in the last week."""
    heading("Subscribe")
    offered, kinds = data.rules(), {one.name: one.kind for one in channels}
    with row():
        key = st.selectbox(
            "Tell me of", list(offered), format_func=lambda one: offered[one].title, key="rule",
            width=280,
        )  # fmt: skip
        channel = st.selectbox(
            "Channel", list(kinds), format_func=lambda one: f"{_name(one)} ({kinds[one]})",
            key="channel", width=220,
        )  # fmt: skip
        rule = offered[key]
        quiet: tuple[int | None, int | None] = (None, None)
        hour = 9
        if rule.period is not None:
            hour = _hour("At", "hour", 9)
        elif st.toggle("Quiet hours", key="quiet"):
            quiet = (_hour("From", "quiet_from", 20), _hour("Until", "quiet_until", 7))
        numbers = st.selectbox(
            "Numbers", list(NUMBERS), format_func=lambda one: rewritten("1,234.5 %", one)[:-2],
            key="numbers", width=110,
        )  # fmt: skip
    st.caption(f"{rule.about} {_preview(data.in_last_week(rule))} Times in {viewer_zone()}.")
    wanted = Wanted(rule.key, channel, viewer_zone(), hour, *quiet, numbers)
    st.button(
        "Subscribe", type="primary", icon=":material/notifications:", on_click=_save, args=(wanted,)
    )
    _say()


def _hour(label: str, key: str, default: int) -> int:
    return st.selectbox(
        label, range(24), index=default, format_func=lambda one: f"{one}:00", key=key, width=100
    )


def _preview(count: int) -> str:
    return f"In the last week it would have sent {number_of(count, 'message')}."


def _save(wanted: Wanted) -> None:
    try:
        data.save(wanted)
    except data.Impossible as problem:
        st.session_state[SAID] = str(problem)
    else:
        st.session_state[SAID] = None


def _say() -> None:
    if SAID not in st.session_state:
        return
    problem = st.session_state.pop(SAID)
    if problem:
        st.error(problem, icon=":material/block:")
    else:
        st.success("Saved. Send a test to see where it arrives.", icon=":material/check:")


def listed(subscribed: Sequence[SubscriptionRow]) -> None:
    """Each subscription with its next run, and buttons to test and to end it."""
    if not subscribed:
        return
    heading("Your subscriptions")
    for one in subscribed:
        with row():
            st.markdown(
                f"**{RULES[one.rule].title}** · {plain(_name(one.channel))} · "
                f"{plain(data.next_run(one))}",
                width="content",
            )
            st.button("Send a test", key=f"test_{one.id}", on_click=data.send_test, args=(one.id,))
            st.button("Stop", key=f"stop_{one.id}", on_click=data.remove, args=(one.id,))


def sent(frame: pd.DataFrame) -> None:
    """What was to be sent to the viewer, the latest first."""
    if frame.empty:
        return
    heading("Sent to you")
    table(frame.assign(shown=frame["state"].map(STATES)), COLUMNS, "What was sent to you", "sent")


def of_link(token: str) -> None:
    """For the link of a message: end or pause its subscription with a click, without a sign-in."""
    found = data.of_link(token)
    if found is None:
        answer("This subscription has ended", "You get no more messages of it.")
        return
    title = RULES[found.rule].title
    answer(f"Messages: {title}", f"Sent to {plain(_name(found.channel))}. {_paused(found)}")
    with row():
        st.button(
            "Stop these messages", type="primary", on_click=data.stop, args=(token,), key="stop"
        )
        for days, label in SNOOZES.items():
            st.button(label, on_click=data.snooze, args=(token, days), key=f"snooze_{days}")


def _paused(found: SubscriptionRow) -> str:
    says = plain(data.next_run(found))
    return f"Next: {says}."
