"""One delivery, opened: what arrived, its answer and why, and the attempts of its event."""

import json
import re
from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from dashboard.base import people, store
from dashboard.base.colours import palette
from dashboard.base.pieces import plain
from dashboard.base.windows import ago, viewer_zone
from dashboard.deliveries import charts, data
from dashboard.deliveries.answer import clock
from dashboard.deliveries.lists import STATES
from shared.outcomes import HAS_EVENT
from shared.queries.deliveries import Detail
from shared.retries import Attempt, Chain, chain
from shared.vendors import VendorFacts
from shared.wording import number_of


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
    received = data.on_clock(row.received_at, viewer_zone())
    facts = {
        "Received": f"{received:%-d %b %Y, %H:%M:%S}, {ago(row.received_at)}",
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
    st.caption(_of_which(row))
    st.code(_pretty(body), language="json", wrap_lines=True)


def _of_which(row: Detail) -> str:
    """Over the body: which delivery brought it, or which import."""
    if row.body is not None or row.brought_by in (None, row.id):
        return "Body"
    if imported := store.imported_from(row.brought_by):
        imported = plain(people.without_addresses(imported))
        return f"Event, {imported}, of which this is a duplicate"
    return f"Body of delivery {row.brought_by}, of which this is a duplicate"


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
    st.altair_chart(
        charts.attempts(frame, palette()), alt="The attempts of this event", key="attempts"
    )


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
