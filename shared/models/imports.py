"""Reconciliation of vendors' exports."""

from datetime import date, datetime

from sqlmodel import Field, Index

from shared.models.columns import RowId, Table, UtcDateTime, Words


class ImportRun(Table, table=True):
    """The reconciliation of a vendor's export, by the content of both files.

    The counts are events of the export, up to row `position`: the ones that arrived as deliveries,
    and the missing ones; `imported` is how many of the missing ones are stored by now, and
    `differing` how many stored ones have other values than the export. `skipped` are rows of event
    types that the mapping does not have, or which the export has twice. Running it again begins at
    0 once it has finished, and otherwise goes on. `imported_at` is when it first stored an event.
    """

    __tablename__ = "import_run"
    __table_args__ = (
        Index("import_run_content", "vendor", "export_digest", "mapping_digest", unique=True),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    vendor: str = Field(sa_type=Words)
    file_name: str = Field(sa_type=Words)
    export_digest: str = Field(sa_type=Words)
    mapping_digest: str = Field(sa_type=Words)
    applies: bool
    """Whether it stores missing events; otherwise it only reports them."""
    position: int = 0
    started_at: datetime = Field(sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    imported_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    arrived: int = 0
    missing: int = 0
    imported: int = 0
    differing: int = 0
    skipped: int = 0


class ImportDay(Table, table=True):
    """Events of an export on a UTC day: `arrived`, or missing by cause (`shared.imports.Cause`)."""

    __tablename__ = "import_day"

    run_id: int = Field(primary_key=True, foreign_key="import_run.id", sa_type=RowId)
    day: date = Field(primary_key=True)
    cause: str = Field(primary_key=True, sa_type=Words)
    events: int


class ImportFinding(Table, table=True):
    """An event of an export that is missing or differs, of each the first `LISTED` of a run.

    `detail` says of a differing one which values the two have, as JSON: `[field, theirs, ours]`.
    """

    __tablename__ = "import_finding"
    __table_args__ = (Index("import_finding_learner", "vendor", "user_id"),)

    run_id: int = Field(primary_key=True, foreign_key="import_run.id", sa_type=RowId)
    kind: str = Field(primary_key=True, sa_type=Words)
    line: int = Field(primary_key=True)
    vendor: str = Field(sa_type=Words)
    event_key: str = Field(sa_type=Words)
    type: str = Field(sa_type=Words)
    user_id: str | None = Field(default=None, sa_type=Words)
    occurred_at: datetime = Field(sa_type=UtcDateTime)
    cause: str | None = Field(default=None, sa_type=Words)
    detail: str | None = Field(default=None, sa_type=Words)
