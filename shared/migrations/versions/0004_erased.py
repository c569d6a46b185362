"""That people were erased: how many rows each time, and nothing that says who."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
COUNTS = ("accounts", "events", "deliveries", "held", "cases", "mentions")


def upgrade() -> None:
    op.create_table(
        "erased",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("erased_at", TIME, nullable=False),
        sa.Column("actor", WORDS, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in COUNTS),
    )
