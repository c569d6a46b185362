"""The index of a quiz's results has when they were, so a queue reads no row of an older one."""

from alembic import op

revision = "0031"
down_revision = "0030"

COLUMNS = ["vendor", "quiz_id", "latest_pct", "passed", "tries", "user_id", "submitted_at"]


def upgrade() -> None:
    op.drop_index("quiz_standing_quiz", "quiz_standing")
    op.create_index("quiz_standing_quiz", "quiz_standing", COLUMNS)
