"""The viewer of a page, from the claims that the identity provider sent at sign-in.

Streamlit keeps the claims in a signed cookie for 30 days and never checks them again; here they are
checked whenever a page runs or reads.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

import streamlit as st

from dashboard.settings import DashboardSettings, settings
from shared.settings import spelt


class Role(StrEnum):
    """A role of a viewer."""

    MANAGER = "manager"
    LEAD = "lead"
    ADMIN = "admin"


class Viewer(NamedTuple):
    """A person at a page. `teams` None is every team, and people without a team."""

    name: str
    roles: frozenset[Role]
    teams: tuple[str, ...] | None = None
    address: str = ""
    """The e-mail address, if the provider says that it is verified."""


LOCAL = Viewer("dashboard", frozenset({Role.ADMIN}))
"""Every person at this machine, while no login is configured."""


def viewer() -> Viewer | None:
    """The person who is signed in, with any roles or none; None without a valid sign-in."""
    config = settings()
    if not config.has_login:
        return LOCAL
    claims = _claims()
    return of_claims(claims, config) if claims else None


def of_claims(claims: Mapping[str, Any], config: DashboardSettings) -> Viewer | None:
    """The person of a provider's claims; None once the sign-in has ended."""
    return _known(claims, config) if _in_time(claims, config) else None


def of_screen(
    number: int, paired_by: str, teams: tuple[str, ...] | None, config: DashboardSettings
) -> Viewer | None:
    """A paired wall display: no role, and the teams that the person had who paired it. None once
    the settings give that person neither role that pairs, and never more teams than they give now.

    A role or teams in a claim are known at a sign-in only: there the pairing counts until it is
    revoked.
    """
    listed = config.oidc_role_claim is None
    roles = _roles({}, paired_by, config)
    if listed and roles.isdisjoint({Role.MANAGER, Role.ADMIN}):
        return None
    is_limited = roles == {Role.MANAGER} if listed else teams is not None
    if is_limited and config.manager_teams and config.oidc_teams_claim is None:
        own = config.manager_teams.get(paired_by, ())
        teams = own if teams is None else tuple(team for team in teams if team in own)
    return Viewer(f"screen {number}", frozenset(), teams)


def has_ended() -> bool:
    """Whether a sign-in has ended."""
    return bool(_claims()) and viewer() is None


def _claims() -> Mapping[str, Any]:
    claims: Mapping[str, Any] = st.user.to_dict()
    return claims if claims.get("is_logged_in") is True else {}


def _in_time(claims: Mapping[str, Any], config: DashboardSettings) -> bool:
    """Before the end of the token and of the session; a token without times is not valid."""
    issued, ends = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int | float) or not isinstance(ends, int | float):
        return False
    now = datetime.now(UTC).timestamp()
    return now < ends and now < issued + config.dashboard_session_hours * 3600


def _known(claims: Mapping[str, Any], config: DashboardSettings) -> Viewer:
    address = _verified_address(claims)
    roles = _roles(claims, address, config)
    limited = config.limits_managers and roles == {Role.MANAGER}
    return Viewer(
        address or f"{claims.get('sub')}",
        roles,
        _teams(claims, address, config) if limited else None,
        address,
    )


def _verified_address(claims: Mapping[str, Any]) -> str:
    """Empty unless the provider says that it is verified: some accept any address."""
    address = claims.get("email")
    verified = claims.get("email_verified") is True
    return spelt(address) if verified and isinstance(address, str) else ""


def _roles(claims: Mapping[str, Any], address: str, config: DashboardSettings) -> frozenset[Role]:
    listed = {
        Role.MANAGER: config.dashboard_managers,
        Role.LEAD: config.dashboard_leads,
        Role.ADMIN: config.dashboard_admins,
    }
    claimed = _words(claims, config.oidc_role_claim)
    return frozenset(
        role for role in Role if role in claimed or (address and address in listed[role])
    )


def _teams(claims: Mapping[str, Any], address: str, config: DashboardSettings) -> tuple[str, ...]:
    named = config.manager_teams.get(address, ()) if address else ()
    return tuple(sorted({*named, *_words(claims, config.oidc_teams_claim)}))


def _words(claims: Mapping[str, Any], name: str | None) -> tuple[str, ...]:
    """A claim that is a word or a list of words."""
    value = claims.get(name) if name else None
    found = value if isinstance(value, list) else [value]
    return tuple(word for word in found if isinstance(word, str) and word)
