"""The parts of the page Deliveries."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlencode

import pandas as pd
import streamlit as st

from dashboard.base import people, store
from dashboard.base.filters import choose
from dashboard.base.outages import span
from dashboard.base.percent import percent
from dashboard.base.pieces import LIVE, csv, plain, table
from dashboard.base.windows import ago, viewer_zone
from dashboard.deliveries import charts, data
from shared.diagnosis import Evidence, Finding, Severity, diagnose
from shared.outages import Outage
from shared.outcomes import HAS_EVENT, Outcome
from shared.queries.deliveries import Detail
from shared.queries.quarantine import Request
from shared.queries.unknown_addresses import Unknown
from shared.retries import Attempt, Chain, chain
from shared.vendors import VendorFacts

ICONS = {
    Severity.LOSING: ":material/error:",
    Severity.WARNING: ":material/warning:",
    Severity.NOTE: ":material/info:",
}
STATES = {
    "waiting": "waiting for a retry",
    "overdue": "retry overdue",
    "given_up": "no retry left",
    "recovered": "recovered",
}
SECRET_HEADERS = ("x-mt-webhook-signature", "webhook-signature", "authorization")


def left(until: datetime) -> str:
    """`1 h 52 min`, or `no time` once it has passed."""
    minutes = int((until - datetime.now(UTC)).total_seconds() // 60)
    if minutes < 0:
        return "no time"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def verdict(
    arrivals: data.Arrivals, evidence: Sequence[Evidence], down: Sequence[Outage], window: str
) -> None:
    """The first line: whether events are being lost."""
    losing = [_losing(one) for one in evidence if one.failing]
    quiet = [_quiet(one) for one in evidence if one.silence]
    if down and not down[-1].over:
        st.error(
            f"No receiver is up; the last one was seen {ago(down[-1].begin)}. Vendors get no "
            "answer and try again for some hours: start it with `repboard serve`.",
            icon=":material/power_off:",
        )
    elif losing:
        st.error(" ".join(losing), icon=":material/error:")
    elif quiet:
        st.warning(" ".join(quiet), icon=":material/bedtime:")
    elif not arrivals.everything:
        st.warning(f"Quiet: no deliveries in the last {window}.", icon=":material/bedtime:")
    else:
        _accepted(arrivals, window)


def _accepted(arrivals: data.Arrivals, window: str) -> None:
    failed = arrivals.everything - arrivals.accepted
    share = percent(100 * arrivals.accepted / arrivals.everything)
    said = (
        f"Last delivery {ago(arrivals.last)}; {share} "
        f"of {arrivals.everything:,} accepted in the last {window}"
    )
    if failed:
        st.warning(f"{said}, {failed:,} failed.", icon=":material/warning:")
    else:
        st.success(f"All good. {said}.", icon=":material/check_circle:")


def _losing(evidence: Evidence) -> str:
    failing, forecast, clock = evidence.failing, evidence.forecast, evidence.suspension
    assert failing is not None  # noqa: S101 (asked for before)
    said = [
        f"{evidence.vendor.name}: every delivery has failed, first {ago(failing.since)} "
        f"({failing.deliveries:,})."
    ]
    urgent = [one for one in diagnose(evidence) if one.severity is Severity.LOSING]
    if urgent:
        said.append(f"{urgent[0].title}.")
    if forecast.first_loss:
        said.append(
            f"Fix this within {left(forecast.first_loss)} or {forecast.losing:,} of "
            f"{forecast.waiting:,} waiting events lose their last retry."
        )
    if clock and clock.share < 1:
        said.append(f"The webhook is suspended in {left(clock.at)}.")
    return " ".join(said)


def _quiet(evidence: Evidence) -> str:
    assert evidence.silence is not None  # noqa: S101 (asked for before)
    return (
        f"Quiet: no deliveries from {evidence.vendor.name} since {ago(evidence.silence.since)}; "
        f"about {evidence.silence.expected:,.0f} deliveries are usual in that time."
    )


def unknown_addresses(found: Unknown | None) -> None:
    """Requests to no vendor, in one line: a vendor may have a wrong address."""
    if found:
        requests = "request" if found.requests == 1 else "requests"
        path = plain(people.without_addresses(found.latest_path))
        st.caption(
            f"{found.requests:,} {requests} to unknown addresses below /webhooks/ in the last 24 "
            f"hours, latest path {path} {ago(found.latest_at)}."
        )


def ledger(recoveries: Sequence[data.Recovery]) -> None:
    """What became of the events of each outage that is over."""
    for one in recoveries:
        if one.outage.over:
            st.caption(
                f":material/power_off: No receiver was up for {span(one.outage)}, until "
                f"{ago(one.outage.end)}. Of the events of that time {one.by_retry:,} arrived by "
                f"retry and {one.by_replay:,} by replay; {one.still_open:,} refused since then are "
                "still open."
            )


def strangers(evidence: Sequence[Evidence]) -> None:
    """Strangers' requests: they count nowhere else on the page."""
    total = sum(one.strangers.total for one in evidence)
    if total:
        unlisted = sum(one.strangers.unlisted for one in evidence)
        counted = f"; {unlisted:,} of them are only counted, not listed" if unlisted else ""
        st.caption(f":material/block: {total:,} requests of strangers refused{counted}.")


def causes(frame: pd.DataFrame) -> None:
    """Failed deliveries by cause."""
    if frame.empty:
        return
    shown = {
        "Cause": charts.in_words(frame)["words"],
        "Count": frame["deliveries"].map("{:,}".format),
        "First seen": frame["first"].map(ago),
        "Last seen": frame["last"].map(ago),
        "Latest reason": frame["reason"].map(plain),
    }
    st.table(pd.DataFrame(shown), border="horizontal", hide_index=True, alt="Why deliveries failed")


def choose_vendors() -> Sequence[VendorFacts]:
    """The vendors that have any request, or the one that is chosen of several."""
    every = data.vendors()
    if len(every) < 2:  # noqa: PLR2004
        return every
    names = {one.slug: one.name for one in every}
    chosen = choose("Vendor", "vendor", names, "All vendors")
    return [one for one in every if chosen in (None, one.slug)]


def findings(evidence: Sequence[Evidence]) -> None:
    """Each thing that is wrong, of any vendor, the most urgent first: evidence, cure, and what
    happens otherwise."""
    found = [(one.vendor, finding) for one in evidence for finding in diagnose(one)]
    found.sort(key=lambda pair: list(Severity).index(pair[1].severity))
    if not found:
        st.success("No findings.", icon=":material/check_circle:")
    for vendor, finding in found:
        _finding(finding, f"{vendor.name}: " if len(evidence) > 1 else "")


def _finding(finding: Finding, whose: str) -> None:
    losing = finding.severity is Severity.LOSING
    with st.expander(f"{whose}{finding.title}", icon=ICONS[finding.severity], expanded=losing):
        rows = {"Evidence": finding.evidence, "Cure": finding.cure, "Otherwise": finding.otherwise}
        shown = {name: plain(people.without_addresses(words)) for name, words in rows.items()}
        st.table(shown, border="horizontal")
        if finding.outcome:
            view = {
                "view": "Deliveries",
                "which": _which(finding.outcome),
                "outcome": charts.OUTCOMES[finding.outcome],
            }
            st.link_button("The deliveries behind it", f"?{urlencode(view)}", type="tertiary")


def _which(outcome: Outcome) -> str:
    if outcome is Outcome.MISSING_CREDENTIALS:
        return "Strangers"
    return "All" if outcome in HAS_EVENT else "Failed"


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


def brushed(key: str) -> tuple[float, float] | None:
    """The part of a chart's time axis that is brushed, in milliseconds; None if there is none."""
    chart = st.session_state.get(key)
    ranges = list(chart["selection"].get("brush", {}).values()) if chart else []
    return (ranges[0][0], ranges[0][1]) if ranges else None


def _open_clicked() -> None:
    clicked = st.session_state["opened"]
    st.query_params["delivery"] = str(st.session_state["listed"][clicked.row])
    st.rerun()  # the whole page, as a live part cannot hold a dialog


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
    """Deliveries, each with a button that opens it, and their CSV."""
    st.session_state["listed"] = frame["id"].tolist()
    names = {one.slug: one.name for one in data.vendors()}
    named = charts.in_words(frame).assign(open="Open", vendor=frame["vendor"].replace(names))
    several = len(names) > 1
    columns = {name: one for name, one in LISTED.items() if several or name != "vendor"}
    table(named, columns, "Deliveries", "deliveries")
    csv(named, columns, "deliveries")


def open_if_asked(version: store.Version) -> None:
    """Open the delivery that the address names."""
    asked = st.query_params.get("delivery", "")
    if not re.fullmatch(r"[0-9]{1,18}", asked):
        return
    if row := data.detail(version, int(asked)):
        _dialog(version, row)
    else:
        st.toast(f"There is no delivery {asked}. Old ones are deleted.")


def _close() -> None:
    st.query_params.pop("delivery", None)


@st.dialog("Delivery", width="medium", position="right", on_dismiss=_close)
def _dialog(version: store.Version, row: Detail) -> None:
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
    _attempts(version, row)
    if row.headers:
        st.caption("Stored headers")
        st.code(_redacted(row.headers), language="json")
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


def _attempts(version: store.Version, row: Detail) -> None:
    vendor = next((one for one in data.vendors() if one.slug == row.vendor), None)
    seen = data.attempts(version, row.vendor, row.event_key) if row.event_key else ()
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
        said += f"; {stands.missed} earlier attempts never arrived"
    if stands.next_due and stands.last_chance:
        said += f"; next in {left(stands.next_due)}, last chance in {left(stands.last_chance)}"
    return f"{said}."


def _redacted(headers: str) -> str:
    kept = json.loads(headers)
    return json.dumps(
        {name: "••••" if name in SECRET_HEADERS else value for name, value in kept.items()},
        indent=2,
        ensure_ascii=False,
    )


def _pretty(body: bytes | str | None) -> str:
    """JSON in many lines; anything else unchanged, bytes that are no text as escapes."""
    if not body:
        return "(not stored)" if body is None else "(empty)"
    text = body.decode("utf-8", "backslashreplace") if isinstance(body, bytes) else body
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
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
