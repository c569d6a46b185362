"""Tests of a vendor's address that are asked for on the dashboard. It has no secret, so a receiver
signs a sample and sends it to its own address, through the same door as the vendor.

The writer takes the sample back in the transaction that writes it. So no page, figure or metric
ever has it, also if the receiver dies in between.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple
from uuid import uuid4

import httpx
import structlog
from sqlalchemy import ColumnElement, Engine, select, update

from receiver.errors import first_line
from receiver.pipeline import TRIAL
from receiver.simulator.mindtickle import company_id
from receiver.simulator.parts import PARTS
from receiver.vendors.base import Vendor
from receiver.vendors.declared.vendor import DeclaredVendor
from receiver.vendors.mindtickle import MindTickle
from shared.audit import note
from shared.bulk import table_of
from shared.database import write_transaction
from shared.models import Trial
from shared.outcomes import Outcome
from shared.queries import row_of
from shared.settings import ReceiverSettings

GIVEN_UP_AFTER = timedelta(minutes=1)
"""A test takes seconds: if it has no result after this long, its receiver has died."""
TIMEOUT_SEC = 15
CONNECTS = 4
"""Further attempts to connect: chores begin just before the server listens."""
DIED = "The receiver stopped during the test. Send another."
IPV4_HERE, IPV6_HERE = IPv4Address("127.0.0.1"), IPv6Address("::1")

trial = table_of(Trial)
log = structlog.get_logger()


class Result(NamedTuple):
    """What the address answered: columns of `trial`."""

    status: int | None
    problem: str | None


class Claimed(NamedTuple):
    """A claimed row of `trial`."""

    id: int
    vendor: str
    asked_by: str


class Trials:
    """Carries out the tests of the vendors that this receiver serves. `trial_pass` is that of its
    own pipeline."""

    def __init__(
        self,
        engine: Engine,
        vendors: Mapping[str, Vendor],
        settings: ReceiverSettings,
        trial_pass: str,
    ) -> None:
        self._engine = engine
        self._vendors = vendors
        self._settings = settings
        self._trial_pass = trial_pass

    def carry_out(self) -> None:
        """Run all open tests. Raises SQLAlchemyError if the store fails; a test that it interrupts
        is given up later."""
        while claimed := self._claim():
            self._finish(claimed, self._send(claimed.vendor))
        while died := self._claim_orphan():
            self._finish(died, Result(None, DIED))

    def _claim(self) -> Claimed | None:
        ours = trial.c.vendor.in_(sorted(self._vendors))
        return self._start(trial.c.started_at.is_(None) & ours)

    def _claim_orphan(self) -> Claimed | None:
        return self._start(trial.c.started_at < datetime.now(UTC) - GIVEN_UP_AFTER)

    def _start(self, which: ColumnElement[bool]) -> Claimed | None:
        """Looks first without a lock: nearly always there is nothing to do."""
        which &= trial.c.finished_at.is_(None)
        oldest = select(trial.c.id).where(which).order_by(trial.c.id).limit(1)
        with self._engine.connect() as connection:
            id_ = connection.scalar(oldest)
        if id_ is None:
            return None
        started = (
            update(trial)
            .where(trial.c.id == id_, which)
            .values(started_at=datetime.now(UTC))
            .returning(*(trial.c[name] for name in Claimed._fields))
        )
        with write_transaction(self._engine) as connection:
            return row_of(Claimed, connection.execute(started))

    def _send(self, vendor: str) -> Result:
        """Sign a sample as the vendor would, send it, and tell what became of it."""
        signed = self._signed(vendor, datetime.now(UTC), f"repboard-test-{uuid4()}")
        if signed is None:
            return Result(None, self._why_unsigned(vendor))
        body, proof = signed
        headers = {"content-type": "application/json", TRIAL: self._trial_pass, **proof}
        own = _own(self._settings.receiver_host)
        if hops := self._settings.trusted_proxy_hops:  # as proxies on this machine would
            headers["x-forwarded-for"] = ", ".join([str(own or IPV4_HERE)] * hops)
        host = f"[{own}]" if isinstance(own, IPv6Address) else own or self._settings.receiver_host
        url = f"http://{host}:{self._settings.receiver_port}/webhooks/{vendor}"
        try:
            # No proxy from the environment: it seldom reaches this machine.
            with httpx.Client(
                transport=httpx.HTTPTransport(retries=CONNECTS),
                timeout=TIMEOUT_SEC,
                trust_env=False,
            ) as client:
                sent = httpx.Headers(headers, encoding="utf-8")
                return _result(client.post(url, content=body, headers=sent))
        except httpx.HTTPError as error:
            return Result(None, f"The receiver does not answer at {url}: {first_line(error)}")

    def _why_unsigned(self, vendor: str) -> str:
        own = self._vendors[vendor]
        if isinstance(own, DeclaredVendor) and own.key_ring is not None:
            return "Only the vendor has the key that signs its events. Let it send one."
        if isinstance(own, DeclaredVendor):
            return "VENDORS_FILE has no sample of this vendor: add one, and restart the receiver."
        return "Repboard has no sample of this vendor's events."

    def _signed(
        self, vendor: str, at: datetime, event_id: str
    ) -> tuple[bytes, Mapping[str, str]] | None:
        """A sample's body, and the headers that make it authentic; None without a sample."""
        own = self._vendors[vendor]
        if isinstance(own, DeclaredVendor | MindTickle):
            return own.test_delivery(at, event_id)
        part = PARTS.get(vendor)
        if part is None:
            return None
        body = part.body(part.sample(at), event_id, company_id(self._settings))
        return body, part.headers(at, event_id, body, part.credential(self._settings))

    def _finish(self, claimed: Claimed, result: Result) -> None:
        """Store the result, unless the test was given up meanwhile."""
        finished = (
            update(trial)
            .where(trial.c.id == claimed.id, trial.c.finished_at.is_(None))
            .values(finished_at=datetime.now(UTC), **result._asdict())
        )
        with write_transaction(self._engine) as connection:
            if connection.execute(finished).rowcount:
                detail = result.problem or "verified, kept and removed again"
                note(connection, claimed.asked_by, "test", claimed.vendor, detail)
        log.info(
            "test",
            request_id=claimed.id,
            vendor=claimed.vendor,
            asked_by=claimed.asked_by,
            **result._asdict(),
        )


def _own(host: str) -> IPv4Address | IPv6Address | None:
    """The address at which a receiver that listens on `host` answers; None for a name."""
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if address.is_unspecified:
        return IPV4_HERE if isinstance(address, IPv4Address) else IPV6_HERE
    return address


def _result(answer: httpx.Response) -> Result:
    """The result of an answer to a test, which has the outcome and its reason."""
    said = answer.json() if answer.headers.get("content-type") == "application/json" else {}
    outcome, reason = said.get("outcome"), said.get("reason")
    if outcome == Outcome.ACCEPTED and reason is None:
        return Result(answer.status_code, None)
    if outcome == Outcome.IP_NOT_ALLOWED:
        reason = (
            "A test comes from this machine, whose own address is not on the allowlist. The vendor "
            "sends from its own servers, so this says nothing of its deliveries. Let the vendor "
            "send its test notification, or add this machine's address for the time of a test."
        )
    return Result(
        answer.status_code, reason or "Another server answers at the receiver's own address."
    )
