"""The score: its weights, and the events of Standard Webhooks that count for it.

The events from before come with a rebuild.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0013"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "score_weight",
        sa.Column("kind", WORDS, primary_key=True),
        sa.Column("event_type", WORDS, primary_key=True),
        sa.Column("points", sa.Float, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("updated_by", WORDS, nullable=False),
    )
    op.create_table(
        "activity",
        sa.Column("vendor", WORDS, primary_key=True),
        sa.Column("event_key", WORDS, primary_key=True),
        sa.Column("person", WORDS, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("happened_at", TIME, nullable=False),
    )
    op.create_index("activity_person", "activity", ["person", "happened_at"])
    op.create_index("activity_happened_at", "activity", ["happened_at"])
    op.execute("INSERT INTO rebuild_due SELECT '0015' WHERE EXISTS (SELECT 1 FROM event)")
