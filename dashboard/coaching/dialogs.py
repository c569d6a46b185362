"""The dialogs of the page of coaching: one item, several at once, thresholds."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from dashboard.base import charts, people, store
from dashboard.base.percent import FORMAT, bare, exact, percent, rounded
from dashboard.base.pieces import plain, table
from dashboard.base.store import each
from dashboard.base.windows import ago, viewer_zone
from dashboard.coaching import data
from dashboard.coaching.view import label, percent_column
from shared.coaching import MOVES

STATUSES = {
    "open": "Flagged",
    "in_progress": "In progress",
    "resolved": "Resolved",
    "dismissed": "Dismissed",
}


def open_asked() -> None:
    """The dialog that the address or the last click asks for."""
    taker = data.taker_at(st.query_params.get("item", ""))
    what, about = st.session_state.get("coaching_asked", (None, None))
    if taker:
        _open_item(taker)
    elif what == "flag":
        _flag(about)
    elif what == "change":
        _change(about)
    elif what == "thresholds":
        _thresholds()


def _done(said: str, problems: Sequence[str] = ()) -> None:
    """Close the dialog, and say what came of it."""
    st.session_state["coaching_told"] = (said, "; ".join(map(plain, problems)))
    st.session_state["coaching_done"] = st.session_state.get("coaching_done", 0) + 1
    _dismiss()
    st.rerun()


def _dismiss() -> None:
    st.query_params.pop("item", None)
    for name in ("coaching_asked", "coaching_seen", "coaching_held"):
        st.session_state.pop(name, None)


def _owner(key: str, value: str | None = None) -> str | None:
    options = sorted({*data.owners(), *([value] if value else [])})
    return st.selectbox(
        "Owner",
        options,
        index=options.index(value) if value else None,
        accept_new_options=True,
        placeholder="Choose, or type a name",
        key=f"owner_{key}",
    )


def _due(key: str, value: date | None = None) -> date | None:
    return st.date_input("Due", value=value, format="YYYY-MM-DD", key=f"due_{key}")


def _notes(key: str, value: str | None = None) -> str | None:
    return st.text_area("Notes", value or "", max_chars=4000, key=f"notes_{key}").strip() or None


@st.dialog("Flag for coaching", on_dismiss=_dismiss)
def _flag(names: Mapping[data.Taker, str]) -> None:
    _listed(list(names.values()))
    with st.form("flag", border=False):
        owner, due, notes = _owner("flag"), _due("flag"), _notes("flag")
        if st.form_submit_button(f"Flag {len(names):,}", type="primary"):
            _flag_all(names, owner, due, notes)


def _flag_all(
    names: Mapping[data.Taker, str], owner: str | None, due: date | None, notes: str | None
) -> None:
    flagged = data.flag(list(names), owner, due, notes)
    problems = [
        f"{names[data.Taker(row.vendor, row.user_id, row.quiz_id)]}: {row.opened_by} flagged it "
        f"{ago(row.opened_at)}"
        for row in flagged.already
    ]
    problems += [f"{names[taker]}: is not low any more" for taker in flagged.passed]
    _done(f"Flagged {len(flagged.new):,}." if flagged.new else "", problems)


def _listed(names: Sequence[str], most: int = 5) -> None:
    more = f", and {len(names) - most:,} more" if len(names) > most else ""
    st.markdown("; ".join(map(plain, names[:most])) + more)


@st.dialog("Change", on_dismiss=_dismiss)
def _change(chosen: pd.DataFrame) -> None:
    names = {int(row.case_id): label(row) for row in each(chosen)}
    seen = {int(row.case_id): int(row.version) for row in each(chosen)}
    _listed(list(names.values()))
    st.caption("What is left empty stays as it is.")
    moves = sorted({move for status in chosen["status"] for move in MOVES[status]})
    ready = bool((chosen["state"] == "ready").all())
    with st.form("change", border=False):
        status = st.selectbox(
            "Status",
            moves,
            index=moves.index("resolved") if ready else None,
            format_func=STATUSES.__getitem__,
            placeholder="As it is",
            key="status_change",
        )
        reason = st.text_input("Reason", help="Needed to dismiss.", key="reason_change").strip()
        wanted = {"status": status, "outcome": reason or None,
                  "owner": _owner("change"), "due": _due("change")}  # fmt: skip
        if st.form_submit_button(f"Change {len(names):,}", type="primary"):
            _change_all(names, seen, {k: value for k, value in wanted.items() if value})


def _change_all(names: Mapping[int, str], seen: Mapping[int, int], wanted: Any) -> None:
    changed = data.change_all(seen, wanted)
    problems = [
        f"{names[row.id]}: {row.updated_by} has changed it {ago(row.updated_at)}"
        for row in changed.conflicts
    ]
    problems += [f"{names[case_id]}: {why}" for case_id, why in changed.refused.items()]
    _done(f"Changed {len(changed.done):,}." if changed.done else "", problems)


# One item


def _open_item(taker: data.Taker) -> None:
    if found := data.item(taker, viewer_zone()):
        if st.session_state.get("coaching_seen", (None,))[0] != taker:
            _take_in(taker, found.row)
        _item(taker)
    else:
        st.toast("There is no graded attempt of that learner at that quiz.")


@st.dialog("Coaching", width="medium", position="right", on_dismiss=_dismiss)
def _item(taker: data.Taker) -> None:
    now = data.item(taker, viewer_zone())
    if now is None:
        return
    seen = st.session_state["coaching_seen"][1]
    team = f" · {plain(now.row.team_id)}" if now.row.team_id else ""
    st.markdown(f"**{plain(now.learner)}** · {plain(now.quiz)}{team}")
    overtaken = (seen.case_id, seen.version) != (now.row.case_id, now.row.version)
    if overtaken:
        _overtaken(taker, now)
    elif now.row.state == "ready":
        _propose(now.row)
    _attempts(now)
    _edit(taker, seen)
    _rounds(now)


def _overtaken(taker: data.Taker, now: data.Item) -> None:
    """Two edit at once: the second is told, and chooses."""
    last = now.history.iloc[0]
    st.error(
        f"{plain(last.actor)}, {ago(last['at'])}: {plain(last.detail)}. What you enter is not "
        "saved over that; look at theirs first.",
        title="Somebody has changed this meanwhile",
        icon=":material/group:",
    )
    st.button("Show theirs", key="show_theirs", on_click=_take_in, args=(taker, now.row))


def _take_in(taker: data.Taker, row: Any) -> None:
    """What is there now is what the form begins from."""
    st.session_state["coaching_seen"] = (taker, row)


def _propose(row: Any) -> None:
    by = "you" if row.opened_by == store.actor() else row.opened_by
    scored = row.latest_pct is not None
    latest = rounded(row.latest_pct, row.threshold_pct) if scored else None
    flagged = None if row.flagged_pct is None else rounded(row.flagged_pct, row.threshold_pct)
    rise = None if latest is None or flagged is None else latest - flagged
    st.success(
        (f"Passed with {percent(row.latest_pct, row.threshold_pct)}" if scored else "Passed")
        + f" on {_day(row.submitted_at)}, {data.days(row.submitted_at - row.opened_at)} after "
        + f"{plain(by)} flagged it"
        + (f" ({bare(rise, '+')})" if rise is not None else "")
        + ". Close?",
        icon=":material/trending_up:",
    )
    if st.button("Close as resolved", type="primary", key="close_item"):
        _save(row, {"status": "resolved"})


def _day(at: datetime) -> str:
    local = at.astimezone(ZoneInfo(viewer_zone()))
    return f"{local:%-d %B %Y}" if local.year != datetime.now(UTC).year else f"{local:%-d %B}"


def _attempts(now: data.Item) -> None:
    row = now.row
    frame = now.attempts.assign(threshold_pct=row.threshold_pct)
    points = charts.on_the_clock(frame)
    st.caption(f"{charts.DRAWN}, {exact(row.threshold_pct)}.")
    st.altair_chart(
        charts.quiz_scores(points, charts.around(points["at"])),
        alt=f"Scores of {len(frame)} attempts, "
        f"the latest {_score(row)}, threshold {exact(row.threshold_pct)}",
        key="item_scores",
    )
    columns = {
        "submitted_at": st.column_config.DatetimeColumn("When", format="D MMM YYYY, HH:mm"),
        "pct": percent_column("Score"),
        "result": st.column_config.TextColumn("Result"),
    }
    shown = frame.assign(result=frame["result"].map(charts.RESULTS))
    with st.expander(f"{row.tries:,} graded, {row.practice_runs:,} practice, as a table"):
        table(shown, columns, "Attempts", "item_attempts")


def _score(row: Any) -> str:
    return "no score" if row.latest_pct is None else percent(row.latest_pct, row.threshold_pct)


def _edit(taker: data.Taker, seen: Any) -> None:
    """What the lead sets, beginning from what was there when it was opened."""
    fresh = seen.case_id is None or seen.state == "new"
    key = f"{seen.case_id}_{seen.version}_{fresh}"
    if fresh and seen.state != "new":
        st.caption("The latest score is not under the threshold, so there is nothing to flag.")
        return
    with st.form(f"edit_{key}", border=True):
        status, reason = (None, None) if fresh else _status(key, seen)
        kept = (None, None, None) if fresh else (seen.owner, seen.due, seen.notes)
        owner, due = _owner(key, kept[0]), _due(key, kept[1])
        notes = _notes(key, kept[2])
        if st.form_submit_button("Flag" if fresh else "Save", type="primary"):
            if fresh:
                _flag_all({taker: _who(seen)}, owner, due, notes)
            else:
                set_here = {"owner": owner, "due": due, "notes": notes}
                _save(seen, set_here | {"status": status, "outcome": reason})


def _who(row: Any) -> str:
    return f"{people.known_as(row.name, row.email, row.key)}, {row.quiz_name}"


def _status(key: str, seen: Any) -> tuple[str, str | None]:
    status = st.selectbox(
        "Status",
        [seen.status, *MOVES[seen.status]],
        format_func=STATUSES.__getitem__,
        key=f"status_{key}",
    )
    reason = st.text_input(
        "Reason", seen.outcome or "", help="Needed to dismiss.", key=f"reason_{key}"
    )
    return status, reason.strip() or None


def _save(seen: Any, wanted: Mapping[str, Any]) -> None:
    try:
        data.change(seen.case_id, seen.version, wanted)
    except data.Conflict as conflict:
        st.error(f"Not saved: {plain(str(conflict))}.", icon=":material/block:")
    except data.Impossible as problem:
        st.error(str(problem), icon=":material/block:")
    else:
        _done("Saved.")


def _rounds(now: data.Item) -> None:
    earlier = now.rounds if now.row.state == "new" else now.rounds[1:]
    if earlier:
        st.caption("Earlier rounds")
        for case in earlier:
            st.markdown(_round(case))
    if len(now.history):
        st.caption("What was done")
        columns = {
            "at": st.column_config.DatetimeColumn("When", format="D MMM, HH:mm", width=110),
            "actor": st.column_config.TextColumn("Who", width=90),
            "action": st.column_config.TextColumn("What", width=70),
            "detail": st.column_config.TextColumn("From what to what", width=400),
        }
        table(now.history, columns, "What was done", "item_history")


def _round(case: Any) -> str:
    said = f"{STATUSES[case.status]} on {_day(case.closed_at)}" if case.closed_at else "Open"
    if case.passed_at:
        lift = data.lift(case.flagged_pct, case.passed_pct, case.opened_at, case.passed_at, None)
        said += f", {plain(lift)}"
    said += f"; owner {plain(case.owner or 'nobody')}"
    return said + (f"; {plain(case.outcome)}" if case.outcome else "")


# Thresholds


@st.dialog("Thresholds", on_dismiss=_dismiss)
def _thresholds() -> None:
    frame = data.quizzes(store.version())
    if frame.empty:
        st.info("No graded quiz has come in yet.")
        return
    rows = {row.key: row for row in each(frame)}
    names = {key: str(row.quiz) for key, row in rows.items()}
    quiz = st.selectbox("Quiz", list(names), format_func=names.__getitem__, key="threshold_quiz")
    row = rows[quiz]
    st.caption(_origin(row))
    pct = st.slider(
        "Low is under", 0.0, 100.0, float(row.threshold_pct), 0.5, format=FORMAT, key=f"pct_{quiz}"
    )
    st.markdown(_would(exact(pct), data.preview(quiz, pct)))
    own = not pd.isna(row.own_pct)
    if own:
        st.caption(_would("Back to the default", data.preview(quiz, None)))
    with st.container(horizontal=True):
        if st.button("Save", type="primary", key="save_threshold"):
            data.set_threshold(quiz, pct)
            _done(f"Under {exact(pct)} is low now.")
        if st.button("Back to the default", disabled=not own, key="no_threshold"):
            data.set_threshold(quiz, None)
            _done("Back to the default.")


def _origin(row: Any) -> str:
    vendors = "none" if pd.isna(row.retake_pct) else exact(row.retake_pct)
    own = "none" if pd.isna(row.own_pct) else exact(row.own_pct)
    return f"Set here: {own} · the vendor's own: {vendors} · default: {exact(data.default_pct())}"


def _would(what: str, preview: Any) -> str:
    more = preview.then - preview.now
    change = (
        f"{abs(more):,} {'more' if more > 0 else 'fewer'} than now" if more else "as many as now"
    )
    people = "1 person" if preview.then == 1 else f"{preview.then:,} people"
    return f"{what} would flag **{people}** of {preview.takers:,}, {change}."
