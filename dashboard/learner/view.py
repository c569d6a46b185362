"""The parts of the page of one learner."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import access
from dashboard.base import attempts, charts, filters, people, sent, store, windows
from dashboard.base.certificates import (
    CERTIFICATE,
    completion_columns,
    standing,
)
from dashboard.base.colours import palette
from dashboard.base.percent import FORMAT
from dashboard.base.pieces import (
    FACE,
    File,
    cut_off,
    heading,
    people_table,
    plain,
    section,
    with_faces,
)
from dashboard.base.windows import viewer_zone
from dashboard.learner import data
from shared.queries.windows import window_of

SEARCH = "By a part of a name, an e-mail address or a user ID."
CHARTS = 6
"""How many quizzes are drawn at once."""
STATES = {
    "open": "◔ Flagged",
    "in_progress": "◑ In progress",
    "resolved": "✓ Resolved",
    "dismissed": "○ Dismissed",
}
KINDS = {"joined": "Joined or moved", "left": "Left"}

MODULE = {
    "module_name": st.column_config.TextColumn("Module"),
    "progress_pct": st.column_config.ProgressColumn(
        "Progress", format=FORMAT, min_value=0, max_value=100
    ),
    "time": st.column_config.TextColumn("Time", alignment="right"),
    "updated_at": st.column_config.DatetimeColumn("Latest", format="distance"),
}
ATTEMPT = {
    "quiz": st.column_config.TextColumn("Quiz", width=190),
    "pct": st.column_config.NumberColumn("Score", format=FORMAT, width=75),
    "result": st.column_config.TextColumn("Result", width=90),
    "threshold_pct": st.column_config.NumberColumn("Threshold", format=FORMAT, width=85),
    "submitted_at": st.column_config.DatetimeColumn("When", format="distance"),
}
CASE = {
    "quiz_name": st.column_config.TextColumn("Quiz"),
    "status": st.column_config.TextColumn("Status"),
    "flagged_pct": st.column_config.NumberColumn("Flagged at", format=FORMAT),
    "owner": st.column_config.TextColumn("Owner"),
    "due": st.column_config.DateColumn("Due", format="D MMM YYYY"),
    "opened_at": st.column_config.DatetimeColumn("Since", format="distance"),
    "notes": st.column_config.TextColumn("Notes"),
}
CHANGE = {
    "kind": st.column_config.TextColumn("Change"),
    "changed_at": st.column_config.DatetimeColumn("When", format="D MMM YYYY, HH:mm"),
    "team_id": st.column_config.TextColumn("Team"),
    "role": st.column_config.TextColumn("Role"),
    "reason": st.column_config.TextColumn("Reason"),
}
ACCOUNT = {
    "vendor": st.column_config.TextColumn("Vendor"),
    "user_id": st.column_config.TextColumn("User ID"),
    "email": st.column_config.TextColumn("E-mail"),
    "team_id": st.column_config.TextColumn("Team"),
    "role": st.column_config.TextColumn("Role"),
    "active": st.column_config.CheckboxColumn("Active", help="Active on this vendor's roster."),
}
EVENT = {
    "occurred_at": st.column_config.DatetimeColumn("When", format="D MMM YYYY, HH:mm:ss"),
    "type": st.column_config.TextColumn("Event"),
    "vendor": st.column_config.TextColumn("Vendor"),
    "event_key": st.column_config.TextColumn("Event ID"),
}
OPENS_DELIVERY = {
    "delivery": st.column_config.LinkColumn(
        "Delivery", display_text="Open delivery", help="Deliveries are removed by age."
    ),
}
IMPORTED = {"imported": st.column_config.TextColumn("Imported")}


def search() -> None:
    """Search by name, e-mail address or user ID."""
    if not people.sees_names():
        st.info("Your role cannot search by name. Open a learner from a list.")
        return
    words = filters.words(
        "Find a learner",
        "find",
        "Part of a name, an e-mail address or a user ID",
        width=420,
        labelled=True,
    )
    found = data.found(words, store.everybody()) if words else pd.DataFrame()
    if words and found.empty:
        st.info("No learner with this in the name, e-mail address or user ID.")
    for row in found.itertuples():
        facts = (row.learner, row.email, row.team_id, None if row.active else "left")
        label = dict.fromkeys(one for one in facts if isinstance(one, str))  # each once
        address = {"id": people.link_to(str(row.key))}
        st.page_link(people.PAGE, label=plain(" · ".join(label)), query_params=address)
    if len(found) == data.FOUND:
        st.caption(f"The first {data.FOUND}. Type more to narrow the search.")


def lately() -> None:
    """People who were active in the last days, while no one is searched for."""
    if st.session_state.get("find"):
        return
    week = window_of("7d", windows.now(), viewer_zone(), filters.calendar())
    frame = data.lately(week)
    if frame.empty:
        return
    heading("Active in the last 7 days, most progress first")
    st.caption(f"Figures {windows.dates_of(week, viewer_zone())}.")
    st.session_state["lately_keys"] = frame["key"].tolist()
    most = float(frame["gained"].max())
    columns: dict[str, Any] = {
        "face": FACE,
        "learner": st.column_config.ButtonColumn(
            "Learner", on_click=_lately_clicked, key="lately", type="tertiary", alignment="left",
            width=140,
        ),
        "gained": st.column_config.ProgressColumn(
            "Progress gained", format="%.0f pts", min_value=0, max_value=most, width=150
        ),
        "completed": st.column_config.NumberColumn("Modules completed"),
        "team_id": st.column_config.TextColumn("Team"),
    }  # fmt: skip
    alt = "People who made most progress in the last 7 days"
    people_table(with_faces(frame)[list(columns)], columns, len(frame), alt, "lately_active")


def _lately_clicked() -> None:
    row = st.session_state["lately"].row
    st.query_params["id"] = people.link_to(st.session_state["lately_keys"][row])


def modules(person: str) -> None:
    """Progress as bars."""
    frame = data.modules(person, viewer_zone())
    if len(frame):
        frame = frame.assign(time=frame["time_spent_sec"].map(_span))
    section("Progress by module", frame, MODULE, "modules", "No module started yet.")


def _span(seconds: int) -> str:
    """`3 h 12 min`, `12 min`."""
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min"


def quizzes(person: str) -> None:
    """Scores over time with their pass marks, and the attempts behind them."""
    frame = data.attempts(person, viewer_zone())
    if frame.empty:
        section("Quiz scores over time", frame, ATTEMPT, "attempts", "No quiz submitted yet.")
        return
    drawn, listed = st.columns(2, gap="medium")
    with drawn:
        heading("Quiz scores over time")
        _draw(frame, _chosen(frame["quiz"].unique().tolist()))
    with listed:
        columns = attempts.with_scores(ATTEMPT, frame)
        file = File(
            lambda: attempts.with_results(data.attempts(person, viewer_zone(), whole=True)),
            columns,
        )
        section("Attempts", attempts.with_results(frame), columns, "attempts", "", file)
        cut_off(len(frame), data.attempt_count(person))


def _chosen(names: Sequence[str]) -> Sequence[str]:
    """The quizzes to draw where there are too many for all: by default the latest."""
    if len(names) <= CHARTS:
        return names
    chosen = filters.pick_several(
        "Quizzes to draw",
        "quizzes",
        names,
        f"The latest {CHARTS} of {len(names):,} quizzes; choose others",
        CHARTS,
    )
    return chosen or names[:CHARTS]


def _draw(frame: pd.DataFrame, quizzes: Sequence[str]) -> None:
    points = charts.on_the_clock(frame)
    st.caption(f"{charts.DRAWN}.{charts.not_drawn(frame)}")
    if points.empty:
        return
    span = charts.around(points["at"])
    grid = st.grid(2, min_column_width=280)
    for place, quiz in enumerate(quizzes):
        one = points[points["quiz"] == quiz]
        with grid.cell():
            st.markdown(plain(quiz))
            chart = charts.quiz_scores(one, span, palette())
            st.vega_lite_chart(chart, alt=f"Scores over time: {quiz}", key=f"quiz_{place}")


def completions(person: str) -> None:
    """Courses, with the vendor's report cards."""
    frame = data.completions(person, viewer_zone())
    columns = completion_columns(frame) if len(frame) else {}
    file = File(lambda: data.completions(person, viewer_zone(), whole=True), columns)
    nothing = "No course completed yet."
    section("Completed courses", frame, columns, "completions", nothing, file)
    cut_off(len(frame), data.completion_count(person))


def certificates(person: str) -> None:
    """Certificates, the most urgent first, renewed ones last."""
    frame = data.certificates(person, viewer_zone())
    frame = standing(frame) if len(frame) else frame
    section(
        "Certificates",
        frame,
        CERTIFICATE,
        "certificates",
        "No certificate has expired or will soon.",
    )


def coaching(person: str) -> None:
    """Rounds of coaching, the open ones first."""
    frame = data.cases(person, viewer_zone())
    if len(frame):
        frame = frame.assign(status=[_stands(row) for row in frame.itertuples()])
    columns = {name: one for name, one in CASE.items() if name in frame} if len(frame) else CASE
    section("Coaching", frame, columns, "coaching", "No quiz is flagged for coaching.")


def _stands(case: Any) -> str:
    until = case.snoozed_until
    return STATES[case.status] if pd.isna(until) else f"◷ Snoozed until {until:%-d %b}"


def roster(person: str) -> None:
    """Roster changes, and the accounts where there are several."""
    changes = _changes(data.roster(person, viewer_zone()))
    section("Roster history", changes, CHANGE, "roster", "No roster event for this learner.")
    known = data.accounts(person)
    if len(known) > 1:
        section("Accounts", _named(known), ACCOUNT, "accounts", "")


def _changes(frame: pd.DataFrame) -> pd.DataFrame:
    """In words. Only a departure has a reason, and it has no team and role."""
    if frame.empty:
        return frame
    left = frame["kind"] == "left"
    return frame.assign(
        kind=frame["kind"].map(KINDS),
        team_id=frame["team_id"].mask(left, "–"),
        role=frame["role"].mask(left, "–"),
        reason=frame["reason"].where(left, "–").map(people.without_addresses, na_action="ignore"),
    )


def messages(person: str) -> None:
    """What was sent about the person, to which person and when."""
    frame = data.messages(person)
    if len(frame):
        section("Messages about this learner", frame, sent.COLUMNS, "messages", "")


def events(person: str) -> None:
    """The latest events, each with its delivery for roles that may open it."""
    frame, count = data.events(person, viewer_zone())
    columns = EVENT | OPENS_DELIVERY if access.may("deliveries") else EVENT
    if len(frame):
        ids = frame["event_key"].map(people.event_id)
        links = frame["delivery_id"].map(_delivery)
        imported = frame["delivery_id"].map(_imported)
        frame = _named(frame).assign(delivery=links, event_key=ids, imported=imported)
        if imported.notna().any():
            columns = columns | IMPORTED
    section("Events", frame, columns, "events", "No event of this learner is stored.")
    if len(frame) < count:
        st.caption(f"The latest {len(frame):,} of {count:,} events.")


def _delivery(delivery_id: float) -> str:
    """The address of a delivery; empty once it was removed, and of an imported event."""
    return (
        "" if pd.isna(delivery_id) or delivery_id < 0 else f"deliveries?delivery={int(delivery_id)}"
    )


def _imported(delivery_id: float) -> str | None:
    """Which import brought an event; None if a delivery did."""
    imported = store.imported_from(delivery_id)
    return imported and people.without_addresses(imported)


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    names = store.vendors()
    return frame.assign(vendor=[names.get(one, one) for one in frame["vendor"]])
