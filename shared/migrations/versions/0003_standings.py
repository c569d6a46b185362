"""One person across vendors, standings for windows of any length, names, rounds of coaching.

What is derived from events is left to `rebuild`, which a row in `rebuild_due` asks for.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)
ACTIVE = sa.text("status IN ('open', 'in_progress')")


def upgrade() -> None:
    op.create_table("rebuild_due", sa.Column("revision", WORDS, primary_key=True))
    op.execute("INSERT INTO rebuild_due SELECT '0003' WHERE EXISTS (SELECT 1 FROM event)")
    _learners()
    _names()
    _standings()
    _coaching()
    op.create_index("audit_log_subject", "audit_log", ["subject", "id"])
    with op.batch_alter_table("course_completion") as course_completion:
        course_completion.add_column(sa.Column("report_url", WORDS))


def _learners() -> None:
    with op.batch_alter_table("learner") as learner:
        learner.add_column(sa.Column("identified_at", TIME))
        learner.add_column(sa.Column("person", WORDS, nullable=False, server_default=""))
    with op.batch_alter_table("learner") as learner:
        learner.alter_column("person", server_default=None)
    op.create_index("learner_person", "learner", ["person"])
    op.create_table(
        "roster_change",
        sa.Column("vendor", WORDS, primary_key=True),
        sa.Column("user_id", WORDS, primary_key=True),
        sa.Column("changed_at", TIME, primary_key=True),
        sa.Column("kind", WORDS, primary_key=True),
        sa.Column("role", WORDS),
        sa.Column("team_id", WORDS),
        sa.Column("reason", WORDS),
    )


def _names() -> None:
    op.create_table(
        "module",
        sa.Column("vendor", WORDS, primary_key=True),
        sa.Column("module_id", WORDS, primary_key=True),
        sa.Column("module_name", WORDS),
        sa.Column("named_at", TIME),
    )
    op.create_table(
        "quiz",
        sa.Column("vendor", WORDS, primary_key=True),
        sa.Column("quiz_id", WORDS, primary_key=True),
        sa.Column("quiz_name", WORDS),
        sa.Column("retake_pct", sa.Float),
        sa.Column("named_at", TIME),
    )


def _standings() -> None:
    op.create_table(
        "module_standing",
        sa.Column("vendor", WORDS, primary_key=True),
        sa.Column("user_id", WORDS, primary_key=True),
        sa.Column("module_id", WORDS, primary_key=True),
        sa.Column("slot", TIME, primary_key=True),
        sa.Column("progress_pct", sa.Float, nullable=False),
        sa.Column("time_spent_sec", sa.Integer, nullable=False),
    )
    op.create_table(
        "learner_standing",
        sa.Column("vendor", WORDS, primary_key=True),
        sa.Column("user_id", WORDS, primary_key=True),
        sa.Column("slot", TIME, primary_key=True),
        sa.Column("points", sa.Float, nullable=False),
        sa.Column("modules", sa.Integer, nullable=False),
        sa.Column("completed", sa.Integer, nullable=False),
        sa.Column("time_spent_sec", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "quiz_standing",
        sa.Column("vendor", WORDS, primary_key=True),
        sa.Column("user_id", WORDS, primary_key=True),
        sa.Column("quiz_id", WORDS, primary_key=True),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("practice_runs", sa.Integer, nullable=False),
        sa.Column("first_pct", sa.Float),
        sa.Column("previous_pct", sa.Float),
        sa.Column("latest_pct", sa.Float),
        sa.Column("best_pct", sa.Float),
        sa.Column("passed", sa.Boolean),
        sa.Column("submitted_at", TIME),
    )
    op.create_index("quiz_standing_quiz", "quiz_standing", ["vendor", "quiz_id", "latest_pct"])


def _coaching() -> None:
    with op.batch_alter_table("coaching_case") as case:
        case.add_column(sa.Column("opened_by", WORDS, nullable=False, server_default="unknown"))
        case.add_column(sa.Column("flagged_pct", sa.Float))
        case.add_column(sa.Column("updated_by", WORDS, nullable=False, server_default="unknown"))
        case.add_column(sa.Column("closed_at", TIME))
        case.add_column(sa.Column("passed_pct", sa.Float))
        case.add_column(sa.Column("passed_at", TIME))
        case.add_column(sa.Column("version", sa.Integer, nullable=False, server_default="1"))
    with op.batch_alter_table("coaching_case") as case:
        case.alter_column("opened_by", server_default=None)
        case.alter_column("updated_by", server_default=None)
        case.alter_column("version", server_default=None)
    op.create_index(
        "coaching_case_active",
        "coaching_case",
        ["vendor", "user_id", "quiz_id"],
        unique=True,
        sqlite_where=ACTIVE,
        postgresql_where=ACTIVE,
    )
