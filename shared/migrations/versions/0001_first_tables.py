"""First tables: deliveries, quarantine, events, read models, coaching, audit."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
FAILED = sa.text("outcome NOT IN ('accepted', 'duplicate')")


def words(name: str, *, key: bool = False, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, WORDS, primary_key=key, nullable=null)


def time(name: str, *, null: bool = False) -> sa.Column[object]:
    return sa.Column(name, TIME, nullable=null)


def row_id(name: str = "id") -> sa.Column[int]:
    return sa.Column(name, ROW_ID, primary_key=True)


def create_log_of_deliveries() -> None:
    op.create_table(
        "delivery",
        row_id(),
        words("vendor"),
        time("received_at"),
        words("event_key", null=True),
        words("event_type", null=True),
        words("outcome"),
        words("reason", null=True),
        sa.Column("status_code", sa.Integer, nullable=False),
        sa.Column("duration_ms", sa.Float, nullable=False),
        words("remote_ip", null=True),
        sa.Column("body_bytes", sa.Integer, nullable=False),
        sa.Column("replay_of", ROW_ID),
    )
    op.create_index("delivery_received_at", "delivery", ["received_at"])
    op.create_index("delivery_vendor_event_key", "delivery", ["vendor", "event_key"])
    op.create_index(
        "delivery_failed",
        "delivery",
        ["received_at"],
        sqlite_where=FAILED,
        postgresql_where=FAILED,
    )
    op.create_table(
        "quarantine",
        sa.Column("delivery_id", ROW_ID, sa.ForeignKey("delivery.id"), primary_key=True),
        words("vendor"),
        time("received_at"),
        words("state"),
        words("headers"),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("quarantine_received_at", "quarantine", ["received_at"])
    op.create_table(
        "delivery_hourly",
        words("vendor", key=True),
        sa.Column("hour", TIME, primary_key=True),
        words("outcome", key=True),
        sa.Column("deliveries", sa.Integer, nullable=False),
    )


def create_events() -> None:
    op.create_table(
        "event",
        row_id(),
        words("vendor"),
        words("event_key"),
        words("digest"),
        words("type"),
        words("company_id", null=True),
        words("user_id", null=True),
        time("occurred_at"),
        time("received_at"),
        words("payload"),
        sa.Column("delivery_id", ROW_ID, nullable=False),
    )
    op.create_index("event_vendor_event_key_key", "event", ["vendor", "event_key"], unique=True)
    op.create_index("event_vendor_digest_key", "event", ["vendor", "digest"], unique=True)


def create_read_models_of_learners() -> None:
    op.create_table(
        "learner",
        words("vendor", key=True),
        words("user_id", key=True),
        words("email", null=True),
        words("name", null=True),
        words("role", null=True),
        words("team_id", null=True),
        sa.Column("active", sa.Boolean, nullable=False),
        time("provisioned_at", null=True),
        time("deprovisioned_at", null=True),
    )
    op.create_table(
        "module_progress",
        words("vendor", key=True),
        words("user_id", key=True),
        words("module_id", key=True),
        words("module_name", null=True),
        sa.Column("progress_pct", sa.Float, nullable=False),
        sa.Column("time_spent_sec", sa.Integer, nullable=False),
        time("updated_at"),
    )
    op.create_table(
        "module_progress_daily",
        words("vendor", key=True),
        words("user_id", key=True),
        words("module_id", key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("progress_pct", sa.Float, nullable=False),
        sa.Column("time_spent_sec", sa.Integer, nullable=False),
    )
    op.create_index("module_progress_daily_day", "module_progress_daily", ["day"])
    op.create_table(
        "certification",
        words("vendor", key=True),
        words("user_id", key=True),
        words("cert_name", key=True),
        time("expired_at"),
        time("renewal_deadline", null=True),
    )


def create_read_models_of_attempts() -> None:
    op.create_table(
        "quiz_attempt",
        words("vendor", key=True),
        words("event_key", key=True),
        words("user_id"),
        words("quiz_id"),
        words("quiz_name", null=True),
        sa.Column("score", sa.Float),
        sa.Column("max_score", sa.Float),
        sa.Column("passed", sa.Boolean),
        sa.Column("graded", sa.Boolean, nullable=False),
        time("submitted_at"),
    )
    op.create_index(
        "quiz_attempt_learner", "quiz_attempt", ["vendor", "user_id", "quiz_id", "submitted_at"]
    )
    op.create_index("quiz_attempt_submitted_at", "quiz_attempt", ["submitted_at"])
    op.create_table(
        "course_completion",
        words("vendor", key=True),
        words("event_key", key=True),
        words("user_id"),
        words("course_id"),
        words("course_name", null=True),
        sa.Column("score", sa.Float),
        time("completed_at"),
    )
    op.create_index(
        "course_completion_learner", "course_completion", ["vendor", "user_id", "completed_at"]
    )


def create_what_people_do() -> None:
    op.create_table(
        "coaching_case",
        row_id(),
        words("vendor"),
        words("user_id"),
        words("quiz_id"),
        words("status"),
        words("owner", null=True),
        sa.Column("due", sa.Date),
        words("notes", null=True),
        words("outcome", null=True),
        time("opened_at"),
        time("updated_at"),
    )
    op.create_index("coaching_case_learner", "coaching_case", ["vendor", "user_id", "quiz_id"])
    op.create_table(
        "quiz_threshold",
        words("vendor", key=True),
        words("quiz_id", key=True),
        sa.Column("threshold_pct", sa.Float, nullable=False),
    )
    op.create_table(
        "audit_log",
        row_id(),
        time("at"),
        words("actor"),
        words("action"),
        words("subject", null=True),
        words("detail", null=True),
    )
    op.create_index("audit_log_at", "audit_log", ["at"])
    op.create_table(
        "heartbeat",
        words("receiver", key=True),
        time("started_at"),
        time("seen_at"),
    )


def upgrade() -> None:
    create_log_of_deliveries()
    create_events()
    create_read_models_of_learners()
    create_read_models_of_attempts()
    create_what_people_do()
