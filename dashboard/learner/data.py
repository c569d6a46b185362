"""What the page of one learner shows."""

from datetime import UTC, datetime

import pandas as pd

from dashboard import access
from dashboard.base.certificates import TIMES, with_courses
from dashboard.base.people import sees_names, with_people
from dashboard.base.percent import columns
from dashboard.base.store import Version, framed, kept, local, read, settings
from shared.queries import learner
from shared.queries.people import Who

SHOWN = 500
"""How many attempts and how many completions are shown."""
EVENTS_SHOWN = 200
FOUND = 20


@kept
def found(version: Version, words: str, who: Who) -> pd.DataFrame:
    """learner, email, team_id, active, key: people by a part of name, address or id."""
    with read() as connection:
        rows = learner.search(connection, _storable(words), who, FOUND)
    return framed(rows, with_people)


@kept
def profile(version: Version, address: str, who: Who) -> learner.Profile | None:
    """The person of `vendor/user id`; None if there is none, or none in `who`."""
    vendor, _, user_id = _storable(address).partition("/")
    with read() as connection:
        person = learner.person_at(connection, vendor, user_id)
        return None if person is None else learner.profile(connection, person, who)


def _storable(text: str) -> str:
    """Postgres stores no NUL, so no id or name has one."""
    return text.replace("\0", "")


@kept
def summary(version: Version, person: str) -> learner.Summary:
    """The counts of a person."""
    threshold = settings().coaching_threshold_pct
    with read() as connection:
        now, rule = datetime.now(UTC), settings().coaching_rule
        return learner.summary(connection, person, threshold, now, rule)


@kept
def accounts(version: Version, person: str) -> pd.DataFrame:
    """vendor, user_id, email, role, team_id, active. A user id can be an e-mail address."""
    with read() as connection:
        rows = learner.accounts(connection, person)
    hidden = {} if sees_names() else {"email": None, "user_id": None, "name": None}
    return framed(rows, lambda frame: frame.assign(**hidden))


@kept
def attempt_count(version: Version, person: str) -> int:
    with read() as connection:
        return learner.attempt_count(connection, person)


@kept
def completion_count(version: Version, person: str) -> int:
    with read() as connection:
        return learner.completion_count(connection, person)


@kept
def modules(version: Version, person: str, zone: str) -> pd.DataFrame:
    """module_name, progress_pct, time_spent_sec, updated_at."""
    with read() as connection:
        rows = learner.modules(connection, person)
    return framed(rows, lambda frame: columns(local(frame, zone, "updated_at"), "progress_pct"))


@kept
def attempts(version: Version, person: str, zone: str, *, whole: bool = False) -> pd.DataFrame:
    """quiz (its name), score (as sent), pct, threshold_pct, passed, result, submitted_at; the
    latest first, all of them if `whole`."""
    threshold, rule = settings().coaching_threshold_pct, settings().coaching_rule
    with read() as connection:
        rows = learner.attempts(connection, person, threshold, None if whole else SHOWN, rule)
    return framed(rows, lambda frame: _attempts(frame, zone))


def _attempts(frame: pd.DataFrame, zone: str) -> pd.DataFrame:
    shown = local(_with_quizzes(frame), zone, "submitted_at")
    return columns(shown, "pct", limits=["threshold_pct"])


def _with_quizzes(frame: pd.DataFrame) -> pd.DataFrame:
    """With `quiz`: its name, and its id where two quizzes have the same name."""
    names = frame["quiz_name"]
    ids = (frame["vendor"] + "/" + frame["quiz_id"]).groupby(names).transform("nunique")
    return frame.assign(quiz=names.where(ids == 1, names + " (" + frame["quiz_id"] + ")"))


@kept
def completions(version: Version, person: str, zone: str, *, whole: bool = False) -> pd.DataFrame:
    """course (its name), score, completed_at, report_url (`` without one); all if `whole`."""
    with read() as connection:
        rows = learner.completions(connection, person, None if whole else SHOWN)
    return framed(rows, lambda frame: with_courses(local(frame, zone, "completed_at")))


@kept
def certificates(version: Version, person: str, zone: str) -> pd.DataFrame:
    """Rows of the query, with times in the viewer's zone; the next deadline first."""
    with read() as connection:
        rows = learner.certificates(connection, person, datetime.now(UTC))
    return framed(rows, lambda frame: local(frame, zone, *TIMES))


@kept
def roster(version: Version, person: str, zone: str) -> pd.DataFrame:
    """changed_at, kind, role, team_id, reason, vendor; the latest first."""
    with read() as connection:
        rows = learner.roster(connection, person)
    return framed(rows, lambda frame: local(frame, zone, "changed_at"))


def cases(version: Version, person: str, zone: str) -> pd.DataFrame:
    """quiz_name, status, due, flagged_pct, opened_at, closed_at; with owner and notes for
    roles that coach; notes are free text, so only for viewers who see names. Active first."""
    return _cases(version, person, zone, coaches=access.may("coach"))


@kept
def _cases(version: Version, person: str, zone: str, *, coaches: bool) -> pd.DataFrame:
    with read() as connection:
        rows = learner.cases(connection, person, coaches=coaches)
    hidden = {} if sees_names() else {"notes": None}
    return framed(
        rows,
        lambda frame: columns(
            local(frame, zone, "opened_at", "closed_at").assign(**hidden), "flagged_pct"
        ),
    )


@kept
def events(version: Version, person: str, zone: str) -> tuple[pd.DataFrame, int]:
    """occurred_at, type, event_key, delivery_id of the latest, and the number of all events."""
    with read() as connection:
        rows = learner.events(connection, person, limit=EVENTS_SHOWN)
        count = learner.event_count(connection, person)
    return framed(rows, lambda frame: local(frame, zone, "occurred_at")), count
