"""Requests of vendors: deliveries, their events, and what is kept of the others."""

from datetime import datetime

from sqlalchemy import BigInteger, LargeBinary, text
from sqlmodel import Field, Index

from shared.models.columns import RowId, Table, UtcDateTime, Words

OF_VENDOR = "sender = 'vendor'"
OF_STRANGERS = "sender = 'stranger'"
FAILED = f"{OF_VENDOR} AND outcome NOT IN ('accepted', 'duplicate')"
"""Conditions of partial indexes. A query repeats one word for word, so that it never reads the
requests of strangers, however many there are."""
QUARANTINED = "state = 'held'"
TRIAL_IS_OPEN = "finished_at IS NULL"


class Delivery(Table, table=True):
    """One HTTP request to a configured vendor, with any outcome.

    `sender` is `vendor`, or `stranger` if it cannot be the vendor's. Only the first requests of
    strangers in an hour have a row. `held_as` is the earlier delivery with the same body in
    quarantine.
    """

    __table_args__ = (
        Index("delivery_received_at", "received_at"),
        Index("delivery_vendor_event_key", "vendor", "event_key"),
        Index(
            "delivery_vendor_outcome",
            "vendor",
            "outcome",
            "received_at",
            sqlite_where=text(OF_VENDOR),
            postgresql_where=text(OF_VENDOR),
        ),
        Index(
            "delivery_stranger",
            "vendor",
            "outcome",
            "received_at",
            sqlite_where=text(OF_STRANGERS),
            postgresql_where=text(OF_STRANGERS),
        ),
        Index(
            "delivery_failed",
            "received_at",
            sqlite_where=text(FAILED),
            postgresql_where=text(FAILED),
        ),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    vendor: str = Field(sa_type=Words)
    received_at: datetime = Field(sa_type=UtcDateTime)
    event_key: str | None = Field(default=None, sa_type=Words)
    event_type: str | None = Field(default=None, sa_type=Words)
    outcome: str = Field(sa_type=Words)
    reason: str | None = Field(default=None, sa_type=Words)
    status_code: int
    duration_ms: float
    remote_ip: str | None = Field(default=None, sa_type=Words)
    body_bytes: int
    replay_of: int | None = Field(default=None, sa_type=RowId)
    sender: str = Field(
        default="vendor", sa_type=Words, sa_column_kwargs={"server_default": "vendor"}
    )
    held_as: int | None = Field(default=None, sa_type=RowId)
    """No foreign key: quarantine drops bodies to make room."""
    dismissed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When an admin dismissed its event, which then no longer counts as missing."""


class DeliveryHourly(Table, table=True):
    """Deliveries per vendor, hour, outcome and sender, so that a timeline never counts deliveries.

    Includes all requests of strangers, also the ones without a row in `delivery`. The count of an
    hour is the sum over `part`: each receiver counts in a part of its own, so that on Postgres no
    receiver waits for another. Part 0 has the requests that are listed only up to a number an hour.
    """

    __tablename__ = "delivery_hourly"

    vendor: str = Field(primary_key=True, sa_type=Words)
    hour: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    outcome: str = Field(primary_key=True, sa_type=Words)
    sender: str = Field(
        default="vendor",
        primary_key=True,
        sa_type=Words,
        sa_column_kwargs={"server_default": "vendor"},
    )
    part: int = Field(default=0, primary_key=True, sa_column_kwargs={"server_default": "0"})
    deliveries: int


class Quarantine(Table, table=True):
    """Body of a delivery that gave no event, and the headers needed to verify it again.

    `kind` says what is dropped first when quarantine is full: `junk`, then `well_formed` (only the
    credential was wrong), then `authentic` (not understood). `state` is `held` (in quarantine),
    `replayed` (it gave an event) or `discarded` (the vendor's own retry did). `digest` identifies
    repeats, which are quarantined once. Rows from before digests have none.
    """

    __table_args__ = (
        Index("quarantine_vendor_state", "vendor", "state", "kind", "delivery_id"),
        Index(
            "quarantine_digest",
            "vendor",
            "digest",
            unique=True,
            sqlite_where=text(QUARANTINED),
            postgresql_where=text(QUARANTINED),
        ),
    )

    delivery_id: int = Field(primary_key=True, foreign_key="delivery.id", sa_type=RowId)
    vendor: str = Field(sa_type=Words)
    received_at: datetime = Field(sa_type=UtcDateTime, index=True)
    state: str = Field(default="held", sa_type=Words)
    headers: str = Field(sa_type=Words)
    body: bytes = Field(sa_type=LargeBinary)
    kind: str = Field(default="junk", sa_type=Words)
    digest: str | None = Field(default=None, sa_type=Words)


class QuarantineTotal(Table, table=True):
    """What a vendor's quarantine contains, and what was dropped to stay within its caps."""

    __tablename__ = "quarantine_total"

    vendor: str = Field(primary_key=True, sa_type=Words)
    kind: str = Field(primary_key=True, sa_type=Words)
    held: int
    held_bytes: int = Field(sa_type=BigInteger)
    dropped: int
    dropped_bytes: int = Field(sa_type=BigInteger)


class ReplayRequest(Table, table=True):
    """An admin's request to replay quarantined deliveries. A receiver runs it.

    `state` is `requested`, `running`, `done` or `failed`. The counts are quarantined deliveries and
    grow while it runs; `refused_as` has those still refused by outcome, as JSON. `seen_at` is the
    receiver's last sign of progress.
    """

    __tablename__ = "replay_request"

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    vendor: str = Field(sa_type=Words)
    outcome: str | None = Field(default=None, sa_type=Words)
    since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    dry_run: bool
    requested_by: str = Field(sa_type=Words)
    requested_at: datetime = Field(sa_type=UtcDateTime)
    state: str = Field(default="requested", sa_type=Words, index=True)
    seen_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    taken: int = 0
    already_delivered: int = 0
    still_refused: int = 0
    problem: str | None = Field(default=None, sa_type=Words)
    refused_as: str | None = Field(default=None, sa_type=Words)


class Trial(Table, table=True):
    """An admin's request for a test of a vendor's address. A receiver carries it out; until then
    the vendor has no other.

    `status` is the HTTP status that the address answered, None if it did not. `problem` says why
    the test did not arrive, None if it did.
    """

    __table_args__ = (
        Index(
            "trial_open",
            "vendor",
            unique=True,
            sqlite_where=text(TRIAL_IS_OPEN),
            postgresql_where=text(TRIAL_IS_OPEN),
        ),
        Index("trial_vendor_id", "vendor", "id"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    vendor: str = Field(sa_type=Words)
    asked_at: datetime = Field(sa_type=UtcDateTime)
    asked_by: str = Field(sa_type=Words)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    status: int | None = None
    problem: str | None = Field(default=None, sa_type=Words)


class Event(Table, table=True):
    """One verified event. `payload` is the vendor's body, unchanged.

    An erased event keeps only its key, digest and time of receipt, so that a redelivery is a
    duplicate. Its `payload` is empty, unlike that of any other event.
    """

    __table_args__ = (
        Index("event_vendor_event_key_key", "vendor", "event_key", unique=True),
        Index("event_vendor_digest_key", "vendor", "digest", unique=True),
        Index("event_learner", "vendor", "user_id", "occurred_at"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    vendor: str = Field(sa_type=Words)
    event_key: str = Field(sa_type=Words)
    digest: str = Field(sa_type=Words)
    type: str = Field(sa_type=Words)
    company_id: str | None = Field(default=None, sa_type=Words)
    user_id: str | None = Field(default=None, sa_type=Words)
    occurred_at: datetime = Field(sa_type=UtcDateTime)
    received_at: datetime = Field(sa_type=UtcDateTime)
    payload: str = Field(sa_type=Words)
    delivery_id: int = Field(sa_type=RowId)
    """No foreign key: events stay, old deliveries are removed. Below zero an import brought the
    event: -1 is the run with ID 1."""


class UnknownAddress(Table, table=True):
    """Requests of an hour below /webhooks/ to no vendor, and the path of the latest."""

    __tablename__ = "unknown_address"

    hour: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    requests: int
    latest_at: datetime = Field(sa_type=UtcDateTime)
    latest_path: str = Field(sa_type=Words)


class Heartbeat(Table, table=True):
    """One run of a receiver: when it started, and when it was last seen."""

    receiver: str = Field(primary_key=True, sa_type=Words)
    started_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)
