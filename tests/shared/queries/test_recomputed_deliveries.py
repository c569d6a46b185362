"""Deliveries, failures and what the standings lack, recomputed from the requests as they were sent:
each is known by what must become of it."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple

import pytest
from sqlalchemy import Connection

from receiver.vendors import vendor_facts
from shared.outcomes import STRANGERS_LISTED
from shared.queries import deliveries, failures, missing
from shared.queries.deliveries import Search
from shared.settings import ReceiverSettings
from tests.history import DISMISSED, FAILED_ON, FIRST, MT, Request, requests
from tests.recomputed import Stored

REFUSED = {MT: "bad_signature", "lessonly": "wrong_credentials",
           "innovative-educators": "ip_not_allowed"}  # fmt: skip
HOUR = timedelta(hours=1)
VENDORS = vendor_facts(ReceiverSettings(_env_file=None))
SINCE = [FIRST, FAILED_ON.replace(minute=0)]


class Answered(NamedTuple):
    """A request, what became of it, and of which event it is."""

    sent: Request
    outcome: str
    event: tuple[str, str | bytes]

    @property
    def hour(self) -> datetime:
        return self.sent.arrived.replace(minute=0, second=0, microsecond=0)


@cache
def ledger() -> Sequence[Answered]:
    """All requests in the order of arrival. An event is known by its ID, or else by its body; what
    was signed once is no second event under another ID."""
    seen: set[object] = set()
    found = []
    for sent in requests():
        names = {(sent.vendor, sent.key), (sent.headers.get("x-mt-webhook-timestamp"), sent.body)}
        if sent.fate == "good":
            outcome = "duplicate" if names & seen else "accepted"
            seen |= names if outcome == "accepted" else set()
        elif sent.fate == "junk":
            outcome = "missing_credentials"
        else:
            outcome = "unreadable" if sent.fate == "odd" else REFUSED[sent.vendor]
        found.append(Answered(sent, outcome, (sent.vendor, sent.key or sent.body)))
    return found


def of_vendors(since: datetime, vendor: str | None = None) -> Sequence[Answered]:
    return [one for one in ledger()
            if one.sent.fate != "junk" and one.sent.arrived >= since
            and vendor in (None, one.sent.vendor)]  # fmt: skip


def failed(since: datetime) -> Sequence[Answered]:
    return [one for one in of_vendors(since) if one.outcome not in ("accepted", "duplicate")]


def stored_events() -> set[tuple[str, str | bytes]]:
    """Those that passed, and those that the replay knew the secret of."""
    passed = {one.event for one in ledger() if one.outcome in ("accepted", "duplicate")}
    return passed | {one.event for one in ledger() if one.sent.fate == "old secret"}


def test_each_event_that_passed_or_was_replayed_is_stored_once(events: Sequence[Stored]) -> None:
    keys = [(one.vendor, one.event_key) for one in events]
    accepted = [one.event for one in ledger() if one.outcome == "accepted"]
    replayed = {one.event for one in ledger() if one.sent.fate == "old secret"}
    assert sorted(keys) == sorted({*accepted, *replayed})
    bodies = {one.event: one.sent.body.decode() for one in ledger()}
    assert {key: bodies[key] for key in keys} == {
        (one.vendor, one.event_key): one.payload for one in events
    }


@pytest.mark.parametrize("since", SINCE)
@pytest.mark.parametrize("vendor", [None, MT, "lessonly"])
def test_hours_and_totals_count_the_vendors_requests(
    reader: Connection, since: datetime, vendor: str | None
) -> None:
    every = of_vendors(since, vendor)
    rows = deliveries.by_hour(reader, since, vendor)
    assert {(row.hour, row.outcome): row.deliveries for row in rows} == Counter(
        (one.hour, one.outcome) for one in every
    )
    passed = sum(one.outcome in ("accepted", "duplicate") for one in every)
    assert deliveries.totals(reader, since, vendor) == (len(every), passed)


def test_strangers_are_counted_apart_also_those_without_a_row(reader: Connection) -> None:
    junk = [one for one in ledger() if one.sent.fate == "junk"]
    ((outcome, requests_, unlisted),) = deliveries.strangers(reader, FIRST, None)
    assert (outcome, requests_) == ("missing_credentials", len(junk))
    assert unlisted == len(junk) - STRANGERS_LISTED


@pytest.mark.parametrize("since", [FIRST, FAILED_ON + 30 * timedelta(minutes=1)])
def test_causes_tell_events_and_attempts_apart(reader: Connection, since: datetime) -> None:
    attempts = Counter((one.sent.vendor, one.outcome) for one in failed(since))
    of_cause = defaultdict(set)
    for one in failed(since):
        of_cause[one.sent.vendor, one.outcome].add(one.event)
    rows = deliveries.causes(reader, since, None)
    assert {(row.vendor, row.outcome): (row.events, row.attempts) for row in rows} == {
        cause: (len(of_cause[cause]), count) for cause, count in attempts.items()
    }
    assert any(row.events < row.attempts for row in rows)


def test_the_list_of_failed_deliveries_holds_each_and_says_which_are_recovered(
    reader: Connection,
) -> None:
    wanted = Search(FIRST)
    rows = deliveries.search(reader, wanted)
    assert deliveries.found(reader, wanted) == len(rows) == len(failed(FIRST))
    stored = stored_events()
    assert Counter((row.event_key, row.recovered) for row in rows) == Counter(
        (one.sent.key, one.event in stored) for one in failed(FIRST)
    )


def lacking() -> Mapping[tuple[str, str | bytes], Sequence[Answered]]:
    """Events that failed, are not stored and not dismissed, each with its deliveries."""
    found: dict[tuple[str, str | bytes], list[Answered]] = defaultdict(list)
    for one in failed(FIRST):
        if one.event not in stored_events() and one.sent.key != DISMISSED:
            found[one.event].append(one)
    return found


def test_the_notice_counts_exactly_the_events_that_the_standings_lack(reader: Connection) -> None:
    rows = missing.missing(reader, None)
    assert sorted(
        (one.vendor, one.event_key or "", one.attempts, one.first, one.last, one.outcome)
        for one in rows
    ) == sorted(
        (several[0].sent.vendor, several[0].sent.key or "", len(several),
         several[0].sent.arrived, several[-1].sent.arrived, several[-1].outcome)
        for several in lacking().values()
    )  # fmt: skip
    toll = missing.toll(rows, VENDORS, FAILED_ON + 30 * timedelta(days=1))
    assert toll == (
        len(lacking()),
        0,
        min(several[0].sent.arrived for several in lacking().values()),
    )


@pytest.mark.parametrize("vendor", [MT, "lessonly", "innovative-educators"])
def test_refused_events_are_recovered_or_not_by_whether_they_are_stored(
    reader: Connection, vendor: str
) -> None:
    attempts = Counter(
        one.sent.key
        for one in failed(FIRST)
        if one.sent.vendor == vendor and one.outcome != "unreadable" and one.sent.key
    )
    stored = {key for of, key in stored_events() if of == vendor}
    for rows, is_stored in (
        (failures.recovered(reader, vendor, FIRST), True),
        (failures.unrecovered(reader, vendor, FIRST), False),
    ):
        assert {row.event_key: row.attempts for row in rows} == {
            key: count for key, count in attempts.items() if (key in stored) is is_stored
        }
