"""The tables. All times are UTC. Every key begins with `vendor`; IDs are the vendor's own."""

from shared.models.columns import (
    RowId as RowId,
    Table as Table,
    UtcDateTime as UtcDateTime,
    Words as Words,
)
from shared.models.decisions import (
    ACTIVE as ACTIVE,
    RENEWED as RENEWED,
    UNDONE as UNDONE,
    AuditLog as AuditLog,
    CertificateRenewal as CertificateRenewal,
    CoachingCase as CoachingCase,
    Contest as Contest,
    ContestResult as ContestResult,
    ContestTeam as ContestTeam,
    Erased as Erased,
    QuizThreshold as QuizThreshold,
    ScoreWeight as ScoreWeight,
    Screen as Screen,
)
from shared.models.deliveries import (
    FAILED as FAILED,
    OF_STRANGERS as OF_STRANGERS,
    OF_VENDOR as OF_VENDOR,
    QUARANTINED as QUARANTINED,
    TRIAL_IS_OPEN as TRIAL_IS_OPEN,
    Delivery as Delivery,
    DeliveryHourly as DeliveryHourly,
    Event as Event,
    Heartbeat as Heartbeat,
    Quarantine as Quarantine,
    QuarantineTotal as QuarantineTotal,
    ReplayRequest as ReplayRequest,
    Trial as Trial,
    UnknownAddress as UnknownAddress,
)
from shared.models.imports import (
    ImportDay as ImportDay,
    ImportFinding as ImportFinding,
    ImportRun as ImportRun,
)
from shared.models.messages import (
    UNSENT as UNSENT,
    Channel as Channel,
    Forwarding as Forwarding,
    Notification as Notification,
    Notifier as Notifier,
    Subscription as Subscription,
)
from shared.models.readmodels import (
    Activity as Activity,
    Certification as Certification,
    Checkpoint as Checkpoint,
    CourseCompletion as CourseCompletion,
    Learner as Learner,
    LearnerStanding as LearnerStanding,
    Module as Module,
    ModuleProgress as ModuleProgress,
    ModuleStanding as ModuleStanding,
    Quiz as Quiz,
    QuizAttempt as QuizAttempt,
    QuizHistory as QuizHistory,
    QuizStanding as QuizStanding,
    RebuildDue as RebuildDue,
    RosterChange as RosterChange,
    StandingBlock as StandingBlock,
    TeamSpell as TeamSpell,
    UnfoldableEvent as UnfoldableEvent,
)
from shared.models.vendors import (
    FieldCheckpoint as FieldCheckpoint,
    FieldHourly as FieldHourly,
    KeySet as KeySet,
    PublicKey as PublicKey,
    Vendor as Vendor,
)
