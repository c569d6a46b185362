"""Messages to people: channels, subscriptions, the outbox, and which notifier works."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
UNSENT = sa.text("state IN ('waiting', 'sending', 'held')")


def upgrade() -> None:
    op.create_table(
        "channel",
        sa.Column("name", WORDS, primary_key=True),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("removed", sa.Boolean, nullable=False),
        sa.Column("problem", WORDS),
        sa.Column("problem_at", TIME),
    )
    op.create_table(
        "notifier",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("holder", WORDS),
        sa.Column("lease_until", TIME),
    )
    _subscription()
    _notification()


def _subscription() -> None:
    op.create_table(
        "subscription",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("person", WORDS, nullable=False),
        sa.Column("rule", WORDS, nullable=False),
        sa.Column("channel", WORDS, nullable=False),
        sa.Column("role", WORDS, nullable=False),
        sa.Column("teams", WORDS),
        sa.Column("zone", WORDS, nullable=False),
        sa.Column("hour", sa.Integer, nullable=False),
        sa.Column("quiet_from", sa.Integer),
        sa.Column("quiet_until", sa.Integer),
        sa.Column("snoozed_until", TIME),
        sa.Column("token", WORDS, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
    )
    key = ["person", "rule", "channel"]
    op.create_index("subscription_key", "subscription", key, unique=True)
    op.create_index("subscription_token", "subscription", ["token"], unique=True)
    op.create_index("subscription_rule", "subscription", ["rule"])


def _notification() -> None:
    op.create_table(
        "notification",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("rule", WORDS, nullable=False),
        sa.Column("subject", WORDS, nullable=False),
        sa.Column("round", WORDS, nullable=False),
        sa.Column("recipient", WORDS, nullable=False),
        sa.Column("subscription_id", ROW_ID, nullable=False),
        sa.Column("channel", WORDS, nullable=False),
        sa.Column("vendor", WORDS),
        sa.Column("user_id", WORDS),
        sa.Column("urgent", sa.Boolean, nullable=False),
        sa.Column("state", WORDS, nullable=False),
        sa.Column("message_id", WORDS),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("caused_at", TIME, nullable=False),
        sa.Column("next_try_at", TIME, nullable=False),
        sa.Column("sent_at", TIME),
        sa.Column("error", WORDS),
    )
    key = ["rule", "subject", "round", "recipient"]
    op.create_index("notification_key", "notification", key, unique=True)
    op.create_index(
        "notification_open",
        "notification",
        ["next_try_at"],
        sqlite_where=UNSENT,
        postgresql_where=UNSENT,
    )
    op.create_index("notification_recipient", "notification", ["recipient", "rule", "sent_at"])
    op.create_index("notification_caused_at", "notification", ["caused_at"])
    op.create_index("notification_learner", "notification", ["vendor", "user_id"])
