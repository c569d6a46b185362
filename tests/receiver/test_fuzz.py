"""Whatever comes in place of a vendor's delivery is answered, kept and never a fault of ours."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from shared.models import Delivery
from tests.running import Receiver
from tests.stores import count
from tests.vendors import SENDERS, Sender

EXAMPLES = 25
ANSWERS = {200, 401, 403, 413}
KEYS = ["userId", "id", "event", "data", "user", "lesson", "type", "\0", "", "x" * 300]

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["practice", "9999-12-31T23:59:59Z", "0001-01-01", "1e400", "\0", "\ud800"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)
header_names = st.from_regex(r"[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,30}", fullmatch=True).map(str.encode)
header_values = st.binary(max_size=200).map(
    lambda raw: bytes(byte for byte in raw if byte >= ord(" ") and byte != 0x7F).strip()
)
OF_THE_CONNECTION = {b"connection", b"content-length", b"expect", b"host", b"te", b"trailer",
                     b"transfer-encoding", b"upgrade"}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def no_fault(lasting_receiver: Receiver) -> Iterator[None]:
    """In the end there is no traceback in the log, and no failure of the store."""
    yield
    log = lasting_receiver.log.read_text() + lasting_receiver.errors.read_text()
    assert "Traceback" not in log
    assert '"level":"error"' not in log.replace(" ", "")


def answered_and_kept(
    receiver: Receiver, slug: str, body: bytes, headers: Mapping[Any, Any]
) -> None:
    before = count(receiver.engine, Delivery)
    answer = receiver.post(body, headers, slug)
    assert answer.status_code in ANSWERS
    assert isinstance(answer.json(), dict)
    assert count(receiver.engine, Delivery) == before + 1


@st.composite
def changed(draw: st.DrawFn, bodies: st.SearchStrategy[bytes]) -> bytes:
    """A body of the vendor in which something is another JSON value, is missing, or is new."""
    whole = json.loads(draw(bodies))
    inside = draw(st.sampled_from(list(_objects(whole))))
    key = draw(st.sampled_from([*inside, *KEYS]))
    if draw(st.booleans()):
        inside[key] = draw(json_values)
    else:
        inside.pop(key, None)
    return json.dumps(whole).encode()


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _objects(inner)


every_vendor = pytest.mark.parametrize(("slug", "sender"), SENDERS.items(), ids=SENDERS)


@every_vendor
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_a_body_of_the_vendor_with_anything_in_it_is_answered_and_kept(
    lasting_receiver: Receiver, slug: str, sender: Sender, data: st.DataObject
) -> None:
    body = data.draw(changed(st.sampled_from(sender.bodies)))
    answered_and_kept(lasting_receiver, slug, body, sender.credentials(body))


@every_vendor
@settings(max_examples=EXAMPLES)
@given(body=st.binary(max_size=2_000) | json_values.map(lambda one: json.dumps(one).encode()))
def test_any_bytes_under_the_credentials_of_the_vendor_are_answered_and_kept(
    lasting_receiver: Receiver, slug: str, sender: Sender, body: bytes
) -> None:
    answered_and_kept(lasting_receiver, slug, body, sender.credentials(body))


@every_vendor
@settings(max_examples=EXAMPLES)
@given(data=st.data(), more=st.dictionaries(header_names, header_values, max_size=8))
def test_any_headers_beside_or_in_place_of_those_of_the_vendor_are_answered_and_kept(
    lasting_receiver: Receiver,
    slug: str,
    sender: Sender,
    data: st.DataObject,
    more: dict[bytes, bytes],
) -> None:
    body = data.draw(st.sampled_from(sender.bodies))
    headers = {name.encode(): value.encode() for name, value in sender.credentials(body).items()}
    for name in data.draw(st.sets(st.sampled_from(sorted(headers)))) if headers else ():
        headers[name] = data.draw(header_values)
    headers |= {name: one for name, one in more.items() if name.lower() not in OF_THE_CONNECTION}
    answered_and_kept(lasting_receiver, slug, body, headers)
