"""The score that a company sets: points for progress, completions, quizzes and events."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from shared.setting_types import CoachingRule

KINDS: Mapping[str, str] = {
    "progress": "Percentage point of progress in a module",
    "module": "Module completed",
    "course": "Course completed, the first time",
    "quiz": "Quiz passed, the first time",
    "first_try": "Quiz passed at the first try, in addition",
    "event": "Event of Standard Webhooks",
}
"""What can score, in words. Of `event` there is one weight for each event type."""
MOST_POINTS = 1_000_000
DECIMALS = 2
MAX_TYPE = 255


class Weight(NamedTuple):
    """The points for one thing of a kind; `event_type` is empty but for `event`."""

    kind: str
    event_type: str
    points: float


class Rules(NamedTuple):
    """What a score is made of: only weights above zero, in a fixed order. A quiz is passed where
    coaching says so: by `judged_by`, and by `pass_pct` if the quiz has no threshold of its own."""

    weights: tuple[Weight, ...]
    pass_pct: float = 70
    judged_by: CoachingRule = "either"

    def points(self, kind: str) -> float:
        """The points for one thing of a kind other than `event`; 0 without a weight."""
        return next((one.points for one in self.weights if one.kind == kind), 0)

    def events(self) -> Mapping[str, float]:
        """The points for each event type that scores."""
        return {one.event_type: one.points for one in self.weights if one.kind == "event"}


DEFAULT = Rules((Weight("progress", "", 1),))
"""Without weights of its own a company has the score that "Progress gained" is."""


class Field(NamedTuple):
    """The field of a form that a weight is typed into."""

    kind: str
    event_type: str


class WeightsRefused(ValueError):
    """Weights that make no sense. `problems` has what is wrong, by field."""

    def __init__(self, problems: Mapping[Field, str]) -> None:
        super().__init__("; ".join(problems.values()))
        self.problems = problems


def rules_of(
    weights: Iterable[Weight],
    pass_pct: float = DEFAULT.pass_pct,
    judged_by: CoachingRule = DEFAULT.judged_by,
) -> Rules:
    """The rules that weights make; a weight of 0 is none. Raises WeightsRefused."""
    problems: dict[Field, str] = {}
    found: dict[Field, Weight] = {}
    for one in weights:
        field = Field(one.kind, one.event_type)
        problem = "Is there twice." if field in found else _problem(one)
        if problem:
            problems[field] = problem
        found[field] = one._replace(points=round(one.points, DECIMALS) if not problem else 0)
    if not problems and not any(one.points for one in found.values()):
        problems[Field("progress", "")] = "At least one weight must be above 0."
    if problems:
        raise WeightsRefused(problems)
    order = list(KINDS)
    kept = (one for one in found.values() if one.points)
    in_order = sorted(kept, key=lambda one: (order.index(one.kind), *one[1:]))
    return Rules(tuple(in_order), pass_pct, judged_by)


def _problem(weight: Weight) -> str | None:
    if weight.kind not in KINDS:
        return "Is no kind of thing that scores."
    return _problem_of_type(weight) or _problem_of_points(weight.points)


def _problem_of_type(weight: Weight) -> str | None:
    named = weight.event_type.strip()
    if weight.kind == "event" and not 0 < len(named) <= MAX_TYPE:
        return "Name an event type, such as deal.won."
    if "\0" in named or (named and weight.kind != "event"):
        return "Is no event type."
    return None


def _problem_of_points(points: float) -> str | None:
    if not math.isfinite(points):
        return "Must be a number."
    if points < 0:
        return "Must not be negative."
    return f"Must be at most {MOST_POINTS:,}." if points > MOST_POINTS else None
