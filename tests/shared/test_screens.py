"""Wall displays in the store: codes, pairing with its limits, revocation."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from shared.clock import under
from shared.models import AuditLog, Screen
from shared.queries import screens as read
from shared.screens import (
    MOST_WAITING,
    TRIES,
    TRY_WINDOW,
    VALID,
    Pairing,
    confirm,
    hash_of,
    revoke,
    wait,
)
from tests import stores

NOW = datetime(2025, 11, 22, 12, tzinfo=UTC)
ADA, INES = "ada@acme.example", "ines@acme.example"
Teams = tuple[str, ...] | None


def code_of(store: Engine, token: str = "tv", at: datetime = NOW) -> str | None:
    with store.begin() as connection:
        return wait(connection, hash_of(token), at)


def pair(
    store: Engine, code: str, by: str = ADA, teams: Teams = None, at: datetime = NOW
) -> Pairing:
    with under(store, at).begin() as connection:
        return confirm(connection, by, code, teams, at)


def paired(store: Engine, token: str = "tv", by: str = ADA, teams: Teams = None) -> int:
    code = code_of(store, token)
    assert code
    assert pair(store, code, by, teams) is Pairing.PAIRED
    number: int = stores.row(store, Screen, token_hash=hash_of(token)).id
    return number


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


def noted(store: Engine) -> list[tuple[str, str]]:
    return [(row.actor, row.action) for row in stores.rows(store, AuditLog)]


def test_a_screen_that_asks_again_keeps_its_code(store: Engine) -> None:
    first = code_of(store)
    assert first is not None
    assert len(first) == len("123456")
    assert first.isdecimal()
    assert code_of(store, at=NOW + VALID / 2) == first
    assert stores.count(store, Screen) == 1


def test_the_store_has_no_token(store: Engine) -> None:
    code_of(store, "a-token")
    assert "a-token" not in str(stores.rows(store, Screen))


def test_a_code_pairs_its_screen_for_the_teams_of_who_enters_it(store: Engine) -> None:
    code = code_of(store)
    code_of(store, "another tv")
    assert code
    assert pair(store, f" {code[:3]} {code[3:]} ", INES, ("east", "north")) is Pairing.PAIRED
    with store.connect() as connection:
        row = read.of_token(connection, hash_of("tv"))
        other = read.of_token(connection, hash_of("another tv"))
    assert row
    assert (row.code, row.confirmed_by, row.shown_teams) == (None, INES, ("east", "north"))
    assert other
    assert other.confirmed_by is None


def test_a_code_works_once(store: Engine) -> None:
    code = code_of(store)
    assert code
    assert pair(store, code) is Pairing.PAIRED
    assert pair(store, code) is Pairing.WRONG


def test_an_old_code_pairs_nothing_and_its_screen_gets_another_row(store: Engine) -> None:
    code = code_of(store)
    assert code
    assert pair(store, code, at=NOW + VALID) is Pairing.WRONG
    assert code_of(store, at=NOW + VALID)
    assert stores.row(store, Screen).created_at == NOW + VALID


def test_only_so_many_screens_wait_until_their_codes_are_old(store: Engine) -> None:
    codes = [code_of(store, f"tv {number}") for number in range(MOST_WAITING)]
    assert len(set(codes)) == MOST_WAITING
    assert code_of(store, "one more") is None
    assert stores.count(store, Screen) == MOST_WAITING
    assert code_of(store, "one more", NOW + VALID)
    assert stores.count(store, Screen) == 1


def test_paired_screens_stay_and_leave_room_for_those_that_wait(store: Engine) -> None:
    paired(store)
    for number in range(MOST_WAITING):
        assert code_of(store, f"tv {number}", NOW + 2 * VALID)
    assert stores.count(store, Screen) == MOST_WAITING + 1


def test_after_too_many_wrong_codes_a_person_pairs_nothing_for_a_while(store: Engine) -> None:
    code = code_of(store)
    assert code
    for _ in range(TRIES):
        assert pair(store, wrong(code)) is Pairing.WRONG
    assert pair(store, code) is Pairing.REFUSED
    assert pair(store, code) is Pairing.REFUSED
    refusal = (ADA, "refuse screen code")
    assert noted(store) == [(ADA, "wrong screen code")] * TRIES + [refusal]
    assert pair(store, code, INES) is Pairing.PAIRED
    later = NOW + TRY_WINDOW
    new = code_of(store, "another tv", later)
    assert new
    assert pair(store, new, at=later) is Pairing.PAIRED


def test_what_was_entered_is_not_in_the_audit_log(store: Engine) -> None:
    code = code_of(store)
    assert code
    pair(store, wrong(code))
    pair(store, code)
    log = str(stores.rows(store, AuditLog))
    assert code not in log
    assert wrong(code) not in log


@pytest.mark.parametrize(
    ("actor", "of_all", "goes"), [(INES, False, True), (ADA, False, False), (ADA, True, True)]
)
def test_a_screen_is_revoked_by_who_paired_it_or_an_admin(
    store: Engine, actor: str, of_all: bool, goes: bool
) -> None:
    number = paired(store, by=INES)
    with store.begin() as connection:
        assert revoke(connection, actor, number, of_all=of_all) is goes
    with store.connect() as connection:
        assert (read.of_token(connection, hash_of("tv")) is None) is goes
    assert ((actor, "revoke screen") in noted(store)) is goes


def test_a_screen_that_waits_cannot_be_revoked(store: Engine) -> None:
    code_of(store)
    number = stores.row(store, Screen).id
    with store.begin() as connection:
        assert not revoke(connection, ADA, number, of_all=True)


def test_each_person_is_listed_the_screens_that_they_paired(store: Engine) -> None:
    first, second = paired(store, "one", INES, ("east",)), paired(store, "two")
    with store.connect() as connection:
        assert [row.id for row in read.paired(connection, INES)] == [first]
        assert [row.id for row in read.paired(connection)] == [second, first]
