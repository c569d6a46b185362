"""Certificates that are marked as renewed by hand, as no vendor reports a renewal."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select, text, update

from shared.audit import note
from shared.bulk import insert_into, table_of
from shared.clock import now
from shared.models import RENEWED, CertificateRenewal, Certification

certificate = table_of(Certification).c
renewals = table_of(CertificateRenewal)


class Expiry(NamedTuple):
    """An expiry of a certificate: the one that a viewer has seen."""

    vendor: str
    user_id: str
    cert_name: str
    expired_at: datetime


def mark_renewed(connection: Connection, actor: str, expiry: Expiry) -> bool:
    """Mark a certificate as renewed after this expiry, with an entry in the audit log. False if
    the certificate has another expiry by now, or is marked already."""
    values = expiry._asdict() | {"renewed_at": now(connection), "renewed_by": actor}
    if not _is_latest(connection, expiry):
        return False
    statement = (
        insert_into(connection.dialect.name, CertificateRenewal)
        .values(values)
        # The index decides, not a look-up: two leads can mark it at the same time.
        .on_conflict_do_nothing(index_elements=Expiry._fields, index_where=text(RENEWED))
        .returning(renewals.c.id)
    )
    renewal_id: int | None = connection.scalar(statement)
    if renewal_id is not None:
        _note(connection, actor, "mark renewed", renewal_id, expiry.cert_name, expiry.expired_at)
    return renewal_id is not None


def undo_renewal(connection: Connection, actor: str, renewal_id: int) -> bool:
    """Take a mark back, with an entry in the audit log. False if it was taken back already."""
    statement = (
        update(renewals)
        .where(renewals.c.id == renewal_id, renewals.c.undone_at.is_(None))
        .values(undone_at=now(connection), undone_by=actor)
        .returning(renewals.c.cert_name, renewals.c.expired_at)
    )
    row = connection.execute(statement).one_or_none()
    if row is not None:
        _note(connection, actor, "undo renewal", renewal_id, row.cert_name, row.expired_at)
    return row is not None


def _is_latest(connection: Connection, expiry: Expiry) -> bool:
    latest = select(func.coalesce(certificate.expires_at, certificate.expired_at)).where(
        certificate.vendor == expiry.vendor,
        certificate.user_id == expiry.user_id,
        certificate.cert_name == expiry.cert_name,
    )
    return bool(connection.scalar(latest) == expiry.expired_at)


def _note(
    connection: Connection, actor: str, action: str, id_: int, name: str, expired_at: datetime
) -> None:
    # The learner stays in the renewal: viewers who may not see names read the audit log.
    detail = f"{name}, expiry on {expired_at:%-d %B %Y}"
    note(connection, actor, action, f"renewal {id_}", detail)
