"""The answer of the page Deliveries: whether events are being lost, and the cure as steps."""

from collections.abc import Sequence
from datetime import UTC, datetime

import streamlit as st

from dashboard.base import people, pieces
from dashboard.base.pieces import plain
from dashboard.base.windows import viewer_zone
from dashboard.deliveries import data, replay
from shared.cure import FIRST_STEPS, Action, Incident, Step, StepState, next_step, steps
from shared.diagnosis import COMPARE, Finding
from shared.evidence import Evidence
from shared.outages import Outage
from shared.outcomes import Outcome
from shared.verdict import Clock, Level, Traffic, Verdict, verdict as judge

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
    vendor, now = evidence.vendor, clock()
    failures, stops = evidence.failures.get(outcome), evidence.suspension
    began = evidence.failing.since if evidence.failing else failures.first if failures else now.now
    suspended = stops is not None and stops.share >= 1
    reactivate = vendor.reactivate if suspended else None
    incident = Incident(outcome, began, evidence.restarted_at, cure, reactivate)
    asked = data.asked(vendor.slug, outcome, evidence.restarted_at)
    restarted = now.shown(evidence.restarted_at) if evidence.restarted_at else ""
    found = steps(incident, asked, restarted)
    turn = next_step(found)
    with pieces.row():
        for step in found:
            kind: replay.Kind = "primary" if step is turn else "secondary"
            key = f"step_{step.action}_{vendor.slug}_{outcome}"
            if step.action is None:
                with _popover(step, kind):
                    st.write(safe(step.cure))
                    st.caption(f"{step.state}: {safe(step.detail)}")
            elif step.action is Action.DRY_RUN:
                replay.dry_run(vendor.slug, outcome, key, kind, STEP_ICONS[step.state])
            else:
                replay.replay(vendor.slug, outcome, asked, key, kind, STEP_ICONS[step.state])
    said = " · ".join(f"{step.name}: {safe(step.detail)}" for step in found)
    st.markdown(f":small[:gray[{said}]]")


def _popover(step: Step, kind: replay.Kind) -> "st.delta_generator.DeltaGenerator":
    label = f"Fix it: {step.name[0].lower()}{step.name[1:]}" if kind == "primary" else step.name
    return st.popover(label, type=kind, icon=STEP_ICONS[step.state], key=f"step_{step.name}")
