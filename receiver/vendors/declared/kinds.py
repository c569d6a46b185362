"""The facts that a declared event can say, and the fields of each."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator

from receiver.vendors.fields import (
    Email,
    Id,
    Name,
    Number,
    Percent,
    Seconds,
    Time,
    TimeAnnounced,
    WebAddress,
)
from shared.facts import (
    Acted,
    Attempted,
    Completed,
    Deprovisioned,
    Expired,
    Fact,
    Identified,
    Progressed,
    Provisioned,
    person_of,
)


class Said(NamedTuple):
    """An event of which a fact is made. `at` is when it happened."""

    vendor: str
    key: str
    type: str
    user_id: str
    at: datetime


Values = Mapping[str, Any]
"""The values of a fact's fields; None for an absent one."""
Truth = Annotated[bool, BeforeValidator(bool)]


class Kind(NamedTuple):
    """A kind of fact: its fields with their types, and how to make it from their values."""

    needed: Mapping[str, Any]
    """Without these, or with wrong ones, an event is not understood."""
    described: Mapping[str, Any]
    """These are ignored where they are wrong."""
    make: Callable[[Said, Values], Fact | None]
    announced: str | None = None
    """The field with a time that may lie ahead. Without a time of its own, the event has this."""
    needs_user: bool = True


def _provisioned(said: Said, has: Values) -> Fact:
    return Provisioned(
        said.vendor, said.user_id, has["email"], has["name"], has["role"], has["team_id"], said.at
    )


def _deprovisioned(said: Said, has: Values) -> Fact:
    later = if_later(has["leaves_at"], said.at)
    return Deprovisioned(said.vendor, said.user_id, has["email"], said.at, has["reason"], later)


def _identified(said: Said, has: Values) -> Fact:
    return Identified(said.vendor, said.user_id, has["email"], has["name"], said.at)


def _progressed(said: Said, has: Values) -> Fact:
    return Progressed(
        said.vendor,
        said.user_id,
        has["module_id"],
        has["module_name"],
        has["progress_pct"],
        int(has["time_spent_sec"] or 0),
        said.at,
    )


def _attempted(said: Said, has: Values) -> Fact:
    pct = has["score_pct"]
    score, most = (has["score"], has["max_score"]) if pct is None else (pct, 100)
    return attempt(
        Attempted(
            vendor=said.vendor,
            event_key=said.key,
            user_id=said.user_id,
            quiz_id=has["quiz_id"],
            quiz_name=has["quiz_name"],
            score=score,
            max_score=most,
            passed=has["passed"],
            graded=not has["practice"],
            submitted_at=said.at,
            retake_pct=has["retake_pct"],
        )
    )


def attempt(sent: Attempted) -> Attempted:
    """An attempt as it was sent; graded only with a result.

    A survey is worth 0 points. A score without a maximum is graded, without a percentage."""
    survey = sent.max_score is not None and sent.max_score < LEAST_MAXIMUM
    has_result = (sent.score is not None and not survey) or sent.passed is not None
    return sent._replace(
        max_score=None if survey else sent.max_score, graded=sent.graded and has_result
    )


def _completed(said: Said, has: Values) -> Fact:
    return Completed(
        said.vendor,
        said.key,
        said.user_id,
        has["course_id"],
        has["course_name"],
        has["score"] if has["score_pct"] is None else has["score_pct"],
        said.at,
        has["report_url"],
    )


def _expired(said: Said, has: Values) -> Fact:
    later = if_later(has["expires_at"], said.at)
    return Expired(
        said.vendor, said.user_id, has["cert_name"], said.at, has["renewal_deadline"], later
    )


def _acted(said: Said, has: Values) -> Fact | None:
    person = person_of(said.vendor, "", has["email"])
    return Acted(said.vendor, said.key, person, said.type, said.at) if "@" in person else None


def if_later(announced: datetime | None, at: datetime) -> datetime | None:
    """What was announced at `at`, if it was."""
    return announced if announced and announced > at else None


LEAST_MAXIMUM = 0.01
"""Points. A quiz that is worth less is worth nothing."""

KINDS: Mapping[str, Kind] = {
    "provisioned": Kind(
        {}, {"email": Email, "name": Name, "role": Name, "team_id": Name}, _provisioned
    ),
    "deprovisioned": Kind(
        {},
        {"email": Email, "reason": Name, "leaves_at": TimeAnnounced | None},
        _deprovisioned,
        announced="leaves_at",
    ),
    "identified": Kind({}, {"email": Email, "name": Name}, _identified),
    "progressed": Kind(
        {"module_id": Id, "progress_pct": Percent},
        {"module_name": Name, "time_spent_sec": Seconds | None},
        _progressed,
    ),
    "attempted": Kind(
        {"quiz_id": Id},
        {
            "quiz_name": Name,
            "score": Number | None,
            "max_score": Number | None,
            "score_pct": Percent | None,
            "passed": bool | None,
            "practice": Truth | None,
            "retake_pct": Percent | None,
        },
        _attempted,
    ),
    "completed": Kind(
        {"course_id": Id},
        {
            "course_name": Name,
            "score": Number | None,
            "score_pct": Percent | None,
            "report_url": WebAddress,
        },
        _completed,
    ),
    "expired": Kind(
        {"cert_name": Id},
        {"renewal_deadline": Time | None, "expires_at": TimeAnnounced | None},
        _expired,
        announced="expires_at",
    ),
    "acted": Kind({}, {"email": Email}, _acted, needs_user=False),
}
