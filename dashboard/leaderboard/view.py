"""The pieces of the leaderboard."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from dashboard import access
from dashboard.base import address, filters, paging, people, store
from dashboard.base.colours import palette
from dashboard.base.percent import FORMAT, percent
from dashboard.base.pieces import FACE, csv, people_table, plain, table, with_faces
from dashboard.base.windows import Period, viewer_zone
from dashboard.leaderboard import charts, data, moves
from dashboard.leaderboard.words import METRICS, amount, ordinal
from shared.queries.movement import Board, Credit
from shared.queries.scoring import Points

BOARDS = {"learners": "Learners", "teams": "Teams", "modules": "Modules"}
UNITS = {"gained": "%,.0f pts", "completed": "%,d", "average": FORMAT, "time": "%,.1f h",
         "score": "%,.0f pts"}  # fmt: skip
"""How a metric is written, in the formats of a column."""
ROWS = 12
"""Of learners on a page of the board."""


def explain(key: str) -> None:
    """Open why a learner has their rank."""
    st.query_params["learner"] = people.link_to(key)
    st.rerun()  # the whole page, as a dialog does not belong into a live part


def _explain_clicked() -> None:
    explain(st.session_state["ranked"][st.session_state["explain"].row])


PLACE = st.column_config.TextColumn("#", width=45, help="2= is a second place that several share.")


def moved(compared: str) -> Any:
    """The column of places won or lost."""
    then = f"Places won or lost against {compared}. {moves.NOT_BEFORE}: not on the board then."
    return st.column_config.TextColumn("±", width=85, help=then)


def in_full(metric: str, compared: str) -> Mapping[str, Any]:
    """The columns of learners in a file."""
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    figures = {
        "gained": number("Progress gained (points)"),
        "completed": number("Modules completed"),
        "average": number("Average progress (%)"),
        "time": number("Time spent (hours)"),
        **({"score": number("Score (points)")} if metric == "score" else {}),
    }
    return {
        "rank": number(f"Rank by {METRICS[metric]}"),
        **({"rank_before": number("Rank before")} if compared else {}),
        "learner": text("Learner"),
        **people.in_file(),
        "team_id": text("Team"),
        **figures,
        "vendors": number("Vendors"),
    }


def find() -> str:
    """Words to find learners by, on the board; only for a role that sees names."""
    if not people.sees_names():
        return ""
    return filters.words("Find a learner", "find", "Find a learner", width=200)


def jumps(metric: str, board: Board) -> None:
    """For a viewer who is a learner too: the way to their own row, and to their team."""
    own = data.own()
    if own is None:
        return
    st.button("Show me", on_click=_show_me, args=(metric, board, own.key), icon=":material/person:")
    if own.team_id in store.teams():
        my_team = {"team": [str(own.team_id)]}
        st.button("My team", on_click=address.write, args=(my_team,), icon=":material/group:")


def _show_me(metric: str, board: Board, key: str) -> None:
    if place := data.place_of(metric, board, key):
        address.write({"find": (), address.PAGE: [str(paging.page_of(place, ROWS))]})
    else:
        st.toast("You have no activity in this period, with these filters.")


def learners(frame: pd.DataFrame, metric: str, compared: str) -> None:
    """A part of the board of learners, each with a button that explains the rank."""
    st.session_state["ranked"] = frame["key"].tolist()
    own = data.own()
    mine = frame["key"] == (own.key if own else "")
    named = frame["learner"].where(~mine, frame["learner"] + " (you)")
    frame = with_faces(frame).assign(learner=named)
    several = len(store.vendors()) > 1
    rest = {
        "gained": st.column_config.NumberColumn("Gained", format=UNITS["gained"]),
        "completed": st.column_config.NumberColumn("Done", help="Modules completed."),
        "time": st.column_config.NumberColumn("Time", format=UNITS["time"]),
    }
    rest.pop(metric, None)
    counted = st.column_config.NumberColumn(
        "Vendors", help="Vendors with data on this person. Their own page lists them."
    )
    columns = {
        "place": PLACE,
        "face": FACE,
        "learner": st.column_config.ButtonColumn(
            "Learner", on_click=_explain_clicked, key="explain", type="tertiary", alignment="left",
            width=170, help="Choose a learner to see why they have this rank.",
        ),
        metric: bar(METRICS[metric], UNITS[metric], frame[metric]),
        **({"move": moved(compared)} if compared else {}),
        "team_id": st.column_config.TextColumn("Team", width=100),
        "weeks": st.column_config.BarChartColumn(
            "8 weeks", width=120, y_min=0, color=palette().quiet,
            help="Points gained in each of eight weeks; the last bar is seven days up to today.",
        ),
        **rest,
        **({"vendors": counted} if several else {}),
    }  # fmt: skip
    shown = _marked(frame[list(columns)], mine, own.team_id if own else None)
    alt = f"Learners by {METRICS[metric]}"
    people_table(shown, columns, len(frame), alt, "board_learners")


def _marked(frame: pd.DataFrame, mine: "pd.Series[bool]", team: str | None) -> Any:
    """The viewer's own row and those of their team on a ground of their own; won places in green,
    lost ones in red."""
    colours = palette()
    near = set(frame.index[mine | (frame["team_id"] == team)])

    def ink(move: Any) -> str:
        rose = {"▲": colours.good_text, "▼": colours.bad_text}
        return f"color: {rose.get(move[:1], colours.muted)}"

    styled = frame.style
    if "move" in frame:
        styled = styled.map(ink, subset=["move"])
    if near:
        rows = pd.IndexSlice[sorted(near), :]
        styled = styled.map(lambda _: f"background-color: {colours.tint}", subset=rows)
    return styled


CREDITS: Mapping[Credit, str] = {"then": "Team at the time", "today": "Team of today"}


def credit() -> Credit:
    """Which team gets what a learner gains."""
    chosen = filters.switch("Credit", "credit", CREDITS, "then")
    return "today" if chosen == "today" else "then"


def teams(frame: pd.DataFrame, metric: str, compared: str) -> None:
    """The board of teams. Percentages have no total; an average of whole numbers is none."""
    unit = "%.1f" if metric == "completed" else UNITS[metric]
    label = METRICS[metric]
    total = {"total": st.column_config.NumberColumn("Total", format=UNITS[metric])}
    before = {
        "average_before": st.column_config.NumberColumn(
            "Before", format=unit, help=f"On {compared}."
        )
    }
    columns = {
        "place": PLACE,
        **({"move": moved(compared)} if compared else {}),
        "team_id": st.column_config.TextColumn("Team", width=180),
        "average": bar(f"{label}, per member", unit, frame["average"]),
        **(before if compared else {}),
        **(total if metric != "average" else {}),
        "members": st.column_config.NumberColumn("Members"),
        "moved": st.column_config.NumberColumn("Active"),
    }
    show(frame, columns, f"Teams by {label} per member", "teams")
    csv(frame, columns, "teams")


def modules(frame: pd.DataFrame) -> None:
    """The board of modules."""
    columns = {
        "place": PLACE,
        "module_name": st.column_config.TextColumn("Module", width=280),
        "gained": bar("Progress gained", UNITS["gained"], frame["gained"]),
        "people": st.column_config.NumberColumn("People"),
        "completed": st.column_config.NumberColumn("Completed"),
        "average": st.column_config.NumberColumn("Average", format=UNITS["average"]),
        "time": st.column_config.NumberColumn("Time", format=UNITS["time"]),
    }
    show(frame, columns, "Modules by Progress gained", "modules")
    csv(frame, columns, "modules")


def show(frame: pd.DataFrame, columns: Mapping[str, Any], alt: str, name: str) -> None:
    """A board, as high as its rows."""
    table(frame, columns, alt, f"board_{name}")


def bar(label: str, unit: str, values: "pd.Series[float]") -> Any:
    highest = max(1.0, float(values.max()))
    return st.column_config.ProgressColumn(
        label, format=unit, min_value=0, max_value=highest, width=150
    )


def explain_if_asked(metric: str, board: Board, period: Period) -> None:
    """Explain the rank of the learner that the address names."""
    if asked := st.query_params.get("learner", ""):
        _dialog(metric, board, period, people.key_at(asked))


def _close() -> None:
    st.query_params.pop("learner", None)


@st.dialog("Why this rank", width="medium", position="right", on_dismiss=_close)
def _dialog(metric: str, board: Board, period: Period, key: str | None) -> None:
    shown = key and data.explained(metric, board, key, viewer_zone())
    if not key or not shown:
        st.info("No learner with this ID here, or not on your teams.")
        return
    if shown.near.empty:
        st.info(f"{plain(shown.learner)} made no progress {period.none}, so has no rank.")
    else:
        st.markdown(_standing(shown, metric, over=board.window.until is not None))
        st.caption(f"Figures {period.dates or 'of all time'}.")
        compared = board.window.before is not None and data.was_any(metric, board)
        _near(shown.near, metric, compared=compared)
        if metric == "score":
            _points(shown.points)
        else:
            _modules(shown.modules)
            _events(shown.events)
    st.page_link(
        people.PAGE,
        label="Everything about this learner",
        icon=":material/person:",
        query_params={"id": people.link_to(key)},
    )


def _standing(shown: data.Explained, metric: str, *, over: bool) -> str:
    """`Ines Ko: 2nd with 290 points, tied with Paul Adeyemi. 23 points behind Dana Brooks: …`

    In a period that is over there is nothing left to gain."""
    rows: list[Any] = list(shown.near.itertuples())
    own = next(one for one in rows if one.own)
    figure = amount(metric, getattr(own, metric))
    said = f"**{plain(shown.learner)}**: **{ordinal(own.rank)}** with **{figure}**"
    said += f"{_tied(rows, own)}."
    for other in [one for one in rows if one.rank < own.rank][-1:]:
        passing = _one_module(shown.call) if metric == "gained" and not over else ""
        said += f" {amount(metric, other.gap)} behind {plain(other.learner)}{passing}."
    for other in [one for one in rows if one.rank > own.rank][:1]:
        said += f" {amount(metric, -other.gap)} ahead of {plain(other.learner)}."
    return said


def _tied(rows: list[Any], own: Any) -> str:
    equals = [plain(one.learner) for one in rows if one.rank == own.rank and not one.own]
    if own.equals > len(equals):
        return f", tied with {equals[0]} and {own.equals - 1:,} others"
    return f", tied with {' and '.join(equals)}" if equals else ""


def _one_module(call: data.Call | None) -> str:
    if call is None:
        return "; no module begun has as much left"
    left = amount("gained", call.left)
    return f": one module from passing them (*{plain(call.module)}* has {left} left)"


def _near(near: pd.DataFrame, metric: str, *, compared: bool) -> None:
    learners = near["learner"].map(plain)
    shown = {
        plain("#"): near["place"],
        **({"±": near["move"]} if compared else {}),
        "Learner": learners.where(~near["own"], "**" + learners + "**"),
        METRICS[metric]: near[metric].map(lambda value: amount(metric, value)),
        "Distance": near["gap"].map(lambda gap: _apart(metric, gap)),
    }
    st.table(pd.DataFrame(shown), border="horizontal", hide_index=True, alt="The neighbours")


def _apart(metric: str, gap: float) -> str:
    return f"{'+' if gap > 0 else '−'}{amount(metric, abs(gap))}" if gap else ""


def _modules(frame: pd.DataFrame) -> None:
    st.caption("Points by module")
    st.altair_chart(
        charts.points_by_module(frame), alt="Points gained in each module", key="by_module"
    )
    columns = {
        "module_name": st.column_config.TextColumn("Module", width=240),
        "gained": st.column_config.NumberColumn("Gained", format=UNITS["gained"]),
        "pct_before": st.column_config.NumberColumn("From", format=FORMAT),
        "pct": st.column_config.NumberColumn("To", format=FORMAT),
        "completed": st.column_config.CheckboxColumn("Done"),
        "time": st.column_config.NumberColumn("Time", format=UNITS["time"]),
    }
    table(frame.assign(completed=frame["completed"] > 0), columns, "Points by module", "explained")


def _events(shown: list[data.ProgressEvent]) -> None:
    opens = "; each opens its delivery" if access.may("deliveries") else ""
    st.caption(f"The events behind it, the latest first{opens}")
    if not shown:
        st.info("The events of this period are no longer kept.")
    for one in shown:
        what = f"{plain(one.module or 'unknown')}: {percent(one.pct)}"
        _event(f"{one.at:%-d %b, %H:%M} · {what}", one.delivery_id)
    if len(shown) == data.EVENTS_SHOWN:
        st.caption(f"Only the latest {data.EVENTS_SHOWN} are shown.")


SCORED = {
    "progress": "Progress",
    "module": "Module completed",
    "course": "Course completed",
    "quiz": "Quiz passed",
    "first_try": "Quiz passed at the first try",
    "event": "Event",
}


def _points(shown: Sequence[Points]) -> None:
    opens = "; each opens its delivery" if access.may("deliveries") else ""
    st.caption(f"The points, one by one, the latest first{opens}")
    for one in shown[: data.EVENTS_SHOWN]:
        what = f"{SCORED[one.kind]} · {plain(one.what)}: {amount('score', one.points)}"
        at = one.at.astimezone(ZoneInfo(viewer_zone()))
        _event(f"{at:%-d %b, %H:%M} · {what}", one.delivery_id)
    if older := shown[data.EVENTS_SHOWN :]:
        points = sum(one.points for one in older)
        st.caption(f"{amount('score', points)} of older events are not listed.")


def _event(said: str, delivery_id: int | None) -> None:
    if imported := store.imported_from(delivery_id):
        st.caption(f"{said} ({plain(people.without_addresses(imported))})")
    elif not access.may("deliveries"):
        st.caption(said)
    elif delivery_id is None:
        st.caption(f"{said} (its delivery was deleted by age)")
    else:
        at = {"delivery": str(delivery_id)}
        st.page_link("deliveries/page.py", label=said, query_params=at, icon="")
