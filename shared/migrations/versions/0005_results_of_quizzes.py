"""The index of a quiz's results has all that tells how it went."""

from alembic import op

revision = "0005"
down_revision = "0004"

COLUMNS = ["vendor", "quiz_id", "latest_pct", "passed", "tries", "user_id"]


def upgrade() -> None:
    op.drop_index("quiz_standing_quiz", "quiz_standing")
    op.create_index("quiz_standing_quiz", "quiz_standing", COLUMNS)
