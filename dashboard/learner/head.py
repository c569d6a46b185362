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
from dashboard.base.windows import WORDS, Period, viewer_zone
from dashboard.learner import data
from shared.queries.learner import Profile, Summary
from shared.wording import number_of

SO_FAR = WORDS["all"]


def headline(person: Profile, standing: data.Standing, counts: Summary, period: Period) -> None:
    """Where the person stands, why, and who they are."""
    name = people.known_as(person.name, person.email, person.key)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.image(avatar(name), width=72, alt="")
        with st.container(width="stretch", gap="xxsmall"):
            answer(
                f"{plain(name)} {_stands(person, standing, period)}",
                " ".join([*_changed(standing), *_due(counts), *_nameless(person)]),
            )
            _badges(person)


def _stands(person: Profile, standing: data.Standing, period: Period) -> str:
    row = standing.row
    if not person.active:
        return f"left on {_day(person.deprovisioned_at)}"
    if row is None:
        return f"has no activity {period.none}"
    tied = "tied " if row.equals else ""
    active = number_of(standing.of, "active learner")
    return f"is {tied}{ordinal(row.rank)} of {active} {period.said}"


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
        done = f"**{counts.completed:,} of {counts.modules:,} modules** completed so far"
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


def _nameless(person: Profile) -> list[str]:
    """What to do about a learner whose events came without the one of the roster."""
    if person.name or person.email or not people.sees_names():
        return []
    return [
        f"No name was sent yet: an admin can look up this user ID at {plain(_vendors(person))}."
    ]


def figures(standing: data.Standing, counts: Summary, period: Period) -> None:
    """Points of the period, and as things stand now: modules, quizzes and certificates. Each says
    of what time it is."""
    row = standing.row
    due = counts.overdue + counts.due_soon + counts.expires_soon
    key_figures(
        [
            Figure(
                f"Points {period.said}",
                number(row.gained if row else 0),
                row.gained if row else 0,
                row.gained_before if row else None,
                course=standing.weeks,
                steps="in each of the last 8 weeks",
            ),
            Figure(f"Modules completed {SO_FAR}", f"{counts.completed:,} of {counts.modules:,}"),
            Figure(
                f"Quizzes passed {SO_FAR}", f"{counts.quizzes - counts.low:,} of {counts.quizzes:,}"
            ),
            Figure("Certificates to renew in 30 days", f"{due:,}"),
        ]
    )
    changes = f", against {period.compared}" if period.compared else ""
    st.caption(
        f"Rank and points {period.dates or 'of all time'}{changes}. "
        "All else on this page is as of now, whatever the period."
    )


def _badges(person: Profile) -> None:
    """Team, role, since when, vendors; whether someone who left still learns."""
    facts = [
        person.team_id or "team unknown",
        person.role or "role unknown",
        f"since {_day(person.provisioned_at)}",
        _vendors(person),
        person.email if person.name and people.sees_names() else None,
    ]
    badges = [f":gray-badge[{plain(one)}]" for one in facts if one]
    if not person.active:
        later = ", still learns for no team" if person.after_leaving else ""
        badges.append(f":orange-badge[:material/logout: left{later}]")
    st.markdown(" ".join(badges))


def _vendors(person: Profile) -> str:
    names = store.vendors()
    return ", ".join(sorted({names.get(one, one) for one in person.vendors.split(",")}))


def _day(at: datetime | None) -> str:
    return f"{pd.Timestamp(at).tz_convert(viewer_zone()):%-d %B %Y}" if at else "unknown"
