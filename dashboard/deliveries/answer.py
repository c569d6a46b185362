"""The answer of the page Deliveries: whether events are being lost, and the cure as steps."""

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from dashboard import access
from dashboard.base import people, pieces
from dashboard.base.pieces import plain
from dashboard.base.windows import viewer_zone
from dashboard.deliveries import data
from shared.cure import FIRST_STEPS, Action, Asked, Step, StepState, next_step, steps
from shared.diagnosis import COMPARE, Finding
from shared.evidence import Evidence
from shared.outages import Outage
from shared.outcomes import Outcome
from shared.verdict import Clock, Level, Traffic, Verdict, verdict as judge
from shared.wording import number_of

LOOKS = {
    Level.DOWN: ("red", ":material/power_off:"),
    Level.LOSING: ("red", ":material/error:"),
    Level.FAILING: ("red", ":material/error:"),
    Level.QUIET: ("orange", ":material/bedtime:"),
    Level.WARNING: ("orange", ":material/warning:"),
    Level.CATCHING_UP: ("green", ":material/sync:"),
    Level.GOOD: ("green", ":material/check_circle:"),
}
STEP_ICONS = {
    StepState.DONE: ":material/check_circle:",
    StepState.RUNNING: ":material/hourglass:",
    StepState.FAILED: ":material/error:",
    StepState.OPEN: ":material/radio_button_unchecked:",
}


def clock() -> Clock:
    """The present moment on the viewer's clock."""
    return Clock(datetime.now(UTC), viewer_zone())


def safe(words: str) -> str:
    """Words that may quote a payload, as Markdown that names no person."""
    return plain(people.without_addresses(words))


def answer(
    traffic: Traffic, evidence: Sequence[Evidence], outages: Sequence[Outage], window: str
) -> None:
    """Are we losing anything, what, until when, and what to do. `window` is in words."""
    said = judge(evidence, traffic, outages, window, clock())
    colour, icon = LOOKS[said.level]
    badges = [
        f":{'red' if one.loss else 'orange'}-badge[{safe(one.words)}]" for one in said.countdowns
    ]
    pieces.answer(f":{colour}[{icon}] {safe(said.headline)}", " ".join([safe(said.why), *badges]))
    if said.level is Level.DOWN:
        _what_to_do("Start the receiver", "Start it where its `.env` is: `repboard serve`", True)
    elif said.about:
        _cure(said, *said.about)
    elif any(one.open for one in evidence):
        st.page_link(
            "deliveries/page.py",
            label="Missing events",
            icon=":material/arrow_forward:",
            query_params={"view": "missing"},
        )


def _cure(said: Verdict, evidence: Evidence, finding: Finding | None) -> None:
    """One filled button where something is being lost, an outlined one where it is to be looked
    at."""
    outcome = _outcome(evidence, finding)
    losing = said.level in (Level.LOSING, Level.FAILING)
    if losing and outcome and outcome in FIRST_STEPS:
        cure = finding.cure if finding else evidence.vendor.cures.get(outcome, COMPARE)
        _steps(evidence, outcome, cure)
    elif finding:
        _what_to_do("Fix it" if losing else "What to do", safe(finding.cure), losing)


def _outcome(evidence: Evidence, finding: Finding | None) -> Outcome | None:
    """What most of the failures are, where no finding says it."""
    if finding and finding.outcome:
        return finding.outcome
    open_events = {outcome: one.open for outcome, one in evidence.failures.items()}
    return None if finding else max(open_events, key=lambda one: open_events[one], default=None)


def _what_to_do(label: str, words: str, losing: bool) -> None:
    icon = ":material/build:" if losing else ":material/help:"
    with st.popover(label, type="primary" if losing else "secondary", icon=icon, key="cure"):
        st.write(words)


def _steps(evidence: Evidence, outcome: Outcome, cure: str) -> None:
    """The cure as a strip of steps: those that a click can take are buttons, the others open what
    to do. The step to take now is the filled one."""
    slug, now = evidence.vendor.slug, clock()
    requests = [
        Asked(one.dry_run, one.requested_at, one.state, one.taken, one.still_refused, one.problem)
        for one in data.requests(slug)
        if one.outcome in (None, outcome)
    ]
    failures = evidence.failures.get(outcome)
    began = evidence.failing.since if evidence.failing else failures.first if failures else now.now
    restarted = now.shown(evidence.restarted_at) if evidence.restarted_at else ""
    found = steps(outcome, began, evidence.restarted_at, requests, restarted)
    turn = next_step(found)
    with pieces.row():
        for step in found:
            if step.action is None:
                with _popover(step, step is turn):
                    st.write(safe(cure))
                    st.caption(f"{step.state}: {safe(step.detail)}")
            elif access.may("replay"):
                _button(step, step is turn, slug, outcome, failures.open if failures else 0)
    said = " · ".join(f"{step.name}: {safe(step.detail)}" for step in found)
    st.markdown(f":small[:gray[{said}]]")


def _popover(step: Step, turn: bool) -> "st.delta_generator.DeltaGenerator":
    label = f"Fix it: {step.name[0].lower()}{step.name[1:]}" if turn else step.name
    return st.popover(
        label,
        type="primary" if turn else "secondary",
        icon=STEP_ICONS[step.state],
        key=f"step_{step.name}",
    )


def _button(step: Step, turn: bool, slug: str, outcome: Outcome, waiting: int) -> None:
    replays = step.action is Action.REPLAY and waiting
    st.button(
        f"{step.name} {number_of(waiting, 'event')}" if replays else step.name,
        type="primary" if turn else "secondary",
        icon=STEP_ICONS[step.state],
        key=f"step_{step.action}_{slug}_{outcome}",
        disabled=step.state is StepState.RUNNING,
        on_click=data.ask_for_replay,
        args=(slug, outcome),
        kwargs={"dry_run": step.action is Action.DRY_RUN},
    )
