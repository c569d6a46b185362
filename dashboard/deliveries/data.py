"""The reads and writes of the page Deliveries."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import Connection

from dashboard.base import paging
from dashboard.base.outages import down_since
from dashboard.base.people import event_id, sees_names, without_addresses
from dashboard.base.store import (
    Version,
    actor,
    cached,
    framed,
    kept,
    kept_a_moment,
    local,
    query_seldom,
    read,
    settings,
    write,
)
from shared.audit import note
from shared.diagnosis import Evidence
from shared.outages import Outage
from shared.outcomes import Sender
from shared.queries import deliveries, failures, missing, quarantine
from shared.queries import unknown_addresses as unknown
from shared.queries.deliveries import Detail, Search
from shared.queries.evidence import gather, unrecovered_chains
from shared.queries.failures import Attempted
from shared.queries.missing import Missing
from shared.queries.quarantine import KindTotal, OutcomeTotal, Request
from shared.queries.unknown_addresses import Unknown
from shared.queries.vendors import vendor_facts
from shared.queries.windows import first_hour
from shared.vendors import VendorFacts
from shared.verdict import Traffic
from shared.wording import number_of

CHAINS_SHOWN = 500


@kept
def traffic(version: Version, window: str, now: datetime, vendor: str | None) -> Traffic:
    with read() as connection:
        counts = deliveries.totals(connection, first_hour(window, now), vendor)
        return Traffic(counts.all, counts.accepted, deliveries.last(connection, vendor))


@kept
def timeline(
    version: Version, window: str, now: datetime, zone: str, vendor: str | None
) -> pd.DataFrame:
    """at (the viewer's clock), outcome, deliveries: by hour, or by day for longer windows."""
    with read() as connection:
        rows = deliveries.by_hour(connection, first_hour(window, now), vendor)
    return framed(rows, lambda frame: _in_bars(local(frame, zone, "hour"), window))


def _in_bars(frame: pd.DataFrame, window: str) -> pd.DataFrame:
    at = frame["hour"].dt.tz_localize(None)
    bars = frame.assign(at=at if window == "24h" else at.dt.normalize())
    return bars.groupby(["at", "outcome"])["deliveries"].sum().reset_index()


def clock_span(window: str, now: datetime, zone: str) -> tuple[datetime, datetime]:
    """The hours or days that a timeline shows, on the viewer's clock."""
    first, last = (
        pd.Timestamp(at).tz_convert(zone).tz_localize(None)
        for at in (first_hour(window, now), now + timedelta(hours=1))
    )
    if window != "24h":
        first, last = first.normalize(), last.normalize() + pd.Timedelta(days=1)
    return first, last


@kept_a_moment
def unknown_addresses() -> Unknown | None:
    """Requests to no vendor in the last 24 hours."""
    with read() as connection:
        return unknown.since(connection, first_hour("24h", this_hour()))


@kept
def how_many(version: Version, wanted: Search) -> int:
    """How many deliveries a search finds."""
    with read() as connection:
        return deliveries.found(connection, wanted)


@kept
def found(version: Version, wanted: Search, zone: str, part: paging.Part) -> pd.DataFrame:
    """A part of the deliveries of a search: the fields of `Listed`."""
    return whole(wanted, zone, part)


def whole(wanted: Search, zone: str, part: paging.Part = paging.WHOLE) -> pd.DataFrame:
    """The same of all of them, for a file."""
    with read() as connection:
        rows = deliveries.search(connection, wanted, part.limit, part.offset)
    return framed(rows, lambda frame: _unnamed(local(frame, zone, "received_at")))


def _unnamed(frame: pd.DataFrame) -> pd.DataFrame:
    """Event ids, types and reasons, as senders claim them, without what names a person."""
    claimed = {"event_key": event_id, "event_type": without_addresses, "reason": without_addresses}
    return frame.assign(
        **{
            name: frame[name].map(shown, na_action="ignore")
            for name, shown in claimed.items()
            if name in frame
        }
    )


@kept
def detail(version: Version, delivery_id: int) -> Detail | None:
    with read() as connection:
        return deliveries.detail(connection, delivery_id)


@kept
def attempts(version: Version, vendor: str, event_key: str) -> Sequence[Attempted]:
    with read() as connection:
        return failures.attempts(connection, vendor, event_key)


@cached("1m")
def vendors() -> list[VendorFacts]:
    """The vendors that have any request."""
    with read() as connection:
        known = vendor_facts(connection)
        return [known[slug] for slug in deliveries.vendors(connection) if slug in known]


@kept_a_moment
def evidence(vendor: VendorFacts, window: str) -> Evidence:
    """The evidence for a diagnosis. The clock alone changes it, so it is cached for a moment."""
    now = datetime.now(UTC)
    with read() as connection:
        return gather(connection, vendor, first_hour(window, this_hour()), now, settings())


@kept_a_moment
def chains(vendor: VendorFacts, window: str, zone: str) -> pd.DataFrame:
    """Events that were refused and are not stored: event_key, event_type, outcome, attempt (`3 of
    5`), state, next_due, last_chance, first, last, and of (how many there are in all)."""
    with read() as connection:
        found = unrecovered_chains(
            connection, vendor, first_hour(window, this_hour()), datetime.now(UTC)
        )
    rows = [
        row._asdict()
        | {
            "attempt": f"{chain.attempt} of {chain.of}",
            "state": chain.state,
            "next_due": chain.next_due,
            "last_chance": chain.last_chance,
            "of": len(found),
        }
        for row, chain in found[:CHAINS_SHOWN]
    ]
    frame = pd.DataFrame(rows)
    if not rows:
        return frame
    return _unnamed(local(frame, zone, "first", "last", "next_due", "last_chance"))


class Recovery(NamedTuple):
    """An outage of ours, and how many events of that time are stored now."""

    outage: Outage
    by_retry: int
    by_replay: int
    still_open: int
    """Events refused since then that are not stored."""


@kept_a_moment
def recoveries(window: str) -> list[Recovery]:
    """The outages in the window, and the recovery after each."""
    since = first_hour(window, this_hour())
    span = max((vendor.schedule.span for vendor in vendors()), default=timedelta(0))
    with read() as connection:
        return [_recovery(connection, one, span) for one in down_since(connection, since)]


def _recovery(connection: Connection, outage: Outage, span: timedelta) -> Recovery:
    until = outage.end + 2 * span
    found = failures.arrived(connection, outage.begin, outage.end, until)
    still_open = sum(
        one.first < until
        for vendor in vendors()
        for one in failures.unrecovered(connection, vendor.slug, outage.end)
    )
    return Recovery(outage, found.by_retry, found.by_replay, still_open)


def bands(window: str, zone: str) -> pd.DataFrame:
    """The outages as bands of a chart: begin and end on the viewer's clock."""
    spans = [(one.outage.begin, one.outage.end) for one in recoveries(window)]
    frame = pd.DataFrame(spans, columns=["begin", "end"])
    if not spans:
        return frame
    frame = local(frame, zone, "begin", "end")
    return frame.assign(
        begin=frame["begin"].dt.tz_localize(None), end=frame["end"].dt.tz_localize(None)
    )


class Listing(NamedTuple):
    """Which events of the list of missing ones: of a time, a vendor and an outcome."""

    since: datetime | None
    until: datetime | None
    vendor: str | None
    outcome: str | None


@kept
def missing_events(version: Version, listing: Listing) -> list[Missing]:
    """The events that failed in that time and are neither stored nor dismissed."""
    with read() as connection:
        events = missing.missing(connection, listing.since, listing.until, listing.vendor)
    return [one for one in events if listing.outcome in (None, one.outcome)]


def missing_frame(events: Sequence[Missing], zone: str) -> pd.DataFrame:
    """The fields of `Missing`, and `state` in words."""
    known, now = query_seldom(vendor_facts), datetime.now(UTC)
    states = [missing_state(one, known.get(one.vendor), now) for one in events]
    frame = framed(events, lambda frame: _unnamed(local(frame, zone, "first", "last")))
    return frame.assign(state=states)


def missing_state(one: Missing, vendor: VendorFacts | None, now: datetime) -> str:
    """What can still recover an event."""
    if missing.is_lost(one, vendor, now):
        return "lost"
    return "in quarantine: replay recovers it" if one.quarantined else "waiting for a retry"


def dismiss(events: Sequence[Missing]) -> None:
    """Count these events as missing no longer. The audit log has one entry for each vendor."""
    with write("dismiss") as connection:
        missing.dismiss(connection, events)
        for vendor, count in Counter(one.vendor for one in events).items():
            note(connection, actor(), "dismiss", vendor, number_of(count, "missing event"))


def quarantined(vendor: str) -> tuple[Sequence[KindTotal], Sequence[OutcomeTotal]]:
    """A vendor's quarantine, by kind and by outcome."""
    with read() as connection:
        return (
            quarantine.totals(connection, vendor),
            quarantine.by_outcome(connection, vendor),
        )


def requests(vendor: str) -> Sequence[Request]:
    """The latest requests for replay. Not cached: the viewer waits for them."""
    with read() as connection:
        return quarantine.requests(connection, vendor)


def ask_for_replay(vendor: str, outcome: str | None, *, dry_run: bool) -> None:
    """Ask for a replay; a receiver, which has the secrets, does it."""
    with write("replay") as connection:
        quarantine.ask_for_replay(connection, vendor, outcome, actor(), dry_run=dry_run)


def window_search(
    window: str,
    vendor: str | None,
    outcome: str | None,
    words: str,
    sender: Sender | None,
    *,
    failed: bool,
) -> Search:
    """A search in a window that ends now; by learner only for roles that see names."""
    since = first_hour(window, this_hour())
    return Search(since, None, vendor, outcome, failed, words or None, sender, sees_names())


def between(wanted: Search, moments: tuple[float, float] | None, window: str, zone: str) -> Search:
    """The same search limited to the bars of the timeline that are brushed, if only in part. The
    brush is given in milliseconds since 1970. A delivery can lie anywhere within its bar."""
    if moments is None:
        return wanted
    first, last = (datetime.fromtimestamp(moment / 1000, ZoneInfo(zone)) for moment in moments)
    (since, _), (_, until) = _bar(first, window), _bar(last, window)
    return wanted._replace(since=since, until=until)


def _bar(at: datetime, window: str) -> tuple[datetime, datetime]:
    """The hour or day of a moment: of the hours that are counted, of the days of the moment's
    zone."""
    if window == "24h":
        hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return hour, hour + timedelta(hours=1)
    day = at.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    return day.astimezone(UTC), (day + timedelta(days=1)).astimezone(UTC)


def this_hour() -> datetime:
    """Windows of deliveries start on full hours, so that a cached one serves for an hour."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
