"""Entries of the audit log for the page."""

from collections.abc import Sequence

import pandas as pd

from dashboard.audit import words
from dashboard.base.paging import Part
from dashboard.base.people import known_as, sees_names, unnamed_log
from dashboard.base.store import each, everybody, framed, local, query, query_seldom, vendors
from shared.queries import audit
from shared.queries.audit import Asked
from shared.queries.windows import Window


def entries(asked: Asked, zone: str, part: Part) -> pd.DataFrame:
    """at (the viewer's time zone), actor, action, subject, detail."""
    rows = query(audit.entries, asked, part.limit, part.offset)
    return framed(rows, lambda frame: unnamed_log(local(frame, zone, "at")))


def in_sentences(found: pd.DataFrame) -> pd.DataFrame:
    """With `said`: who did what to what, with the learner as the viewer may see them."""
    cases = {words.case_of(subject) for subject in found["subject"]} - {None}
    about = {
        row.case_id: f"{known_as(row.name, row.email, row.key)} on {row.quiz_name}"
        for row in query(audit.coached, tuple(sorted(filter(None, cases))), everybody())
    }
    names = vendors()
    of_cases = [about.get(words.case_of(subject) or 0) for subject in found["subject"]]
    entries_in_turn = zip(each(found), of_cases, strict=True)
    said = [words.sentence(row, case, names) for row, case in entries_in_turn]
    return found.assign(said=said)


def how_many(asked: Asked) -> int:
    """The number of entries that the filters match."""
    return query(audit.how_many, asked)


def asked(window: Window, actor: str | None, action: str | None, find: str) -> Asked:
    """The question that the filters of the page make."""
    return Asked(window, actor, action, find or None, in_detail=sees_names())


def actors() -> Sequence[str]:
    return query_seldom(audit.actors)


def actions() -> Sequence[str]:
    return query_seldom(audit.actions)
