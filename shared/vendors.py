"""The facts of a vendor that both processes need. A vendor's file in the receiver states them; the
receiver writes them into the store, and the dashboard reads them from there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from pydantic import TypeAdapter

from shared.outcomes import Outcome
from shared.retries import Schedule


class ModuleProgress(NamedTuple):
    """What one event says of a module."""

    module_id: str
    name: str
    pct: float


@dataclass(frozen=True)
class ProgressFields:
    """Where the payload of an event has the progress in a module: paths such as `data.moduleId`."""

    event_type: str
    module_id: str
    module_name: str
    progress_pct: str

    def read(self, payload: str) -> ModuleProgress | None:
        """The progress in a payload; None where its fields are missing or no such values."""
        try:
            body = json.loads(payload)
            module_id, pct = _at(body, self.module_id), _at(body, self.progress_pct)
            name = _at(body, self.module_name, optional=True)
            shown = (
                str(name or module_id).encode(errors="replace").decode()
            )  # half a surrogate pair
            return ModuleProgress(str(module_id), shown, float(pct))  # type: ignore[arg-type]
        except (ValueError, LookupError, TypeError, OverflowError, RecursionError):
            return None


def _at(body: object, path: str, *, optional: bool = False) -> object:
    """The value at a path. Raises LookupError or TypeError if it is missing and not optional."""
    for name in path.split("."):
        if not isinstance(body, dict):
            raise TypeError(f"no object above {name}")
        body = body.get(name) if optional else body[name]
    return body


@dataclass(frozen=True)
class SetUp:
    """How to connect the vendor and try it, for the page before the first delivery."""

    credential: str
    """The setting without which it is not served, as in the environment."""
    where: str
    """Where to enter the address, as a sentence that ends with a colon."""
    events: tuple[str, ...] = ()
    """The event types to choose there; none if there is no choice."""
    curl: str | None = None
    """A shell script that sends an authentic event to `$url` and reads the credential from `.env`;
    None if only the vendor can send one."""


class Tolerated(NamedTuple):
    """At how many failures within `suspend_after` a vendor suspends the webhook."""

    answered: int
    """Attempts that were answered with another status than 2xx."""
    unanswered: int
    """Time-outs."""


@dataclass(frozen=True)
class VendorFacts:
    """One vendor, as its guide and the settings describe it. Holds no credential."""

    slug: str
    name: str
    schedule: Schedule
    suspend_after: timedelta | None
    """How long every delivery must fail until the vendor stops; None if it never does. With
    `tolerated` the time in which it counts failures."""
    reactivate: str
    """How to get it going again once it has stopped."""
    cures: Mapping[Outcome, str]
    """What to do about refused deliveries, by outcome. Others have a general cure."""
    set_up: SetUp
    secret_headers: tuple[str, ...] = ()
    """Headers of a quarantined delivery that no page shows, in lower case."""
    roster_event: str | None = None
    """The event type that adds a learner to the roster; None if the vendor has no roster."""
    timed_by_signing: tuple[str, ...] = ()
    """Event types without a time of their own: theirs is the time of the signature."""
    progress: ProgressFields | None = None
    """Where an event tells the progress in a module; None if no event does."""
    tolerated: Tolerated | None = None
    """Of a vendor that counts failures, also between deliveries that pass."""
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The fields that are read of each event type, as paths."""
    kept_days: int = 90
    """How long the receiver keeps deliveries and quarantine; 0 is for ever."""


FACTS: TypeAdapter[VendorFacts] = TypeAdapter(VendorFacts)
"""Facts to JSON and back."""


def variable_prefix(slug: str) -> str:
    """How the names of a vendor's settings begin, in lower case. No shell sets a variable that
    begins with a digit."""
    words = slug.replace("-", "_")
    return f"v{words}_" if words[:1].isdigit() else f"{words}_"
