"""Requests below /webhooks/ to no vendor, counted by hour."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "unknown_address",
        sa.Column("hour", TIME, primary_key=True),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("latest_at", TIME, nullable=False),
        sa.Column("latest_path", WORDS, nullable=False),
    )
