"""An item of the queue in words. Pure functions."""

from datetime import date, datetime, timedelta

from dashboard.base.attempts import differs, verdict
from dashboard.base.percent import bare, exact, percent, rounded
from shared.queries.coaching import Item, Scores
from shared.queries.coaching_states import ACTIVE


def why(row: Item, scores: Scores | None, today: date) -> str:
    """Why an item is in the queue: its due date, the score beside the pass mark, and what the
    vendor says, where that is something else."""
    parts = [_due(row.due, today)] if row.state in ACTIVE else []
    parts.append(_score(row, scores.latest if scores else None))
    if row.passed is not None and (row.latest_pct is None or vendor_differs(row)):
        parts.append(f"vendor: {verdict(row.passed)}")
    return ", ".join(filter(None, parts))


def course(row: Item, scores: Scores | None) -> str:
    """How the scores came to where they are: `First fail`, `Dropped 22` (points)."""
    marks = [pct < row.threshold_pct for pct in scores.trend] if scores else []
    if not marks or not marks[-1]:
        return ""
    fails = len(marks) - max((place + 1 for place, low in enumerate(marks) if not low), default=0)
    if fails == 1 and len(marks) > 1 and scores:
        return f"Dropped {scores.trend[-2] - scores.trend[-1]:.0f}"
    if fails == 1:
        return "First fail"
    if fails == len(marks) < row.tries:
        return f"Failed {fails} times or more"
    return "Failed twice" if fails == 2 else f"Failed {fails} times"  # noqa: PLR2004


def vendor_differs(row: Item) -> bool:
    """Whether pass mark and vendor say different things of the latest score."""
    return differs(row.latest_pct, row.threshold_pct, row.passed)


def _due(due: date | None, today: date) -> str:
    if due is None:
        return "no due date"
    late = (today - due).days
    return f"{days(timedelta(late))} overdue" if late > 0 else "due today" if late == 0 else ""


def _score(row: Item, latest: float | None) -> str:
    if row.latest_pct is None:
        return "no score" if latest is None else f"scored {latest:g}, no maximum"
    side = "under" if row.latest_pct < row.threshold_pct else "not under"
    return f"{percent(row.latest_pct, row.threshold_pct)}, {side} {exact(row.threshold_pct)}"


def stands(row: Item, today: date) -> str:
    if row.state == "closed":
        until = row.snoozed_until
        return f"snoozed until {until:%-d %b}" if until else str(row.status)
    if row.state == "new":
        return _new(row)
    is_overdue = row.state in ACTIVE and row.due is not None and row.due < today
    stands_as = {"open": "flagged", "in_progress": "in progress"}.get(row.state or "", "passed")
    return f"{stands_as}, overdue" if is_overdue else stands_as


def _new(row: Item) -> str:
    if row.closed_at and row.snoozed_until and row.submitted_at <= row.closed_at:
        return "back after a snooze"
    return "new again" if row.again else "new"


def lift_of(row: Item) -> str | None:
    if row.opened_at is None:  # without a case
        return None
    if row.state == "ready":
        limit = row.threshold_pct
        return lift(row.flagged_pct, row.latest_pct, row.opened_at, row.submitted_at, limit)
    if row.state == "closed" and row.passed_at is not None:
        return lift(row.flagged_pct, row.passed_pct, row.opened_at, row.passed_at, None)
    return None


def lift(
    before: float | None,
    after: float | None,
    since: datetime,
    until: datetime,
    limit: float | None,
) -> str:
    """`62 → 85 % in 9 days`; without a score only how long it took. `limit` is the pass mark, if
    it is known."""
    took = f"in {days(until - since)}"
    if before is None or after is None:
        return took
    return f"{bare(rounded(before, limit, after))} → {percent(after, limit, before)} {took}"


def days(span: timedelta) -> str:
    return "1 day" if span.days == 1 else f"{span.days} days" if span.days else "less than a day"
