"""The public keys of a vendor that signs tokens (JSON Web Key Set, RFC 7517). Pure: a chore fetches
them (`receiver.key_sets`)."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from joserfc.jwk import ECKey, RSAKey

from receiver.vendors.base import MAX_ID, Unreadable, json_object

MAX_SET = 65_536
"""Bytes of a set of keys."""
MAX_KEYS = 32
MAX_MISSED = 16
RSA_BITS = range(2048, 8193)
PUBLIC: Mapping[str, tuple[str, ...]] = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}
"""The members of a public key, by its type. A key of another type is not used: of a symmetric one
the sender's secret would be public."""


class Held(NamedTuple):
    """A key as it is stored: its ID, its public members as JSON, and when it left the set."""

    kid: str
    jwk: str
    withdrawn_at: datetime | None = None


class PublicKey(NamedTuple):
    """A key, and the only algorithm that it is for; None for any of its type."""

    key: RSAKey | ECKey
    alg: str | None
    withdrawn_at: datetime | None


class KeyRing:
    """The keys of a vendor in this process. Its adapter reads them, a chore replaces them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._held: Sequence[Held] = ()
        self._keys: Mapping[str, PublicKey] = {}
        self._missed: dict[str, datetime] = {}

    def hold(self, held: Sequence[Held]) -> None:
        """Use these keys from now on."""
        if held != self._held:
            self._keys = {one.kid: _key(one) for one in held}
            self._held = held

    def find(self, kid: str, at: datetime) -> PublicKey | None:
        """The key for a delivery that arrived at this time; None if there is none, or if it had
        left the set by then. An unknown ID is noted for the chore."""
        known = self._keys.get(kid)
        if known is None:
            if len(self._missed) >= MAX_MISSED:
                self._missed.pop(next(iter(self._missed)), None)
            self._missed[kid] = at
            return None
        return known if known.withdrawn_at is None or at < known.withdrawn_at else None

    @property
    def misses(self) -> bool:
        """Whether a delivery named an unknown key, and the set was not fetched since."""
        return bool(self._missed)

    def settle(self, fetched_at: datetime) -> bool:
        """Forget the keys that deliveries had named before the set was last fetched. Returns
        whether one of them is here now."""
        settled = [kid for kid, at in list(self._missed.items())
                   if kid in self._keys or at < fetched_at]  # fmt: skip
        for kid in settled:
            self._missed.pop(kid, None)
        return any(kid in self._keys for kid in settled)


def keys_in(document: bytes) -> Sequence[Held]:
    """The public signing keys in a set. Others are left out. Raises ValueError without any."""
    try:
        listed = json_object(document).get("keys")
    except Unreadable as unread:
        raise ValueError(unread.reason) from None
    if not isinstance(listed, list):
        raise ValueError("It has no list of keys.")
    found = [held for one in listed[:MAX_KEYS] if (held := _public(one)) is not None]
    if not found:
        raise ValueError("It has no public key for signatures.")
    return list({one.kid: one for one in found}.values())


def _public(sent: Any) -> Held | None:
    """The public part of a key; None if it is no key for signatures with an ID."""
    if not isinstance(sent, dict) or sent.get("use", "sig") != "sig":
        return None
    kid, kind = sent.get("kid"), str(sent.get("kty"))
    members = ("kty", *PUBLIC.get(kind, ()), *(("alg",) if "alg" in sent else ()))
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_ID or "\0" in kid:
        return None
    if kind not in PUBLIC or not all(isinstance(sent.get(name), str) for name in members):
        return None
    held = Held(kid, json.dumps({name: sent[name] for name in members}, sort_keys=True))
    try:
        key = _key(held).key
    except Exception:  # the library raises errors of all kinds over odd numbers and curves
        return None
    if isinstance(key, RSAKey) and key.public_key.key_size not in RSA_BITS:
        return None
    return held


def _key(held: Held) -> PublicKey:
    members = json.loads(held.jwk)
    alg = members.pop("alg", None)
    kind = RSAKey if members["kty"] == "RSA" else ECKey
    return PublicKey(kind.import_key(members), alg, held.withdrawn_at)
