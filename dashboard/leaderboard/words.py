"""How the leaderboard names its metrics, and writes its figures."""

from dashboard.base.amounts import amount, number, ordinal

__all__ = ["METRICS", "amount", "number", "ordinal"]

METRICS = {
    "gained": "Progress gained",
    "completed": "Modules completed",
    "average": "Average progress",
    "time": "Time spent",
    "score": "Score",
}
