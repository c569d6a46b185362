"""The score's weights for the page, and the board that other weights would make."""

from typing import NamedTuple

import pandas as pd

from dashboard.base.people import known_as
from dashboard.base.store import actor, framed, query, query_seldom, settings, write
from shared.queries import leaderboard, scoring
from shared.queries.movement import Board
from shared.scoring import Rules

SHOWN = 20
"""So many at the top are in the preview."""


def rules() -> Rules:
    """The company's rules."""
    now = settings()
    return query(scoring.rules, now.coaching_threshold_pct, now.coaching_rule)


def event_types() -> list[str]:
    """The event types that can score, and those that do."""
    seen = query_seldom(scoring.event_types)
    return sorted({*seen, *rules().events()})


class Place(NamedTuple):
    """A learner in the preview: rank and score by new weights, and by the saved ones (None: not on
    the board)."""

    rank: int
    learner: str
    score: float
    rank_saved: int | None
    score_saved: float | None


def preview(board: Board, new: Rules) -> pd.DataFrame:
    """The top of the board by new weights, which are stored nowhere. A row is a `Place`."""
    then = query(leaderboard.learners, "score", board._replace(rules=new), SHOWN)
    persons = tuple(row.person for row in then)
    now = query(leaderboard.of_persons, "score", board._replace(rules=rules()), persons)
    before = {row.person: row for row in now}
    places = []
    for row in then:
        old = before.get(row.person)
        known = known_as(row.name, row.email, row.key)
        on_board = (old.rank, old.score) if old is not None else (None, None)
        places.append(Place(row.rank, known, row.score, *on_board))
    return framed(places)


def save(new: Rules) -> None:
    """Store new weights. Raises `access.Refused` unless the viewer may."""
    with write("set_weights") as connection:
        scoring.set_rules(connection, actor(), new)
