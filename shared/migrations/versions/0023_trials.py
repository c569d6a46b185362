"""Tests of a vendor's address that are asked for on the dashboard."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
OPEN = sa.text("finished_at IS NULL")


def upgrade() -> None:
    op.create_table(
        "trial",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("vendor", WORDS, nullable=False),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("asked_by", WORDS, nullable=False),
        sa.Column("started_at", TIME),
        sa.Column("finished_at", TIME),
        sa.Column("status", sa.Integer),
        sa.Column("problem", WORDS),
    )
    op.create_index(
        "trial_open", "trial", ["vendor"], unique=True, sqlite_where=OPEN, postgresql_where=OPEN
    )
    op.create_index("trial_vendor_id", "trial", ["vendor", "id"])
