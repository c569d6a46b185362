"""Screens: wall displays that wait for their code to be entered, and those that are paired."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "screen",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("token_hash", WORDS, nullable=False),
        sa.Column("code", WORDS),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME),
        sa.Column("confirmed_at", TIME),
        sa.Column("confirmed_by", WORDS),
        sa.Column("teams", WORDS),
        sa.Column("seen_at", TIME),
    )
    op.create_index("screen_token_hash", "screen", ["token_hash"], unique=True)
    op.create_index("screen_code", "screen", ["code"], unique=True)
