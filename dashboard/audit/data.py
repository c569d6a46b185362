"""Entries of the audit log for the page."""

from collections.abc import Sequence

import pandas as pd

from dashboard.base.paging import Part
from dashboard.base.people import sees_names, unnamed_log
from dashboard.base.store import framed, local, query, query_seldom
from shared.queries import audit
from shared.queries.audit import Asked
from shared.queries.windows import Window


def entries(asked: Asked, zone: str, part: Part) -> pd.DataFrame:
    """at (the viewer's time zone), actor, action, subject, detail."""
    rows = query(audit.entries, asked, part.limit, part.offset)
    return framed(rows, lambda frame: unnamed_log(local(frame, zone, "at")))


def how_many(asked: Asked) -> int:
    """The number of entries that the filters match."""
    return query(audit.how_many, asked)


def asked(window: Window, actor: str | None, action: str | None, words: str) -> Asked:
    """The question that the filters of the page make."""
    return Asked(window, actor, action, words or None, in_detail=sees_names())


def actors() -> Sequence[str]:
    return query_seldom(audit.actors)


def actions() -> Sequence[str]:
    return query_seldom(audit.actions)
