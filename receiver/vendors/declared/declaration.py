"""What a declared vendor is, and which combinations of its parts prove nothing."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    field_validator,
    model_validator,
)

from receiver.vendors.base import MAX_ID
from receiver.vendors.declared.authentication import Authentication, Hmac
from receiver.vendors.declared.kinds import KINDS, Kind
from receiver.vendors.declared.places import InBody, InHeader, Place, in_body, place
from receiver.vendors.declared.tables import (
    Anywhere,
    Body,
    Delay,
    Line,
    Seconds,
    Table,
    could_be_time,
)
from receiver.vendors.fields import TimeForm
from shared.settings import OF_THE_DASHBOARD, TEN_YEARS_SEC, ReceiverSettings
from shared.vendors import variable_prefix


def _slug(sent: object) -> str:
    if not isinstance(sent, str) or not re.fullmatch(r"[a-z0-9]{1,20}(-[a-z0-9]{1,20}){0,2}", sent):
        raise ValueError("should be one to three short words in lower case, joined by hyphens")
    # The dashboard forgets all variables that begin as a vendor's do.
    known = ReceiverSettings.model_fields.keys() | OF_THE_DASHBOARD
    if taken := sorted(name for name in known if name.startswith(variable_prefix(sent))):
        raise ValueError(f"{sent} is how the setting {taken[0].upper()} begins; use another")
    return sent


class Timestamp(Table):
    """When a delivery was signed."""

    at: Anywhere
    form: TimeForm = "any"
    past: Seconds = 86_400
    """How old a signature may be. A vendor that signs once needs the span of all its retries."""
    future: Seconds = 300


class FactTable(BaseModel):
    """A fact of an event: its kind, and where its fields are."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    kind: Literal[tuple(KINDS)]  # type: ignore[valid-type]  # the names in one place
    only_with: str | None = None
    """The field without whose value there is no such fact."""
    when: Body | None = None
    """What must be true for such a fact."""

    @model_validator(mode="after")
    def _knows_its_fields(self) -> Self:
        kind, given = KINDS[self.kind], self.__pydantic_extra__ or {}
        known = [*kind.needed, *kind.described]
        for name in given:
            if name not in known:
                raise ValueError(f"{self.kind} has no {name}; it has {', '.join(known)}")
        for name in kind.needed:
            if name not in given:
                raise ValueError(f"{self.kind} needs {name}")
        if self.only_with is not None and self.only_with not in given:
            raise ValueError("only_with should be one of the given fields of this fact")
        return self

    @property
    def rules(self) -> Kind:
        return KINDS[self.kind]

    def fields(self) -> Mapping[str, InBody]:
        """Where each given field is."""
        return {name: in_body(path) for name, path in (self.__pydantic_extra__ or {}).items()}

    @model_validator(mode="after")
    def _has_paths(self) -> Self:
        for name, path in (self.__pydantic_extra__ or {}).items():
            try:
                in_body(path)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return self


class EventTable(Table):
    """An event type, and what an event of it says."""

    type: Annotated[str, Field(min_length=1, max_length=MAX_ID)]
    user_id: Body | None = None
    at: Body | None = None
    """When it happened; else the signature's time, or the arrival."""
    facts: Annotated[tuple[FactTable, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_its_user(self) -> Self:
        if self.user_id is None and any(one.rules.needs_user for one in self.facts):
            raise ValueError("user_id is missing: whose event it is")
        return self


class Declaration(Table):
    """A declared vendor."""

    slug: Annotated[str, PlainValidator(_slug)]
    """The word in `/webhooks/<slug>`."""
    name: Line
    authentication: Authentication
    timestamp: Timestamp | None = None
    event_id: Anywhere | tuple[Body, ...] | None = None
    """The ID that stays the same on a retry, or the fields that make an event together. Without
    one, two equal bodies are one event."""
    event_type: Anywhere
    events: tuple[EventTable, ...] = ()
    """Events of other types are kept, and say nothing."""
    retry_delays: Annotated[tuple[Delay, ...], Field(min_length=1)]
    retry_reading: Literal["gaps", "offsets"] = "gaps"
    suspend_after: Annotated[int, Field(ge=60, le=TEN_YEARS_SEC)] | None = None
    """Seconds in which every delivery fails until the vendor stops, or in which it counts
    failures."""
    suspend_failures: Annotated[int, Field(ge=1)] | None = None
    """The vendor counts: so many attempts within `suspend_after` that are answered with another
    status than 2xx, whatever passes between them."""
    suspend_timeouts: Annotated[int, Field(ge=1)] | None = None
    """So many without an answer."""
    where: Line | None = None
    """Where to enter the address, a sentence that ends with a colon."""
    reactivate: Line | None = None
    """How to get it going again once it has stopped."""
    sample: str | None = None
    """A body as the vendor sends it: for the page before the first delivery, and for tests."""

    @field_validator("event_id", mode="plain")
    @classmethod
    def _one_place_or_several(cls, sent: object) -> Place | tuple[InBody, ...]:
        if not isinstance(sent, list):
            return place(sent)
        if not sent:
            raise ValueError("names no field")
        return tuple(map(in_body, sent))

    @field_validator("authentication")
    @classmethod
    def _own_variable(cls, given: Authentication, info: ValidationInfo) -> Authentication:
        prefix = variable_prefix(info.data.get("slug", "")).upper()
        if "slug" in info.data and not given.variable.startswith(prefix):
            raise ValueError(f"the name of its variable should begin with {prefix}")
        return given

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        types = [one.type for one in self.events]
        if twice := {one for one in types if types.count(one) > 1}:
            raise ValueError(f"events: {min(twice)} is there twice")
        counts = (self.suspend_failures, self.suspend_timeouts)
        if counts != (None, None) and (None in counts or self.suspend_after is None):
            raise ValueError("suspend_failures, suspend_timeouts and suspend_after belong together")
        for problem in (*_unsigned(self), *_ambiguous(self), *_shown(self), *_joined(self)):
            raise ValueError(problem)
        return self

    def header_of(self, name: str) -> InHeader | None:
        """Where a part of the signed text is, if it is in a header."""
        places = {"id": self.event_id, "timestamp": self.timestamp and self.timestamp.at}
        where = places.get(name)
        return where if isinstance(where, InHeader) else None


def _unsigned(one: Declaration) -> Iterator[str]:
    signed = one.authentication.signed if isinstance(one.authentication, Hmac) else ()
    names = {part.name for part in signed}
    if "id" in names and one.header_of("id") is None:
        yield "authentication.signed: {id} needs an event_id in a header"
    if "timestamp" in names and one.header_of("timestamp") is None:
        yield "authentication.signed: {timestamp} needs a timestamp.at in a header"
    if one.timestamp is not None:
        if not signed:
            yield "timestamp: proves nothing unless it is signed; leave it out"
        elif isinstance(one.timestamp.at, InHeader) and "timestamp" not in names:
            yield "timestamp: proves nothing unless authentication.signed has {timestamp}"


def _ambiguous(one: Declaration) -> Iterator[str]:
    """A signed text that could be cut at another place, into another ID, time and body."""
    if not isinstance(one.authentication, Hmac) or one.timestamp is None:
        return
    if problem := could_be_time(one.authentication.signed, one.timestamp.form):
        yield f"authentication.signed: {problem}; set timestamp.form"


def _joined(one: Declaration) -> Iterator[str]:
    """Parts beside a signature that would be compared as a whole header."""
    how = one.authentication
    if not isinstance(how, Hmac):
        return
    places = {"timestamp.at": one.timestamp and one.timestamp.at, "event_id": one.event_id,
              "event_type": one.event_type}  # fmt: skip
    for name, where in places.items():
        if not isinstance(where, InHeader) or where.name != how.header:
            continue
        if where.part is None:
            yield f'{name}: the header {how.header} is the signature; set part = "…" of it'
        elif how.separator not in (",", ";"):
            needed = 'authentication.separator: "," or ";" is needed'
            yield f"{needed}, as {name} is a part of the header"


def _shown(one: Declaration) -> Iterator[str]:
    """A secret that would be stored as an ID or a type."""
    how = one.authentication
    secret = {"header": getattr(how, "header", ""), "basic": "authorization"}.get(how.kind)
    for name, where in (("event_id", one.event_id), ("event_type", one.event_type)):
        if isinstance(where, InHeader) and where.name == secret:
            yield f"{name}: the header {secret} is the secret, which is not stored"
