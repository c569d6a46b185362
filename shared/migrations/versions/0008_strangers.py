"""Which deliveries are strangers', and what is held once.

The large table gets columns with a default, which neither store rewrites it for; then only rows
that failed are looked at, by their index.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
OF_VENDOR = "sender = 'vendor'"
OF_STRANGERS = "sender = 'stranger'"
FAILED = f"{OF_VENDOR} AND outcome NOT IN ('accepted', 'duplicate')"
BEFORE = """
    CREATE TEMPORARY TABLE hourly_before AS
    SELECT vendor, hour, outcome, deliveries,
      CASE WHEN outcome = 'missing_credentials' THEN deliveries ELSE (
        SELECT count(*) FROM delivery
        WHERE sender = 'stranger' AND delivery.vendor = delivery_hourly.vendor
          AND delivery.outcome = delivery_hourly.outcome
          AND received_at >= hour AND received_at < :next_hour
      ) END AS strangers
    FROM delivery_hourly
"""
BEFORE_ON_SQLITE = BEFORE.replace(":next_hour", "datetime(hour, '+1 hour') || '.000000'")
BEFORE_ON_POSTGRES = BEFORE.replace(":next_hour", "hour + interval '1 hour'")
HELD = "state = 'held'"


def upgrade() -> None:
    sender = sa.Column("sender", WORDS, nullable=False, server_default="vendor")
    op.add_column("delivery", sender)
    op.add_column("delivery", sa.Column("held_as", ROW_ID))
    op.add_column("quarantine", sa.Column("digest", WORDS))
    _tell_strangers()
    _indexes()
    _count_strangers()


def _tell_strangers() -> None:
    """By what was held of it. Of the rest: what had no credential, and what had a wrong one, as
    only junk was left out of quarantine at once. A body that was too large was never read: without
    an event id, which most vendors send as a header, it is a stranger's."""
    op.execute(
        "UPDATE delivery SET sender = 'stranger' WHERE outcome NOT IN ('accepted', 'duplicate') "
        "AND (outcome = 'missing_credentials' OR (outcome = 'too_large' AND event_key IS NULL) "
        "OR (outcome IN ('bad_signature', 'wrong_credentials', 'ip_not_allowed') "
        "AND NOT EXISTS (SELECT 1 FROM quarantine WHERE quarantine.delivery_id = delivery.id "
        "AND quarantine.kind <> 'junk')))"
    )


def _indexes() -> None:
    by_outcome = ["vendor", "outcome", "received_at"]
    op.drop_index("delivery_failed", "delivery")
    op.drop_index("delivery_vendor_outcome", "delivery")
    _partial("delivery_failed", "delivery", ["received_at"], FAILED)
    _partial("delivery_vendor_outcome", "delivery", by_outcome, OF_VENDOR)
    _partial("delivery_stranger", "delivery", by_outcome, OF_STRANGERS)
    _partial("quarantine_digest", "quarantine", ["vendor", "digest"], HELD, unique=True)


def _partial(
    name: str, table: str, columns: list[str], condition: str, *, unique: bool = False
) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)


def _count_strangers() -> None:
    """Hours get a row for each sender. What has no delivery any more is judged by its outcome."""
    op.execute(BEFORE_ON_SQLITE if op.get_bind().dialect.name == "sqlite" else BEFORE_ON_POSTGRES)
    op.drop_table("delivery_hourly")
    op.create_table(
        "delivery_hourly",
        sa.Column("vendor", WORDS, primary_key=True),
        sa.Column("hour", TIME, primary_key=True),
        sa.Column("outcome", WORDS, primary_key=True),
        sa.Column("sender", WORDS, primary_key=True, server_default="vendor"),
        sa.Column("deliveries", sa.Integer, nullable=False),
    )
    op.execute(
        "INSERT INTO delivery_hourly (vendor, hour, outcome, sender, deliveries) "
        "SELECT vendor, hour, outcome, 'stranger', strangers FROM hourly_before "
        "WHERE strangers > 0 UNION ALL "
        "SELECT vendor, hour, outcome, 'vendor', deliveries - strangers FROM hourly_before "
        "WHERE deliveries > strangers"
    )
    op.execute("DROP TABLE hourly_before")
