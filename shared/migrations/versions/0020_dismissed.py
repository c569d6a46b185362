"""When an admin dismissed a failed delivery. A column without a default rewrites no table."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("delivery", sa.Column("dismissed_at", sa.DateTime(timezone=True)))
