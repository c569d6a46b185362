"""What people enter on the pages, and who did what."""

from datetime import date, datetime

from sqlalchemy import text
from sqlmodel import Field, Index

from shared.models.columns import RowId, Table, UtcDateTime, Words

ACTIVE = "status IN ('open', 'in_progress')"
UNDONE = "undone"
"""The status of a case whose opening was taken back: history, of which only the log is read."""
RENEWED = "undone_at IS NULL"
"""Of a renewal that counts."""


class CoachingCase(Table, table=True):
    """One round of coaching of a learner for a quiz. A fail after its end opens a new round.

    `status` is `open`, `in_progress`, `resolved`, `dismissed` or `undone`. `outcome` says how it
    ended. `flagged_pct` is the first score, `passed_pct` the last. A snooze is a round dismissed
    until `snoozed_until`, the day on which the learner is in the queue again. `version` increases
    with every change, so that a lead cannot overwrite a change that they have not seen.
    """

    __tablename__ = "coaching_case"
    __table_args__ = (
        Index("coaching_case_learner", "vendor", "user_id", "quiz_id"),
        Index(
            "coaching_case_active",
            "vendor",
            "user_id",
            "quiz_id",
            unique=True,
            sqlite_where=text(ACTIVE),
            postgresql_where=text(ACTIVE),
        ),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    vendor: str = Field(sa_type=Words)
    user_id: str = Field(sa_type=Words)
    quiz_id: str = Field(sa_type=Words)
    status: str = Field(default="open", sa_type=Words)
    owner: str | None = Field(default=None, sa_type=Words)
    due: date | None = None
    notes: str | None = Field(default=None, sa_type=Words)
    outcome: str | None = Field(default=None, sa_type=Words)
    opened_at: datetime = Field(sa_type=UtcDateTime)
    opened_by: str = Field(sa_type=Words)
    flagged_pct: float | None = None
    updated_at: datetime = Field(sa_type=UtcDateTime)
    updated_by: str = Field(sa_type=Words)
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    passed_pct: float | None = None
    passed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    snoozed_until: date | None = None
    version: int = 1


class QuizThreshold(Table, table=True):
    """The threshold of one quiz, if not the default: a lower percentage is a low score."""

    __tablename__ = "quiz_threshold"

    vendor: str = Field(primary_key=True, sa_type=Words)
    quiz_id: str = Field(primary_key=True, sa_type=Words)
    threshold_pct: float


class CertificateRenewal(Table, table=True):
    """A certificate that was marked as renewed by hand: for the expiry at `expired_at` only, so a
    later expiry counts again."""

    __tablename__ = "certificate_renewal"
    __table_args__ = (
        Index(
            "certificate_renewal_key",
            "vendor",
            "user_id",
            "cert_name",
            "expired_at",
            unique=True,
            sqlite_where=text(RENEWED),
            postgresql_where=text(RENEWED),
        ),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    vendor: str = Field(sa_type=Words)
    user_id: str = Field(sa_type=Words)
    cert_name: str = Field(sa_type=Words)
    expired_at: datetime = Field(sa_type=UtcDateTime)
    renewed_at: datetime = Field(sa_type=UtcDateTime)
    renewed_by: str = Field(sa_type=Words)
    undone_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    undone_by: str | None = Field(default=None, sa_type=Words)


class ScoreWeight(Table, table=True):
    """The points that a company gives for one thing of a kind (`shared.scoring.KINDS`)."""

    __tablename__ = "score_weight"

    kind: str = Field(primary_key=True, sa_type=Words)
    event_type: str = Field(default="", primary_key=True, sa_type=Words)
    points: float
    updated_at: datetime = Field(sa_type=UtcDateTime)
    updated_by: str = Field(sa_type=Words)


class Contest(Table, table=True):
    """A board for a period: whole days of a time zone, first and last included. `board` is
    `learners` or `teams`. Once the result is stored, `stored_event` is the newest event in it."""

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    name: str = Field(sa_type=Words)
    board: str = Field(sa_type=Words)
    metric: str = Field(sa_type=Words)
    first_day: date
    last_day: date
    zone: str = Field(sa_type=Words)
    all_teams: bool
    hidden: bool
    created_at: datetime = Field(sa_type=UtcDateTime)
    created_by: str = Field(sa_type=Words)
    removed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    stored_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    stored_event: int | None = Field(default=None, sa_type=RowId)


class ContestTeam(Table, table=True):
    """A team of a contest that is not for all teams."""

    __tablename__ = "contest_team"

    contest_id: int = Field(primary_key=True, sa_type=RowId)
    team_id: str = Field(primary_key=True, sa_type=Words)


class ContestResult(Table, table=True):
    """A row of a stored result. `vendor` and `user_id` name the learner; both are empty on a board
    of teams, and once the learner was erased. `members` counts a team's."""

    __tablename__ = "contest_result"
    __table_args__ = (Index("contest_result_learner", "vendor", "user_id"),)

    contest_id: int = Field(primary_key=True, sa_type=RowId)
    place: int = Field(primary_key=True)
    rank: int
    vendor: str | None = Field(default=None, sa_type=Words)
    user_id: str | None = Field(default=None, sa_type=Words)
    team_id: str | None = Field(default=None, sa_type=Words)
    members: int | None = None
    value: float


class Screen(Table, table=True):
    """A wall display. Until a person enters its `code`, it waits until `expires_at`; both are empty
    once it is paired. `teams` is a JSON list of what it may show, None for all teams. Of its token
    only a SHA-256 is stored. A revoked screen has no row: the audit log keeps who revoked it."""

    __table_args__ = (
        Index("screen_token_hash", "token_hash", unique=True),
        Index("screen_code", "code", unique=True),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    token_hash: str = Field(sa_type=Words)
    code: str | None = Field(default=None, sa_type=Words)
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    confirmed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    confirmed_by: str | None = Field(default=None, sa_type=Words)
    teams: str | None = Field(default=None, sa_type=Words)
    seen_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class AuditLog(Table, table=True):
    """Who did what, and when. `subject` is the target, such as `case 12`."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("audit_log_subject", "subject", "id"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    at: datetime = Field(sa_type=UtcDateTime, index=True)
    actor: str = Field(sa_type=Words)
    action: str = Field(sa_type=Words)
    subject: str | None = Field(default=None, sa_type=Words)
    detail: str | None = Field(default=None, sa_type=Words)


class Erased(Table, table=True):
    """One erasure: how many rows, and nothing that says of which person.

    Not even a digest of the address: a list of staff would be enough to find the person. Nothing
    needs it, as the tombstones of the events make redeliveries duplicates.
    """

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    erased_at: datetime = Field(sa_type=UtcDateTime)
    actor: str = Field(sa_type=Words)
    accounts: int
    events: int
    deliveries: int
    held: int
    cases: int
    mentions: int
