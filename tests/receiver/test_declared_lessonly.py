"""Lessonly from a declaration makes of every delivery what the built-in one makes."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from receiver.pipeline import judge
from receiver.vendors import ADAPTERS, adapters, vendor_facts
from receiver.vendors.base import Incoming, SecretDigest, Vendor
from shared.facts import Fact
from tests import playing
from tests.receiver.declared_senders import (
    HOUSE,
    VENDORS,
    lesson,
)
from tests.receiver.test_lessonly import SAMPLES, bodies
from tests.receiver.vendor_cases import (
    ALMOST,
    kept,
    settings,
)

LESSONLY = ADAPTERS["lessonly"]
BUILT_IN = settings(lessonly_authorization=playing.AUTHORIZATION).of_vendor(LESSONLY.settings)


def told(fact: Fact) -> Fact:
    return fact._replace(vendor="lessonly")


def seen(one: Vendor, delivery: Incoming) -> Any:
    """What becomes of a delivery, but for the vendor's slug, salts and the words of a reason."""
    entry = judge(one, delivery)
    event, held = entry.event, entry.quarantined
    return (
        entry.outcome,
        entry.claims,
        entry.sender,
        held and (held.kind, held.digest, held.headers.keys(), held.body),
        event and (event.event_key, event.digest, event.type, event.company_id, event.user_id,
                   event.occurred_at, event.payload, list(map(told, event.facts)), event.ignored,
                   entry.reason),
    )  # fmt: skip


def same(delivery: Incoming) -> None:
    built_in = BUILT_IN.vendor()
    assert built_in is not None
    assert seen(VENDORS["lessons"], delivery) == seen(built_in, delivery)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_declared_lessonly_reads_every_sample_as_the_built_in_one_does(name: str) -> None:
    body = playing.sample("lessonly", name)
    same(lesson(body))
    event = VENDORS["lessons"].parse(lesson(body))
    declared, built_in = adapters(settings(**HOUSE))["lessons"], LESSONLY
    facts = [told(one) for one in declared.facts(kept(event))]
    assert facts == list(built_in.facts(kept(event)))


EVERY_SAMPLE = {
    f"{path.parent.name}/{path.stem}-{number}": body
    for path in sorted(playing.SAMPLES.glob("*/*.json*"))
    for number, body in enumerate(
        path.read_bytes().splitlines() if path.suffix == ".jsonl" else [path.read_bytes()]
    )
}


@pytest.mark.parametrize("name", EVERY_SAMPLE)
def test_a_declared_lessonly_makes_of_every_vendors_sample_what_the_built_in_one_makes(
    name: str,
) -> None:
    for value in (None, b"", b"Bearer value-of-another", playing.AUTHORIZATION.encode()):
        same(lesson(EVERY_SAMPLE[name], value))


@pytest.mark.parametrize("spoil", ALMOST.values(), ids=ALMOST)
def test_a_declared_lessonly_refuses_what_the_built_in_one_refuses(spoil: Any) -> None:
    body = playing.lesson()
    same(lesson(body, spoil(playing.AUTHORIZATION.encode())))
    for value in (None, b"", b"Bearer value-of-another", playing.AUTHORIZATION.encode()):
        same(lesson(b"<html>", value))
        same(lesson(spoil(body), value))
        same(lesson(b"x" * 70_000, value))
    digest = SecretDigest.of(playing.AUTHORIZATION.encode(), b"salt")
    same(lesson(body, None)._replace(digests={"authorization": digest}))


@given(st.binary() | bodies, st.just(playing.AUTHORIZATION.encode()) | st.binary() | st.none())
def test_a_declared_lessonly_makes_of_any_bytes_what_the_built_in_one_makes(
    body: bytes, value: bytes | None
) -> None:
    same(lesson(body, value))


def test_a_declared_lessonly_has_the_schedule_of_the_built_in_one() -> None:
    facts = vendor_facts(settings(**HOUSE))
    assert facts["lessons"].schedule == facts["lessonly"].schedule
    assert facts["lessons"].secret_headers == facts["lessonly"].secret_headers
