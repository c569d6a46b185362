"""Bounded quarantine, requests for replay, and an index to find failures by their outcome."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_index("delivery_vendor_outcome", "delivery", ["vendor", "outcome", "received_at"])
    op.create_index("event_learner", "event", ["vendor", "user_id", "occurred_at"])
    op.create_index("course_completion_completed_at", "course_completion", ["completed_at"])
    with op.batch_alter_table("quarantine") as quarantine:
        quarantine.add_column(sa.Column("kind", WORDS, nullable=False, server_default="junk"))
    with op.batch_alter_table("quarantine") as quarantine:
        quarantine.alter_column("kind", server_default=None)
    op.create_index(
        "quarantine_vendor_state", "quarantine", ["vendor", "state", "kind", "delivery_id"]
    )
    op.create_table(
        "quarantine_total",
        sa.Column("vendor", WORDS, primary_key=True),
        sa.Column("kind", WORDS, primary_key=True),
        sa.Column("held", sa.Integer, nullable=False),
        sa.Column("held_bytes", sa.BigInteger, nullable=False),
        sa.Column("dropped", sa.Integer, nullable=False),
        sa.Column("dropped_bytes", sa.BigInteger, nullable=False),
    )
    op.execute(
        "INSERT INTO quarantine_total "
        "SELECT vendor, kind, count(*), sum(length(body) + length(headers)), 0, 0 "
        "FROM quarantine WHERE state = 'held' GROUP BY vendor, kind"
    )
    op.create_table(
        "replay_request",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("vendor", WORDS, nullable=False),
        sa.Column("outcome", WORDS),
        sa.Column("since", TIME),
        sa.Column("dry_run", sa.Boolean, nullable=False),
        sa.Column("requested_by", WORDS, nullable=False),
        sa.Column("requested_at", TIME, nullable=False),
        sa.Column("state", WORDS, nullable=False),
        sa.Column("seen_at", TIME),
        sa.Column("finished_at", TIME),
        sa.Column("taken", sa.Integer, nullable=False),
        sa.Column("already_delivered", sa.Integer, nullable=False),
        sa.Column("still_refused", sa.Integer, nullable=False),
        sa.Column("problem", WORDS),
    )
    op.create_index("replay_request_state", "replay_request", ["state"])
