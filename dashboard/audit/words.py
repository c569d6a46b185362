"""How the audit log names those who act."""

import re

NAMED = r"[^\W\d_]{2,}(?:[._-][^\W\d_]{2,})+"
"""The part of an e-mail address before the `@` that is a first and a last name."""


def called(actor: str) -> str:
    """`Theo Okonkwo` of `theo.okonkwo@acme.example`; other actors as the log has them."""
    local, at, _ = actor.partition("@")
    if not at or not re.fullmatch(NAMED, local):
        return actor
    return " ".join(word.capitalize() for word in re.split(r"[._-]", local))
