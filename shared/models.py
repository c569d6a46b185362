"""The tables. All times are UTC. Every key begins with `vendor`; IDs are the vendor's own."""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, LargeBinary, MetaData, Text, text
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import Field, Index, SQLModel

OF_VENDOR = "sender = 'vendor'"
OF_STRANGERS = "sender = 'stranger'"
FAILED = f"{OF_VENDOR} AND outcome NOT IN ('accepted', 'duplicate')"
"""Conditions of partial indexes. A query repeats one word for word, so that it never reads the
requests of strangers, however many there are."""
QUARANTINED = "state = 'held'"
ACTIVE = "status IN ('open', 'in_progress')"
UNSENT = "state IN ('waiting', 'sending', 'held')"


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC. SQLite drops offsets silently, so this type restores them."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)


class Words(TypeDecorator[str]):
    """Text that sorts and compares by code point on every store, as Python does."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(
            Text(collation="C" if dialect.name == "postgresql" else None)
        )


class RowId(TypeDecorator[int]):
    """A 64-bit key that the store increments."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else BigInteger())


class Table(SQLModel):
    metadata = MetaData(
        naming_convention={
            "ix": "%(table_name)s_%(column_0_N_name)s",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        }
    )


class Delivery(Table, table=True):
    """One HTTP request to a configured vendor, with any outcome.

    `sender` is `vendor`, or `stranger` if it cannot be the vendor's. Only the first requests of
    strangers in an hour have a row. `held_as` is the earlier delivery with the same body in
    quarantine.
    """

    __table_args__ = (
        Index("delivery_received_at", "received_at"),
        Index("delivery_vendor_event_key", "vendor", "event_key"),
        Index(
            "delivery_vendor_outcome",
            "vendor",
            "outcome",
            "received_at",
            sqlite_where=text(OF_VENDOR),
            postgresql_where=text(OF_VENDOR),
        ),
        Index(
            "delivery_stranger",
            "vendor",
            "outcome",
            "received_at",
            sqlite_where=text(OF_STRANGERS),
            postgresql_where=text(OF_STRANGERS),
        ),
        Index(
            "delivery_failed",
            "received_at",
            sqlite_where=text(FAILED),
            postgresql_where=text(FAILED),
        ),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    vendor: str = Field(sa_type=Words)
    received_at: datetime = Field(sa_type=UtcDateTime)
    event_key: str | None = Field(default=None, sa_type=Words)
    event_type: str | None = Field(default=None, sa_type=Words)
    outcome: str = Field(sa_type=Words)
    reason: str | None = Field(default=None, sa_type=Words)
    status_code: int
    duration_ms: float
    remote_ip: str | None = Field(default=None, sa_type=Words)
    body_bytes: int
    replay_of: int | None = Field(default=None, sa_type=RowId)
    sender: str = Field(
        default="vendor", sa_type=Words, sa_column_kwargs={"server_default": "vendor"}
    )
    held_as: int | None = Field(default=None, sa_type=RowId)
    """No foreign key: quarantine drops bodies to make room."""
    dismissed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When an admin dismissed its event, which then no longer counts as missing."""


class Quarantine(Table, table=True):
    """Body of a delivery that gave no event, and the headers needed to verify it again.

    `kind` says what is dropped first when quarantine is full: `junk`, then `well_formed` (only the
    credential was wrong), then `authentic` (not understood). `state` is `held` (in quarantine),
    `replayed` (it gave an event) or `discarded` (the vendor's own retry did). `digest` identifies
    repeats, which are quarantined once. Rows from before digests have none.
    """

    __table_args__ = (
        Index("quarantine_vendor_state", "vendor", "state", "kind", "delivery_id"),
        Index(
            "quarantine_digest",
            "vendor",
            "digest",
            unique=True,
            sqlite_where=text(QUARANTINED),
            postgresql_where=text(QUARANTINED),
        ),
    )

    delivery_id: int = Field(primary_key=True, foreign_key="delivery.id", sa_type=RowId)
    vendor: str = Field(sa_type=Words)
    received_at: datetime = Field(sa_type=UtcDateTime, index=True)
    state: str = Field(default="held", sa_type=Words)
    headers: str = Field(sa_type=Words)
    body: bytes = Field(sa_type=LargeBinary)
    kind: str = Field(default="junk", sa_type=Words)
    digest: str | None = Field(default=None, sa_type=Words)


class QuarantineTotal(Table, table=True):
    """What a vendor's quarantine contains, and what was dropped to stay within its caps."""

    __tablename__ = "quarantine_total"

    vendor: str = Field(primary_key=True, sa_type=Words)
    kind: str = Field(primary_key=True, sa_type=Words)
    held: int
    held_bytes: int = Field(sa_type=BigInteger)
    dropped: int
    dropped_bytes: int = Field(sa_type=BigInteger)


class ReplayRequest(Table, table=True):
    """An admin's request to replay quarantined deliveries. A receiver runs it.

    `state` is `requested`, `running`, `done` or `failed`. The counts are quarantined deliveries and
    grow while it runs. `seen_at` is the receiver's last sign of progress.
    """

    __tablename__ = "replay_request"

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    vendor: str = Field(sa_type=Words)
    outcome: str | None = Field(default=None, sa_type=Words)
    since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    dry_run: bool
    requested_by: str = Field(sa_type=Words)
    requested_at: datetime = Field(sa_type=UtcDateTime)
    state: str = Field(default="requested", sa_type=Words, index=True)
    seen_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    taken: int = 0
    already_delivered: int = 0
    still_refused: int = 0
    problem: str | None = Field(default=None, sa_type=Words)


TRIAL_IS_OPEN = "finished_at IS NULL"


class Trial(Table, table=True):
    """An admin's request for a test of a vendor's address. A receiver carries it out; until then
    the vendor has no other.

    `status` is the HTTP status that the address answered, None if it did not. `problem` says why
    the test did not arrive, None if it did.
    """

    __table_args__ = (
        Index(
            "trial_open",
            "vendor",
            unique=True,
            sqlite_where=text(TRIAL_IS_OPEN),
            postgresql_where=text(TRIAL_IS_OPEN),
        ),
        Index("trial_vendor_id", "vendor", "id"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    vendor: str = Field(sa_type=Words)
    asked_at: datetime = Field(sa_type=UtcDateTime)
    asked_by: str = Field(sa_type=Words)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    status: int | None = None
    problem: str | None = Field(default=None, sa_type=Words)


class Event(Table, table=True):
    """One verified event. `payload` is the vendor's body, unchanged.

    An erased event keeps only its key, digest and time of receipt, so that a redelivery is a
    duplicate. Its `payload` is empty, unlike that of any other event.
    """

    __table_args__ = (
        Index("event_vendor_event_key_key", "vendor", "event_key", unique=True),
        Index("event_vendor_digest_key", "vendor", "digest", unique=True),
        Index("event_learner", "vendor", "user_id", "occurred_at"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    vendor: str = Field(sa_type=Words)
    event_key: str = Field(sa_type=Words)
    digest: str = Field(sa_type=Words)
    type: str = Field(sa_type=Words)
    company_id: str | None = Field(default=None, sa_type=Words)
    user_id: str | None = Field(default=None, sa_type=Words)
    occurred_at: datetime = Field(sa_type=UtcDateTime)
    received_at: datetime = Field(sa_type=UtcDateTime)
    payload: str = Field(sa_type=Words)
    delivery_id: int = Field(sa_type=RowId)
    """No foreign key: events stay, old deliveries are removed. Below zero an import brought the
    event: -1 is the run with ID 1."""


class Learner(Table, table=True):
    """A user of a vendor, from any event that names one.

    `person` is the same for one person at several vendors: the email address in lower case, or
    vendor and ID without one. `active` is false after a departure, and true without a roster event.
    A departure announced at `deprovisioned_at` for a later time begins at `leaves_at`; until then
    the learner counts as active (`shared.queries.people`). `identified_at` is when a vendor without
    a roster last named the learner.
    """

    vendor: str = Field(primary_key=True, sa_type=Words)
    user_id: str = Field(primary_key=True, sa_type=Words)
    email: str | None = Field(default=None, sa_type=Words)
    name: str | None = Field(default=None, sa_type=Words)
    role: str | None = Field(default=None, sa_type=Words)
    team_id: str | None = Field(default=None, sa_type=Words)
    active: bool
    provisioned_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    deprovisioned_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    leaves_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    identified_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    person: str = Field(sa_type=Words, index=True)


class RosterChange(Table, table=True):
    """A learner joined or changed role or team (`kind` is `joined`), or left (`left`). `said_at` is
    when the vendor said so, which for a departure can be before it."""

    __tablename__ = "roster_change"

    vendor: str = Field(primary_key=True, sa_type=Words)
    user_id: str = Field(primary_key=True, sa_type=Words)
    changed_at: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    kind: str = Field(primary_key=True, sa_type=Words)
    role: str | None = Field(default=None, sa_type=Words)
    team_id: str | None = Field(default=None, sa_type=Words)
    reason: str | None = Field(default=None, sa_type=Words)
    said_at: datetime = Field(sa_type=UtcDateTime)


class Module(Table, table=True):
    """A module that a learner has begun, with its latest name."""

    vendor: str = Field(primary_key=True, sa_type=Words)
    module_id: str = Field(primary_key=True, sa_type=Words)
    module_name: str | None = Field(default=None, sa_type=Words)
    named_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Quiz(Table, table=True):
    """A quiz that a learner has taken, as the latest submission describes it.

    `retake_pct` is the vendor's own threshold: a lower score requires a retake.
    """

    vendor: str = Field(primary_key=True, sa_type=Words)
    quiz_id: str = Field(primary_key=True, sa_type=Words)
    quiz_name: str | None = Field(default=None, sa_type=Words)
    retake_pct: float | None = None
    named_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ModuleProgress(Table, table=True):
    """A learner's progress in a module. Both totals only grow, so the larger value is the later."""

    __tablename__ = "module_progress"

    vendor: str = Field(primary_key=True, sa_type=Words)
    user_id: str = Field(primary_key=True, sa_type=Words)
    module_id: str = Field(primary_key=True, sa_type=Words)
    module_name: str | None = Field(default=None, sa_type=Words)
    progress_pct: float
    time_spent_sec: int
    updated_at: datetime = Field(sa_type=UtcDateTime)


class ModuleStanding(Table, table=True):
    """A learner's progress in a module at the end of each quarter hour with a change.

    Midnight of every time zone is the start of a quarter hour, so a window in any viewer's zone
    starts between two rows. `slot` is the start of the quarter hour.
    """

    __tablename__ = "module_standing"

    vendor: str = Field(primary_key=True, sa_type=Words)
    user_id: str = Field(primary_key=True, sa_type=Words)
    module_id: str = Field(primary_key=True, sa_type=Words)
    slot: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    progress_pct: float
    time_spent_sec: int


class LearnerStanding(Table, table=True):
    """The same, summed over all modules of a learner: a window of any length takes two look-ups.

    `points` is the sum of the percentages, `modules` the number of begun modules, `completed` the
    number of modules at 100 %.
    """

    __tablename__ = "learner_standing"

    vendor: str = Field(primary_key=True, sa_type=Words)
    user_id: str = Field(primary_key=True, sa_type=Words)
    slot: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    points: float
    modules: int
    completed: int
    time_spent_sec: int = Field(sa_type=BigInteger)


class QuizAttempt(Table, table=True):
    """One submission of a quiz. A practice run has no score and is not graded."""

    __tablename__ = "quiz_attempt"
    __table_args__ = (
        Index("quiz_attempt_learner", "vendor", "user_id", "quiz_id", "submitted_at"),
        Index("quiz_attempt_submitted_at", "submitted_at"),
    )

    vendor: str = Field(primary_key=True, sa_type=Words)
    event_key: str = Field(primary_key=True, sa_type=Words)
    user_id: str = Field(sa_type=Words)
    quiz_id: str = Field(sa_type=Words)
    quiz_name: str | None = Field(default=None, sa_type=Words)
    score: float | None = None
    max_score: float | None = None
    passed: bool | None = None
    graded: bool
    submitted_at: datetime = Field(sa_type=UtcDateTime)


class QuizStanding(Table, table=True):
    """A learner's results in a quiz. Scores are percentages of graded attempts; `submitted_at` and
    `passed` belong to the latest. Practice runs are only counted."""

    __tablename__ = "quiz_standing"
    __table_args__ = (
        # Covers every query about the results of a quiz.
        Index(
            "quiz_standing_quiz", "vendor", "quiz_id", "latest_pct", "passed", "tries", "user_id"
        ),
    )

    vendor: str = Field(primary_key=True, sa_type=Words)
    user_id: str = Field(primary_key=True, sa_type=Words)
    quiz_id: str = Field(primary_key=True, sa_type=Words)
    tries: int
    practice_runs: int
    latest_pct: float | None = None
    best_pct: float | None = None
    passed: bool | None = None
    submitted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class CourseCompletion(Table, table=True):
    """One completion of a course. A learner who retakes it has several.

    `report_url` is the vendor's page with the learner's answers, if the event has one.
    """

    __tablename__ = "course_completion"
    __table_args__ = (
        Index("course_completion_learner", "vendor", "user_id", "completed_at"),
        Index("course_completion_completed_at", "completed_at"),
    )

    vendor: str = Field(primary_key=True, sa_type=Words)
    event_key: str = Field(primary_key=True, sa_type=Words)
    user_id: str = Field(sa_type=Words)
    course_id: str = Field(sa_type=Words)
    course_name: str | None = Field(default=None, sa_type=Words)
    score: float | None = None
    completed_at: datetime = Field(sa_type=UtcDateTime)
    report_url: str | None = Field(default=None, sa_type=Words)


class Activity(Table, table=True):
    """An event of Standard Webhooks that names a person, such as a meeting. `kind` is its type,
    `person` the e-mail address as `Learner.person` has it."""

    __table_args__ = (Index("activity_person", "person", "happened_at"),)

    vendor: str = Field(primary_key=True, sa_type=Words)
    event_key: str = Field(primary_key=True, sa_type=Words)
    person: str = Field(sa_type=Words)
    kind: str = Field(sa_type=Words)
    happened_at: datetime = Field(sa_type=UtcDateTime, index=True)


class Certification(Table, table=True):
    """The latest expiry of a learner's certificate. An expiry announced at `expired_at` for a later
    time happens at `expires_at`."""

    vendor: str = Field(primary_key=True, sa_type=Words)
    user_id: str = Field(primary_key=True, sa_type=Words)
    cert_name: str = Field(primary_key=True, sa_type=Words)
    expired_at: datetime = Field(sa_type=UtcDateTime)
    renewal_deadline: datetime | None = Field(default=None, sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


RENEWED = "undone_at IS NULL"
"""Of a renewal that counts."""


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


class CoachingCase(Table, table=True):
    """One round of coaching of a learner for a quiz. A fail after its end opens a new round.

    `status` is `open`, `in_progress`, `resolved` or `dismissed`. `outcome` says how it ended.
    `flagged_pct` is the first score, `passed_pct` the last. A snooze is a round dismissed until
    `snoozed_until`, the day on which the learner is in the queue again. `version` increases with
    every change, so that a lead cannot overwrite a change that they have not seen.
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


class Channel(Table, table=True):
    """A place where messages go, as a notifier noted it at its start; never its address.

    `kind` is `Slack`, `Teams`, `mail`, `JSON`, or `webhook` for a target of forwards. While
    `problem` says why its server refuses every message, nothing is sent there. `removed` if the
    settings no longer have it.
    """

    name: str = Field(primary_key=True, sa_type=Words)
    kind: str = Field(sa_type=Words)
    removed: bool
    problem: str | None = Field(default=None, sa_type=Words)
    problem_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Subscription(Table, table=True):
    """Which messages a person wants, and where. `role` and `teams`, a JSON list or None for all,
    are those that the person had when they last saved it; messages are limited to them.

    `hour` is on the clock of `zone`, for digests. From `quiet_from` to before `quiet_until`, hours
    on that clock, messages wait. Who has `token` can end or pause the subscription.
    """

    __table_args__ = (
        Index("subscription_key", "person", "rule", "channel", unique=True),
        Index("subscription_token", "token", unique=True),
        Index("subscription_rule", "rule"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    person: str = Field(sa_type=Words)
    rule: str = Field(sa_type=Words)
    channel: str = Field(sa_type=Words)
    role: str = Field(sa_type=Words)
    teams: str | None = Field(default=None, sa_type=Words)
    zone: str = Field(sa_type=Words)
    hour: int
    quiet_from: int | None = None
    quiet_until: int | None = None
    snoozed_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    token: str = Field(sa_type=Words)
    created_at: datetime = Field(sa_type=UtcDateTime)


class Notification(Table, table=True):
    """A message to one recipient about one thing: `subject` is what, `round` which time. Has no
    text: a message is written when it is sent, from what the store says then.

    `state` is `waiting` (until `next_try_at`), `sending`, `sent`, `failed`, `held` (in quiet hours
    or a pause) or `superseded` (no longer true when it was to be sent). Rows of one `message_id`
    went out, or go, as one message. `vendor` and `user_id` are the learner that it is about.

    A forward has a `payload`, which each attempt repeats: its `rule` is the type, its `recipient`
    and `channel` are the target, and its `subscription_id` is 0.
    """

    __table_args__ = (
        Index("notification_key", "rule", "subject", "round", "recipient", unique=True),
        Index(
            "notification_open",
            "next_try_at",
            sqlite_where=text(UNSENT),
            postgresql_where=text(UNSENT),
        ),
        Index("notification_recipient", "recipient", "rule", "sent_at"),
        Index("notification_caused_at", "caused_at"),
        Index("notification_learner", "vendor", "user_id"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    rule: str = Field(sa_type=Words)
    subject: str = Field(sa_type=Words)
    round: str = Field(sa_type=Words)
    recipient: str = Field(sa_type=Words)
    subscription_id: int = Field(sa_type=RowId)
    channel: str = Field(sa_type=Words)
    vendor: str | None = Field(default=None, sa_type=Words)
    user_id: str | None = Field(default=None, sa_type=Words)
    urgent: bool
    state: str = Field(sa_type=Words)
    message_id: str | None = Field(default=None, sa_type=Words)
    attempts: int
    caused_at: datetime = Field(sa_type=UtcDateTime)
    next_try_at: datetime = Field(sa_type=UtcDateTime)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    error: str | None = Field(default=None, sa_type=Words)
    payload: str | None = Field(default=None, sa_type=Words)


class Forwarding(Table, table=True):
    """A type that is forwarded to a target, by the settings: what happened from `since` on."""

    target: str = Field(primary_key=True, sa_type=Words)
    type: str = Field(primary_key=True, sa_type=Words)
    since: datetime = Field(sa_type=UtcDateTime)


class Notifier(Table, table=True):
    """Which notifier works, and until when others stand by; one row. What events up to
    `forwarded_event_id` say is in the outbox, where it is to be forwarded."""

    id: int = Field(primary_key=True, sa_type=RowId, sa_column_kwargs={"autoincrement": False})
    holder: str | None = Field(default=None, sa_type=Words)
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    forwarded_event_id: int | None = Field(default=None, sa_type=RowId)


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


class RebuildDue(Table, table=True):
    """Has a row from a migration that changes read models until `rebuild` has run."""

    __tablename__ = "rebuild_due"

    revision: str = Field(primary_key=True, sa_type=Words)


class Vendor(Table, table=True):
    """The facts of a vendor, written by each receiver at its start: `facts` is a `VendorFacts` as
    JSON. Has no credential: `configured` says whether one is set."""

    slug: str = Field(primary_key=True, sa_type=Words)
    facts: str = Field(sa_type=Words)
    configured: bool
    noted_at: datetime = Field(sa_type=UtcDateTime)


class Checkpoint(Table, table=True):
    """How far the read models follow the events, and which follower works; one row.

    Every event up to `event_id` is in them, and of the later ones up to `newest_id` all but those
    whose transaction commits after that of a later one. `folds` counts the changes of the read
    models. The follower `holder` works until `lease_until`; it extends that while it is up.
    """

    id: int = Field(primary_key=True, sa_type=RowId, sa_column_kwargs={"autoincrement": False})
    event_id: int = Field(sa_type=RowId)
    newest_id: int = Field(sa_type=RowId)
    folds: int = Field(sa_type=BigInteger)
    holder: str | None = Field(default=None, sa_type=Words)
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)


class UnfoldableEvent(Table, table=True):
    """An event that the read models cannot take, and why. The others are in them without it."""

    __tablename__ = "unfoldable_event"

    event_id: int = Field(
        primary_key=True, sa_type=RowId, sa_column_kwargs={"autoincrement": False}
    )
    reason: str = Field(sa_type=Words)
    noted_at: datetime = Field(sa_type=UtcDateTime)


class Heartbeat(Table, table=True):
    """One run of a receiver: when it started, and when it was last seen."""

    receiver: str = Field(primary_key=True, sa_type=Words)
    started_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)


class UnknownAddress(Table, table=True):
    """Requests of an hour below /webhooks/ to no vendor, and the path of the latest."""

    __tablename__ = "unknown_address"

    hour: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    requests: int
    latest_at: datetime = Field(sa_type=UtcDateTime)
    latest_path: str = Field(sa_type=Words)


class DeliveryHourly(Table, table=True):
    """Deliveries per vendor, hour, outcome and sender, so that a timeline never counts deliveries.

    Includes all requests of strangers, also the ones without a row in `delivery`. The count of an
    hour is the sum over `part`: each receiver counts in a part of its own, so that on Postgres no
    receiver waits for another. Part 0 has the requests that are listed only up to a number an hour.
    """

    __tablename__ = "delivery_hourly"

    vendor: str = Field(primary_key=True, sa_type=Words)
    hour: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    outcome: str = Field(primary_key=True, sa_type=Words)
    sender: str = Field(
        default="vendor",
        primary_key=True,
        sa_type=Words,
        sa_column_kwargs={"server_default": "vendor"},
    )
    part: int = Field(default=0, primary_key=True, sa_column_kwargs={"server_default": "0"})
    deliveries: int


class ImportRun(Table, table=True):
    """The reconciliation of a vendor's export, by the content of both files.

    The counts are events of the export, up to row `position`: the ones that arrived as deliveries,
    and the missing ones; `imported` is how many of the missing ones are stored by now, and
    `differing` how many stored ones have other values than the export. `skipped` are rows of event
    types that the mapping does not have, or which the export has twice. Running it again begins at
    0 once it has finished, and otherwise goes on. `imported_at` is when it first stored an event.
    """

    __tablename__ = "import_run"
    __table_args__ = (
        Index("import_run_content", "vendor", "export_digest", "mapping_digest", unique=True),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=RowId)
    vendor: str = Field(sa_type=Words)
    file_name: str = Field(sa_type=Words)
    export_digest: str = Field(sa_type=Words)
    mapping_digest: str = Field(sa_type=Words)
    applies: bool
    """Whether it stores missing events; otherwise it only reports them."""
    position: int = 0
    started_at: datetime = Field(sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    imported_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    arrived: int = 0
    missing: int = 0
    imported: int = 0
    differing: int = 0
    skipped: int = 0


class ImportDay(Table, table=True):
    """Events of an export on a UTC day: `arrived`, or missing by cause (`shared.imports.Cause`)."""

    __tablename__ = "import_day"

    run_id: int = Field(primary_key=True, foreign_key="import_run.id", sa_type=RowId)
    day: date = Field(primary_key=True)
    cause: str = Field(primary_key=True, sa_type=Words)
    events: int


class ImportFinding(Table, table=True):
    """An event of an export that is missing or differs, of each the first `LISTED` of a run.

    `detail` says of a differing one which values the two have, as JSON: `[field, theirs, ours]`.
    """

    __tablename__ = "import_finding"
    __table_args__ = (Index("import_finding_learner", "vendor", "user_id"),)

    run_id: int = Field(primary_key=True, foreign_key="import_run.id", sa_type=RowId)
    kind: str = Field(primary_key=True, sa_type=Words)
    line: int = Field(primary_key=True)
    vendor: str = Field(sa_type=Words)
    event_key: str = Field(sa_type=Words)
    type: str = Field(sa_type=Words)
    user_id: str | None = Field(default=None, sa_type=Words)
    occurred_at: datetime = Field(sa_type=UtcDateTime)
    cause: str | None = Field(default=None, sa_type=Words)
    detail: str | None = Field(default=None, sa_type=Words)


class KeySet(Table, table=True):
    """Where the public keys of a vendor are, and how the last attempt to fetch them ended:
    `problem` is None if it did not fail."""

    __tablename__ = "key_set"

    vendor: str = Field(primary_key=True, sa_type=Words)
    url: str = Field(sa_type=Words)
    tried_at: datetime = Field(sa_type=UtcDateTime)
    fetched_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    problem: str | None = Field(default=None, sa_type=Words)


class PublicKey(Table, table=True):
    """A key of a vendor's set, as JSON. `withdrawn_at` is when it was first missing there: a
    delivery that arrived before is verified with it, also in a replay."""

    __tablename__ = "public_key"

    vendor: str = Field(primary_key=True, sa_type=Words)
    kid: str = Field(primary_key=True, sa_type=Words)
    jwk: str = Field(sa_type=Words)
    withdrawn_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class FieldHourly(Table, table=True):
    """In how many events of a type that arrived in an hour a field had a shape: `text`, `number`,
    `flag`, `list`, `object` or `null`. The row without a field and shape counts the events."""

    __tablename__ = "field_hourly"

    vendor: str = Field(primary_key=True, sa_type=Words)
    event_type: str = Field(primary_key=True, sa_type=Words)
    hour: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    field: str = Field(primary_key=True, sa_type=Words)
    shape: str = Field(primary_key=True, sa_type=Words)
    events: int


class FieldCheckpoint(Table, table=True):
    """Up to which event the fields are counted; one row."""

    __tablename__ = "field_checkpoint"

    id: int = Field(primary_key=True, sa_type=RowId, sa_column_kwargs={"autoincrement": False})
    event_id: int = Field(sa_type=RowId)
