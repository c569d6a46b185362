"""Certificates that are marked as renewed; contests and their results."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
RENEWED = sa.text("undone_at IS NULL")


def upgrade() -> None:
    _renewals()
    _contests()


def _renewals() -> None:
    op.create_table(
        "certificate_renewal",
        sa.Column("id", ROW_ID, primary_key=True),
        *(sa.Column(name, WORDS, nullable=False) for name in ("vendor", "user_id", "cert_name")),
        sa.Column("expired_at", TIME, nullable=False),
        sa.Column("renewed_at", TIME, nullable=False),
        sa.Column("renewed_by", WORDS, nullable=False),
        sa.Column("undone_at", TIME),
        sa.Column("undone_by", WORDS),
    )
    op.create_index(
        "certificate_renewal_key",
        "certificate_renewal",
        ["vendor", "user_id", "cert_name", "expired_at"],
        unique=True,
        sqlite_where=RENEWED,
        postgresql_where=RENEWED,
    )


def _contests() -> None:
    op.create_table(
        "contest",
        sa.Column("id", ROW_ID, primary_key=True),
        *(sa.Column(name, WORDS, nullable=False) for name in ("name", "board", "metric")),
        sa.Column("first_day", sa.Date, nullable=False),
        sa.Column("last_day", sa.Date, nullable=False),
        sa.Column("zone", WORDS, nullable=False),
        sa.Column("all_teams", sa.Boolean, nullable=False),
        sa.Column("hidden", sa.Boolean, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("created_by", WORDS, nullable=False),
        sa.Column("removed_at", TIME),
        sa.Column("stored_at", TIME),
        sa.Column("stored_event", ROW_ID),
    )
    op.create_table(
        "contest_team",
        sa.Column("contest_id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("team_id", WORDS, primary_key=True),
    )
    op.create_table(
        "contest_result",
        sa.Column("contest_id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("vendor", WORDS),
        sa.Column("user_id", WORDS),
        sa.Column("team_id", WORDS),
        sa.Column("members", sa.Integer),
        sa.Column("value", sa.Float, nullable=False),
    )
    op.create_index("contest_result_learner", "contest_result", ["vendor", "user_id"])
