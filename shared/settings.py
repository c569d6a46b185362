"""Settings from the environment and `.env`. A wrong one stops the start and is named."""

import re
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError


class SettingsError(Exception):
    """One line for the person who starts the program, naming each wrong variable."""


def _database_url(url: str) -> str:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError("is not a database URL; use sqlite:///… or postgresql://…") from None
    if parsed.drivername == "sqlite":
        return url
    if parsed.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)
    raise ValueError(f"{parsed.drivername} is not supported; use sqlite:///… or postgresql://…")


def split(value: Any) -> Any:
    """`a, b` → `["a", "b"]`; several secrets are valid at once while one is being rotated."""
    return (
        [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, str)
        else value
    )


def is_loopback(url: str) -> bool:
    """Whether an address leads back to the machine that uses it."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # another name, or no address at all
        return False


def safe_url(url: str) -> str:
    """An address to which a secret may go, without a trailing slash. Raises ValueError."""
    try:
        parsed = HttpUrl(url)
        (parsed.host or "").encode("idna")  # as the look-up does, which would raise it later
    except ValueError:
        raise ValueError("is not an address; use https://…") from None
    if parsed.username or parsed.password or parsed.query or parsed.fragment:
        raise ValueError("should have no user, password, query or fragment; use https://…")
    if parsed.scheme != "https" and not is_loopback(str(parsed)):
        raise ValueError("should be https://…: secrets would go out in clear text")
    return str(parsed).rstrip("/")


def _api_token(token: SecretStr) -> SecretStr:
    """What a header can carry, and JSON without an escape: so it is found in an API's echo."""
    if not re.fullmatch(r"[!#-\[\]-~]+", token.get_secret_value()):
        raise ValueError("should be the token alone, without spaces, quotes or line breaks")
    return token


TEN_YEARS_SEC = 315_360_000
SHORT = 16
"""Characters under which a secret can be guessed by who sees what it signs."""
Port = Annotated[int, Field(ge=1, le=65535)]
Delays = Annotated[
    tuple[Annotated[int, Field(ge=1, le=604_800)], ...],
    NoDecode,
    BeforeValidator(split),
    Field(min_length=1),
]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(split)]


class Settings(BaseSettings):
    """What both processes need. Holds no vendor secret, so the dashboard never reads one."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    database_url: Annotated[str, AfterValidator(_database_url)] = "sqlite:///repboard.db"
    receiver_host: str = "127.0.0.1"
    receiver_port: Port = 8000
    dashboard_host: str = "127.0.0.1"
    dashboard_port: Port = 8501
    public_url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    """Where vendors reach the receiver, if that is not its own host and port."""
    mindtickle_retry_delays: Delays = (300, 900, 3600, 21_600)
    """Seconds before each retry, as MindTickle's guide publishes them."""
    mindtickle_retry_reading: Literal["gaps", "offsets"] = "gaps"
    """Whether a delay counts from the attempt before, or from the first."""
    mindtickle_suspend_after: Annotated[int, Field(ge=60, le=TEN_YEARS_SEC)] = 86_400
    """Seconds in which every delivery fails until MindTickle suspends the webhook."""
    timestamp_tolerance_past: Annotated[int, Field(ge=0, le=TEN_YEARS_SEC)] = 86_400
    """Seconds. A whole retry span, as it is not published whether a retry is signed anew."""
    timestamp_tolerance_future: Annotated[int, Field(ge=0, le=TEN_YEARS_SEC)] = 300
    coaching_threshold_pct: Annotated[float, Field(ge=0, le=100)] = 70

    @property
    def receiver_url(self) -> str:
        """The address to register with a vendor, without a trailing slash."""
        own = f"http://{self.receiver_host}:{self.receiver_port}"
        return (self.public_url or own).rstrip("/")

    @classmethod
    def load(cls) -> Self:
        """Read environment and `.env`. Raises SettingsError, one line for all that is wrong."""
        try:
            return cls()
        except ValidationError as error:
            raise SettingsError("; ".join(map(_complaint, error.errors()))) from None

    def weaknesses(self) -> Iterator[str]:
        """What is allowed but unwise, a line each, for whoever reads the log of a start."""
        file = Path(".env")
        if file.is_file() and file.stat().st_mode & 0o004:
            yield "Everybody on this machine can read .env, which holds secrets: chmod 600 .env"


class ReceiverSettings(Settings):
    """What the receiver needs on top: credentials and limits."""

    mindtickle_webhook_secret: Secrets = ()
    mindtickle_company_id: str | None = None
    mindtickle_api_token: Annotated[SecretStr, AfterValidator(_api_token)] | None = None
    mindtickle_api_url: Annotated[str, AfterValidator(safe_url)] = "https://api.mindtickle.com"
    """Without a trailing slash; in clear text only to this machine itself."""
    max_body_bytes: Annotated[int, Field(ge=1)] = 1_048_576
    max_waiting_deliveries: Annotated[int, Field(ge=1)] = 2_000
    max_waiting_bytes: Annotated[int, Field(ge=1)] = 67_108_864
    trusted_proxy_hops: Annotated[int, Field(ge=0)] = 0
    quarantine_max_deliveries: Annotated[int, Field(ge=0)] = 20_000
    quarantine_max_bytes: Annotated[int, Field(ge=0)] = 268_435_456
    """Per vendor, of bodies and kept headers."""
    retention_days: Annotated[int, Field(ge=0, le=36_500)] = 90
    """Deliveries and quarantine go after so many days; 0 keeps them for ever."""
    metrics_token: SecretStr | None = None
    """What a scraper of /metrics presents as its bearer token; None lets everybody read it."""

    def weaknesses(self) -> Iterator[str]:
        yield from super().weaknesses()
        secrets = {
            "MINDTICKLE_WEBHOOK_SECRET": self.mindtickle_webhook_secret,
            "METRICS_TOKEN": (self.metrics_token,) if self.metrics_token else (),
        }
        for variable, values in secrets.items():
            if any(len(secret) < SHORT for secret in values):
                yield f"{variable} has fewer than {SHORT} characters and could be guessed"


def _complaint(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    # What several settings together are wrong about names them itself.
    return f"{str(error['loc'][0]).upper()}: {message}" if error["loc"] else message
