"""What is known of each vendor: facts, public keys, and the fields of its events."""

from datetime import datetime

from sqlmodel import Field

from shared.models.columns import RowId, Table, UtcDateTime, Words


class Vendor(Table, table=True):
    """The facts of a vendor, written by each receiver at its start: `facts` is a `VendorFacts` as
    JSON. Has no credential: `configured` says whether one is set."""

    slug: str = Field(primary_key=True, sa_type=Words)
    facts: str = Field(sa_type=Words)
    configured: bool
    noted_at: datetime = Field(sa_type=UtcDateTime)


class KeySet(Table, table=True):
    """Where the public keys of a vendor are, and how the last attempt to fetch them ended:
    `problem` is None if it did not fail."""

    __tablename__ = "key_set"

    vendor: str = Field(primary_key=True, sa_type=Words)
    url: str = Field(sa_type=Words)
    tried_at: datetime = Field(sa_type=UtcDateTime)
    fetched_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    problem: str | None = Field(default=None, sa_type=Words)


class PublicKey(Table, table=True):
    """A key of a vendor's set, as JSON. `withdrawn_at` is when it was first missing there: a
    delivery that arrived before is verified with it, also in a replay."""

    __tablename__ = "public_key"

    vendor: str = Field(primary_key=True, sa_type=Words)
    kid: str = Field(primary_key=True, sa_type=Words)
    jwk: str = Field(sa_type=Words)
    withdrawn_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class FieldHourly(Table, table=True):
    """In how many events of a type that arrived in an hour a field had a shape: `text`, `number`,
    `flag`, `list`, `object` or `null`. The row without a field and shape counts the events."""

    __tablename__ = "field_hourly"

    vendor: str = Field(primary_key=True, sa_type=Words)
    event_type: str = Field(primary_key=True, sa_type=Words)
    hour: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    field: str = Field(primary_key=True, sa_type=Words)
    shape: str = Field(primary_key=True, sa_type=Words)
    events: int


class FieldCheckpoint(Table, table=True):
    """Up to which event the fields are counted; one row."""

    __tablename__ = "field_checkpoint"

    id: int = Field(primary_key=True, sa_type=RowId, sa_column_kwargs={"autoincrement": False})
    event_id: int = Field(sa_type=RowId)
