"""Daily totals, and the first and the previous score of a quiz: written, and never read."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.drop_table("module_progress_daily")
    op.drop_column("quiz_standing", "first_pct")
    op.drop_column("quiz_standing", "previous_pct")
