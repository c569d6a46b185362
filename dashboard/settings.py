"""The dashboard's own settings: its address, the sign-in, and the roles."""

from threading import local
from typing import Annotated, Self

import streamlit as st
from pydantic import Field, model_validator
from streamlit.runtime.scriptrunner import get_script_run_ctx

from shared.setting_types import ApiUrl, Secret, is_loopback
from shared.settings import SignIn

LOGIN = ("oidc_client_id", "oidc_client_secret", "oidc_metadata_url", "dashboard_cookie_secret",
         "dashboard_url")  # fmt: skip
"""Without any of these there is no login; with one of them there must be all."""


LoginSecret = Annotated[Secret, Field(min_length=1)]


class DashboardSettings(SignIn):
    """What the dashboard needs on top of what both processes need."""

    dashboard_cookie_secret: Annotated[Secret, Field(min_length=32)] | None = None
    """Signs the cookie of the sign-in."""
    oidc_client_secret: LoginSecret | None = None
    oidc_metadata_url: ApiUrl | None = None
    """The provider's `…/.well-known/openid-configuration`."""
    dashboard_session_hours: Annotated[float, Field(gt=0, le=720)] = 12
    """Hours until the next sign-in, even where the provider's token is valid for longer."""
    dashboard_proxy_hops: Annotated[int, Field(ge=0, le=10)] = 0
    """Proxies of ours before the dashboard that each add to X-Forwarded-For."""

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


def settings() -> DashboardSettings:
    """The same for all sessions. A run of a page asks hundreds of times, which is a tenth of what
    drawing takes if each goes through Streamlit's cache; a run has a thread of its own."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return _loaded()
    if not hasattr(_run, "settings"):
        _run.settings = _loaded()
    found: DashboardSettings = _run.settings
    return found


_run = local()


@st.cache_resource
def _loaded() -> DashboardSettings:
    return DashboardSettings.load()
