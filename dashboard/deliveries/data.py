"""The reads and writes of the page Deliveries."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd
from sqlalchemy import Connection

from dashboard.base.outages import down_since
from dashboard.base.paging import Part
from dashboard.base.people import event_id, sees_names, without_addresses
from dashboard.base.sent import frame_of
from dashboard.base.store import (
    actor,
    framed,
    local,
    query_fresh,
    query_now,
    query_seldom,
    query_traffic,
    settings,
    write,
)
from dashboard.deliveries.charts import ACCEPTED, AXES, FAILED
from shared import following
from shared.audit import note
from shared.checklist import SetUpState
from shared.cure import Asked, confirmable
from shared.diagnosis import Finding
from shared.evidence import Evidence
from shared.imports import Cause
from shared.outages import Outage
from shared.outcomes import HAS_EVENT, Sender
from shared.queries import (
    deliveries,
    failures,
    imports,
    missing,
    quarantine,
    sent,
    unknown_addresses as unknown,
)
from shared.queries.deliveries import Detail, Listed, Search, VendorHour
from shared.queries.evidence import gather, unrecovered_chains
from shared.queries.failures import Attempted, Refused
from shared.queries.fields import drifted, stopped_types, types_seen
from shared.queries.follower import lag, unfoldable
from shared.queries.imports import RunRow
from shared.queries.missing import Missing
from shared.queries.quarantine import KindTotal, OutcomeTotal, Request
from shared.queries.unknown_addresses import Unknown
from shared.queries.vendors import configured, key_set, vendor_facts
from shared.queries.windows import first_hour
from shared.retries import Chain
from shared.vendors import VendorFacts
from shared.verdict import Traffic
from shared.wording import number_of

CHAINS_SHOWN = 500


def traffic(window: str, vendor: str | None) -> Traffic:
    counts = query_traffic(deliveries.totals, first_hour(window, this_hour()), vendor)
    return Traffic(counts.all, counts.accepted, query_traffic(deliveries.last, vendor))


def of_store() -> list[Finding]:
    """What keeps events of any vendor from the pages."""
    return list(following.findings(query_now(lag), query_now(unfoldable)))


def vendor_hours() -> Sequence[VendorHour]:
    """Each vendor's hours of the last 24."""
    return query_traffic(deliveries.hours_by_vendor, first_hour("24h", this_hour()))


def timeline(window: str, zone: str, vendor: str | None) -> pd.DataFrame:
    """at (the viewer's clock), what (accepted or failed), deliveries: a row for each bar."""
    rows = query_traffic(deliveries.by_hour, first_hour(window, this_hour()), vendor)
    return framed(rows, lambda frame: _in_bars(local(frame, zone, "hour"), AXES[window].bar))


def _in_bars(frame: pd.DataFrame, bar: timedelta) -> pd.DataFrame:
    at = frame["hour"].dt.tz_localize(None).dt.floor(bar)
    what = frame["outcome"].isin(HAS_EVENT).map({True: ACCEPTED, False: FAILED})
    bars = frame.assign(at=at, what=what).groupby(["at", "what"])["deliveries"].sum()
    return bars.reset_index()


FUTURE = {
    "24h": timedelta(hours=4),
    "7d": timedelta(hours=18),
    "30d": timedelta(days=2),
    "90d": timedelta(days=5),
}
"""How much of the time to come a timeline shows at least …"""
FURTHEST = {
    "24h": timedelta(hours=12),
    "7d": timedelta(days=2),
    "30d": timedelta(days=4),
    "90d": timedelta(days=10),
}
"""… and at most, to show where retries end."""


def clock_span(
    window: str, zone: str, first_ending: datetime | None
) -> tuple[pd.Timestamp, pd.Timestamp]:
    """The time that a timeline shows, on the viewer's clock: whole bars, and some future."""
    bar, now = AXES[window].bar, datetime.now(UTC)
    room = first_ending - now + bar if first_ending else timedelta(0)
    last = now + min(max(FUTURE[window], room), FURTHEST[window])
    return (
        on_clock(first_hour(window, this_hour()), zone).floor(bar),
        on_clock(last, zone).ceil("h"),
    )


def on_clock(at: datetime, zone: str) -> pd.Timestamp:
    """A moment on the viewer's clock, as charts and sentences need it: without a zone."""
    return pd.Timestamp(at).tz_convert(zone).tz_localize(None)


def unknown_addresses() -> Unknown | None:
    """Requests to no vendor in the last 24 hours."""
    return query_now(unknown.since, first_hour("24h", this_hour()))


def how_many(wanted: Search) -> int:
    """How many deliveries a search finds."""
    return query_traffic(deliveries.found, wanted)


def found(wanted: Search, zone: str, part: Part) -> pd.DataFrame:
    """A part of the deliveries of a search: the fields of `Listed`."""
    return _listed(query_traffic(deliveries.search, wanted, part.limit, part.offset), zone)


def whole(wanted: Search, zone: str) -> pd.DataFrame:
    """The same of all of them, for a file."""
    return _listed(query_fresh(deliveries.search, wanted), zone)


def _listed(rows: Sequence[Listed], zone: str) -> pd.DataFrame:
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


def detail(delivery_id: int) -> Detail | None:
    return query_traffic(deliveries.detail, delivery_id)


def attempts(vendor: str, event_key: str) -> Sequence[Attempted]:
    return query_traffic(failures.attempts, vendor, event_key)


def vendors() -> list[VendorFacts]:
    """The vendors that have any request."""
    known = query_seldom(vendor_facts)
    return [known[slug] for slug in query_seldom(deliveries.vendors) if slug in known]


def evidence(vendor: VendorFacts, window: str) -> Evidence:
    """The evidence for a diagnosis. The clock alone changes it."""
    hour = this_hour() + timedelta(hours=1)
    return query_now(_evidence, vendor, window)._replace(
        drifts=query_seldom(drifted, vendor, hour),
        stopped=query_seldom(stopped_types, vendor, hour),
    )


def set_up(vendor: VendorFacts) -> SetUpState:
    """What is set up of a vendor."""
    return SetUpState(
        vendor.slug in {one.slug for one in query_seldom(configured)},
        query_seldom(types_seen, vendor.slug, this_hour()),
        query_seldom(key_set, vendor.slug),
    )


def _evidence(connection: Connection, vendor: VendorFacts, window: str) -> Evidence:
    since, now = first_hour(window, this_hour()), datetime.now(UTC)
    return gather(connection, vendor, since, now, settings())


def chains(vendor: VendorFacts, window: str, zone: str) -> pd.DataFrame:
    """Events that were refused and are not stored: event_key, event_type, outcome, attempt (`3 of
    5`), state, next_due, last_chance, first, last, and of (how many there are in all)."""
    found = query_now(_chains, vendor, window)
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


def _chains(
    connection: Connection, vendor: VendorFacts, window: str
) -> list[tuple[Refused, Chain]]:
    return unrecovered_chains(
        connection, vendor, first_hour(window, this_hour()), datetime.now(UTC)
    )


class Recovery(NamedTuple):
    """An outage of ours, and how many events of that time are stored now."""

    outage: Outage
    by_retry: int
    by_replay: int
    still_open: int
    """Events refused since then that are not stored."""


def recoveries(window: str) -> list[Recovery]:
    """The outages in the window, and the recovery after each."""
    return query_now(_recoveries, window, vendors())


def _recoveries(
    connection: Connection, window: str, known: Sequence[VendorFacts]
) -> list[Recovery]:
    found = down_since(connection, first_hour(window, this_hour()))
    return [_recovery(connection, one, known) for one in found]


def _recovery(connection: Connection, outage: Outage, known: Sequence[VendorFacts]) -> Recovery:
    span = max((vendor.schedule.span for vendor in known), default=timedelta(0))
    until = outage.end + 2 * span
    found = failures.arrived(connection, outage.begin, outage.end, until)
    still_open = sum(
        one.first < until
        for vendor in known
        for one in failures.unrecovered(connection, vendor.slug, outage.end)
    )
    return Recovery(outage, found.by_retry, found.by_replay, still_open)


class Listing(NamedTuple):
    """Which events of the list of missing ones: of a time, a vendor and an outcome."""

    since: datetime | None
    until: datetime | None
    vendor: str | None
    outcome: str | None


def missing_events(listing: Listing) -> list[Missing]:
    """The events that failed in that time and are neither stored nor dismissed."""
    events = query_traffic(missing.missing, listing.since, listing.until, listing.vendor)
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
    return query_fresh(quarantine.totals, vendor), query_fresh(quarantine.by_outcome, vendor)


def requests(vendor: str) -> Sequence[Request]:
    """The latest requests for replay. Not cached: the viewer waits for them."""
    return query_fresh(quarantine.requests, vendor)


def asked(vendor: str, outcome: str, restarted: datetime | None) -> list[Asked]:
    """The same of one outcome as a cure reads them, since the receiver's latest start: earlier ones
    had other settings."""
    return _asked(requests(vendor), outcome, restarted)


def _asked(found: Sequence[Request], outcome: str, restarted: datetime | None) -> list[Asked]:
    return [
        as_asked(one)
        for one in found
        if one.outcome == outcome and (restarted is None or one.requested_at >= restarted)
    ]


def as_asked(one: Request) -> Asked:
    return Asked(
        one.dry_run, one.requested_at, one.state, one.taken, one.still_refused, one.problem,
        one.already_delivered, one.reasons,
    )  # fmt: skip


def restarted_at() -> datetime | None:
    """The latest start of a receiver."""
    return query_now(_restarted_at)


def _restarted_at(connection: Connection) -> datetime | None:
    runs = failures.runs(connection, datetime.now(UTC) - failures.LOOK_BACK)
    return max((run.started_at for run in runs), default=None)


def ask_for_dry_run(vendor: str, outcome: str | None) -> None:
    """Ask a receiver, which has the secrets, what a replay would accept."""
    with write("replay") as connection:
        quarantine.ask_for_replay(connection, vendor, outcome, actor(), dry_run=True)


def ask_for_replay(vendor: str, outcome: str, expected: int) -> bool:
    """Ask a receiver to replay what the latest dry run counted. False if that is not the number the
    viewer has confirmed: since then the receiver was restarted, or another person has asked."""
    with write("replay") as connection:
        found = _asked(quarantine.requests(connection, vendor), outcome, _restarted_at(connection))
        confirmed = confirmable(found)
        if confirmed is None or confirmed.taken != expected:
            return False
        quarantine.ask_for_replay(
            connection, vendor, outcome, actor(), dry_run=False, expected=expected
        )
    return True


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
    """The bar of a moment: of the hours that are counted, of longer bars on the clock of the
    moment's zone."""
    if window == "24h":
        hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return hour, hour + timedelta(hours=1)
    length = AXES[window].bar
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    begin = midnight + timedelta(hours=at.hour) // length * length
    return begin.astimezone(UTC), (begin + length).astimezone(UTC)


def this_hour() -> datetime:
    """Windows of deliveries start on full hours, so that a cached one serves for an hour."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def known_vendors() -> Sequence[VendorFacts]:
    """Every vendor, also one without any request."""
    return list(query_seldom(vendor_facts).values())


def import_runs() -> Sequence[RunRow]:
    """The latest reconciliations of exports. Not cached: a dry run changes nothing else."""
    return query_fresh(imports.runs)


def import_run(number: int) -> RunRow | None:
    return query_fresh(imports.one, number)


def import_days(number: int) -> pd.DataFrame:
    """day, events, arrived, missing, lost_pct, and a column for each cause that there is."""
    frame = framed(query_fresh(imports.days, number), lambda frame: frame)
    if frame.empty:
        return frame
    days = frame.pivot_table(index="day", columns="cause", values="events", fill_value=0)
    arrived = days.get(Cause.ARRIVED.value, pd.Series(0, days.index))
    events = days.sum(axis=1)
    lost = 100 * (events - arrived) / events
    days = days.assign(events=events, arrived=arrived, missing=events - arrived, lost_pct=lost)
    return days.sort_index(ascending=False).reset_index()


def import_listed(number: int, kind: str) -> int:
    """How many events of a kind, `missing` or `differing`, a list has."""
    return query_fresh(imports.listed, number, kind)


def import_findings(number: int, kind: str, zone: str, part: Part) -> pd.DataFrame:
    """A part of the list: the fields of `FindingRow`."""
    rows = query_fresh(imports.findings, number, kind, part.limit, part.offset)
    return framed(rows, lambda frame: local(frame, zone, "occurred_at"))


def alerts(window: str) -> pd.DataFrame:
    """What was sent about deliveries, in the words of `sent.COLUMNS`; the latest first."""
    return frame_of(query_now(sent.alerts, first_hour(window, this_hour())))
