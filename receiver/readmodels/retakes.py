"""The graded attempts of learners who tried a quiz again: made from `quiz_attempt` in its
transaction.

Where a retake begins and ends depends on the pass mark, which leads change at any time. So retakes
are worked out when a page asks, from a row of each learner at a quiz, not of each attempt.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import groupby, islice
from typing import Any

from sqlalchemy import Connection, Select, and_, select

from shared.bulk import Row, Upsert, encode, given, insert_rows, table_of, upsert
from shared.figures import percent
from shared.models import QuizAttempt, QuizHistory
from shared.quiz_histories import Attempt, packed

BATCH = 1_000
TAKER = ("vendor", "user_id", "quiz_id")
COLUMNS = (*TAKER, "last_at", "attempts")

attempt = table_of(QuizAttempt).c


def follow(connection: Connection, takers: Iterable[Row]) -> None:
    """Bring up to date the histories of learners whose attempts have changed: (vendor, user_id,
    quiz_id) of each."""
    dialect = connection.dialect.name
    found = connection.execute(_attempts_of(dialect), {"rows": encode(takers)})
    upsert(connection, _store(dialect), _histories(found), key_columns=3)


def make_all(connection: Connection) -> None:
    """Make every history, where there is none."""
    found = connection.execute(_in_order(), execution_options={"yield_per": 10 * BATCH})
    histories = _histories(found)
    while rows := list(islice(histories, BATCH)):
        upsert(connection, _store(connection.dialect.name), rows, key_columns=3)


def _in_order() -> Select[Any]:
    taker = [attempt[name] for name in TAKER]
    return (
        select(*taker, attempt.submitted_at, percent(attempt).label("pct"), attempt.passed)
        .where(attempt.graded)
        .order_by(*taker, attempt.submitted_at, attempt.event_key)
    )


@cache
def _attempts_of(dialect: str) -> Select[Any]:
    of = given(dialect, [attempt[name] for name in TAKER]).subquery("given")
    return _in_order().join(of, and_(*(attempt[name] == of.c[name] for name in TAKER)))


def _histories(found: Iterable[Any]) -> Iterator[Row]:
    """Rows of `quiz_history` from attempts in order. One attempt is no retake."""
    for taker, rows in groupby(found, key=lambda row: tuple(row[:3])):
        attempts = [Attempt(*row[3:]) for row in rows]
        if len(attempts) > 1:
            yield (*taker, attempts[-1].submitted_at, packed(attempts))


@cache
def _store(dialect: str) -> Upsert:
    statement = insert_rows(dialect, QuizHistory, COLUMNS)
    return statement.on_conflict_do_update(
        index_elements=list(TAKER),
        set_={name: statement.excluded[name] for name in COLUMNS[3:]},
    )
