"""A request for a replay keeps why deliveries were still refused."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0033"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("replay_request", sa.Column("refused_as", WORDS))
