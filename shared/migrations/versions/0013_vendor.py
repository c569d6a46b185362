"""The facts of each vendor, as the receiver notes them for the dashboard."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "vendor",
        sa.Column("slug", WORDS, primary_key=True),
        sa.Column("facts", WORDS, nullable=False),
        sa.Column("configured", sa.Boolean, nullable=False),
        sa.Column("noted_at", TIME, nullable=False),
    )
