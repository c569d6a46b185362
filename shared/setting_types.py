"""Types of settings: how the values of variables are written, and what is wrong with one.

A message never has the value, which may be a secret.
"""

import base64
import os
import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, SecretBytes, SecretStr
from pydantic_settings import NoDecode
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError


def _database_url(url: str) -> str:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError("is not a database URL; use sqlite:///… or postgresql://…") from None
    if parsed.drivername == "sqlite":
        if _is_in_memory(parsed):
            raise ValueError("is a store in memory, which no two processes share; use sqlite:///…")
        return url
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    raise ValueError(f"{parsed.drivername} is not supported; use sqlite:///… or postgresql://…")


def _is_in_memory(url: URL) -> bool:
    name = unquote(url.database or "")
    return not name.removeprefix("file:") or ":memory:" in name or "mode=memory" in str(url)


def split(value: Any) -> Any:
    """`a, b` → `["a", "b"]`; several secrets are valid at once while one is being rotated."""
    return (
        [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, str)
        else value
    )


BLANKS = " \t\r\n"
QUOTES = {'"': '"', "'": "'", "`": "`", "\u201c": "\u201d", "\u201e": "\u201c", "\u2018": "\u2019"}


def plain(value: Any, what: str = "") -> Any:
    """A secret, token or ID without the blanks around it. Raises ValueError, which never shows the
    value, for quotes and invisible characters: Docker's `--env-file` makes quotes part of the
    value, and a copy from a web page may contain U+200B.

    `what` begins the message: which of several values it is.
    """
    if not isinstance(value, str):
        return value
    text = value.strip(BLANKS)
    if value and not text:
        raise ValueError(f"{what}has only blanks in it; leave it out")
    if unseen := next((sign for sign in text if not sign.isprintable()), None):
        raise ValueError(
            f"{what}has U+{ord(unseen):04X} in it, which cannot be seen; delete it or type the "
            "value by hand"
        )
    if len(text) > 1 and QUOTES.get(text[0]) == text[-1]:
        raise ValueError(f"{what}stands in quotes, which count as a part of it; remove them")
    return text


def _secrets(value: Any) -> Any:
    """`one, two` → each by itself."""
    if not isinstance(value, str):
        return value
    return [plain(text, f"value {place} ") for place, text in enumerate(split(plain(value)), 1)]


def _lower(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def is_loopback(url: str) -> bool:
    """Whether an address is on this machine."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # another name, or no address at all
        return False


def safe_url(url: str) -> str:
    """An address to which a secret may go, without a trailing slash. Raises ValueError."""
    try:
        parsed = HttpUrl(url)
        (parsed.host or "").encode("idna")  # as the look-up does, which would raise later
    except ValueError:
        raise ValueError("is not an address; use https://…") from None
    if parsed.username or parsed.password or parsed.query or parsed.fragment:
        raise ValueError("should have no user, password, query or fragment; use https://…")
    if parsed.scheme != "https" and not is_loopback(str(parsed)):
        raise ValueError("should be https://…: secrets would go out in clear text")
    return str(parsed).rstrip("/")


def _api_token(token: SecretStr) -> SecretStr:
    """Only characters that need no escape in a header or in JSON: an API's echo of it is found."""
    if not re.fullmatch(r"[!#-\[\]-~]+", token.get_secret_value()):
        raise ValueError("should be the token alone, without spaces, quotes or line breaks")
    return token


def _signing_keys(value: Any) -> Any:
    """`whsec_<base64>, whsec_<base64>` → the decoded keys."""
    return tuple(_signing_key(text, place) for place, text in enumerate(_secrets(value), 1))


def _signing_key(text: str, place: int) -> bytes:
    spelled = re.fullmatch(r"whsec_([A-Za-z0-9+/]+)={0,2}", text)
    try:
        # Some senders leave the padding out.
        key = base64.b64decode(spelled[1] + "=" * (-len(spelled[1]) % 4)) if spelled else b""
    except ValueError:
        key = b""
    if not key:
        raise ValueError(f"value {place} is not whsec_ followed by base64{_hint(text)}")
    return key


def _hint(text: str) -> str:
    if text == "v1":
        return ": leave out the v1, that some senders show before the secret"
    if re.fullmatch(r"whsec_(?=.*[_-])[A-Za-z0-9_-]+={0,2}", text):
        return ": it is in URL-safe base64; write + for each - and / for each _ after whsec_"
    return ""


def _keys_in(encoding: Literal["hex", "base64"]) -> BeforeValidator:
    """`<key>, <key>` → the decoded keys."""

    def keys(value: Any) -> Any:
        return tuple(_key(text, encoding, place) for place, text in enumerate(_secrets(value), 1))

    return BeforeValidator(keys)


def _key(text: str, encoding: Literal["hex", "base64"], place: int) -> bytes:
    try:
        if encoding == "hex":
            return bytes.fromhex(text)
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError(f"value {place} is not {encoding}") from None


def _networks(value: Any) -> Any:
    """`54.243.7.71, 10.1.0.0/16, 2001:db8::/32` → networks."""
    return tuple(_network(text, place) for place, text in enumerate(split(value), 1))


def _network(text: str, place: int) -> IPv4Network | IPv6Network:
    # The entry is named by its place: it may be a secret, entered by mistake.
    try:
        network = ip_network(text)
    except ValueError:
        raise ValueError(
            f"entry {place} is neither an address nor a CIDR range that begins at its first address"
        ) from None
    if isinstance(network, IPv6Network) and network.subnet_of(MAPPED):
        # An IPv4-mapped address is its IPv4 address, so this range is an IPv4 range.
        first = int(network.network_address) - int(MAPPED.network_address)
        network = IPv4Network((first, network.prefixlen - MAPPED.prefixlen))
    if network.prefixlen < WIDEST_PREFIX:
        raise ValueError(
            f"entry {place} is wider than /{WIDEST_PREFIX}, and would accept almost any sender"
        )
    return network


MAPPED = IPv6Network("::ffff:0:0/96")
WIDEST_PREFIX = 8
"""Of an allowlist. A wider range is no list of a vendor's servers."""


def _names_key(key: SecretStr) -> SecretStr:
    if len(key.get_secret_value()) < SHORTEST_KEY:
        raise ValueError(
            f"should have {SHORTEST_KEY} characters or more; try `openssl rand -hex 32`"
        )
    return key


SHORTEST_KEY = 16
Names = Literal["full", "initials", "anonymous"]
Weekday = Annotated[Literal["monday", "sunday", "saturday"], BeforeValidator(_lower)]
CoachingRule = Literal["either", "threshold", "vendor"]


def _workers(value: Any) -> Any:
    return os.cpu_count() or 1 if value == "auto" else value


Port = Annotated[int, Field(ge=1, le=65535)]
Workers = Annotated[int, BeforeValidator(_workers), Field(ge=1, le=64)]
"""A number, or `auto` for one on each core."""
Delays = Annotated[
    tuple[Annotated[int, Field(ge=1, le=604_800)], ...],
    NoDecode,
    BeforeValidator(split),
    Field(min_length=1),
]
Secret = Annotated[SecretStr, BeforeValidator(plain)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_secrets)]
ApiToken = Annotated[Secret, AfterValidator(_api_token)]
ApiUrl = Annotated[str, AfterValidator(safe_url)]
"""Without a trailing slash; in clear text only to this machine itself."""
AccountId = Annotated[str, BeforeValidator(plain)]
SigningKeys = Annotated[tuple[SecretBytes, ...], NoDecode, BeforeValidator(_signing_keys)]
HexKeys = Annotated[tuple[SecretBytes, ...], NoDecode, _keys_in("hex")]
Base64Keys = Annotated[tuple[SecretBytes, ...], NoDecode, _keys_in("base64")]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]
DatabaseUrl = Annotated[str, AfterValidator(_database_url)]
"""In the form that SQLAlchemy takes."""
NamesKey = Annotated[Secret, AfterValidator(_names_key)]
