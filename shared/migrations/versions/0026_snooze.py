"""A round of coaching can be snoozed until a day."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.add_column("coaching_case", sa.Column("snoozed_until", sa.Date))
