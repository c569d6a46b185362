"""What the follower makes of the events, and how far it is."""

from datetime import datetime

from sqlalchemy import BigInteger
from sqlmodel import Field, Index

from shared.models.columns import RowId, Table, UtcDateTime, Words


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


class TeamSpell(Table, table=True):
    """A time that a person was in a team. `ended_at` is the year 9999 while it lasts.

    At any moment the team is that of the latest roster entry among the accounts that are active
    then, as in `shared.queries.people`. What a person gains counts for the team from
    `credited_from` on: before the first entry of a person its team counts, so there it is 1970.
    After leaving there is no row, and none for an entry without a team.
    """

    __tablename__ = "team_spell"

    person: str = Field(primary_key=True, sa_type=Words)
    began_at: datetime = Field(primary_key=True, sa_type=UtcDateTime)
    team_id: str = Field(sa_type=Words)
    ended_at: datetime = Field(sa_type=UtcDateTime)
    credited_from: datetime = Field(sa_type=UtcDateTime)


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


class StandingBlock(Table, table=True):
    """The standings of a learner over four weeks, as boards read them: `shared.standing_blocks`.

    `block` counts four weeks since 1970. The standing before the first one stands at the front.
    `until` is the block of the learner's next row, or `standing_blocks.LAST`: a row says what the
    learner had at any moment from its begin to there.
    """

    __tablename__ = "standing_block"
    __table_args__ = (Index("standing_block_until", "vendor", "user_id", "until"),)

    vendor: str = Field(primary_key=True, sa_type=Words)
    user_id: str = Field(primary_key=True, sa_type=Words)
    block: int = Field(primary_key=True)
    until: int
    standings: str = Field(sa_type=Words)


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
            "quiz_standing_quiz",
            "vendor",
            "quiz_id",
            "latest_pct",
            "passed",
            "tries",
            "user_id",
            "submitted_at",
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


class QuizHistory(Table, table=True):
    """The graded attempts of a learner who tried a quiz again, as retakes are worked out from them:
    `shared.quiz_histories`. `last_at` is when the latest was."""

    __tablename__ = "quiz_history"
    # SQLite keeps the rows of a quiz together: a page reads all of them.
    __table_args__ = ({"sqlite_with_rowid": False},)

    vendor: str = Field(primary_key=True, sa_type=Words)
    quiz_id: str = Field(primary_key=True, sa_type=Words)
    user_id: str = Field(primary_key=True, sa_type=Words)
    last_at: datetime = Field(sa_type=UtcDateTime)
    attempts: str = Field(sa_type=Words)


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


class RebuildDue(Table, table=True):
    """Has a row from a migration that changes read models until `rebuild` has run."""

    __tablename__ = "rebuild_due"

    revision: str = Field(primary_key=True, sa_type=Words)
