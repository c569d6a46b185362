"""Deliveries over time: failures, outages, now, and where retries end."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pandas as pd
import streamlit as st

from dashboard.base.charts import Span
from dashboard.base.colours import palette
from dashboard.base.outages import span as length
from dashboard.base.pieces import heading, plain
from dashboard.base.store import each
from dashboard.base.windows import ago
from dashboard.deliveries import charts, data
from dashboard.deliveries.answer import clock
from shared.evidence import Evidence
from shared.outages import Outage
from shared.wording import duration, number_of

HEIGHT_PX = 215
APART = 0.15
"""The share of the chart that a label takes: of outages closer than that, the longest has one."""
STEP = timedelta(minutes=5)
"""How often the line that is now moves: each time the chart is drawn again, a brush ends."""


def timeline(
    evidence: Sequence[Evidence],
    recoveries: Sequence[data.Recovery],
    window: str,
    zone: str,
    vendor: str | None,
) -> None:
    """The chart, its figures as a table, and what became of the events of each outage."""
    axis = charts.AXES[window]
    bars = data.timeline(window, zone, vendor)
    with st.container(border=True, gap="xsmall"):
        heading(f"Deliveries {axis.says}")
        if bars.empty:
            st.caption("No deliveries in this period. Try a longer one.")
        else:
            ends = [ending.at for ending in _endings(evidence)]
            span = data.clock_span(window, zone, min(ends, default=None))
            marks = _marks(evidence, recoveries, zone, span)
            chart = charts.timeline(bars, marks, span, axis, palette())
            st.altair_chart(
                chart,
                height=HEIGHT_PX,
                alt=_takeaway(bars, marks, axis),
                key="timeline",
                on_select="rerun",
            )
            with st.expander("The same as a table", key="timeline_table"):
                _table(bars)
    with st.container(gap=None):
        for one in recoveries:
            if one.outage.over:
                _ledger(one, evidence)


def brushed() -> tuple[float, float] | None:
    """The part of the time axis that is brushed, in milliseconds; None if there is none."""
    chart = st.session_state.get("timeline")
    ranges = list(chart["selection"].get("brush", {}).values()) if chart else []
    return (ranges[0][0], ranges[0][1]) if ranges else None


def _marks(
    evidence: Sequence[Evidence], recoveries: Sequence[data.Recovery], zone: str, span: Span
) -> pd.DataFrame:
    """Outages, now, and the endings of retries: at, end, label, kind."""
    now = clock().now
    longest = sorted((one.outage for one in recoveries), key=lambda one: one.begin - one.end)
    room = APART * (span[1] - span[0])
    labelled: list[Outage] = []
    for one in longest:
        if all(abs(one.begin - other.begin) > room for other in labelled):
            labelled.append(one)
    rows: list[dict[str, Any]] = [
        {
            "at": max(data.on_clock(one.begin, zone), span[0]),
            "end": data.on_clock(one.end, zone),
            "label": f"Down {duration(one.end - one.begin)}" if one in labelled else "",
            "kind": "down",
        }
        for one in longest
    ]
    moments = [("now", "Now", now.replace(second=0, microsecond=0, minute=now.minute // 5 * 5))]
    moments += [(one.kind, one.label, one.at) for one in _endings(evidence)]
    rows += [
        {"at": at, "end": at, "label": label, "kind": kind}
        for kind, label, moment in moments
        if (at := data.on_clock(moment, zone)) <= span[1]
    ]
    return pd.DataFrame(rows, columns=["at", "end", "label", "kind"])


class _Ending(NamedTuple):
    """A moment with which retries of a vendor end."""

    kind: str
    label: str
    at: datetime


def _endings(evidence: Sequence[Evidence]) -> list[_Ending]:
    """The first loss of each vendor, and the last retry of what only a replay recovers then."""
    found = []
    named = sum(bool(one.forecast.at_risk or one.forecast.retried) for one in evidence) > 1
    for one in evidence:
        whose = f" of {one.vendor.name}" if named else ""
        at_risk, retried = one.forecast.at_risk, one.forecast.retried
        if at_risk:
            which = "First" if at_risk.events > 1 else "1"
            of = f" of {at_risk.events:,}" if at_risk.events > 1 else ""
            found.append(_Ending("lost", f"{which}{of}{whose} lost", at_risk.first))
        if retried:
            label = f"Last retry of {retried.events:,}{whose}"
            found.append(_Ending("retry", label, retried.last))
    return found


def _takeaway(bars: pd.DataFrame, marks: pd.DataFrame, axis: charts.Axis) -> str:
    """What the chart shows, in words."""
    failed = int(bars.loc[bars["what"] == charts.FAILED, "deliveries"].sum())
    total = int(bars["deliveries"].sum())
    said = f"{number_of(total, 'delivery')} {axis.says}, {failed:,} of them failed."
    if failed:
        worst = bars[bars["what"] == charts.FAILED].nlargest(1, "deliveries").iloc[0]
        said += f" Most failures: {worst['deliveries']:,} from {_on_axis(worst['at'])}."
    for row in each(marks):
        if row.kind == "down" and row.label:
            said += f" No receiver from {_on_axis(row.at)} to {_on_axis(row.end)}."
        elif row.kind in ("lost", "retry"):
            said += f" {row.label} at {_on_axis(row.at)}."
    return said


def _on_axis(at: datetime) -> str:
    return f"{at:%a} {at.day} {at:%b, %H:%M}"


def _table(bars: pd.DataFrame) -> None:
    wide = bars.pivot_table(index="at", columns="what", values="deliveries", fill_value=0)
    shown = wide.reindex(columns=[charts.ACCEPTED, charts.FAILED], fill_value=0).reset_index()
    columns = {
        "at": st.column_config.DatetimeColumn("From", format="ddd D MMM, HH:mm"),
        charts.ACCEPTED: st.column_config.NumberColumn(format="%,d"),
        charts.FAILED: st.column_config.NumberColumn(format="%,d"),
    }
    st.dataframe(
        shown.iloc[::-1], column_config=columns, hide_index=True, height=HEIGHT_PX,
        alt="Deliveries over time, accepted and failed", key="timeline_rows",
    )  # fmt: skip


def _ledger(recovery: data.Recovery, evidence: Sequence[Evidence]) -> None:
    """What became of the events of an outage that is over."""
    suspended = [
        f"{plain(known.vendor.name)} has probably suspended the webhook."
        for known in evidence
        if known.suspension
        and known.suspension.outage == recovery.outage
        and known.suspension.share >= 1
    ]
    are = "is" if recovery.still_open == 1 else "are"
    arrived = (
        f"Of the events of that time {recovery.by_retry:,} arrived by retry and "
        f"{recovery.by_replay:,} by replay; {recovery.still_open:,} refused since then {are} still "
        "open."
    )
    st.caption(
        f":material/power_off: No receiver was up for {length(recovery.outage)}, until "
        f"{ago(recovery.outage.end)}. {' '.join([arrived, *suspended])}"
    )
