"""The dialogs of the coaching page: one item, several at once, pass marks."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from dashboard.base import charts, people, store
from dashboard.base.attempts import verdict, with_results, with_scores
from dashboard.base.colours import palette
from dashboard.base.percent import FORMAT, bare, exact, percent, rounded
from dashboard.base.pieces import plain, table
from dashboard.base.store import each
from dashboard.base.windows import ago, viewer_zone
from dashboard.coaching import data, words
from dashboard.coaching.view import dismiss, finish, label, percent_column, take
from shared.coaching import CLOSED, MOVES
from shared.queries.coaching import Case, Item
from shared.queries.coaching_states import OTHER_OWNER
from shared.queries.people import Who
from shared.queries.quizzes import Preview
from shared.wording import number_of

STATUSES = {
    "open": "Flagged",
    "in_progress": "In progress",
    "resolved": "Resolved",
    "dismissed": "Dismissed",
}


def open_asked() -> None:
    """The dialog that the address or the last click asks for, if the viewer may have it."""
    taker = data.taker_at(st.query_params.get("item", ""))
    what, about = st.session_state.get("coaching_asked", (None, None))
    if taker:
        _open_item(taker)
    elif not data.coaches():
        dismiss()
    elif what == "flag":
        _flag(about)
    elif what == "change":
        _change(about)
    elif what == "thresholds":
        _pass_marks()


def _owner(key: str, value: str | None = None) -> str | None:
    options = sorted({*data.can_own(), *([value] if value else [])})
    chosen = st.selectbox(
        "Owner",
        options,
        index=options.index(value) if value else None,
        accept_new_options=True,
        placeholder="E-mail address",
        key=f"owner_{key}",
    )
    return chosen if chosen == value else data.owner_of(chosen)


def _due(key: str, value: date | None = None) -> date | None:
    return st.date_input("Due", value=value, format="YYYY-MM-DD", key=f"due_{key}")


def _notes(key: str, value: str | None = None) -> str | None:
    """Notes may name a learner, so who sees no names keeps them as they are."""
    if value and not people.sees_names():
        st.caption("The notes are hidden, as they may name a learner.")
        return value
    return st.text_area("Notes", value or "", max_chars=4000, key=f"notes_{key}").strip() or None


@st.dialog("Flag for coaching", on_dismiss=dismiss)
def _flag(names: Mapping[data.Taker, str]) -> None:
    _listed(list(names.values()))
    with st.form("flag", border=False):
        owner, due, notes = _owner("flag"), _due("flag", data.default_due()), _notes("flag")
        if st.form_submit_button(f"Flag {len(names):,}", type="primary"):
            _flag_all(names, owner, due, notes)


def _flag_all(
    names: Mapping[data.Taker, str], owner: str | None, due: date | None, notes: str | None
) -> None:
    flagged = data.flag(list(names), owner, due, notes)
    problems = [f"{names[row.taker]}: {_already(row)}" for row in flagged.already]
    problems += [f"{names[taker]}: is no longer low" for taker in flagged.passed]
    finish(f"Flagged {_counted(flagged.new, names.values())}." if flagged.new else "", problems)


def _counted(done: Sequence[int], names: Iterable[str]) -> str:
    """The one case by its name, or how many they are."""
    only = list(names)
    return plain(only[0]) if len(only) == 1 else number_of(len(done), "case")


def _already(case: Case) -> str:
    if case.closed_at:
        return f"{case.updated_by} closed it {ago(case.closed_at)} as {case.status}"
    return f"{case.opened_by} flagged it {ago(case.opened_at)}"


def _listed(names: Sequence[str], most: int = 5) -> None:
    more = f", and {len(names) - most:,} more" if len(names) > most else ""
    st.markdown("; ".join(map(plain, names[:most])) + more)


@st.dialog("Change", on_dismiss=dismiss)
def _change(chosen: pd.DataFrame) -> None:
    names = {int(row.case_id): label(row) for row in each(chosen)}
    seen = {int(row.case_id): int(row.version) for row in each(chosen)}
    _listed(list(names.values()))
    st.caption("Fields that you leave empty stay as they are.")
    moves = sorted({move for status in chosen["status"] for move in MOVES[status]})
    ready = bool((chosen["state"] == "ready").all())
    with st.form("change", border=False):
        status = st.selectbox(
            "Status",
            moves,
            index=moves.index("resolved") if ready else None,
            format_func=STATUSES.__getitem__,
            placeholder="Unchanged",
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
    finish(f"Changed {_counted(changed.done, names.values())}." if changed.done else "", problems)


# One item


def _open_item(taker: data.Taker) -> None:
    if found := data.item(taker, viewer_zone()):
        if st.session_state.get("coaching_seen", (None,))[0] != taker:
            _edit_from(taker, found.row)
        _item(taker)
    else:
        st.toast("No graded attempt of this learner at this quiz, or not on your teams.")


@st.dialog("Coaching", width="medium", position="right", on_dismiss=dismiss)
def _item(taker: data.Taker) -> None:
    now = data.item(taker, viewer_zone())
    if now is None:
        return
    seen: Item = st.session_state["coaching_seen"][1]
    team = f" · {plain(now.row.team_id)}" if now.row.team_id else ""
    st.markdown(f"**{plain(now.learner)}** · {plain(now.quiz)}{team}")
    overtaken = (seen.case_id, seen.version) != (now.row.case_id, now.row.version)
    if overtaken:
        _overtaken(taker, now)
    elif now.row.state == "ready":
        _propose(now.row)
    _verdicts(now.row)
    _attempts(now)
    (_edit if data.coaches() else _own)(taker, seen)
    _rounds(now)


def _overtaken(taker: data.Taker, now: data.Detail) -> None:
    """Two edit at once: the second sees what the first has changed, and chooses."""
    if len(now.history):
        last = now.history.iloc[0]
        change = f"{plain(last.actor)}, {ago(last['at'])}: {plain(last.detail)}."
    else:
        change = f"{ago(now.row.updated_at)}."
    st.error(
        f"{change} Your input does not overwrite this: look at the change first.",
        title="This case has changed",
        icon=":material/group:",
    )
    st.button("Show the change", key="show_change", on_click=_edit_from, args=(taker, now.row))


def _edit_from(taker: data.Taker, row: Item) -> None:
    """The form begins from this row."""
    st.session_state["coaching_seen"] = (taker, row)


RULES = {
    "either": "Either one makes a score low",
    "threshold": "The pass mark decides",
    "vendor": "The vendor decides",
}


def _verdicts(row: Item) -> None:
    """Where the vendor and the pass mark differ, both of them and which one decides."""
    if words.vendor_differs(row):
        vendor = verdict(bool(row.passed))
        side = "under" if row.passed else "not under"
        score = percent(row.latest_pct, row.threshold_pct)
        rule = store.settings().coaching_rule
        st.caption(
            f"The vendor says {vendor}; {score} is {side} the pass mark of "
            f"{exact(row.threshold_pct)}. {RULES[rule]} (COACHING_RULE)."
        )


def _propose(row: Item) -> None:
    assert row.opened_at is not None  # noqa: S101 (it is of a case)
    by = "you" if row.opened_by == store.actor() else str(row.opened_by)
    scored = row.latest_pct is not None
    pair = [
        None if pct is None else rounded(pct, row.threshold_pct)
        for pct in (row.latest_pct, row.flagged_pct)
    ]
    rise = None if pair[0] is None or pair[1] is None else pair[0] - pair[1]
    st.success(
        (f"Passed with {percent(row.latest_pct, row.threshold_pct)}" if scored else "Passed")
        + f" on {_day(row.submitted_at)}, {words.days(row.submitted_at - row.opened_at)} after "
        + f"{plain(by)} flagged it"
        + (f" ({bare(rise, '+')})" if rise is not None else "")
        + (". Close?" if _may_change(row) else "."),
        icon=":material/trending_up:",
    )
    if _may_change(row) and st.button("Close as resolved", type="primary", key="close_item"):
        _save(row, {"status": "resolved"})


def _may_change(row: Item) -> bool:
    return data.coaches() or row.owner == store.actor()


def _day(at: datetime) -> str:
    local = at.astimezone(ZoneInfo(viewer_zone()))
    return f"{local:%-d %B %Y}" if local.year != datetime.now(UTC).year else f"{local:%-d %B}"


def _attempts(now: data.Detail) -> None:
    row = now.row
    frame = now.attempts.assign(threshold_pct=row.threshold_pct)
    points = charts.on_the_clock(frame)
    st.caption(f"{charts.DRAWN}, {exact(row.threshold_pct)}.{charts.not_drawn(frame)}")
    if len(points):
        st.vega_lite_chart(
            charts.quiz_scores(points, charts.around(points["at"]), palette()),
            alt=f"Scores of {len(points)} attempts, "
            f"the latest {_score(row)}, pass mark {exact(row.threshold_pct)}",
            key="item_scores",
        )
    columns = {
        "submitted_at": st.column_config.DatetimeColumn("When", format="D MMM YYYY, HH:mm"),
        "pct": percent_column("Score"),
        "result": st.column_config.TextColumn("Result"),
    }
    shown = with_results(frame)
    with st.expander(f"{row.tries:,} graded, {row.practice_runs:,} practice, as a table"):
        table(shown, with_scores(columns, frame), "Attempts", "item_attempts")


def _score(row: Item) -> str:
    return "no score" if row.latest_pct is None else percent(row.latest_pct, row.threshold_pct)


def _edit(taker: data.Taker, seen: Item) -> None:
    """The form of a lead, beginning from the case as it was when the dialog opened."""
    fresh = seen.case_id is None or seen.state == "new"
    key = f"{seen.case_id}_{seen.version}_{fresh}"
    if fresh and seen.state != "new":
        st.caption("The latest attempt is not low, so there is nothing to flag.")
        return
    with st.form(f"edit_{key}", border=True):
        status, reason = (None, None) if fresh else _status(key, seen)
        kept = (seen.owner, seen.due, seen.notes)
        if fresh:
            kept = (None, data.default_due(), None)
        owner, due = _owner(key, kept[0]), _due(key, kept[1])
        notes = _notes(key, kept[2])
        if st.form_submit_button("Flag" if fresh else "Save", type="primary"):
            if fresh:
                _flag_all({taker: _who(seen)}, owner, due, notes)
            else:
                set_here = {"owner": owner, "due": due, "notes": notes}
                _save(seen, set_here | {"status": status, "outcome": reason})


def _own(taker: data.Taker, seen: Item) -> None:
    """What a manager does: take a case without an owner, and work on a case of their own."""
    free = seen.state == "new" or (seen.owner is None and seen.status not in (None, *CLOSED))
    if free:
        st.caption(
            f"Take it to be its owner, due {data.default_due():%-d %B %Y} unless set before."
        )
        if st.button("Take", type="primary", key="take_item"):
            take({taker: _who(seen)})
    elif seen.owner == store.actor():
        _edit_own(seen)
    elif seen.status in CLOSED:
        st.caption("This case was closed.")
    elif seen.owner == OTHER_OWNER:
        st.caption("A colleague owns this case. Leads can change the owner.")
    else:
        st.caption("The latest attempt is not low, so there is nothing to take.")


def _edit_own(seen: Item) -> None:
    key = f"{seen.case_id}_{seen.version}"
    with st.form(f"own_{key}", border=True):
        status, reason = _status(key, seen)
        due = _due(key, seen.due)
        save = st.form_submit_button("Save", type="primary")
        if st.form_submit_button("Hand back", help="Leaves the case open, without an owner."):
            _save(seen, {"owner": None})
        elif save:
            _save(seen, {"status": status, "outcome": reason, "due": due})


def _who(row: Item) -> str:
    return f"{people.known_as(row.name, row.email, row.key)}, {row.quiz_name}"


def _status(key: str, seen: Item) -> tuple[str, str | None]:
    assert seen.status is not None  # noqa: S101 (it is of a case)
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


def _save(seen: Item, wanted: Mapping[str, Any]) -> None:
    assert seen.case_id is not None  # noqa: S101 (it is of a case)
    assert seen.version is not None  # noqa: S101
    try:
        data.change(seen.case_id, seen.version, wanted)
    except data.Conflict as conflict:
        change = str(conflict) if data.coaches() else "this case has changed"
        st.error(f"Not saved: {plain(change)}.", icon=":material/block:")
    except data.Impossible as problem:
        st.error(str(problem), icon=":material/block:")
    else:
        finish(f"{'Closed' if wanted.get('status') in CLOSED else 'Saved'}: {plain(_who(seen))}.")


def _rounds(now: data.Detail) -> None:
    earlier = now.rounds if now.row.state == "new" else now.rounds[1:]
    if earlier:
        st.caption("Earlier rounds")
        for case in earlier:
            st.markdown(_round(case))
    if len(now.history):
        st.caption("Log")
        columns = {
            "at": st.column_config.DatetimeColumn("When", format="D MMM, HH:mm", width=110),
            "actor": st.column_config.TextColumn("Actor", width=90),
            "action": st.column_config.TextColumn("Action", width=70),
            "detail": st.column_config.TextColumn("Change", width=400),
        }
        table(now.history, columns, "Log of this case", "item_history")


def _round(case: Case) -> str:
    said = f"{STATUSES[case.status]} on {_day(case.closed_at)}" if case.closed_at else "Open"
    if case.passed_at:
        lift = words.lift(case.flagged_pct, case.passed_pct, case.opened_at, case.passed_at, None)
        said += f", {plain(lift)}"
    said += f"; owner {plain(case.owner or 'none')}"
    return said + (f"; {plain(case.outcome)}" if case.outcome else "")


# Pass marks


@st.dialog("Pass marks", on_dismiss=dismiss)
def _pass_marks() -> None:
    frame = data.quizzes(Who())
    if frame.empty:
        st.info("No graded quiz yet.")
        return
    rows = {row.key: row for row in each(frame)}
    names = {key: str(row.quiz) for key, row in rows.items()}
    quiz = st.selectbox("Quiz", list(names), format_func=names.__getitem__, key="threshold_quiz")
    row = rows[quiz]
    st.caption(_origin(row))
    pct = st.slider(
        "Pass mark", 0.0, 100.0, float(row.threshold_pct), 0.5, format=FORMAT, key=f"pct_{quiz}"
    )
    st.markdown(_would(f"a pass mark of {exact(pct)}", data.preview(quiz, pct)))
    own = not pd.isna(row.own_pct)
    if own:
        st.caption(_would("the default", data.preview(quiz, None)))
    with st.container(horizontal=True):
        if st.button("Save", type="primary", key="save_threshold"):
            data.set_threshold(quiz, pct)
            finish(f"Scores under {exact(pct)} are low now.")
        if st.button("Back to the default", disabled=not own, key="no_threshold"):
            data.set_threshold(quiz, None)
            finish("The default pass mark is back.")


def _origin(row: Any) -> str:
    vendors = "none" if pd.isna(row.retake_pct) else exact(row.retake_pct)
    own = "none" if pd.isna(row.own_pct) else exact(row.own_pct)
    return f"Set here: {own} · the vendor's: {vendors} · default: {exact(data.default_pct())}"


def _would(what: str, preview: Preview) -> str:
    more = preview.then - preview.now
    change = (
        f"{abs(more):,} {'more' if more > 0 else 'fewer'} than now" if more else "as many as now"
    )
    people = "1 person" if preview.then == 1 else f"{preview.then:,} people"
    fail = "fails" if preview.then == 1 else "fail"
    return f"With {what}, **{people}** of {preview.takers:,} {fail}, {change}."
