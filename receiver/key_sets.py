"""The sets of public keys of vendors that sign tokens: fetched by a chore, kept in the store.

Adapters do no I/O. A chore fetches each set once an hour, and within a minute after a delivery
named a key that is not known, or after an attempt that failed. One receiver at a time does; all
others read the keys from the store. So a restart needs no network, and neither does a replay.

A key that leaves its set is kept for a year, and verifies only what arrived before. While the key
server is down, the known keys stay valid.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from time import monotonic

import httpx
import structlog
from sqlalchemy import Connection, Engine, and_, delete, or_, select, true, update

from receiver.errors import first_line
from receiver.vendors.base import Vendor
from receiver.vendors.declared.keys import MAX_SET, Held, KeyRing, keys_in
from receiver.vendors.declared.vendor import DeclaredVendor
from shared.bulk import insert_into, table_of
from shared.database import write_transaction
from shared.models import KeySet, PublicKey
from shared.outcomes import Outcome
from shared.queries import rows_of
from shared.queries.quarantine import ask_for_replay

EVERY = timedelta(hours=1)
SOON = timedelta(minutes=1)
"""After an unknown key or a failed attempt. Anyone can name an unknown key, so not at once."""
KEPT = timedelta(days=365)
"""How long a key is kept that has left its set."""
TIMEOUT_SEC = 5
LONGEST_SEC = 10
LONGEST_PROBLEM = 300

key_set = table_of(KeySet).c
public_key = table_of(PublicKey).c
log = structlog.get_logger()


def load_keys(engine: Engine, vendors: Mapping[str, Vendor]) -> None:
    """Read the known keys of these vendors from the store."""
    rings = dict(_rings(vendors))
    if not rings:
        return
    with engine.connect() as connection:
        for slug, ring in rings.items():
            ring.hold(_stored(connection, slug, ring.url))


class KeySets:
    """Keeps the keys of these vendors up to date, for this receiver."""

    def __init__(self, engine: Engine, vendors: Mapping[str, Vendor]) -> None:
        self._engine = engine
        self._rings = dict(_rings(vendors))
        self._vendors = vendors

    def carry_out(self) -> None:
        """Fetch the sets that are due, and read the keys that another receiver has fetched. Raises
        SQLAlchemyError if the store fails."""
        if not self._rings:
            return
        for slug, ring in self._rings.items():
            if self._claim(slug, ring):
                self._fetch(slug, ring)
        load_keys(self._engine, self._vendors)
        for slug, ring in self._rings.items():
            if ring.misses and self._has_come(slug, ring):
                self._replay(slug)

    def _has_come(self, slug: str, ring: KeyRing) -> bool:
        """Whether a key is here now that a delivery had named."""
        row = select(key_set.fetched_at).where(key_set.vendor == slug, key_set.url == ring.url)
        with self._engine.connect() as connection:
            fetched_at = connection.scalar(row)
        return fetched_at is not None and ring.settle(fetched_at)

    def _claim(self, slug: str, ring: KeyRing) -> bool:
        """Whether the set is due, and this receiver the one that fetches it. Looks first without a
        lock: nearly always there is nothing to do."""
        now = datetime.now(UTC)
        failed = or_(key_set.problem.isnot(None), key_set.fetched_at.is_(None))
        soon = true() if ring.misses else failed
        due = or_(
            key_set.url != ring.url,
            key_set.tried_at <= now - EVERY,
            and_(soon, key_set.tried_at <= now - SOON),
        )
        with self._engine.connect() as connection:
            known = select(~due).where(key_set.vendor == slug)
            if connection.scalar(known):
                return False
        insert = insert_into(self._engine.dialect.name, KeySet).values(
            vendor=slug, url=ring.url, tried_at=now
        )
        claim = insert.on_conflict_do_update(
            index_elements=["vendor"], set_={"url": ring.url, "tried_at": now}, where=due
        ).returning(key_set.vendor)
        with write_transaction(self._engine) as connection:
            moved = select(key_set.vendor).where(key_set.vendor == slug, key_set.url != ring.url)
            if connection.scalar(moved) is not None:
                connection.execute(delete(table_of(PublicKey)).where(public_key.vendor == slug))
            return connection.scalar(claim) is not None

    def _fetch(self, slug: str, ring: KeyRing) -> None:
        problem, found = None, []
        try:
            found = list(keys_in(fetched(ring.url)))
        except (httpx.HTTPError, ValueError) as error:
            problem = first_line(error).removeprefix("ValueError: ")[:LONGEST_PROBLEM]
        now = datetime.now(UTC)
        with write_transaction(self._engine) as connection:
            row = update(table_of(KeySet)).where(key_set.vendor == slug, key_set.url == ring.url)
            noted = {"problem": problem} if problem else {"problem": None, "fetched_at": now}
            connection.execute(row.values(**noted))
            if found:
                _store(connection, slug, found, now)
        say = log.warning if problem else log.info
        say("keys_fetched", vendor=slug, keys=len(found), problem=problem)

    def _replay(self, slug: str) -> None:
        """Deliveries that came before their key wait in quarantine."""
        with write_transaction(self._engine) as connection:
            ask_for_replay(connection, slug, Outcome.BAD_SIGNATURE, "receiver", dry_run=False)


def fetched(url: str) -> bytes:
    """The document at an address, bounded in size and time. Raises httpx.HTTPError or ValueError
    with what is wrong."""
    ends = monotonic() + LONGEST_SEC
    document = b""
    trusted = url.startswith("https:")  # only then may a proxy of the environment see it
    with (
        httpx.Client(timeout=TIMEOUT_SEC, trust_env=trusted, follow_redirects=False) as client,
        client.stream("GET", url, headers={"accept-encoding": "identity"}) as answer,
    ):
        if answer.status_code != httpx.codes.OK:
            raise ValueError(f"The key server answered {answer.status_code}.")
        for part in answer.iter_raw():
            document += part
            if len(document) > MAX_SET:
                raise ValueError(f"The set of keys has more than {MAX_SET} bytes.")
            if monotonic() > ends:
                raise ValueError(f"The key server took longer than {LONGEST_SEC} s.")
    return document


def _rings(vendors: Mapping[str, Vendor]) -> Iterator[tuple[str, KeyRing]]:
    for slug, one in vendors.items():
        if isinstance(one, DeclaredVendor) and one.key_ring is not None:
            yield slug, one.key_ring


def _stored(connection: Connection, slug: str, url: str) -> list[Held]:
    """The keys of a vendor that came from this address."""
    query = (
        select(*(public_key[name] for name in Held._fields))
        .join(table_of(KeySet), key_set.vendor == public_key.vendor)
        .where(public_key.vendor == slug, key_set.url == url)
        .order_by(public_key.kid)
    )
    return list(rows_of(Held, connection.execute(query)))


def _store(connection: Connection, slug: str, found: list[Held], now: datetime) -> None:
    insert = insert_into(connection.dialect.name, PublicKey).values(
        [{"vendor": slug, **one._asdict()} for one in found]
    )
    new = {name: insert.excluded[name] for name in ("jwk", "withdrawn_at")}
    connection.execute(insert.on_conflict_do_update(index_elements=["vendor", "kid"], set_=new))
    gone = and_(public_key.vendor == slug, public_key.kid.not_in([one.kid for one in found]))
    withdrawn = update(table_of(PublicKey)).where(gone, public_key.withdrawn_at.is_(None))
    connection.execute(withdrawn.values(withdrawn_at=now))
    old = public_key.withdrawn_at < now - KEPT
    connection.execute(delete(table_of(PublicKey)).where(gone, old))
