"""When a vendor said that a learner leaves.

A rebuild tells it of departures that were announced; of all others it is when they came.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("roster_change", sa.Column("said_at", TIME))
    op.execute("UPDATE roster_change SET said_at = changed_at")
    with op.batch_alter_table("roster_change") as table:
        table.alter_column("said_at", nullable=False)
    op.execute("INSERT INTO rebuild_due SELECT '0010' WHERE EXISTS (SELECT 1 FROM event)")
