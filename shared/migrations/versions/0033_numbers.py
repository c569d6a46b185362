"""How numbers are written in the messages of a subscription."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0031"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column(
        "subscription", sa.Column("numbers", WORDS, nullable=False, server_default="comma")
    )
