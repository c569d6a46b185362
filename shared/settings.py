"""Settings from the environment and `.env`. A wrong one stops the start and is named."""

import json
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from shared.setting_types import (
    ApiUrl,
    CoachingRule,
    DatabaseUrl,
    Names,
    NamesKey,
    Port,
    Secret,
    Weekday,
    Workers,
    plain,
    split,
)


class SettingsError(Exception):
    """One line that names each wrong variable."""


TEN_YEARS_SEC = 315_360_000
SHORT = 16
"""A secret with fewer characters can be guessed from what it signs."""


def _read_env_file(path: Any) -> Mapping[str, str | None]:
    """Each value literally: a secret may contain `${…}`, which python-dotenv would expand even
    between single quotes."""
    found = path is not None and Path(path).is_file()
    return dotenv_values(path, interpolate=False, encoding="utf-8-sig") if found else {}


class _EnvFile(PydanticBaseSettingsSource):
    """`.env`, in place of the reader of pydantic-settings, which cannot leave `${…}` alone."""

    def __init__(self, of: type[BaseSettings], path: Any) -> None:
        super().__init__(of)
        self._values = {name.lower(): text for name, text in _read_env_file(path).items() if text}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(self._values)


class Environment(BaseSettings):
    """Settings that are read from the environment and `.env`. Names of others are ignored."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", hide_input_in_errors=True
    )

    @classmethod
    def load(cls, **values: Any) -> Self:
        """Read environment and `.env`; `values` come first. Raises SettingsError, one line for all
        that is wrong."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise SettingsError("; ".join(map(_complaint, error.errors()))) from None
        except UnicodeDecodeError:
            raise SettingsError(".env: is not UTF-8") from None
        except OSError as error:
            raise SettingsError(f".env: cannot be read: {error.strerror}") from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        path = getattr(dotenv_settings, "env_file", None)
        return init_settings, env_settings, _EnvFile(settings_cls, path)


Kind = TypeVar("Kind", bound=Environment)


class Tolerances(Environment):
    """How far the time of a signature may be from its arrival."""

    timestamp_tolerance_past: Annotated[int, Field(ge=0, le=TEN_YEARS_SEC)] = 86_400
    """Seconds. A whole retry span, as it is not published whether a retry has a new signature."""
    timestamp_tolerance_future: Annotated[int, Field(ge=0, le=TEN_YEARS_SEC)] = 300


class Settings(Tolerances):
    """What both processes need. Holds no vendor secret, so the dashboard never reads one."""

    database_url: DatabaseUrl = "sqlite:///repboard.db"
    receiver_host: str = "127.0.0.1"
    receiver_port: Port = 8000
    dashboard_host: str = "127.0.0.1"
    dashboard_port: Port = 8501
    public_url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    """Where vendors reach the receiver, if that is not its own host and port."""
    coaching_threshold_pct: Annotated[float, Field(ge=0, le=100)] = 70
    coaching_rule: CoachingRule = "either"
    """What makes a score low where threshold and vendor differ (`shared.queries.coaching`)."""
    names_manager: Names = "full"
    names_lead: Names = "full"
    names_admin: Names = "full"
    """How people are shown to each role."""
    names_key: NamesKey | None = None
    """This installation's own; without it no one can tell which person an anonymous name or a link
    stands for."""
    week_begins: Weekday = "monday"
    fiscal_year_begins: Annotated[int, Field(ge=1, le=12)] = 1
    """The month in which the first quarter begins."""
    smallest_group: Annotated[int, Field(ge=1, le=1_000)] = 5
    """Members that a team needs to show an average to a role that does not see full names: of
    four, one who knows the other three could work the last one out. 1 shows every average."""

    @model_validator(mode="after")
    def _hidden_names_need_a_key(self) -> Self:
        hidden = {self.names_manager, self.names_lead, self.names_admin} != {"full"}
        if hidden and self.names_key is None:
            raise ValueError(
                "NAMES_KEY: is not set; anonymous names and links to learners are made with it"
            )
        return self

    @property
    def receiver_url(self) -> str:
        """The address to register with a vendor, without a trailing slash."""
        own = f"http://{self.receiver_host}:{self.receiver_port}"
        return (self.public_url or own).rstrip("/")

    def weaknesses(self) -> Iterator[str]:
        """What is allowed but unwise, a line each, for the log of a start."""
        file = Path(".env")
        if file.is_file() and file.stat().st_mode & 0o004:
            yield "Every user of this machine can read .env, which holds secrets: chmod 600 .env"


def spelt(address: str) -> str:
    """An e-mail address as it is compared. Only ASCII is folded: elsewhere two different letters
    can fold to the same one, and so two people to the same address."""
    return address.lower() if address.isascii() else address


def _addresses(value: Any) -> Any:
    return [spelt(one) for one in split(value)] if isinstance(value, str) else value


def _teams(value: Any) -> Any:
    """`{"dana@acme.example": ["west", "north"]}`."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
        return {spelt(address): teams for address, teams in found.items()}
    except (ValueError, AttributeError):
        raise ValueError('should be like {"dana@acme.example": ["west"]}') from None


def _root(url: str) -> str:
    if urlsplit(url).path:
        raise ValueError("should have no path; use https://<host>")
    return url


Addresses = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_addresses)]


class SignIn(Settings):
    """Who has which role. The dashboard asks at each page, the notifier at each message."""

    dashboard_url: Annotated[ApiUrl, AfterValidator(_root)] | None = None
    """Where browsers reach the dashboard. https, or this machine itself."""
    oidc_client_id: Annotated[str, BeforeValidator(plain), Field(min_length=1)] | None = None
    oidc_role_claim: str | None = None
    """The claim with a role or a list of them: manager, lead, admin."""
    oidc_teams_claim: str | None = None
    """The claim with the team or teams that a manager is limited to."""
    dashboard_managers: Addresses = ()
    dashboard_leads: Addresses = ()
    dashboard_admins: Addresses = ()
    manager_teams: Annotated[dict[str, tuple[str, ...]], NoDecode, BeforeValidator(_teams)] = Field(
        default_factory=dict
    )
    """The teams that each manager is limited to. With any entry, a manager without one sees
    no team."""

    @property
    def has_login(self) -> bool:
        return self.oidc_client_id is not None

    @property
    def limits_managers(self) -> bool:
        return bool(self.manager_teams or self.oidc_teams_claim)

    @property
    def pages_url(self) -> str:
        """Where links to pages begin, without a trailing slash."""
        return self.dashboard_url or f"http://{self.dashboard_host}:{self.dashboard_port}"


def variables() -> set[str]:
    """The names in the environment and in `.env`."""
    return {*os.environ, *_read_env_file(Path(".env"))}


class VendorsFile(Environment):
    """Where vendors are declared (`docs/declaring-a-vendor.md`)."""

    vendors_file: Path | None = None


def _web_address(url: SecretStr) -> SecretStr:
    if not re.match(r"https?://[^/]", url.get_secret_value()):
        raise ValueError("should be https://…")
    return url


NOTIFY, FORWARD = "notify_", "forward_"
"""How the variables of channels begin, and the ones of targets of forwards."""


class NotifySettings(SignIn):
    """What the notifier needs on top. Each further `NOTIFY_<NAME>` is a channel: an address."""

    notify_private_addresses: bool = False
    """Whether channels may be inside the network, or on this machine."""
    heartbeat_url: Annotated[Secret, AfterValidator(_web_address)] | None = None
    """Called each minute while the notifier works."""

    def channels(self) -> Mapping[str, str]:
        """The addresses, secret as they are, by name in lower case."""
        own = {*type(self).model_fields, "notify_socket"}  # which is systemd's
        return {name: text for name, text in _named(NOTIFY) if f"{NOTIFY}{name}" not in own}

    def forwards(self) -> Mapping[str, str]:
        """The same of `FORWARD_<NAME>`, `FORWARD_<NAME>_SECRET` and `FORWARD_<NAME>_TYPES`."""
        return dict(_named(FORWARD))


def _named(prefix: str) -> Iterator[tuple[str, str]]:
    """The variables that begin so: the rest of their names in lower case, and their values."""
    given = {**_read_env_file(Path(".env")), **os.environ}
    for name, text in given.items():
        if text and name.lower().startswith(prefix):
            yield name.lower().removeprefix(prefix), plain(text)


class ReceiverSettings(Settings, VendorsFile):
    """What the receiver needs on top: its limits. Each vendor's settings are in its own file."""

    _given: dict[str, Any] = PrivateAttr(default_factory=dict)

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self._given = values

    def of_vendor(self, kind: type[Kind]) -> Kind:
        """The settings of one vendor, from the sources of these. Raises SettingsError."""
        return kind.load(**self._given)

    receiver_workers: Workers = 1
    """How many processes receive, behind one port. The limits below hold for each."""
    receiver_follower: bool = True
    """Whether `serve` runs a follower; else `follow` must run apart."""
    receiver_log_accepted: bool = False
    """Whether each accepted delivery is a line of the log; else those of a transaction are one."""
    max_body_bytes: Annotated[int, Field(ge=1)] = 1_048_576
    keep_alive_sec: Annotated[int, Field(ge=1, le=86_400)] = 75
    """For the next request on a connection; longer than a load balancer keeps its own, or the
    balancer sends a delivery into a connection that is being closed."""
    max_waiting_deliveries: Annotated[int, Field(ge=1)] = 2_000
    max_waiting_bytes: Annotated[int, Field(ge=1)] = 67_108_864
    trusted_proxy_hops: Annotated[int, Field(ge=0)] = 0
    quarantine_max_deliveries: Annotated[int, Field(ge=1)] = 20_000
    quarantine_max_bytes: Annotated[int, Field(ge=1)] = 268_435_456
    """Per vendor, of bodies and kept headers."""
    retention_days: Annotated[int, Field(ge=0, le=36_500)] = 90
    """Deliveries and quarantine go after so many days; 0 keeps them for ever."""
    metrics_token: Secret | None = None
    """What a scraper of /metrics presents as its bearer token; None leaves it open."""

    @model_validator(mode="after")
    def _quarantine_fits_any_body(self) -> Self:
        """A vendor whose body was not understood gets a response that says it is quarantined."""
        least = self.max_body_bytes + HEADERS_BYTES
        if self.quarantine_max_bytes < least:
            raise ValueError(
                f"QUARANTINE_MAX_BYTES: must be at least {least}, MAX_BODY_BYTES and "
                f"{HEADERS_BYTES} for headers, or a body may not fit"
            )
        return self

    def weaknesses(self) -> Iterator[str]:
        yield from super().weaknesses()
        token = (self.metrics_token,) if self.metrics_token else ()
        yield from guessable("METRICS_TOKEN", token, "make one with `openssl rand -hex 32`")


HEADERS_BYTES = 65_536
"""The most that the kept headers of a delivery have: servers take no larger ones."""


def guessable(setting: str, secrets: Iterable[SecretStr], cure: str) -> Iterator[str]:
    """A line for a setting with a secret that is short enough to guess, ended by the cure."""
    if any(_guessable_length(one) < SHORT for one in secrets):
        yield f"{setting} has fewer than {SHORT} characters and could be guessed: {cure}"


def _guessable_length(secret: SecretStr) -> int:
    """A scheme in front, as `Bearer`, is no secret."""
    return len(secret.get_secret_value().rpartition(" ")[2])


OF_THE_DASHBOARD = frozenset(
    ("dashboard_url", "dashboard_cookie_secret", "oidc_client_id", "oidc_client_secret",
     "oidc_metadata_url", "oidc_role_claim", "oidc_teams_claim", "dashboard_managers",
     "dashboard_leads", "dashboard_admins", "manager_teams", "dashboard_session_hours",
     "dashboard_proxy_hops")
)  # fmt: skip
"""The dashboard's own settings, which the receiver does not know otherwise."""
OURS = ("receiver_", "dashboard_", "oidc_", "quarantine_", "timestamp_tolerance_")
CLOSE = 0.85
"""Of two words, as difflib compares them: one letter in seven is another, or two are swapped."""


def misspelt(
    variables: Iterable[str],
    vendors: Collection[str] = (),
    prefixes: tuple[str, ...] = (),
) -> Iterator[str]:
    """Names that look like settings and are none, a warning each. The settings of `vendors` are
    known too, and names with one of the `prefixes` look like theirs."""
    known = ReceiverSettings.model_fields.keys() | OF_THE_DASHBOARD | set(vendors)
    for name in sorted(set(variables)):
        lower = name.lower()
        if lower in known or lower.startswith((NOTIFY, FORWARD)):
            continue
        if near := get_close_matches(lower, known, n=1, cutoff=CLOSE):
            yield f"{name} is no setting and has no effect: is {near[0].upper()} meant?"
        elif lower.startswith(OURS + prefixes):
            yield f"{name} is no setting and has no effect"


def _complaint(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    # What several settings together are wrong about names them itself.
    return f"{str(error['loc'][0]).upper()}: {message}" if error["loc"] else message
