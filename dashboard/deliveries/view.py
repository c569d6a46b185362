"""The parts of the page Deliveries."""

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from dashboard import access
from dashboard.base import people
from dashboard.base.filters import Filter, choice
from dashboard.base.outages import span
from dashboard.base.pieces import LIVE, csv, csv_of, cut_off, plain, table
from dashboard.base.windows import ago, viewer_zone
from dashboard.deliveries import charts, data
from shared.cure import FIRST_STEPS, Action, Asked, StepState, steps
from shared.diagnosis import (
    Evidence,
    Finding,
    Severity,
    by_first_loss,
    diagnose,
    loss_order,
)
from shared.outages import Outage
from shared.outcomes import HAS_EVENT, Outcome
from shared.queries.deliveries import Detail
from shared.queries.missing import Missing
from shared.queries.quarantine import Request
from shared.queries.unknown_addresses import Unknown
from shared.retries import Attempt, Chain, chain
from shared.vendors import VendorFacts
from shared.verdict import Clock, Level, Traffic
from shared.verdict import verdict as judge
from shared.wording import number_of

ICONS = {
    Severity.LOSING: ":material/error:",
    Severity.WARNING: ":material/warning:",
    Severity.NOTE: ":material/info:",
}
LEVELS = {
    Level.DOWN: (st.error, ":material/power_off:"),
    Level.LOSING: (st.error, ":material/error:"),
    Level.FIXED: (st.success, ":material/check_circle:"),
    Level.QUIET: (st.warning, ":material/bedtime:"),
    Level.WARNING: (st.warning, ":material/warning:"),
    Level.GOOD: (st.success, ":material/check_circle:"),
}
STATES = {
    "waiting": "waiting for a retry",
    "overdue": "a retry did not arrive, waiting for the next",
    "given_up": "no retry left",
    "recovered": "recovered",
}


def clock() -> Clock:
    """The present moment on the viewer's clock."""
    return Clock(datetime.now(UTC), viewer_zone())


def verdict(
    traffic: Traffic, evidence: Sequence[Evidence], outages: Sequence[Outage], window: str
) -> None:
    """The first line: whether events are being lost."""
    level, text = judge(evidence, traffic, outages, window, clock())
    show, icon = LEVELS[level]
    show(plain(people.without_addresses(text)), icon=icon)


def moment(name: str) -> datetime | None:
    """A time that the address gives, in ISO 8601 with its offset; says so if it is none."""
    asked = st.query_params.get(name)
    if asked is None:
        return None
    try:
        at = datetime.fromisoformat(asked)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        st.warning(f"The address has no time in {name}: showing all.", icon=":material/link_off:")
        return None


def unknown_addresses(found: Unknown | None) -> None:
    """Requests to no vendor, in one line: a vendor may have a wrong address."""
    if found:
        path = plain(people.without_addresses(found.latest_path))
        st.caption(
            f"{number_of(found.requests, 'request')} to unknown addresses below /webhooks/ in the "
            f"last 24 hours, latest path {path} {ago(found.latest_at)}."
        )


def ledger(recoveries: Sequence[data.Recovery], evidence: Sequence[Evidence]) -> None:
    """What became of the events of each outage that is over."""
    for one in recoveries:
        if one.outage.over:
            suspended = [
                f"{known.vendor.name} has probably suspended the webhook."
                for known in evidence
                if known.suspension
                and known.suspension.outage == one.outage
                and known.suspension.share >= 1
            ]
            arrived = (
                f"Of the events of that time {one.by_retry:,} arrived by retry and "
                f"{one.by_replay:,} by replay; {one.still_open:,} refused since then "
                f"{'is' if one.still_open == 1 else 'are'} still open."
            )
            st.caption(
                f":material/power_off: No receiver was up for {span(one.outage)}, until "
                f"{ago(one.outage.end)}. {' '.join([arrived, *suspended])}"
            )


def strangers(evidence: Sequence[Evidence]) -> None:
    """Strangers' requests: they count nowhere else on the page."""
    total = sum(one.strangers.total for one in evidence)
    if total:
        unlisted = sum(one.strangers.unlisted for one in evidence)
        are = "is" if unlisted == 1 else "are"
        counted = f"; {unlisted:,} of them {are} only counted, not listed" if unlisted else ""
        requests = number_of(total, "request")
        st.caption(f":material/block: {requests} of strangers refused{counted}.")


def causes(evidence: Sequence[Evidence]) -> None:
    """Failures by vendor and outcome: the vendor and the cause with the first loss come first."""
    now = clock()
    rows = [
        {
            **({"Vendor": one.vendor.name} if len(evidence) > 1 else {}),
            "Cause": charts.OUTCOMES[outcome],
            "Events": f"{failures.events:,}",
            "Attempts": f"{failures.attempts:,}",
            "Not recovered": f"{failures.open:,}",
            "First loss": f"in {now.left(failures.first_loss)}" if failures.first_loss else "–",
            "First seen": ago(failures.first),
            "Last seen": ago(failures.last),
            "Commonest reason": plain(people.without_addresses(failures.reason or "–")),
        }
        for one in sorted(evidence, key=loss_order)
        for outcome, failures in sorted(one.failures.items(), key=by_first_loss)
    ]
    if rows:
        st.table(
            pd.DataFrame(rows), border="horizontal", hide_index=True, alt="Why deliveries failed"
        )


def by_vendor(every: Sequence[VendorFacts]) -> Filter[str | None]:
    """One vendor of those that have any request, offered where there are several."""
    names = {one.slug: one.name for one in every}
    by = choice("Vendor", "vendor", names, "All vendors")
    return by._replace(offered=len(names) > 1)


def findings(evidence: Sequence[Evidence], window: str) -> None:
    """Each thing that is wrong, of any vendor, the most urgent first: evidence, cure, and what
    happens otherwise. `window` is the key of the period of the evidence."""
    ordered = sorted(evidence, key=loss_order)
    found = [(one, finding) for one in ordered for finding in diagnose(one)]
    found.sort(key=lambda pair: list(Severity).index(pair[1].severity))
    if not found:
        st.success("No findings.", icon=":material/check_circle:")
    for one, finding in found:
        _finding(one, finding, f"{one.vendor.name}: " if len(evidence) > 1 else "", window)


def _finding(evidence: Evidence, finding: Finding, whose: str, window: str) -> None:
    losing = finding.severity is Severity.LOSING
    with st.expander(f"{whose}{finding.title}", icon=ICONS[finding.severity], expanded=losing):
        rows = {"Evidence": finding.evidence, "Cure": finding.cure, "Otherwise": finding.otherwise}
        shown = {name: plain(people.without_addresses(words)) for name, words in rows.items()}
        st.table(shown, border="horizontal")
        if finding.outcome:
            if finding.outcome in FIRST_STEPS and (losing or finding.kind == "fixed"):
                _steps(evidence, finding.outcome)
            view = {
                "view": "deliveries",
                "span": window,
                "which": _which(finding.outcome),
                "outcome": finding.outcome,
                "vendor": evidence.vendor.slug,
            }
            st.link_button("The deliveries behind it", f"?{urlencode(view)}", type="tertiary")


STEP_ICONS = {
    StepState.DONE: ":material/check_circle:",
    StepState.RUNNING: ":material/hourglass:",
    StepState.FAILED: ":material/error:",
    StepState.OPEN: ":material/radio_button_unchecked:",
}


def _steps(evidence: Evidence, outcome: Outcome) -> None:
    """The cure as a strip of steps, each a click where a click can do it."""
    slug, now = evidence.vendor.slug, clock()
    requests = [
        Asked(one.dry_run, one.requested_at, one.state, one.taken, one.still_refused, one.problem)
        for one in data.requests(slug)
        if one.outcome in (None, outcome)
    ]
    began = evidence.failing.since if evidence.failing else evidence.failures[outcome].first
    restarted = now.shown(evidence.restarted_at) if evidence.restarted_at else ""
    found = steps(outcome, began, evidence.restarted_at, requests, restarted)
    for column, step in zip(st.columns(len(found)), found, strict=True):
        with column:
            st.markdown(f"{STEP_ICONS[step.state]} **{step.name}**")
            st.caption(f"{step.state}: {plain(step.detail)}")
            if step.action and access.may("replay"):
                st.button(
                    step.name,
                    key=f"step_{step.action}_{slug}_{outcome}",
                    disabled=step.state is StepState.RUNNING,
                    on_click=data.ask_for_replay,
                    args=(slug, outcome),
                    kwargs={"dry_run": step.action is Action.DRY_RUN},
                )


def _which(outcome: Outcome) -> str:
    if outcome is Outcome.MISSING_CREDENTIALS:
        return "strangers"
    return "all" if outcome in HAS_EVENT else "failed"


def chains(vendors: Sequence[VendorFacts], window: str, zone: str) -> None:
    """Events that were refused and are not stored; those that are lost first come first."""
    shown = [
        frame.assign(vendor=one.name)
        for one in vendors
        if not (frame := data.chains(one, window, zone)).empty
    ]
    if not shown:
        st.success("All refused events are recovered.", icon=":material/check_circle:")
        return
    frame = pd.concat(shown).assign(state=lambda rows: rows["state"].map(STATES))
    columns = {
        "event_key": st.column_config.TextColumn("Event ID, as claimed", width=260),
        "event_type": st.column_config.TextColumn("Event"),
        **(VENDOR if len(vendors) > 1 else {}),
        "attempt": st.column_config.TextColumn("Attempt"),
        "state": st.column_config.TextColumn("State"),
        "next_due": st.column_config.DatetimeColumn("Next due", format="distance"),
        "last_chance": st.column_config.DatetimeColumn("Last chance", format="D MMM, HH:mm"),
        "words": st.column_config.TextColumn("Refused as"),
        "first": st.column_config.DatetimeColumn("First seen", format="distance"),
    }
    table(charts.in_words(frame), columns, "Refused events that are not recovered", "chains")
    cut_off(len(frame), sum(int(one["of"].iloc[0]) for one in shown))


MISSING = {
    "event_key": st.column_config.TextColumn("Event ID, as claimed", width=220),
    "event_type": st.column_config.TextColumn("Event, as claimed"),
    "vendor": st.column_config.TextColumn("Vendor"),
    "state": st.column_config.TextColumn("State", width=210),
    "words": st.column_config.TextColumn("Outcome"),
    "reason": st.column_config.TextColumn("Reason", width=340),
    "attempts": st.column_config.NumberColumn("Attempts", format="%,d"),
    "first": st.column_config.DatetimeColumn("First seen", format="D MMM, HH:mm"),
    "last": st.column_config.DatetimeColumn("Last seen", format="D MMM, HH:mm"),
}


def missing(listing: data.Listing, zone: str) -> None:
    """Exactly the events that the standings lack, with a way to stop counting them."""
    events = data.missing_events(listing)
    st.subheader("Missing events", anchor=False)
    if not events:
        st.success("No missing events in this period.", icon=":material/check_circle:")
        return
    frame = data.missing_frame(events, zone)
    lost = int((frame["state"] == "lost").sum())
    of_these = f", {lost:,} of them lost" if lost else ""
    st.write(
        f"{number_of(len(events), 'event')} failed and not stored{of_these}. Once stored, by retry "
        "or by replay, an event leaves this list."
    )
    names = {one.slug: one.name for one in data.vendors()}
    shown = charts.in_words(frame).assign(
        vendor=frame["vendor"].replace(names),
        **{name: frame[name].fillna(NOT_KNOWN) for name in ("event_key", "event_type", "reason")},
    )
    columns = {name: one for name, one in MISSING.items() if len(names) > 1 or name != "vendor"}
    table(shown, columns, "Missing events", "missing")
    csv(shown, columns, "missing")
    if access.may("dismiss"):
        _dismiss(events)


def _dismiss(events: Sequence[Missing]) -> None:
    these = "this event" if len(events) == 1 else f"these {len(events):,} events"
    with st.popover(f"Dismiss {these}"):
        st.write(
            "The leaderboard no longer counts them as missing. Nothing is deleted: a replay or a "
            "retry still stores them. The audit log has your name."
        )
        st.button("Dismiss", key="dismiss", type="primary", on_click=data.dismiss, args=(events,))


def brushed(key: str) -> tuple[float, float] | None:
    """The part of a chart's time axis that is brushed, in milliseconds; None if there is none."""
    chart = st.session_state.get(key)
    ranges = list(chart["selection"].get("brush", {}).values()) if chart else []
    return (ranges[0][0], ranges[0][1]) if ranges else None


def _open_clicked() -> None:
    clicked = st.session_state["opened"]
    st.query_params["delivery"] = str(st.session_state["listed"][clicked.row])
    st.rerun()  # the whole page, as a live part cannot hold a dialog


NOT_KNOWN = "–"
VENDOR = {"vendor": st.column_config.TextColumn("Vendor")}
LISTED = {
    "open": st.column_config.ButtonColumn(
        "", on_click=_open_clicked, key="opened", type="tertiary", width=70
    ),
    "received_at": st.column_config.DatetimeColumn("Received", format="distance"),
    "words": st.column_config.TextColumn("Outcome"),
    **VENDOR,
    "reason": st.column_config.TextColumn("Reason", width=340),
    "recovered": st.column_config.CheckboxColumn(
        "Recovered", help="Whether the event is stored, from this delivery or another."
    ),
    "event_type": st.column_config.TextColumn("Event, as claimed"),
    "event_key": st.column_config.TextColumn("Event ID, as claimed", width=200),
    "status_code": st.column_config.NumberColumn("Answer", format="%d"),
    "remote_ip": st.column_config.TextColumn("From"),
    "body_bytes": st.column_config.NumberColumn("Size", format="bytes"),
}


def listed(frame: pd.DataFrame) -> None:
    """Deliveries, each with a button that opens it."""
    st.session_state["listed"] = frame["id"].tolist()
    table(_named(frame), _columns(), "Deliveries", "deliveries")


def file(whole: Callable[[], pd.DataFrame]) -> None:
    """The CSV of all deliveries of a list, whichever page of it is shown."""
    csv_of(lambda: _named(whole()), _columns(), "deliveries")


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    names = {one.slug: one.name for one in data.vendors()}
    return charts.in_words(frame).assign(
        open="Open",
        vendor=frame["vendor"].replace(names),
        **{name: frame[name].fillna(NOT_KNOWN) for name in ("reason", "event_type", "event_key")},
        remote_ip=frame["remote_ip"].fillna(NOT_KNOWN),
    )


def _columns() -> dict[str, Any]:
    several = len(data.vendors()) > 1
    return {name: one for name, one in LISTED.items() if several or name != "vendor"}


def open_if_asked() -> None:
    """Open the delivery that the address names."""
    asked = st.query_params.get("delivery", "")
    if not re.fullmatch(r"[0-9]{1,18}", asked):
        return
    if row := data.detail(int(asked)):
        _dialog(row)
    else:
        st.toast(f"There is no delivery {asked}. Old ones are deleted.")


def _close() -> None:
    st.query_params.pop("delivery", None)


@st.dialog("Delivery", width="medium", position="right", on_dismiss=_close)
def _dialog(row: Detail) -> None:
    st.subheader(f"{charts.OUTCOMES[row.outcome]}, answered {row.status_code}", anchor=False)
    if row.reason:
        st.warning(plain(people.without_addresses(row.reason)))
    facts = {
        "Received": f"{_local(row.received_at):%-d %b %Y, %H:%M:%S}, {ago(row.received_at)}",
        "From": row.remote_ip,
        "Event, as claimed": row.event_type and people.without_addresses(row.event_type),
        "Event ID, as claimed": people.event_id(row.event_key),
        "Took": f"{row.duration_ms:,.1f} ms",
        "Size": f"{row.body_bytes:,} bytes",
        "Replay of delivery": row.replay_of,
        "Quarantine": row.state,
    }
    st.table({name: plain(str(value)) for name, value in facts.items() if value is not None},
             border="horizontal")  # fmt: skip
    _attempts(row)
    if row.headers:
        st.caption("Stored headers")
        st.code(_redacted(row.headers, row.vendor), language="json")
    _body(row)


def _body(row: Detail) -> None:
    """The body of this delivery, never that of another with the same event ID."""
    if not people.sees_names():
        st.caption("Body: hidden, as it may name people and your role does not see names.")
        return
    body = (row.payload or None) if row.body is None else row.body
    of_another = row.body is None and row.brought_by not in (None, row.id)
    st.caption(
        f"Body of delivery {row.brought_by}, of which this is a duplicate" if of_another else "Body"
    )
    st.code(_pretty(body), language="json", wrap_lines=True)


def _local(at: datetime) -> pd.Timestamp:
    """A moment on the viewer's clock, as charts and sentences need it: without a zone."""
    return pd.Timestamp(at).tz_convert(viewer_zone()).tz_localize(None)


def _attempts(row: Detail) -> None:
    vendor = next((one for one in data.vendors() if one.slug == row.vendor), None)
    seen = data.attempts(row.vendor, row.event_key) if row.event_key else ()
    if vendor is None or not seen:
        return
    history = [Attempt(one.received_at, accepted=one.outcome in HAS_EVENT) for one in seen]
    stands = chain(history, vendor.schedule, datetime.now(UTC), row.occurred_at)
    st.caption(_in_words(stands, vendor))
    points = [(one.at, "accepted" if one.accepted else "refused") for one in history]
    points += [
        (at, "due") for at in (stands.next_due, stands.last_chance) if at and stands.next_due
    ]
    frame = pd.DataFrame(points, columns=["at", "what"])
    frame["at"] = frame["at"].dt.tz_convert(viewer_zone()).dt.tz_localize(None)
    st.altair_chart(charts.attempts(frame), alt="The attempts of this event", key="attempts")


def _in_words(stands: Chain, vendor: VendorFacts) -> str:
    said = f"Attempt {stands.attempt} of {stands.of} by {vendor.name}: {STATES[stands.state]}"
    if stands.missed:
        said += f"; {number_of(stands.missed, 'earlier attempt')} never arrived"
    if stands.next_due and stands.last_chance:
        now = clock()
        said += f"; next in {now.left(stands.next_due)}, last in {now.left(stands.last_chance)}"
    return f"{said}."


def _redacted(headers: str, vendor: str) -> str:
    """The headers without secrets; of a vendor without facts, no value at all."""
    kept = json.loads(headers)
    facts = next((one for one in data.vendors() if one.slug == vendor), None)
    hidden = kept if facts is None else facts.secret_headers
    return json.dumps(
        {name: "••••" if name in hidden else value for name, value in kept.items()},
        indent=2,
        ensure_ascii=False,
    )


def _pretty(body: bytes | str | None) -> str:
    """JSON in many lines; anything else unchanged, bytes that are no text as escapes."""
    if not body:
        return "(not stored)" if body is None else "(empty)"
    text = body.decode("utf-8", "backslashreplace") if isinstance(body, bytes) else body
    try:
        pretty = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        return pretty.encode(errors="backslashreplace").decode()  # an escape can be half a pair
    except (ValueError, RecursionError):
        return text


@st.fragment(run_every=LIVE)
def quarantine(vendor: VendorFacts) -> None:
    """A vendor's quarantine, and its replay."""
    st.subheader(vendor.name, anchor=False)
    kinds, outcomes = data.quarantined(vendor.slug)
    if not kinds:
        st.success("The quarantine is empty.", icon=":material/check_circle:")
        return
    for row in kinds:
        dropped = f", {row.dropped:,} dropped to stay within the caps" if row.dropped else ""
        st.caption(
            f"{row.kind.replace('_', ' ')}: {row.held:,} quarantined, "
            f"{row.held_bytes / 1_048_576:,.1f} MB{dropped}"
        )
    if outcomes:
        _ask(vendor, {row.outcome: row.deliveries for row in outcomes})
    for request in data.requests(vendor.slug):
        st.caption(_request(request))


def _ask(vendor: VendorFacts, counts: dict[str, int]) -> None:
    chosen = st.selectbox(
        "Outcome",
        list(counts),
        key=f"replay_{vendor.slug}",
        format_func=lambda one: f"{charts.OUTCOMES[one]} ({counts[one]:,})",
        width=320,
    )
    st.write(
        "A receiver verifies them again with the current secrets. Those that pass are accepted "
        "once, with their original time."
    )
    with st.container(horizontal=True):
        if st.button("Dry run", key=f"dry_{vendor.slug}"):
            data.ask_for_replay(vendor.slug, chosen, dry_run=True)
        if st.button("Replay", key=f"do_{vendor.slug}", type="primary"):
            data.ask_for_replay(vendor.slug, chosen, dry_run=False)


def _request(asked: Request) -> str:
    what = "Dry run" if asked.dry_run else "Replay"
    if asked.state in ("requested", "running"):
        return f":material/hourglass: {what} {ago(asked.requested_at)}: {asked.state} …"
    if asked.state == "failed":
        return f":material/error: {what} failed: {plain(str(asked.problem))}"
    would = "would pass" if asked.dry_run else "accepted"
    return (
        f":material/done: {what} {ago(asked.requested_at)}: {asked.taken:,} {would}, "
        f"{asked.already_delivered:,} already delivered, {asked.still_refused:,} still refused."
    )
