"""Forwards: types of each target, their bodies, and how far events were looked through."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "forwarding",
        sa.Column("target", WORDS, primary_key=True),
        sa.Column("type", WORDS, primary_key=True),
        sa.Column("since", TIME, nullable=False),
    )
    op.add_column("notification", sa.Column("payload", WORDS))
    op.add_column("notifier", sa.Column("forwarded_event_id", ROW_ID))
