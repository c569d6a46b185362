"""The names in the deliveries of a vendor that has a file of its own: published ones, of which an
installation changes some."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from receiver.vendors.declared.file import in_words
from receiver.vendors.declared.places import InBody, in_body
from receiver.vendors.declared.tables import Body, Header, Prefix, Table, Template, could_be_time
from receiver.vendors.fields import TimeForm
from shared.settings import SettingsError


class HeaderNames(Table):
    """The headers."""

    signature: Header
    timestamp: Header
    event_id: Header


class SignatureForm(Table):
    """What is signed, and how the signature is spelled."""

    signed: Template
    prefix: Prefix
    encoding: Literal["hex", "base64"]
    time: TimeForm


class BodyNames(Table):
    """Where the body has what all events have in common."""

    event: Body
    company_id: Body
    data: Body
    """The object with the event's own fields; `@` if that is the body itself."""


class EventNames(Table):
    """The name of an event type, and where its fields are within `data`."""

    type: str = Field(min_length=1, max_length=255)
    fields: Mapping[str, str]

    @model_validator(mode="before")
    @classmethod
    def _fields_beside_the_type(cls, sent: Any) -> Any:
        if not isinstance(sent, dict):
            return sent
        fields = {name: path for name, path in sent.items() if name != "type"}
        return {"type": sent.get("type"), "fields": fields}

    @field_validator("fields")
    @classmethod
    def _are_paths(cls, fields: Mapping[str, str]) -> Mapping[str, str]:
        for name, path in fields.items():
            try:
                in_body(path)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return fields


class Names(Table):
    """All names of a vendor."""

    headers: HeaderNames
    signature: SignatureForm
    body: BodyNames
    events: Mapping[str, EventNames]
    """By the published name of the type."""

    @model_validator(mode="after")
    def _has_one_reading(self) -> Self:
        if problem := could_be_time(self.signature.signed, self.signature.time):
            raise ValueError(f"signature.signed: {problem}; set signature.time")
        types = [one.type for one in self.events.values()]
        if twice := {one for one in types if types.count(one) > 1}:
            raise ValueError(f"events: two have the type {min(twice)}")
        return self

    def changed(self, by: Mapping[str, Any], published: Mapping[str, Any], where: str) -> Self:
        """These with the names of a table, which `published` has all. Raises SettingsError, a line
        for each mistake that begins with `where`."""
        if unknown := [*_unknown(by, published, "")]:
            raise SettingsError("\n".join(f"{where}: {line}" for line in unknown))
        try:
            return self.model_validate(_merged(published, by))
        except ValidationError as wrong:
            raise SettingsError("\n".join(in_words(wrong, where))) from None

    def place_of(self, event: str, name: str) -> InBody:
        """Where an event type, by its published name, has a field: from the body inwards."""
        data, path = self.body.data.path, self.events[event].fields[name]
        return in_body(path if data == "@" else f"{data}.{path}")


def _unknown(by: Mapping[str, Any], published: Mapping[str, Any], where: str) -> list[str]:
    lines = []
    for name, value in by.items():
        if name not in published:
            lines.append(f"{where}{name} is not known here; there are {', '.join(published)}")
        elif isinstance(published[name], dict):
            if isinstance(value, dict):
                lines += _unknown(value, published[name], f"{where}{name}.")
            else:
                lines.append(f"{where}{name} should be a table")
    return lines


def _merged(published: Mapping[str, Any], by: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: _merged(value, by.get(name, {})) if isinstance(value, dict) else by.get(name, value)
        for name, value in published.items()
    }
