"""What stands above the page of a learner: who they are, how they stand, what is due."""

from datetime import datetime

import pandas as pd
import streamlit as st

from dashboard.base import people, store
from dashboard.base.amounts import amount, number, ordinal
from dashboard.base.certificates import certificates_expire
from dashboard.base.percent import percent
from dashboard.base.pictures import avatar
from dashboard.base.pieces import Figure, answer, key_figures, plain
from dashboard.base.windows import viewer_zone
from dashboard.learner import data
from shared.queries.learner import Profile, Summary
from shared.wording import number_of


def headline(person: Profile, standing: data.Standing, counts: Summary, window: str) -> None:
    """Where the person stands, why, and who they are. `window` ends a sentence."""
    name = people.known_as(person.name, person.email, person.key)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.image(avatar(name), width=72, alt="")
        with st.container(width="stretch", gap="xxsmall"):
            answer(
                f"{plain(name)} {_stands(person, standing, window)}",
                " ".join([*_changed(standing), *_due(counts)]),
            )
            _badges(person)


def _stands(person: Profile, standing: data.Standing, window: str) -> str:
    row = standing.row
    if not person.active:
        return f"left on {_day(person.deprovisioned_at)}"
    if row is None:
        return f"has no activity {window}"
    tied = "tied " if row.equals else ""
    return f"is {tied}{ordinal(row.rank)} of {standing.of:,} {window}"


def _changed(standing: data.Standing) -> list[str]:
    """Points of the period and places won or lost against the one before."""
    row = standing.row
    if row is None:
        return []
    rise = row.rank_before - row.rank if row.rank_before else 0
    moved = f", {'up' if rise > 0 else 'down'} {number_of(abs(rise), 'place')}" if rise else ""
    return [f"{amount('gained', row.gained)} gained{moved}."]


def _due(counts: Summary) -> list[str]:
    """Progress, quizzes, certificates and coaching."""
    parts = ["No module started yet."]
    if counts.modules:
        done = f"**{counts.completed:,} of {counts.modules:,} modules** completed"
        parts = [f"{done}, {percent(counts.average)} on average."]
    if counts.low:
        parts.append(f"**{counts.low:,} of {counts.quizzes:,} quizzes** low at the latest try.")
    if counts.overdue or counts.due_soon:
        due = f"**{counts.overdue:,} overdue**, {counts.due_soon:,} due within 30 days"
        parts.append(f"Certificates: {due}.")
    if counts.expires_soon:
        parts.append(f"**{certificates_expire(counts.expires_soon)}** within 30 days.")
    if counts.coaching:
        parts.append(f"Coaching: **{counts.coaching:,} open**.")
    return parts


def figures(standing: data.Standing, counts: Summary, window: str) -> None:
    """Points of the period, modules, quizzes and certificates."""
    row = standing.row
    due = counts.overdue + counts.due_soon + counts.expires_soon
    key_figures(
        [
            Figure(
                f"Points {window}",
                number(row.gained if row else 0),
                row.gained if row else 0,
                row.gained_before if row else None,
                course=standing.weeks,
                steps="in each of the last 8 weeks",
            ),
            Figure("Modules completed", f"{counts.completed:,} of {counts.modules:,}"),
            Figure("Quizzes passed", f"{counts.quizzes - counts.low:,} of {counts.quizzes:,}"),
            Figure("Certificates to renew", f"{due:,}"),
        ]
    )


def _badges(person: Profile) -> None:
    """Team, role, since when, vendors; whether someone who left still learns."""
    names = store.vendors()
    facts = [
        person.team_id or "team unknown",
        person.role or "role unknown",
        f"since {_day(person.provisioned_at)}",
        ", ".join(sorted({names.get(one, one) for one in person.vendors.split(",")})),
        person.email if person.name and people.sees_names() else None,
    ]
    badges = [f":gray-badge[{plain(one)}]" for one in facts if one]
    if not person.active:
        later = ", still learns for no team" if person.after_leaving else ""
        badges.append(f":orange-badge[:material/logout: left{later}]")
    st.markdown(" ".join(badges))


def _day(at: datetime | None) -> str:
    return f"{pd.Timestamp(at).tz_convert(viewer_zone()):%-d %B %Y}" if at else "unknown"
