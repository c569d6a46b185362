"""What the page of one learner shows."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import pandas as pd
from sqlalchemy import Connection

from dashboard import access
from dashboard.base import boards, windows
from dashboard.base.certificates import TIMES, with_courses
from dashboard.base.people import sees_names, with_people
from dashboard.base.percent import columns
from dashboard.base.sent import frame_of
from dashboard.base.store import framed, local, query, query_now, settings
from shared.queries import learner, sent
from shared.queries.movement import Board
from shared.queries.people import Who
from shared.queries.ranking import LearnerRow
from shared.queries.windows import Window, week_begins

SHOWN = 500
"""How many attempts and how many completions are shown."""
EVENTS_SHOWN = 200
FOUND = 20


def found(words: str, who: Who) -> pd.DataFrame:
    """learner, email, team_id, active, key: people by a part of name, address or id."""
    rows = query(learner.search, _storable(words), who, FOUND)
    return framed(rows, with_people)


def profile(address: str, who: Who) -> learner.Profile | None:
    """The person of `vendor/user id`; None if there is none, or none in `who`."""
    return query(_profile, _storable(address), who)


def _profile(connection: Connection, address: str, who: Who) -> learner.Profile | None:
    vendor, _, user_id = address.partition("/")
    person = learner.person_at(connection, vendor, user_id)
    return None if person is None else learner.profile(connection, person, who)


def _storable(text: str) -> str:
    """Postgres stores no NUL, so no id or name has one."""
    return text.replace("\0", "")


class Standing(NamedTuple):
    """Where a person stands by progress gained in a period: their row of the board (None without
    progress) among `of` people who made some, and the points of each of the last eight weeks."""

    row: LearnerRow | None
    of: int
    weeks: Sequence[float]


def standing(person: str, window: Window) -> Standing:
    """Among the people that the viewer may see; those who left have no rank."""
    board = Board(access.who(Who()), window)
    ranking = boards.standings(board).by("gained")
    rows = ranking.of_persons((person,))
    begins = tuple(week_begins(windows.today(), windows.viewer_zone()))
    weeks = boards.weekly(board, begins, (person,))
    return Standing(
        next((row for row in rows if row.moved), None),
        ranking.how_many(),
        [float(gain) for one in weeks for gain in one.gained],
    )


def lately(window: Window) -> pd.DataFrame:
    """key, learner, team_id, gained, completed, of people who made most progress in a period."""
    rows = boards.standings(Board(access.who(Who()), window)).by("gained").page(FOUND)
    return framed(rows, with_people)


def summary(person: str) -> learner.Summary:
    """The counts of a person."""
    return query(_summary, person)


def _summary(connection: Connection, person: str) -> learner.Summary:
    now, config = datetime.now(UTC), settings()
    return learner.summary(
        connection, person, config.coaching_threshold_pct, now, config.coaching_rule
    )


def accounts(person: str) -> pd.DataFrame:
    """vendor, user_id, email, role, team_id, active. A user id can be an e-mail address."""
    rows = query(learner.accounts, person)
    hidden = {} if sees_names() else {"email": None, "user_id": None, "name": None}
    return framed(rows, lambda frame: frame.assign(**hidden))


def attempt_count(person: str) -> int:
    return query(learner.attempt_count, person)


def completion_count(person: str) -> int:
    return query(learner.completion_count, person)


def modules(person: str, zone: str) -> pd.DataFrame:
    """module_name, progress_pct, time_spent_sec, updated_at."""
    rows = query(learner.modules, person)
    return framed(rows, lambda frame: columns(local(frame, zone, "updated_at"), "progress_pct"))


def attempts(person: str, zone: str, *, whole: bool = False) -> pd.DataFrame:
    """quiz (its name), score (as sent), pct, threshold_pct, passed, result, submitted_at; the
    latest first, all of them if `whole`."""
    threshold, rule = settings().coaching_threshold_pct, settings().coaching_rule
    rows = query(learner.attempts, person, threshold, None if whole else SHOWN, rule)
    return framed(rows, lambda frame: _attempts(frame, zone))


def _attempts(frame: pd.DataFrame, zone: str) -> pd.DataFrame:
    shown = local(_with_quizzes(frame), zone, "submitted_at")
    return columns(shown, "pct", limits=["threshold_pct"])


def _with_quizzes(frame: pd.DataFrame) -> pd.DataFrame:
    """With `quiz`: its name, and its id where two quizzes have the same name."""
    names = frame["quiz_name"]
    ids = (frame["vendor"] + "/" + frame["quiz_id"]).groupby(names).transform("nunique")
    return frame.assign(quiz=names.where(ids == 1, names + " (" + frame["quiz_id"] + ")"))


def completions(person: str, zone: str, *, whole: bool = False) -> pd.DataFrame:
    """course (its name), score, completed_at, report_url (`` without one); all if `whole`."""
    rows = query(learner.completions, person, None if whole else SHOWN)
    return framed(rows, lambda frame: with_courses(local(frame, zone, "completed_at")))


def certificates(person: str, zone: str) -> pd.DataFrame:
    """Rows of the query, with times in the viewer's zone; the next deadline first."""
    return framed(query(_certificates, person), lambda frame: local(frame, zone, *TIMES))


def _certificates(connection: Connection, person: str) -> Sequence[learner.CertificateRow]:
    return learner.certificates(connection, person, datetime.now(UTC))


def roster(person: str, zone: str) -> pd.DataFrame:
    """changed_at, kind, role, team_id, reason, vendor; the latest first."""
    rows = query(learner.roster, person)
    return framed(rows, lambda frame: local(frame, zone, "changed_at"))


def cases(person: str, zone: str) -> pd.DataFrame:
    """quiz_name, status, due, flagged_pct, opened_at, closed_at, snoozed_until; with owner, notes
    for roles that coach; notes are free text, so only for viewers who see names. Active first."""
    rows = query(learner.cases, person, coaches=access.may("coach"))
    hidden = {} if sees_names() else {"notes": None}
    return framed(
        rows,
        lambda frame: columns(
            local(frame, zone, "opened_at", "closed_at").assign(**hidden), "flagged_pct"
        ),
    )


def messages(person: str) -> pd.DataFrame:
    """What was sent about a person, in the words of `sent.COLUMNS`; the latest first."""
    return frame_of(query_now(sent.about, person))


def events(person: str, zone: str) -> tuple[pd.DataFrame, int]:
    """occurred_at, type, event_key, delivery_id of the latest, and the number of all events."""
    rows = query(learner.events, person, limit=EVENTS_SHOWN)
    count = query(learner.event_count, person)
    return framed(rows, lambda frame: local(frame, zone, "occurred_at")), count
