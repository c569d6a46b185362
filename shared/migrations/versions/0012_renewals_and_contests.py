"""Certificates that are marked as renewed."""

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
