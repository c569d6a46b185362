"""Finds mentions of a person: in text, in JSON of any shape, and in the bytes of any sender.

An email address counts as a whole, in any case, also inside a web address. A user ID counts only
for its own vendor, as a whole value. In other people's events, and everywhere if it is a number, it
counts only below a name like `user`: `7` is also a lesson, and a score.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from functools import reduce
from typing import NamedTuple
from unicodedata import normalize
from urllib.parse import unquote

from shared.facts import trimmed

ERASED = "(erased)"
"""Replaces a mention. It sorts before letters, so it wins no tie in the read models."""

_PERSON = re.compile(r"user|learner|member|person|employee|manager|owner|uid|by$", re.IGNORECASE)


def as_compared(address: str) -> str:
    """An email address for comparison: lower case, without surrounding spaces and invisible
    characters, in Unicode's composed form (NFC).

    Not `casefold`, which makes `straße@` and `strasse@` equal.
    """
    begin, end = 0, len(address)
    while begin < end and _is_blank(address[begin]):
        begin += 1
    while begin < end and _is_blank(address[end - 1]):
        end -= 1
    composed = normalize("NFC", address[begin:end])
    return normalize("NFC", composed.lower())


def _is_blank(sign: str) -> bool:
    # Older versions stored a line end or tab as the replacement character.
    return sign.isspace() or not sign.isprintable() or sign == "\N{REPLACEMENT CHARACTER}"


class Account(NamedTuple):
    """A user of a vendor."""

    vendor: str
    user_id: str


class Traces:
    """Finds and removes mentions of a person with these accounts and e-mail addresses."""

    def __init__(self, accounts: Iterable[Account], addresses: Iterable[str]) -> None:
        self._accounts = frozenset(accounts)
        self._addresses = frozenset(addresses)
        self._words = sorted({*self._addresses, *(one.user_id for one in self._accounts)})
        # Payloads may have decomposed letters (NFD). Read models never have.
        spelled = {normalize(form, one) for one in self._addresses for form in ("NFC", "NFD")}
        self._patterns = [_address(one) for one in sorted(spelled)]

    @property
    def needles(self) -> list[str]:
        """For a search in SQL: each mention contains one of these in lower case, unless it has JSON
        escapes. A word without ASCII letters or digits gives an empty one."""
        runs = (re.findall(r"[a-z0-9]+", one.partition("@")[0].lower()) for one in self._words)
        return sorted({max(run, key=len, default="") for run in runs})

    def in_text(self, text: str) -> bool:
        """Whether it contains an address."""
        return any(pattern.search(text) for pattern in self._patterns)

    def without(self, text: str) -> str:
        """The text with each address replaced."""
        return reduce(lambda left, pattern: pattern.sub(ERASED, left), self._patterns, text)

    def in_key(self, vendor: str, key: str) -> bool:
        """Whether the key of an event contains an address or, between colons, a user ID."""
        parts = {unquote(part) for part in key.split(":")}
        ours = any(one.vendor == vendor and one.user_id in parts for one in self._accounts)
        return ours or self.in_text(key)

    def in_path(self, vendor: str, path: str) -> bool:
        """Whether the path of a field contains an address or, between points, a user ID."""
        ids = (one.user_id for one in self._accounts if one.vendor == vendor)
        spelled = as_compared(path)
        return (
            self.in_text(path)
            or any(f".{one}." in f".{path}." for one in ids)
            or any(f".{one}." in f".{spelled}." for one in self._addresses)
        )

    def in_body(self, vendor: str, body: bytes) -> bool:
        """Whether bytes of any sender mention the person. What is not JSON is searched as text,
        where a user ID counts as a word."""
        if claims := claims_of(body):  # the text is base64 in a signed token
            return self.in_body(vendor, claims)
        text = body.replace(b"\0", b"").decode("utf-8", "replace")  # half of UTF-16 is NUL
        if self.in_text(text):
            return True
        try:
            leaves = list(_leaves(json.loads(text)))
        except (ValueError, RecursionError):
            ids = (re.escape(one.user_id) for one in self._accounts if one.vendor == vendor)
            return any(re.search(rf"(?<![\w.@+-]){one}(?![\w@+-]|\.\w)", text) for one in ids)
        return any(
            self.in_text(str(leaf))
            or (self._is_id(vendor, leaf) and (of_person or not str(leaf).isdigit()))
            for leaf, of_person in leaves
        )

    def replaced(self, vendor: str, payload: str) -> str:
        """A JSON payload with each mention replaced. The same text if there is none."""
        try:
            value = json.loads(payload)
            replaced = self._replaced(vendor, value)
        except (ValueError, RecursionError):  # such as a number with more digits than Python reads
            return self.without(payload)
        return json.dumps(replaced) if replaced != value or self.in_text(payload) else payload

    def _replaced(self, vendor: str, value: object, *, of_person: bool = False) -> object:
        if isinstance(value, dict):
            return {
                self.without(key): self._replaced(
                    vendor, inner, of_person=of_person or _names_a_person(key)
                )
                for key, inner in value.items()
            }
        if isinstance(value, list):
            return [self._replaced(vendor, inner, of_person=of_person) for inner in value]
        if of_person and self._is_id(vendor, value):
            return ERASED
        return self.without(value) if isinstance(value, str) else value

    def _is_id(self, vendor: str, value: object) -> bool:
        is_one = isinstance(value, str | int) and not isinstance(value, bool)
        return is_one and Account(vendor, trimmed(str(value))) in self._accounts


_TOKEN = re.compile(rb"[\w-]+\.([\w-]+)\.[\w-]+")


def claims_of(body: bytes) -> bytes | None:
    """What a signed token says; None if the body is none."""
    found = _TOKEN.fullmatch(body)
    try:
        return base64.urlsafe_b64decode(found[1] + b"=" * (-len(found[1]) % 4)) if found else None
    except ValueError:
        return None


def _leaves(value: object, *, of_person: bool = False) -> Iterator[tuple[object, bool]]:
    """Each name and value in JSON, and whether it is below a name like `user`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, False
            yield from _leaves(inner, of_person=of_person or _names_a_person(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, of_person=of_person)
    else:
        yield value, of_person


def _names_a_person(key: str) -> bool:
    return _PERSON.search(key) is not None


_LETTER = r"%(?:2[bde]|3\d|4[1-9a-f]|5[\daf]|6[1-9a-f]|7[\da]|[89a-f][0-9a-f])"
"""Percent-encoded: a letter, a digit, `+`, `-`, `.`, `_`, or a byte of any other letter."""


def _address(address: str) -> re.Pattern[str]:
    """An email address, also percent-encoded, and not as a part of a longer one: `jordana@`,
    `jor.dana@` and `o'dana@` belong to other people, and `….example.org` is another domain."""
    signs = (_sign(one) for one in address)
    after_text = r"(?<![\w.+-])(?<!\w['\u2019])"
    after_escape = rf"(?<=%[0-9a-f][0-9a-f])(?<!{_LETTER})"
    end = r"(?![\w-]|\.\w|%2d|%5f|%2e\w)"
    return re.compile(rf"(?:{after_text}|{after_escape}){''.join(signs)}{end}", re.IGNORECASE)


def _sign(sign: str) -> str:
    if sign.isascii() and sign.isalnum():
        return sign
    encoded = "".join(f"%{byte:02x}" for byte in sign.encode("utf-8", "surrogatepass"))
    return f"(?:{re.escape(sign)}|{encoded})"
