"""A wall display in HTML: one block with its own stylesheet, in type for five metres.

Sizes are in units of a 1920th of the screen's width, so that any screen of this shape is filled.
Whatever a payload says is escaped.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path

import streamlit as st

from dashboard.base import windows
from dashboard.base.amounts import ordinal
from dashboard.base.pictures import RINGS, avatar
from dashboard.wall.data import PODIUM, Line, Shown, Trend

STYLE = re.sub(
    r"(-?\d+)u\b",
    r"calc(\1*var(--u))",
    """<style>
header,footer,[data-testid=stHeader],[data-testid=stStatusWidget],[data-testid=stToolbar],
[data-testid=stDecoration],[data-testid=stDialog],.wall .foot .off{display:none}
body{overflow:hidden;background:#0B1020}
.wall{--u:min(100vw/1920,100vh/1080);position:fixed;inset:0;z-index:999999;overflow:hidden;
 box-sizing:border-box;display:grid;grid-template-rows:auto minmax(0,1fr) 104u;color:#F3F6FD;
 background:radial-gradient(1200u 700u at 28% 8%,#1B2750 0,#0B1020 62%);padding:48u 64u 0;
 font-family:"Source Sans",sans-serif;font-size:44u;line-height:1.15}
.wall .top{display:flex;align-items:center;gap:28u}
.wall .top img{width:88u;height:88u;flex:none}
.wall .title{font-size:64u;font-weight:700;letter-spacing:-.02em;white-space:nowrap;color:#FFF}
.wall .about{font-size:40u;color:#B6C1DA;padding-top:14u}
.wall time{margin-left:auto;font-size:64u;font-weight:600}
.wall .board{display:grid;grid-template-columns:900u minmax(0,1fr);gap:72u;align-items:end;
 padding-top:28u;min-height:0}
.wall .board.alone,.wall .board.list{grid-template-columns:minmax(0,1fr)}
.wall .board.list{align-items:start;padding-top:48u}
.wall .podium{display:grid;grid-template-columns:1fr 1.12fr 1fr;gap:20u;align-items:end;
 text-align:center}
.wall .alone .podium{width:1120u;margin:0 auto}
.wall .place{min-width:0}
.wall .place img{width:168u;height:168u} .wall .p1 img{width:208u;height:208u}
.wall .place .name{font-size:44u;line-height:1.1;font-weight:650;margin:10u 0 16u;
 display:-webkit-box;-webkit-line-clamp:2;-webkit-box-orient:vertical;overflow:hidden;
 overflow-wrap:anywhere}
.wall .p1 .name{font-size:50u}
.wall .step{border-radius:20u 20u 0 0;background:linear-gradient(#2B3A6B,#172143);padding-top:18u;
 box-sizing:border-box;height:206u;color:#C9D3EA;font-size:40u;font-weight:600}
.wall .step b{display:block;font-size:88u;line-height:1;font-weight:700;color:#FFF;
 margin-bottom:8u}
.wall .p2 .step{height:270u} .wall .p1 .step{height:372u;color:#2A1D00;
 background:linear-gradient(#F0B429,#A87000)}
.wall .p1 .step b{font-size:112u;color:#1A1200}
.wall ol{list-style:none;margin:0 0 26u;padding:0}
.wall li{display:grid;grid-template-columns:76u 84u minmax(0,1fr) auto minmax(140u,auto);
 align-items:center;gap:0 12u;height:106u;border-top:2u solid #26325A;margin:0;padding:0;
 font-size:50u}
.wall li:first-child{border-top:0}
.wall .list li{grid-template-columns:76u 84u minmax(0,2fr) minmax(0,3fr) 300u}
.wall .list.timed li{grid-template-columns:84u minmax(0,2fr) minmax(0,3fr) 300u}
.wall li .rank{color:#B6C1DA;font-weight:600}
.wall li img{width:72u;height:72u}
.wall li .name{font-weight:600}
.wall li .name{padding-right:24u}
.wall li .name,.wall li .what{white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.wall li .what{font-size:44u;color:#D5DDF0}
.wall li .note{font-size:40u;color:#B6C1DA;text-align:right;white-space:nowrap}
.wall li .figure{text-align:right;font-size:60u;font-weight:700;white-space:nowrap}
.wall .up,.wall li .up{color:#5EE0A0} .wall .down,.wall li .down{color:#FF9AAA}
.wall .p1 .up,.wall .p1 .down{color:inherit}
.wall .foot{display:flex;align-items:center;gap:24u;margin:0 -64u;padding:0 64u;min-width:0;
 background:#0F1630;border-top:2u solid #26325A;font-size:40u;color:#E6ECFA}
.wall .foot .said{white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.wall .foot .on{color:#5EE0A0}
body:has([data-testid=stDialog]) .wall .foot .off{display:inline;color:#FFC67A}
body:has([data-testid=stDialog]) .wall .foot .on{display:none}
.wall .foot .turns{margin-left:auto;display:flex;gap:14u;flex:none}
.wall .foot .turns u{width:72u;height:10u;border-radius:5u;background:#33416F}
.wall .foot .turns u.now{background:#A9BBFF}
.wall .says{align-self:center;text-align:center}
.wall .says b{display:block;font-size:64u;line-height:1.2;font-weight:700;margin-bottom:24u}
.wall .says .code{font-size:260u;line-height:1.1;letter-spacing:.04em;
 font-variant-numeric:tabular-nums}
.wall .says span{font-size:44u;color:#D5DDF0;overflow-wrap:anywhere}
</style>""",
)
ICON = Path(__file__).parents[1] / "icon.png"
MARK = f'<img alt="" src="data:image/png;base64,{b64encode(ICON.read_bytes()).decode()}">'
OFFLINE = "No connection, trying again"
"""Shown by the stylesheet while Streamlit has a dialog open, as it has once its server does not
answer: nothing of a wall opens one, and no one is there to close it."""


def board(shown: Shown, said: str, number: int, of: int) -> None:
    """One board on the whole screen, `number` (from 0) of `of`; `said` stands in the foot."""
    first = shown.lines[:PODIUM] if shown.podium else ()
    rest = shown.lines[len(first) :]
    kinds = ["board"]
    if not first:
        kinds.append("list" if shown.lines[0].rank else "list timed")
    elif not rest:
        kinds.append("alone")
    body = (_podium(first) if first else "") + (_list(rest, wide=not first) if rest else "")
    turns = "".join(f"<u{' class=now' if one == number else ''}></u>" for one in range(of))
    foot = (
        f'<span class="on">●</span><span class="said">{escape(said)}</span>'
        f'<span class="turns" role="img" aria-label="Board {number + 1} of {of}">{turns}</span>'
    )
    _draw(shown.title, shown.about, f'<div class="{" ".join(kinds)}">{body}</div>', foot)


def message(headline: str, why: str, title: str = "Repboard") -> None:
    """A sentence in place of a board."""
    says = f'<div class="says"><b>{escape(headline)}</b><span>{escape(why)}</span></div>'
    _draw(title, "", says, "")


def code(digits: str, address: str) -> None:
    """The code of a screen that waits to be paired, and where to enter it."""
    says = (
        f'<div class="says"><b class="code">{digits[:3]} {digits[3:]}</b>'
        f"<span>Enter this code at {escape(address)} within 10 minutes.</span></div>"
    )
    _draw("Pair this screen", "", says, "")


def _podium(first: Sequence[Line]) -> str:
    """The first in the middle, the second to its left, as on a podium."""
    order = (1, 0, 2) if len(first) == PODIUM else range(len(first))
    return f'<div class="podium">{"".join(_place(first[place]) for place in order)}</div>'


def _place(line: Line) -> str:
    rank = min(line.rank or PODIUM, PODIUM)
    note = f' <span class="{line.trend}">{escape(line.note)}</span>' if line.note else ""
    return (
        f'<div class="place p{rank}"><img alt="" src="{avatar(line.name, RINGS[rank])}">'
        f'<div class="name">{escape(line.name)}</div>'
        f'<div class="step"><b>{escape(line.figure)}</b>{ordinal(line.rank or 0)}{note}</div></div>'
    )


def _list(lines: Sequence[Line], *, wide: bool) -> str:
    return f"<ol>{''.join(_row(line, wide=wide) for line in lines)}</ol>"


def _row(line: Line, *, wide: bool) -> str:
    """A wide row has room for what the line is about, and a figure or a time."""
    rank = "" if line.rank is None else f'<span class="rank">{line.rank:,}</span>'
    note = f'<span class="note {line.trend}">{escape(line.note)}</span>'
    figure = (
        f'<span class="figure {line.trend if wide else Trend.NONE}">{escape(line.figure)}</span>'
    )
    about = f'<span class="what">{escape(line.about)}</span>'
    parts = (about, figure if line.figure else note) if wide else (note, figure)
    return (
        f'<li>{rank}<img alt="" src="{avatar(line.name)}">'
        f'<span class="name">{escape(line.name)}</span>{"".join(parts)}</li>'
    )


def _draw(title: str, about: str, body: str, foot: str) -> None:
    st.html(
        f'{STYLE}<div class="wall"><div class="top">{MARK}'
        f'<div class="title" role="heading" aria-level="1">{escape(title)}</div>'
        f'<div class="about">{escape(about)}</div>'
        f"<time>{windows.now():%H:%M}</time></div>{body}"
        f'<div class="foot"><span class="off">{OFFLINE}</span>{foot}</div></div>'
    )
