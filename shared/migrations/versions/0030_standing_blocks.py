"""The standings of each learner by four weeks, and when they were in which team.

A rebuild makes both.
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "standing_block",
        sa.Column("vendor", WORDS, primary_key=True),
        sa.Column("user_id", WORDS, primary_key=True),
        sa.Column("block", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("until", sa.Integer, nullable=False),
        sa.Column("standings", WORDS, nullable=False),
    )
    op.create_index("standing_block_until", "standing_block", ["vendor", "user_id", "until"])
    op.create_table(
        "team_spell",
        sa.Column("person", WORDS, primary_key=True),
        sa.Column("began_at", TIME, primary_key=True),
        sa.Column("team_id", WORDS, nullable=False),
        sa.Column("ended_at", TIME, nullable=False),
        sa.Column("credited_from", TIME, nullable=False),
    )
    op.execute("INSERT INTO rebuild_due SELECT '0030' WHERE EXISTS (SELECT 1 FROM event)")
