"""What stands above the board: the answer, what is missing, the first three, the key figures."""

from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import streamlit as st

from dashboard import access
from dashboard.base import filters, states, windows
from dashboard.base.outages import span
from dashboard.base.pictures import RINGS, avatar
from dashboard.base.pieces import Figure, answer, cut, key_figures, plain, row, trouble
from dashboard.base.store import each
from dashboard.base.windows import WHOLE, Period, viewer_zone
from dashboard.leaderboard import data
from dashboard.leaderboard.words import amount, number
from shared.queries.missing import Toll
from shared.queries.team_boards import Slipped
from shared.queries.windows import Window
from shared.wording import number_of

PLACE_PX = 124
SHORT = 20
"""Characters of a name on the podium, whose cells are of one height; the board has it in full."""
WITH = {
    "gained": "{}",
    "completed": "{} completed",
    "average": "{} average progress",
    "time": "{} of learning",
    "score": "{}",
}
"""How a figure ends the sentence "… leads with"."""


def headline(shown: data.Headline, period: Period, team: str | None) -> None:
    """Who leads and why, which team slipped, and who is about to pass the next one. `team` is the
    only team of the board."""
    if shown.first:
        answer(_leads(shown, team), _why(shown, period))
    else:
        none = "No points" if shown.metric in ("gained", "score") else "Nothing to rank"
        answer(f"{none} {period.none}")


def of_teams(frame: pd.DataFrame, shown: data.Headline, period: Period) -> None:
    """The same over the board of teams, whose rows have the best team first."""
    first = next((row for row in each(frame) if (row.average or 0) > 0), None)
    if first is None:
        answer(f"No team has figures {period.none}")
        return
    figure = amount(shown.metric, first.average)
    share = "average progress" if shown.metric == "average" else "a member"
    members = number_of(first.members, "member")
    active = f"{_first_words(period)}, {first.moved:,} of its {members} active."
    answer(
        f"Team {plain(first.team_id)} leads with {figure} {share}",
        f"{active} {_slipped_or_less(shown, period)}",
    )


def of_modules(frame: pd.DataFrame, period: Period) -> None:
    """The same over the board of modules, whose rows have the largest gain first."""
    if frame.empty:
        answer(f"No module has progress {period.none}")
        return
    first = each(frame)[0]
    answer(
        f"Most was gained in {plain(first.module_name)}: {amount('gained', first.gained)}",
        f"{_first_words(period)}, by {number_of(first.people, 'learner')}.",
    )


def _first_words(period: Period) -> str:
    """`In the last 7 days`, as a sentence begins."""
    return period.said[0].upper() + period.said[1:]


def _leads(shown: data.Headline, team: str | None) -> str:
    leader = shown.first[0]
    figure = WITH[shown.metric].format(amount(shown.metric, leader.figure))
    led = f" {plain(team)}" if team else ""
    if leader.equals:
        return f"{plain(leader.learner)} and {leader.equals:,} more lead{led} with {figure} each"
    return f"{plain(leader.learner)} leads{led} with {figure}"


def _why(shown: data.Headline, period: Period) -> str:
    """`In the last 7 days, 43 points ahead of Ines Ko, up 37 places, all of it from Pricing. …`"""
    leader, *others = shown.first
    said = [_first_words(period)]
    if leader.equals:
        said.append(f"{number_of(leader.equals + 1, 'learner')} share the first place")
    elif others:
        said.append(f"{amount(shown.metric, others[0].behind)} ahead of {plain(others[0].learner)}")
    else:
        said.append("with no other learner on the board")
    if leader.rise and leader.rise > 0 and not leader.equals:
        said.append(f"up {number_of(leader.rise, 'place')}")
    if leader.module and not leader.equals:
        in_it = "all" if leader.share == leader.figure else amount("gained", leader.share)
        said.append(f"{in_it} of it from *{plain(leader.module)}*")
    sentences = [f"{', '.join(said)}."]
    if call := shown.call:
        sentences.append(f"**{plain(call.learner)}** can pass {plain(call.ahead)} with one module.")
    if shown.slipped:
        sentences.append(_slipped(shown.metric, shown.slipped, period))
    return " ".join(sentences)


def _slipped_or_less(shown: data.Headline, period: Period) -> str:
    return _slipped(shown.metric, shown.slipped, period) if shown.slipped else ""


def _slipped(metric: str, team: Slipped, period: Period) -> str:
    now, before = amount(metric, team.average), number(team.average_before)
    return f"Team **{plain(team.team_id)}** slipped: {now} a member, {before} on {period.compared}."


def podium(shown: data.Headline) -> None:
    """The first three, each with what puts them there."""
    if not shown.first:
        return
    cells = st.grid(
        data.PODIUM,
        min_column_width=300,
        border=True,
        row_height=PLACE_PX,
        vertical_alignment="center",
    )
    for place in shown.first:
        with cells.cell(), st.container(horizontal=True, vertical_alignment="center", wrap=False):
            ring = RINGS.get(place.rank, RINGS[data.PODIUM])
            st.image(avatar(place.learner, ring), width=60, alt=f"Rank {place.rank}")
            name = f"**{place.rank}{'=' if place.equals else ''} · {_short(place.learner)}**"
            st.markdown(
                f"{name} {_rise(place.rise)}  \n:gray[:small[{_because(place, shown.first)}]]",
                width="stretch",
            )
            st.metric(_unit(shown.metric), _bare(shown.metric, place.figure), width="content")


def _short(name: str) -> str:
    return plain(cut(name, SHORT))


def _unit(metric: str) -> str:
    return {"gained": "Points", "completed": "Modules", "average": "Average", "time": "Hours",
            "score": "Score"}[metric]  # fmt: skip


def _bare(metric: str, figure: float) -> str:
    return amount(metric, figure) if metric == "average" else number(figure)


def _rise(rise: int | None) -> str:
    if not rise:
        return ""
    return f":green-badge[▲ {rise:,}]" if rise > 0 else f":red-badge[▼ {-rise:,}]"


def _because(place: data.Place, first: Sequence[data.Place]) -> str:
    """`Partners · 100 from Account planning`; for the others how far the place above is."""
    ahead = first[first.index(place) - 1] if place != first[0] else None
    if ahead is None:
        why = f"{number(place.share)} from *{_short(place.module)}*" if place.module else ""
    elif ahead.rank == place.rank:
        why = f"tied with {_short(ahead.learner)}"
    else:
        why = f"{number(place.behind)} behind {_short(ahead.learner)}"
    return " · ".join(one for one in (_short(place.team) if place.team else "", why) if one)


def figures(shown: data.Figures, period: Period) -> None:
    """Four figures over all people on the board, each with its change and its last weeks."""
    now, before = shown.now, shown.before or {}
    cards = {
        "active": ("Active learners", f"{now['active']:,.0f} of {shown.people:,}", "gained"),
        "gained": ("Progress gained", f"{now['gained']:,.0f} pts", "gained"),
        "completed": ("Modules completed", f"{now['completed']:,.0f}", "completed"),
        "time": ("Learning time", f"{number(now['time'])} h", "time"),
    }
    key_figures(
        [
            Figure(
                label,
                written,
                now[name],
                before.get(name),
                course=[week[name] for week in shown.weeks],
                steps="in each of the last 8 weeks",
                leads={"board": (), "metric": () if metric == "gained" else (metric,)},
            )
            for name, (label, written, metric) in cards.items()
        ]
    )
    changes = f" Changes are against {period.compared}." if period.compared else ""
    if period.compared and not before.get("active"):
        changes = f" No activity on {period.compared} to compare with."
    with row():
        st.caption(f"Figures {period.dates or 'of all time'}.{changes}", width="content")
        if period.has_begun_today:
            filters.other_period(WHOLE)


def nothing(period: Period) -> None:
    """In place of the figures and the board: since when there is nothing, and what to look at."""
    states.nothing_here(f"No activity {period.dates or 'so far'}.", filters.other_period)


def missing(lag: data.Lag, window: Window) -> None:
    """At the end of the toolbar: what the standings lack, with a link to exactly these events."""
    sentences = []
    if lag.missing.open or lag.missing.lost:
        sentences.append(_missing(lag.missing))
    if lag.down:
        sentences.append(_down(lag))
    if not sentences:
        return
    said = "; ".join(sentences)
    if not access.may("deliveries"):
        st.markdown(f":orange[:material/warning: {said}]")
    elif lag.missing.first:
        trouble(said, "deliveries/page.py", _list_of(window))
    else:
        trouble(said, "deliveries/page.py")


def _list_of(window: Window) -> dict[str, str]:
    """The address of the events that are missing in a window."""
    times = {"since": window.since, "until": window.until}
    return {"list": "missing"} | {name: at.isoformat() for name, at in times.items() if at}


def _missing(toll: Toll) -> str:
    """`3 events missing since 08:12, 1 of them lost`. Teams of such events are unknown."""
    assert toll.first is not None  # noqa: S101 (asked for before)
    events = number_of(toll.open + toll.lost, "event")
    if not toll.lost:
        lost = ""
    elif not toll.open:
        lost = ", lost"
    else:
        lost = f", {toll.lost:,} of them lost"
    counted = "" if access.sees_all_teams() else ", counted over all teams"
    return f"{events} missing since {_clock(toll.first)}{lost}{counted}"


def _down(lag: data.Lag) -> str:
    latest = lag.down[-1]
    times = "" if len(lag.down) == 1 else f", the last of {len(lag.down)} times"
    if not latest.over:
        return f"no receiver is up since {_clock(latest.begin)}{times}"
    return f"no receiver was up for {span(latest)} from {_clock(latest.begin)}{times}"


def _clock(at: datetime) -> str:
    """`09:10` of today, else with its day, on the viewer's clock."""
    local = pd.Timestamp(at).tz_convert(viewer_zone())
    same_day = local.date() == windows.today()
    return f"{local:%H:%M}" if same_day else f"{local:%-d %b, %H:%M}"
