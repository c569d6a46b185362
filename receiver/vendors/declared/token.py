"""A signed token (JSON Web Token, RFC 7519) as the proof of a delivery. Pure: no I/O and no clock.

The token is the body, and then its claims are the event; or it is in a header, and then a claim has
the digest of the body. The keys are public, and one set signs for all customers of a vendor. So a
valid signature says which vendor sent it, and only a claim says that it is for this installation.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

from receiver.vendors.base import Incoming, Rejected, Unreadable, json_object
from receiver.vendors.declared.authentication import Jwt
from receiver.vendors.declared.declaration import Declaration
from receiver.vendors.declared.keys import KeyRing
from receiver.vendors.declared.places import text_at
from receiver.vendors.declared.proof import Proof
from receiver.vendors.fields import signed_time
from shared.outcomes import Outcome

MAX_HEADER, MAX_SIGNATURE = 4_096, 2_048
MAX_SHOWN = 60
"""Characters of a customer's name that a reason shows."""
LEEWAY_SEC = 300
"""How far the vendor's clock and this machine's may differ."""
OF_THE_TOKEN = frozenset(("iat", "exp", "nbf", "jti"))
"""Claims of the token and not of the event: a retry may have others."""
_TOKEN = re.compile(rb"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


class Token(Proof):
    """`Jwt` for the customers' names of its variable."""

    def __init__(
        self, one: Declaration, how: Jwt, accounts: Sequence[str], max_bytes: int = 2**21
    ) -> None:
        self.ring = KeyRing(how.keys)
        self._how, self._name, self._accounts = how, one.name, accounts
        self._registry = JWSRegistry(algorithms=how.algorithms, strict_check_header=False)
        self._registry.max_header_length = MAX_HEADER
        self._registry.max_signature_length = MAX_SIGNATURE
        self._registry.max_payload_length = max_bytes  # MAX_BODY_BYTES is what limits it
        self.kept_headers = (how.header,) if how.header else ()

    def check(self, incoming: Incoming) -> None:
        token = self._sent(incoming)
        self._require_signature(token, incoming.received_at)
        try:
            claims = json_object(_payload(token))
        except Unreadable as unread:
            raise Rejected(
                Outcome.WRONG_COMPANY,
                f"The token has no claims that could be read. {unread.reason}",
            ) from None
        self._require_time(claims, incoming.received_at)
        self._require_account(claims)
        self._require_body(claims, incoming.body)

    def _sent(self, incoming: Incoming) -> bytes:
        """The token of a delivery. Raises Rejected."""
        if self._how.header is None:
            if _TOKEN.fullmatch(incoming.body):
                return incoming.body
            raise Rejected(
                Outcome.MISSING_CREDENTIALS,
                f"The body is no signed token. If this is {self._name}, turn on the signing of its "
                "payloads there. If not, this is another sender.",
            )
        sent = incoming.headers.get(self._how.header, b"")
        if not sent:
            raise Rejected(
                Outcome.MISSING_CREDENTIALS,
                f"No {self._how.header} header. {self._name} always sends one: this is another "
                "sender, or a proxy removes it.",
            )
        scheme = self._how.scheme.encode()
        token = sent.removeprefix(scheme)
        if not sent.startswith(scheme) or not _TOKEN.fullmatch(token):
            form = f"{self._how.scheme}<token>" if scheme else "the token alone"
            raise Rejected(
                Outcome.BAD_SIGNATURE,
                f"The {self._how.header} header is no signed token: it should be {form}.",
            )
        return token

    def issued_at(self, incoming: Incoming) -> datetime | None:
        """When a token says that it was issued; None if it does not say."""
        try:
            sent = json_object(_payload(self._sent(incoming))).get("iat")
        except (Rejected, Unreadable):
            return None
        return signed_time(str(sent).encode(), "seconds") if isinstance(sent, int) else None

    def _require_signature(self, token: bytes, at: datetime) -> None:
        head, _, _ = token.split(b".")
        try:
            header = json_object(urlsafe_b64decode(head))
        except (Unreadable, ValueError):
            raise Rejected(Outcome.BAD_SIGNATURE, "The token's header is not JSON.") from None
        alg, kid = header.get("alg"), header.get("kid")
        if alg not in self._how.algorithms:
            allowed = ", ".join(self._how.algorithms)
            raise Rejected(
                Outcome.BAD_SIGNATURE,
                f"The token is not signed with {allowed}. {self._name} always does: this is "
                "another sender.",
            )
        if not isinstance(kid, str):
            raise Rejected(Outcome.BAD_SIGNATURE, "The token names no key (kid).")
        known = self.ring.find(kid, at)
        if known is None:
            raise Rejected(
                Outcome.BAD_SIGNATURE,
                f"The token names a key that {self._how.keys} has not listed yet, or lists no "
                "longer. The keys are fetched again within a minute, and then this delivery is "
                "replayed.",
            )
        if known.alg not in (None, alg):
            raise Rejected(Outcome.BAD_SIGNATURE, "The token's key is for another algorithm.")
        try:
            jws.deserialize_compact(token, known.key, registry=self._registry)
        except (JoseError, ValueError, TypeError):
            raise Rejected(
                Outcome.BAD_SIGNATURE, f"The signature fits no key of {self._how.keys}."
            ) from None

    def _require_time(self, claims: Mapping[str, Any], at: datetime) -> None:
        now = at.timestamp()
        for name in ("exp", "nbf", "iat"):
            sent = claims.get(name)
            if sent is None:
                continue
            if not isinstance(sent, int | float) or isinstance(sent, bool):
                raise Rejected(Outcome.STALE_TIMESTAMP, f"The token's {name} is no time.")
            # Compared, not subtracted: any number of digits and NaN are refused.
            ends = name == "exp"
            if not (sent >= now - LEEWAY_SEC if ends else sent <= now + LEEWAY_SEC):
                raise Rejected(
                    Outcome.STALE_TIMESTAMP,
                    f"The token {'has expired' if ends else 'is from the future'} by its {name}, "
                    f"by more than {LEEWAY_SEC} s. Check this machine's clock.",
                )

    def _require_account(self, claims: Mapping[str, Any]) -> None:
        account = (text_at(self._how.account, claims) or "").encode("utf-8", "replace")
        hits = [hmac.compare_digest(one.encode(), account) for one in self._accounts]
        if not any(hits):
            shown = ascii(account.decode()[:MAX_SHOWN]) if account else "absent"
            raise Rejected(
                Outcome.WRONG_COMPANY,
                f"{self._how.account.path} is {shown}, which is none of {self._how.accounts}. If "
                "the account is yours, add it there and restart.",
            )

    def _require_body(self, claims: Mapping[str, Any], body: bytes) -> None:
        where = self._how.body_sha256
        if where is None:
            return
        sent = (text_at(where, claims) or "").encode("utf-8", "replace")
        if not hmac.compare_digest(hashlib.sha256(body).hexdigest().encode(), sent):
            raise Rejected(
                Outcome.BAD_SIGNATURE,
                f"The token is not of this body: {where.path} is not its SHA-256.",
            )

    def content(self, incoming: Incoming) -> bytes:
        """The claims, of a token in the body. Raises Unreadable if it has none."""
        if self._how.header is not None or not _TOKEN.fullmatch(incoming.body):
            return incoming.body
        return _payload(incoming.body)

    def message(self, incoming: Incoming) -> bytes:
        """What the event says: not how its token is signed, which is another with another key."""
        if self._how.header is not None:
            return incoming.body
        try:
            claims = json_object(self.content(incoming))
        except Unreadable:
            return incoming.body
        own = {name: value for name, value in claims.items() if name not in OF_THE_TOKEN}
        return json.dumps(own, sort_keys=True).encode()

    def headers(self, sent: Mapping[str, str], body: bytes) -> None:
        """None: only the vendor has its private key."""


def _payload(token: bytes) -> bytes:
    try:
        return urlsafe_b64decode(token.split(b".")[1])
    except ValueError:
        raise Unreadable("The token's payload is not base64url.") from None
