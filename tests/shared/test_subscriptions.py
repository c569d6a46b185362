"""Subscriptions: by which clock they run, when they are quiet, and which people they cover."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from shared.models import AuditLog, Subscription
from shared.queries.people import Who
from shared.queries.preferences import SubscriptionRow, by_token
from shared.rules import RULES
from shared.settings import SignIn
from shared.subscriptions import (
    LOCAL,
    Impossible,
    Wanted,
    held_until,
    last_digest,
    next_digest,
    remove,
    save,
    scope,
    stop,
)
from tests import stores

INES = "ines@acme.example"
MONDAY, SUNDAY = 0, 6
ROW = SubscriptionRow(
    id=1, person=INES, rule="weekly", channel="sales", role="manager", teams='["east", "west"]',
    zone="Europe/Berlin", hour=9, quiet_from=None, quiet_until=None, numbers="comma",
    snoozed_until=None, token="t", created_at=datetime(2025, 1, 1, tzinfo=UTC),
)  # fmt: skip


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2025-11-24 07:59", "2025-11-24 08:00"),  # Monday 09:00 in winter
        ("2025-11-24 08:00", "2025-12-01 08:00"),
        ("2025-03-27 12:00", "2025-03-31 07:00"),  # the clock was changed on Sunday
        ("2025-10-23 12:00", "2025-10-27 08:00"),
    ],
)
def test_a_weekly_digest_is_due_on_monday_by_the_clock_of_its_zone(now: str, expected: str) -> None:
    assert next_digest(ROW, RULES["weekly"], at(now), MONDAY) == at(expected)


def test_a_digest_at_an_hour_that_a_clock_change_skips_is_due_once() -> None:
    row = ROW._replace(hour=2)
    assert next_digest(row, RULES["weekly"], at("2025-03-29 12:00"), SUNDAY) == at(
        "2025-03-30 01:00"
    )
    assert last_digest(row, RULES["weekly"], at("2025-03-30 01:00"), SUNDAY).isoformat() == (
        "2025-03-30"
    )


def test_a_monthly_digest_is_due_on_the_first() -> None:
    assert next_digest(ROW, RULES["monthly"], at("2025-12-15 12:00"), MONDAY) == at(
        "2026-01-01 08:00"
    )


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        ((20, 7), "2025-11-24 18:59", None),
        ((20, 7), "2025-11-24 19:00", "2025-11-25 06:00"),
        ((20, 7), "2025-11-25 05:59", "2025-11-25 06:00"),
        ((20, 7), "2025-11-25 06:00", None),
        ((12, 14), "2025-11-24 12:30", "2025-11-24 13:00"),
        ((12, 14), "2025-11-24 13:00", None),
        ((0, 0), "2025-11-24 13:00", None),
        ((None, None), "2025-11-24 01:00", None),
    ],
)
def test_quiet_hours_are_by_the_clock_of_the_zone(
    hours: tuple[int | None, int | None], now: str, until: str | None
) -> None:
    row = ROW._replace(quiet_from=hours[0], quiet_until=hours[1])
    assert held_until(row, RULES["low-quiz"], at(now)) == (at(until) if until else None)


def test_a_pause_comes_before_quiet_hours() -> None:
    row = ROW._replace(snoozed_until=at("2025-11-26 12:00"), quiet_from=20, quiet_until=7)
    for rule in ("low-quiz", "weekly"):
        assert held_until(row, RULES[rule], at("2025-11-25 23:00")) == at("2025-11-26 12:00")


def test_a_digest_comes_at_its_hour_also_if_that_is_a_quiet_one() -> None:
    row = ROW._replace(quiet_from=20, quiet_until=7)
    assert held_until(row, RULES["weekly"], at("2025-11-25 23:00")) is None


def signing_in(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> SignIn:
    return SignIn(_env_file=None, **({"oidc_client_id": "repboard"} | settings))


def test_a_person_who_lost_the_role_is_notified_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = signing_in(monkeypatch, dashboard_managers="INES@acme.example")
    assert scope(ROW, listed) == Who(("east", "west"))
    assert scope(ROW, signing_in(monkeypatch, dashboard_leads=INES)) is None


def test_teams_come_from_the_settings_and_never_more(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = signing_in(
        monkeypatch, dashboard_managers=INES, manager_teams=f'{{"{INES}": ["west", "north"]}}'
    )
    assert scope(ROW, settings) == Who(("west",))
    other = signing_in(
        monkeypatch, dashboard_managers=INES, manager_teams='{"paul@acme.example": ["west"]}'
    )
    assert scope(ROW, other) == Who(())


def test_a_role_in_a_claim_counts_as_it_was_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    claimed = signing_in(monkeypatch, oidc_role_claim="roles", oidc_teams_claim="teams")
    assert scope(ROW, claimed) == Who(("east", "west"))


def test_local_mode_tells_this_machine_only() -> None:
    local = SignIn(_env_file=None)
    assert scope(ROW, local) is None
    assert scope(ROW._replace(person=LOCAL, role="admin", teams=None), local) == Who()


def test_subscribing_again_changes_the_subscription_and_keeps_its_links(store: Engine) -> None:
    for hour in (9, 7):
        with store.begin() as connection:
            save(connection, INES, "manager", ("east",), Wanted("weekly", "sales", "UTC", hour))
        token = stores.row(store, Subscription).token
    row = stores.row(store, Subscription)
    assert (row.hour, row.token) == (7, token)
    assert len(stores.rows(store, AuditLog)) == 2


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted("deliveries", "sales", "UTC"),
        Wanted("unknown", "sales", "UTC"),
        Wanted("weekly", "sales", "UTC", 24),
        Wanted("weekly", "sales", "UTC", 9, 20, None),
        Wanted("weekly", "sales", "UTC", numbers="roman"),
    ],
)
def test_a_subscription_that_makes_no_sense_is_refused(store: Engine, wanted: Wanted) -> None:
    with store.begin() as connection, pytest.raises(Impossible):
        save(connection, INES, "manager", None, wanted)
    assert not stores.count(store, Subscription)


def test_a_person_ends_only_their_own_and_a_link_ends_its_own(store: Engine) -> None:
    with store.begin() as connection:
        save(connection, INES, "manager", None, Wanted("weekly", "sales", "UTC"))
    row = stores.row(store, Subscription)
    with store.begin() as connection:
        assert not remove(connection, "paul@acme.example", row.id)
        assert not stop(connection, "guess")
        assert stop(connection, row.token)
        assert by_token(connection, row.token) is None
