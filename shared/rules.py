"""What messages can be about: their rules, and which role may ask for which."""

from collections.abc import Mapping
from typing import NamedTuple

ALL_ROLES = frozenset({"manager", "lead", "admin"})
LEADS = frozenset({"lead", "admin"})
ADMINS = frozenset({"admin"})
TEST = "test"
"""The rule of a message that a person sends to try a channel."""


class Rule(NamedTuple):
    """A rule: its key in the store, its name and when it tells. `period` is that of a digest:
    `week` or `month`."""

    key: str
    title: str
    about: str
    roles: frozenset[str]
    period: str | None = None


RULES: Mapping[str, Rule] = {
    one.key: one
    for one in (
        Rule(
            "low-quiz",
            "Low quiz score",
            "A learner of your teams has a low score at a graded quiz, and it is not flagged yet.",
            ALL_ROLES,
        ),
        Rule(
            "hard-quiz",
            "Quiz that most people fail",
            "Most takers of a graded quiz are low: look at the quiz. Once a month for each quiz.",
            LEADS,
        ),
        Rule(
            "certificates",
            "Certificates",
            "A certificate of your teams expires, will within 30 days, or is past its deadline.",
            ALL_ROLES,
        ),
        Rule(
            "overdue",
            "Your coaching is overdue",
            "A case of coaching that you own is past its due date.",
            ALL_ROLES,
        ),
        Rule(
            "unowned",
            "Coaching without an owner",
            "A flagged low score has no owner for three working days.",
            LEADS,
        ),
        Rule(
            "deliveries",
            "Deliveries",
            "Deliveries of a vendor fail or stay away, events are about to be lost, a webhook is "
            "about to be suspended, or no receiver is up.",
            ADMINS,
        ),
        Rule(
            "weekly",
            "Weekly digest",
            "The board of the last week, who passed, who rose and who needs coaching.",
            ALL_ROLES,
            "week",
        ),
        Rule(
            "monthly",
            "Monthly digest",
            "The same of the last month.",
            LEADS,
            "month",
        ),
    )
}
"""By key."""
