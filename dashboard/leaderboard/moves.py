"""How a board says who stands where, and how far they moved."""

from shared.queries.leaderboard import ModuleRow
from shared.queries.ranking import LearnerRow
from shared.queries.team_boards import TeamRow

NOT_BEFORE = "none before"
"""In place of places won: not on the board in the period before. "New" reads as hired."""


def placed(row: LearnerRow | TeamRow | ModuleRow) -> str:
    """`2=` for each of two who share the second place; a team too small to tell has none."""
    rank = "–" if row.rank is None else f"{row.rank}"
    return f"{rank}{'=' if row.tied else ''}"


def move(rank: int | None, before: int | None) -> str:
    """How far they moved."""
    if rank is None:
        return ""
    if before is None:
        return NOT_BEFORE
    rise = before - rank
    return "=" if not rise else f"▲ {rise}" if rise > 0 else f"▼ {-rise}"
