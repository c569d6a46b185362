"""Entries of the audit log for the page."""

import pandas as pd

from dashboard.base.people import sees_names, unnamed_log
from dashboard.base.store import Version, cached, framed, kept, local, read
from shared.queries import audit
from shared.queries.audit import Asked
from shared.queries.windows import Window


@kept
def entries(version: Version, asked: Asked, zone: str) -> pd.DataFrame:
    """at (the viewer's time zone), actor, action, subject, detail, of."""
    with read() as connection:
        rows = audit.entries(connection, asked)
    return framed(rows, lambda frame: unnamed_log(local(frame, zone, "at")))


def asked(window: Window, actor: str | None, action: str | None, words: str) -> Asked:
    """The question that the filters of the page make."""
    return Asked(window, actor, action, words or None, in_detail=sees_names())


@cached("30s")
def actors() -> list[str]:
    with read() as connection:
        return list(audit.actors(connection))


@cached("30s")
def actions() -> list[str]:
    with read() as connection:
        return list(audit.actions(connection))
