"""What counts as a mention of a person."""

import json
import unicodedata
from typing import Any
from urllib.parse import quote

import pytest

from receiver.traces import ERASED, Account, Traces, as_compared

V = "mindtickle"
TRACES = Traces([Account(V, "u-dana"), Account(V, "4711")], ["dana@acme.example"])


@pytest.mark.parametrize(
    ("text", "mentioned"),
    [
        ("dana@acme.example", True),
        ("Dana@ACME.example.", True),
        ("<dana@acme.example>", True),
        ("https://x.example/?by=dana%40acme.example", True),
        ("https://x.example/?q=by%3Ddana%40acme.example", True),
        ("jordana@acme.example", False),
        ("jor.dana@acme.example", False),
        ("dana@acme.example.org", False),
        ("dana@acme-example", False),
        ("o'dana@acme.example", False),
        ("o\u2019dana@acme.example", False),
        ("'dana@acme.example'", True),
        ("https://x.example/?q=x%2Bdana%40acme.example", False),
        ("https://x.example/?q=jor%64ana%40acme.example", False),
        ("https://x.example/?q=jos%C3%A9dana%40acme.example", False),
        ("https://x.example/?q=dana%40acme.example%2Eorg", False),
        ("https://x.example/?q=%22dana%40acme.example%22", True),
        ("danaXacme.example", False),
    ],
)
def test_an_address_counts_where_it_stands_by_itself(text: str, mentioned: bool) -> None:
    assert TRACES.in_text(text) == mentioned
    assert (ERASED in TRACES.without(text)) == mentioned


@pytest.mark.parametrize(
    ("value", "mentioned"),
    [
        ({"user": {"id": 4711}}, True),
        ({"learnerIds": ["u-1", "4711"]}, True),
        ({"lesson": {"id": 4711}, "score": 4711}, False),
        ({"anything": "u-dana"}, True),
        ({"anything": "u-dana-2"}, False),
        ({"user": True}, False),
        ({"dana@acme.example": 1}, True),
        ({"deep": [{"er": "by dana@acme.example"}]}, True),
    ],
)
def test_a_user_id_counts_as_a_whole_value_and_a_number_below_a_name_of_a_person(
    value: Any, mentioned: bool
) -> None:
    assert TRACES.in_body(V, json.dumps(value).encode()) == mentioned


@pytest.mark.parametrize(
    "body",
    [
        b'{"userId": "u-dana", "cut',
        b'{"of": "dan\\u0061@acme.example"}',
        "dana@acme.example".encode("utf-16-le"),
        b'{"user": {"id": "47\\u00311"}}',
        b"[" * 100_000 + b"dana@acme.example",
        b'{"n": ' + b"9" * 5000 + b', "userId": "u-dana"}',
    ],
    ids=["cut off", "escaped", "UTF-16", "escaped id", "deep", "large number"],
)
def test_bytes_of_any_origin_are_searched(body: bytes) -> None:
    assert TRACES.in_body(V, body)


@pytest.mark.parametrize("body", [b"\xff\xfe", b"", b"{}", b"NaN", b"[" * 100_000])
def test_other_bytes_are_no_mention(body: bytes) -> None:
    assert not TRACES.in_body(V, body)


def test_a_user_id_counts_at_its_own_vendor_only() -> None:
    assert not TRACES.in_body("lessonly", b'{"userId": "u-dana"}')
    assert not TRACES.in_key("lessonly", "u-dana:1")


def test_of_what_others_sent_only_the_mention_goes() -> None:
    payload = (
        '{"moduleId": "u-dana", "provisionedBy": "u-dana", "n": 1.50, "to": "dana@acme.example!"}'
    )
    assert json.loads(TRACES.replaced(V, payload)) == {
        "moduleId": "u-dana",
        "provisionedBy": ERASED,
        "n": 1.5,
        "to": f"{ERASED}!",
    }


def test_a_payload_without_a_mention_stays_byte_by_byte() -> None:
    payload = '{"n": 1.50, "n": 2, "text": "\\u00e9"}'
    assert TRACES.replaced(V, payload) is payload


@pytest.mark.parametrize(
    ("key", "named"), [("4711:12:2025", True), ("u-dana:1", True), ("evt-4711", False)]
)
def test_a_key_names_them_if_it_is_made_from_their_id(key: str, named: bool) -> None:
    assert TRACES.in_key(V, key) == named


def test_what_is_looked_for_in_sql_is_a_part_of_each_mention() -> None:
    assert TRACES.needles == ["4711", "dana"]
    assert Traces([Account(V, "é")], []).needles == [""]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("sought", ["NFC", "NFD"])
def test_an_address_counts_in_both_spellings_of_its_letters(form: Any, sought: Any) -> None:
    address = "jos\u00e9@acme.example"
    traces = Traces([], [unicodedata.normalize(sought, address)])
    stored = unicodedata.normalize(form, address)
    assert traces.in_text(f"by {stored}.")
    assert traces.in_text(f"https://x.example/?by={quote(stored)}")


@pytest.mark.parametrize(
    "stored",
    ["dana@acme.example", "DANA@Acme.Example", "  dana@acme.example\t", "\ufeffdana@acme.example",
     "dana@acme.example\u200b", "dana@acme.example\ufffd", "\u00a0dana@acme.example\r\n"],
)  # fmt: skip
def test_addresses_are_compared_without_case_spaces_and_invisible_characters(
    stored: str,
) -> None:
    assert as_compared(stored) == "dana@acme.example"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("stra\u00dfe@acme.example", "strasse@acme.example"),
        ("d\u0430na@acme.example", "dana@acme.example"),
        ("dana@acme.example.", "dana@acme.example"),
        ("da na@acme.example", "dana@acme.example"),
        ("\uff44ana@acme.example", "dana@acme.example"),
    ],
)
def test_what_only_looks_like_an_address_is_another(one: str, other: str) -> None:
    assert as_compared(one) != as_compared(other)


@pytest.mark.parametrize(
    ("text", "mentioned"),
    [
        ("user u-dana, cut", True),
        ("user u-dana.", True),
        ("user=u-dana&cut", True),
        ("user u-dana.smith", False),
        ("user u-dana@acme.example", False),
        ("user x.u-dana", False),
        ("user xu-dana", False),
        ("user u-dana-2", False),
    ],
)
def test_in_what_is_no_json_a_user_id_counts_as_a_word_by_itself(
    text: str, mentioned: bool
) -> None:
    assert TRACES.in_body(V, text.encode()) == mentioned


def test_a_number_that_is_none_and_half_of_a_surrogate_pair_stay_readable() -> None:
    payload = r'{"n": NaN, "half": "Deal \ud83d", "by": "u-dana"}'
    replaced = TRACES.replaced(V, payload)
    assert replaced == r'{"n": NaN, "half": "Deal \ud83d", "by": "(erased)"}'
