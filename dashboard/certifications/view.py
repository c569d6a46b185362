"""The certificates of people, by team, and completions by course."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import access
from dashboard.base import paging, people, pieces, store
from dashboard.base.certificates import (
    CERTIFICATE,
    completion_columns,
    standing,
)
from dashboard.base.pieces import plain
from dashboard.certifications import marks
from shared.queries.certifications import CertificateCounts
from shared.wording import number_of

KNOWN = (
    "MindTickle reports a certificate when it expires, or when an expiry is announced; it does not "
    "report renewals. A certificate counts as renewed when the learner completes a course of the "
    "same name after the expiry (upper and lower case are the same), or when a lead or admin marks "
    "it. A later expiry replaces the earlier one. A certificate without a reported expiry is not "
    "listed."
)
CHECK = (
    "If you expect expired certificates, check that the subscription lists certification.expired."
)

TEAM: Mapping[str, Any] = {
    "team_id": st.column_config.TextColumn("Team", width=80),
    "overdue": st.column_config.NumberColumn("Overdue", width=66),
    "due_soon": st.column_config.NumberColumn(
        "Due soon", width=68, help="The deadline is within 30 days."
    ),
    "expired": st.column_config.NumberColumn(
        "Expired",
        width=62,
        help="All expired certificates, overdue and due soon included; not renewed ones.",
    ),
    "expires_soon": st.column_config.NumberColumn(
        "Expires soon", width=85, help="The expiry is within 30 days."
    ),
}
RENEWED: Mapping[str, Any] = {
    "cert_name": CERTIFICATE["cert_name"],
    "stands": st.column_config.TextColumn("Renewed"),
    "expired_at": CERTIFICATE["expired_at"],
}
RENEWED_SHOWN = 200
"""Below the list that matters; the CSV has all."""
FITTING = ("open", "learner", "stands", "cert_name")
"""The columns that come first: a phone shows no others."""
MARK, UNDO = "Mark renewed", "Undo"


def headline(counts: CertificateCounts, first: pd.DataFrame) -> None:
    """How many need a renewal, whose comes first (`first`), and how many others there are."""
    if not any(counts):
        pieces.answer("No certificate has expired", "None is announced to expire either.")
        return
    urgent = counts.overdue or counts.due_soon or counts.expires_soon
    pieces.answer(_urgent(counts) if urgent else _calm(counts), _why(counts, first))


def _urgent(counts: CertificateCounts) -> str:
    """`3 certificates are overdue, 2 due within 30 days, 5 expire within 30 days`."""
    said = [
        (counts.overdue, "is overdue", "are overdue"),
        (
            counts.due_soon,
            "is due within 30 days",
            "are due within 30 days",
        ),
        (counts.expires_soon, "expires within 30 days", "expire within 30 days"),
    ]
    parts = [f"{count:,} {one if count == 1 else many}" for count, one, many in said if count]
    number, _, rest = parts[0].partition(" ")
    noun = "certificate" if number == "1" else "certificates"
    return ", ".join([f"{number} {noun} {rest}", *parts[1:]])


def _calm(counts: CertificateCounts) -> str:
    if not counts.expired:
        return "All certificates are in order"
    held = _counted(counts.expired, "certificate has", "certificates have")
    return f"{held} expired, none with a deadline within 30 days"


def _why(counts: CertificateCounts, first: pd.DataFrame) -> str:
    """Who is first, and how many there are of what the headline does not name."""
    said = []
    for row in standing(first).itertuples() if len(first) else ():
        said.append(
            f"**{plain(str(row.learner))}** comes first: {plain(str(row.cert_name))}, "
            f"{_in_sentence(str(row.stands))}."
        )
    if counts.expired:
        expired = _counted(counts.expired, "expired certificate", "expired certificates")
        said.append(f"{expired} in all, held by {_counted(counts.people, 'person', 'people')}.")
    if counts.renewed:
        said.append(f"Renewed, and not counted: {counts.renewed:,}.")
    return " ".join(said)


def _in_sentence(stands: str) -> str:
    """`overdue by 3 days` of `⚠ Overdue by 3 days`."""
    words = stands.partition(" ")[2]
    return words[:1].lower() + words[1:]


def courses_headline(counted: pd.DataFrame, window: str) -> None:
    """How many completions there were, and of which course most."""
    if counted.empty:
        pieces.answer(f"No course completed {window}")
        return
    most = store.each(counted)[0]
    total = int(counted["completions"].sum())
    pieces.answer(
        f"{_counted(total, 'course', 'courses')} completed {window}",
        f"The most completed of {number_of(len(counted), 'course')}: "
        f"**{plain(most.course_name)}**, {number_of(most.completions, 'time')} by "
        f"{_counted(most.people, 'person', 'people')}.",
    )


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


Rows = Callable[[paging.Part], pd.DataFrame]
"""The rows of a part of a list."""


def listed(rows: Rows, part: paging.Part, who: Mapping[str, Any]) -> None:
    """Certificates that are not renewed, the most urgent first, with a button for roles that may
    mark one."""
    frame = rows(part)
    if frame.empty:
        st.caption("Every expired certificate is renewed.")
        return
    all_columns = {**who, **people.in_file(), **CERTIFICATE}
    file = pieces.File(lambda: standing(rows(paging.WHOLE)), all_columns)
    every = {**who, **CERTIFICATE}
    urgent = {name: every[name] for name in FITTING}
    frame, columns = _with_mark(standing(frame), {**urgent, **every}, MARK)
    pieces.section("Most urgent first", people.opened(frame), columns, "certificates", "", file)


def completed(rows: Rows, part: paging.Part, who: Mapping[str, Any]) -> None:
    """Completed courses, the latest first."""
    frame = rows(part)
    columns = completion_columns(frame)
    file = pieces.File(lambda: rows(paging.WHOLE), {**who, **people.in_file(), **columns})
    shown = people.opened(frame)
    pieces.section("Latest first", shown, {**who, **columns}, "completions", "", file)


def renewed(rows: Rows, who: Mapping[str, Any]) -> None:
    """Renewed certificates, the latest first, with who or what renewed each."""
    frame = rows(paging.Part(0, RENEWED_SHOWN))
    if frame.empty:
        return
    there = int(frame["of"].iloc[0])
    shown = {name: one for name, one in who.items() if name != "open"}
    all_columns = {**shown, **people.in_file(), **RENEWED}
    file = pieces.File(lambda: standing(rows(paging.WHOLE)), all_columns)
    frame, columns = _with_mark(standing(frame), {**shown, **RENEWED}, UNDO)
    pieces.section("Renewed", frame, columns, "renewed", "", file)
    pieces.cut_off(len(frame), there)


def _with_mark(
    frame: pd.DataFrame, columns: Mapping[str, Any], button: str
) -> tuple[pd.DataFrame, Mapping[str, Any]]:
    if not access.may("renew_certificate"):
        return frame, columns
    return marks.markable(frame, button), {**columns, "mark": marks.column(button)}


def course_columns(frame: pd.DataFrame) -> Mapping[str, Any]:
    """Courses that were completed, the most completed first."""
    most = int(frame["completions"].max())
    return {
        "course_name": st.column_config.TextColumn("Course"),
        "completions": st.column_config.ProgressColumn(
            "Completions", format="%d", min_value=0, max_value=most, width=120
        ),
        "average": st.column_config.NumberColumn(
            "Score", format="%.0f", width=70, help="The average of completions that have a score."
        ),
        "people": st.column_config.NumberColumn("People", width=70),
    }
