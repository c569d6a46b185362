"""The audit log in sentences."""

import re
from collections.abc import Mapping
from typing import Any

from shared.wording import number_of

CASE = r"case (\d{1,18})"
OF_CASES = {
    "flag": "flagged {} for coaching",
    "take": "took over the coaching of {}",
    "start": "started coaching {}",
    "resolve": "resolved the coaching of {}",
    "dismiss": "dismissed the coaching of {}",
    "snooze": "snoozed the coaching of {}",
    "reopen": "reopened the coaching of {}",
    "change": "changed the coaching of {}",
    "undo": "undid their last change of the coaching of {}",
}
SENTENCES = {
    "set threshold": "set the pass mark of {subject}: {detail}",
    "set_weights": "changed what scores: {detail}",
    "replay": "replayed {deliveries} of {subject}",
    "replay dry run": "tried a replay of {deliveries} of {subject}",
    "ask for test": "asked for a test of the address of {subject}",
    "test": "tested the address of {subject}: {detail}",
    "import": "imported missing events of {subject} from {detail}",
    "rebuild": "rebuilt the figures from {detail}",
    "prune": "removed by age: {detail}",
    "erase": "erased {subject}: {detail}",
    "dismiss": "dismissed {detail} of {subject}",
    "export": "exported {detail} as {subject}",
    "mark renewed": "marked as renewed: {detail}",
    "undo renewal": "took back that this is renewed: {detail}",
    "create contest": "made the contest {detail}",
    "remove contest": "removed the contest {detail}",
    "pair screen": "paired {subject} for {detail}",
    "revoke screen": "revoked {subject}, {detail}",
    "wrong screen code": "entered a wrong code of a screen",
    "refuse screen code": "may enter no more codes of screens for now: {detail}",
    "subscribe": "subscribed to {subject}: {detail}",
    "unsubscribe": "ended their messages of {subject} to {detail}",
    "snooze": "paused their messages of {subject} {detail}",
    "test message": "sent a test message to {detail}",
    "send again": "sent {subject} again: {detail}",
    "store result": "stored the result of a contest: {detail}",
}
"""What an action did, by its target and its detail; those of cases are apart."""

NAMED = r"[^\W\d_]{2,}(?:[._-][^\W\d_]{2,})+"
"""The part of an e-mail address before the `@` that is a first and a last name."""


def called(actor: str) -> str:
    """`Theo Okonkwo` of `theo.okonkwo@acme.example`; other actors as the log has them."""
    local, at, _ = actor.partition("@")
    if not at or not re.fullmatch(NAMED, local):
        return actor
    return " ".join(word.capitalize() for word in re.split(r"[._-]", local))


def case_of(subject: object) -> int | None:
    """The number of the case that an entry is about."""
    found = re.fullmatch(CASE, subject) if isinstance(subject, str) else None
    return int(found[1]) if found else None


def sentence(row: Any, about: str | None, vendors: Mapping[str, str]) -> str:
    """`Theo Okonkwo replayed 172 deliveries of MindTickle`. `about` says who a case is about and
    on which quiz, where the viewer may see that; an unknown action stays as the log has it."""
    subject, detail = (one if isinstance(one, str) else "" for one in (row.subject, row.detail))
    if case_of(row.subject) is not None and row.action in OF_CASES:
        did = OF_CASES[row.action].format(about or subject)
    elif row.action in SENTENCES:
        did = SENTENCES[row.action].format(
            subject=vendors.get(subject, subject), detail=detail, deliveries=_deliveries(detail)
        )
    else:
        did = f"{row.action} {subject}".strip()
    return f"{called(row.actor)} {did}"


def _deliveries(detail: str) -> str:
    """How many were in a replay: `8 accepted, 19 already delivered; refused as bad_signature`."""
    counts = re.findall(r"\b\d[\d,]*", detail.partition(";")[0])
    return number_of(sum(int(one.replace(",", "")) for one in counts), "delivery")
