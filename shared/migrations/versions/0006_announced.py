"""Departures and expiries that are announced for later, and ids without blanks around them.

Times later than their arrival no longer win, so the read models are rebuilt.
"""

import sqlalchemy as sa
from alembic import op

from shared.facts import BLANKS

revision = "0006"
down_revision = "0005"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    with op.batch_alter_table("learner") as learner:
        learner.add_column(sa.Column("leaves_at", TIME))
    with op.batch_alter_table("certification") as certification:
        certification.add_column(sa.Column("expires_at", TIME))
    event = sa.table("event", sa.column("user_id", sa.Text))
    bare = sa.func.trim(event.c.user_id, BLANKS)
    op.execute(event.update().where(event.c.user_id != bare).values(user_id=bare))
    op.execute("INSERT INTO rebuild_due SELECT '0006' WHERE EXISTS (SELECT 1 FROM event)")
