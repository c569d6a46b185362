"""The audit log: one row of `audit_log` for each change that a person or a command makes."""

from sqlalchemy import Connection, insert

from shared.bulk import table_of
from shared.clock import now
from shared.models import AuditLog


def note(connection: Connection, actor: str, action: str, subject: str | None, detail: str) -> None:
    """Add an entry with the time of now, in the caller's transaction."""
    row = {"at": now(connection), "actor": actor, "action": action,
           "subject": subject, "detail": detail}  # fmt: skip
    connection.execute(insert(table_of(AuditLog)), [row])
