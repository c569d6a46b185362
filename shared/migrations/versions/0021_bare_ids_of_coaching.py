"""IDs without blanks around them in coaching and thresholds, as events and read models have them.

Of two active cases for one quiz the newer stays open. Of two thresholds the one without blanks
stays: it is the one that has counted since.
"""

from collections import defaultdict
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from shared.facts import trimmed

revision = "0021"
down_revision = "0020"

TIME = sa.DateTime(timezone=True)
case = sa.table(
    "coaching_case",
    sa.column("id", sa.BigInteger),
    *(sa.column(name, sa.Text) for name in ("vendor", "user_id", "quiz_id", "status", "outcome")),
    *(sa.column(name, TIME) for name in ("opened_at", "updated_at", "closed_at")),
    sa.column("updated_by", sa.Text),
    sa.column("version", sa.Integer),
)
threshold = sa.table("quiz_threshold", sa.column("vendor", sa.Text), sa.column("quiz_id", sa.Text))


def upgrade() -> None:
    connection = op.get_bind()
    _trim_cases(connection)
    _trim_thresholds(connection)


def _trim_cases(connection: sa.Connection) -> None:
    columns = (case.c.id, case.c.vendor, case.c.user_id, case.c.quiz_id, case.c.status)
    newest_first = sa.select(*columns).order_by(case.c.opened_at.desc(), case.c.id.desc())
    found = connection.execute(newest_first).all()
    active: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for row in found:
        if row.status in ("open", "in_progress"):
            active[row.vendor, trimmed(row.user_id), trimmed(row.quiz_id)].append(row.id)
    now = datetime.now(UTC)
    for _, *older in active.values():
        closed = sa.update(case).where(case.c.id.in_(older)).values(
            status="dismissed", outcome="A newer case for the same quiz is open.", closed_at=now,
            updated_at=now, updated_by="migration", version=case.c.version + 1,
        )  # fmt: skip
        connection.execute(closed)
    for row in found:
        bare = {"user_id": trimmed(row.user_id), "quiz_id": trimmed(row.quiz_id)}
        if bare != {"user_id": row.user_id, "quiz_id": row.quiz_id}:
            connection.execute(sa.update(case).where(case.c.id == row.id).values(bare))


def _trim_thresholds(connection: sa.Connection) -> None:
    found = connection.execute(sa.select(threshold).order_by(threshold.c.quiz_id)).all()
    kept = {(row.vendor, row.quiz_id) for row in found}
    for row in found:
        bare = trimmed(row.quiz_id)
        if bare == row.quiz_id:
            continue
        same = sa.and_(threshold.c.vendor == row.vendor, threshold.c.quiz_id == row.quiz_id)
        if (row.vendor, bare) in kept:
            connection.execute(sa.delete(threshold).where(same))
        else:
            connection.execute(sa.update(threshold).where(same).values(quiz_id=bare))
            kept.add((row.vendor, bare))
