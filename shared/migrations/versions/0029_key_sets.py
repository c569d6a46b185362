"""Public keys of vendors that sign tokens, and the shape of the fields in events."""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "key_set",
        sa.Column("vendor", WORDS, primary_key=True),
        sa.Column("url", WORDS, nullable=False),
        sa.Column("tried_at", TIME, nullable=False),
        sa.Column("fetched_at", TIME),
        sa.Column("problem", WORDS),
    )
    op.create_table(
        "public_key",
        sa.Column("vendor", WORDS, primary_key=True),
        sa.Column("kid", WORDS, primary_key=True),
        sa.Column("jwk", WORDS, nullable=False),
        sa.Column("withdrawn_at", TIME),
    )
    op.create_table(
        "field_hourly",
        sa.Column("vendor", WORDS, primary_key=True),
        sa.Column("event_type", WORDS, primary_key=True),
        sa.Column("hour", TIME, primary_key=True),
        sa.Column("field", WORDS, primary_key=True),
        sa.Column("shape", WORDS, primary_key=True),
        sa.Column("events", sa.Integer, nullable=False),
    )
    op.create_table(
        "field_checkpoint",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("event_id", ROW_ID, nullable=False),
    )
