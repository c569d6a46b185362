"""The dashboard's own settings: its address, the sign-in, and the roles."""

import json
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

import streamlit as st
from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from shared.settings import Secret, Settings, is_loopback, plain, safe_url, split

LOGIN = ("oidc_client_id", "oidc_client_secret", "oidc_metadata_url", "dashboard_cookie_secret",
         "dashboard_url")  # fmt: skip
"""Without any of these there is no login; with one of them there must be all."""


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


Url = Annotated[str, AfterValidator(safe_url)]
Addresses = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_addresses)]
LoginSecret = Annotated[Secret, Field(min_length=1)]


class DashboardSettings(Settings):
    """What the dashboard needs on top of what both processes need."""

    dashboard_url: Annotated[Url, AfterValidator(_root)] | None = None
    """Where browsers reach the dashboard. https, or this machine itself."""
    dashboard_cookie_secret: Annotated[Secret, Field(min_length=32)] | None = None
    """Signs the cookie of the sign-in."""
    oidc_client_id: Annotated[str, BeforeValidator(plain), Field(min_length=1)] | None = None
    oidc_client_secret: LoginSecret | None = None
    oidc_metadata_url: Url | None = None
    """The provider's `…/.well-known/openid-configuration`."""
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
    dashboard_session_hours: Annotated[float, Field(gt=0, le=720)] = 12
    """Hours until the next sign-in, even where the provider's token is valid for longer."""
    dashboard_proxy_hops: Annotated[int, Field(ge=0, le=10)] = 0
    """Proxies of ours before the dashboard that each add to X-Forwarded-For."""

    @property
    def has_login(self) -> bool:
        return self.oidc_client_id is not None

    @property
    def limits_managers(self) -> bool:
        return bool(self.manager_teams or self.oidc_teams_claim)

    @model_validator(mode="after")
    def _login_is_whole(self) -> Self:
        missing = [name.upper() for name in LOGIN if getattr(self, name) is None]
        if 0 < len(missing) < len(LOGIN):
            raise ValueError(f"{', '.join(missing)}: is not set, and a login needs it")
        named = self.dashboard_managers or self.dashboard_leads or self.dashboard_admins
        if not missing and not (self.oidc_role_claim or named):
            raise ValueError(
                "OIDC_ROLE_CLAIM, DASHBOARD_ADMINS: neither is set, so no person who signs in "
                "would have a role"
            )
        return self

    @model_validator(mode="after")
    def _without_login_only_on_this_machine(self) -> Self:
        host = self.dashboard_host
        if self.has_login or is_loopback(f"http://[{host}]" if ":" in host else f"http://{host}"):
            return self
        raise ValueError(
            f"DASHBOARD_HOST: {host} can be reached from other machines, and no login is "
            "configured; set up one (docs/sign-in.md) or use 127.0.0.1"
        )


@st.cache_resource
def settings() -> DashboardSettings:
    return DashboardSettings.load()
