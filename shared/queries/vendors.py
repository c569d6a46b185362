"""The vendors that a receiver on this store knows, as it noted them at its start."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, select

from shared.bulk import table_of
from shared.checklist import KeySetState
from shared.models import KeySet, Vendor
from shared.queries import row_of
from shared.vendors import FACTS, VendorFacts

vendor = table_of(Vendor).c
keys = table_of(KeySet).c


def vendor_facts(connection: Connection) -> Mapping[str, VendorFacts]:
    """Every known vendor by slug; none before the first receiver has started."""
    texts = connection.scalars(select(vendor.facts).order_by(vendor.slug))
    return {one.slug: one for one in map(FACTS.validate_json, texts)}


def configured(connection: Connection) -> Sequence[VendorFacts]:
    """The vendors that have their credential set, by name."""
    texts = connection.scalars(select(vendor.facts).where(vendor.configured))
    return sorted(map(FACTS.validate_json, texts), key=lambda one: one.name)


def key_set(connection: Connection, vendor: str) -> KeySetState | None:
    """How the last fetch of a vendor's public keys ended; None if it signs no tokens."""
    columns = (keys[name] for name in KeySetState._fields)
    return row_of(KeySetState, connection.execute(select(*columns).where(keys.vendor == vendor)))
