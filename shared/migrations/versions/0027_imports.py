"""Reconciliations of vendors' exports, what they counted by day, and what they found."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "import_run",
        sa.Column("id", ROW_ID, primary_key=True),
        *(
            sa.Column(name, WORDS, nullable=False)
            for name in ("vendor", "file_name", "export_digest", "mapping_digest")
        ),
        sa.Column("applies", sa.Boolean, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME),
        sa.Column("imported_at", TIME),
        *(
            sa.Column(name, sa.Integer, nullable=False)
            for name in ("arrived", "missing", "imported", "differing", "skipped")
        ),
    )
    content = ["vendor", "export_digest", "mapping_digest"]
    op.create_index("import_run_content", "import_run", content, unique=True)
    op.create_table(
        "import_day",
        sa.Column("run_id", ROW_ID, sa.ForeignKey("import_run.id"), primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("cause", WORDS, primary_key=True),
        sa.Column("events", sa.Integer, nullable=False),
    )
    _finding()


def _finding() -> None:
    op.create_table(
        "import_finding",
        sa.Column("run_id", ROW_ID, sa.ForeignKey("import_run.id"), primary_key=True),
        sa.Column("kind", WORDS, primary_key=True),
        sa.Column("line", sa.Integer, primary_key=True),
        sa.Column("vendor", WORDS, nullable=False),
        sa.Column("event_key", WORDS, nullable=False),
        sa.Column("type", WORDS, nullable=False),
        sa.Column("user_id", WORDS),
        sa.Column("occurred_at", TIME, nullable=False),
        sa.Column("cause", WORDS),
        sa.Column("detail", WORDS),
    )
    op.create_index("import_finding_learner", "import_finding", ["vendor", "user_id"])
