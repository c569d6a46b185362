"""The follower: how far it is, and which events it cannot fold. Counts by hour get parts.

The read models of an earlier version have all events. Each index of `delivery` and `event` stays:
a query of a page needs it (attempts of an event, the list by time, the latest of an outcome, a
learner's events) or it decides about duplicates.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _follower()
    _parts()


def _follower() -> None:
    op.create_table(
        "checkpoint",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("event_id", ROW_ID, nullable=False),
        sa.Column("newest_id", ROW_ID, nullable=False),
        sa.Column("folds", sa.BigInteger, nullable=False),
        sa.Column("holder", WORDS),
        sa.Column("lease_until", TIME),
    )
    op.execute(
        "INSERT INTO checkpoint (id, event_id, newest_id, folds) "
        "SELECT 1, coalesce(max(id), 0), coalesce(max(id), 0), 0 FROM event"
    )
    op.create_table(
        "unfoldable_event",
        sa.Column("event_id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("reason", WORDS, nullable=False),
        sa.Column("noted_at", TIME, nullable=False),
    )


def _parts() -> None:
    """A column of a primary key: SQLite needs a new table for it."""
    op.execute("CREATE TEMPORARY TABLE hourly_before AS SELECT * FROM delivery_hourly")
    op.drop_table("delivery_hourly")
    op.create_table(
        "delivery_hourly",
        sa.Column("vendor", WORDS, primary_key=True),
        sa.Column("hour", TIME, primary_key=True),
        sa.Column("outcome", WORDS, primary_key=True),
        sa.Column("sender", WORDS, primary_key=True, server_default="vendor"),
        sa.Column("part", sa.Integer, primary_key=True, server_default="0", autoincrement=False),
        sa.Column("deliveries", sa.Integer, nullable=False),
    )
    op.execute(
        "INSERT INTO delivery_hourly (vendor, hour, outcome, sender, deliveries) "
        "SELECT vendor, hour, outcome, sender, deliveries FROM hourly_before"
    )
    op.execute("DROP TABLE hourly_before")
