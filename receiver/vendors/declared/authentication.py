"""How a declared vendor proves that a delivery is its own.

No secret is in the file: `secret`, `addresses` and `accounts` name variables of the environment.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, PlainValidator, model_validator

from receiver.vendors.base import MAX_ID
from receiver.vendors.declared.tables import Body, Header, Part, Prefix, Table, Template
from shared.setting_types import safe_url


def _variable(sent: object) -> str:
    """The value is never part of the message: it may be the secret itself, entered by mistake."""
    if not isinstance(sent, str) or not re.fullmatch(r"[A-Z][A-Z0-9_]{0,99}", sent):
        raise ValueError(
            "should be the name of a variable, such as ACME_SECRET; the secret itself belongs "
            "into the environment or .env"
        )
    return sent


Variable = Annotated[str, PlainValidator(_variable)]


class Hmac(Table):
    """A header with a signature over `signed`."""

    kind: Literal["hmac"]
    secret: Variable
    key_encoding: Literal["text", "hex", "base64", "whsec"] = "text"
    """How the secret spells the key; `whsec` is base64 after `whsec_`."""
    algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    signed: Template = (Part("body"),)
    header: Header
    encoding: Literal["hex", "base64"] = "hex"
    prefix: Prefix = ""
    """Before each signature."""
    separator: Literal[" ", ",", ";"] | None = None
    """Between several signatures; without one there is only one."""

    @model_validator(mode="after")
    def _can_be_separated(self) -> Self:
        if self.separator and self.separator in self.prefix:
            raise ValueError("separator is in the prefix, so a signature would be cut in two")
        return self

    @property
    def variable(self) -> str:
        return self.secret


class HeaderValue(Table):
    """A header that is the secret itself."""

    kind: Literal["header"]
    secret: Variable
    header: Header

    @property
    def variable(self) -> str:
        return self.secret


class Basic(Table):
    """A user and a password (RFC 7617)."""

    kind: Literal["basic"]
    user: Annotated[str, Field(min_length=1, max_length=MAX_ID, pattern=r"^[^\x00-\x1f:]+$")]
    secret: Variable
    """Of the password."""

    @property
    def variable(self) -> str:
        return self.secret


class Allowlist(Table):
    """The sender's own addresses."""

    kind: Literal["allowlist"]
    addresses: Variable

    @property
    def variable(self) -> str:
        return self.addresses


Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
"""With a private and a public key each: with one key for both, the published key could sign."""


class Jwt(Table):
    """A token that the vendor signs for all its customers, with keys that it publishes."""

    kind: Literal["jwt"]
    keys: Annotated[str, AfterValidator(safe_url)]
    """The address of the set of keys."""
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256",)
    account: Body
    """The claim that says for which customer it is."""
    accounts: Variable
    """Of this installation's values of that claim."""
    header: Header | None = None
    """With the token; without one the body is the token, and its claims are the event."""
    scheme: Annotated[str, Field(max_length=40, pattern=r"^[!-~]* ?$")] = ""
    """Before the token in the header, such as `Bearer `."""
    body_sha256: Body | None = None
    """The claim with the body's SHA-256 in hex, for a token in a header."""

    @model_validator(mode="after")
    def _covers_the_body(self) -> Self:
        if (self.header is None) != (self.body_sha256 is None):
            raise ValueError(
                "a token in a header needs body_sha256, the claim that covers the body; one in the "
                "body has none"
            )
        if self.header is None and self.scheme:
            raise ValueError("scheme: is only for a token in a header")
        return self

    @property
    def variable(self) -> str:
        return self.accounts


Authentication = Annotated[
    Hmac | HeaderValue | Basic | Allowlist | Jwt, Field(discriminator="kind")
]
