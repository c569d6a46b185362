"""What a file with declared vendors may contain. Every mistake in it stops the start, a line each.

No secret is in the file: `secret`, `addresses` and `accounts` name variables of the environment.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from receiver.vendors.base import MAX_ID
from receiver.vendors.declared.kinds import KINDS, Kind
from receiver.vendors.declared.places import (
    InBody,
    InHeader,
    Place,
    header_name,
    in_body,
    place,
)
from receiver.vendors.fields import TimeForm
from shared.setting_types import safe_url
from shared.settings import OF_THE_DASHBOARD, TEN_YEARS_SEC, ReceiverSettings, SettingsError
from shared.vendors import variable_prefix

Line = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f]+$")]
Header = Annotated[str, BeforeValidator(header_name)]
Body = Annotated[InBody, PlainValidator(in_body)]
Anywhere = Annotated[Place, PlainValidator(place)]
Prefix = Annotated[str, Field(max_length=40, pattern=r"^[!-~]*$")]
Delay = Annotated[int, Field(ge=1, le=604_800)]
Seconds = Annotated[int, Field(ge=0, le=TEN_YEARS_SEC)]


def _slug(sent: object) -> str:
    if not isinstance(sent, str) or not re.fullmatch(r"[a-z0-9]{1,20}(-[a-z0-9]{1,20}){0,2}", sent):
        raise ValueError("should be one to three short words in lower case, joined by hyphens")
    # The dashboard forgets all variables that begin as a vendor's do.
    known = ReceiverSettings.model_fields.keys() | OF_THE_DASHBOARD
    if taken := sorted(name for name in known if name.startswith(variable_prefix(sent))):
        raise ValueError(f"{sent} is how the setting {taken[0].upper()} begins; use another")
    return sent


def _variable(sent: object) -> str:
    """The value is never part of the message: it may be the secret itself, entered by mistake."""
    if not isinstance(sent, str) or not re.fullmatch(r"[A-Z][A-Z0-9_]{0,99}", sent):
        raise ValueError(
            "should be the name of a variable, such as ACME_SECRET; the secret itself belongs "
            "into the environment or .env"
        )
    return sent


Variable = Annotated[str, PlainValidator(_variable)]


class Part(NamedTuple):
    """A part of a signed text: `text` as it stands, or else the value with a name."""

    name: Literal["text", "id", "timestamp", "body"]
    text: str = ""


def _template(sent: object) -> tuple[Part, ...]:
    """`{timestamp}:{body}` → its parts. Raises ValueError if it could be cut in two ways."""
    if not isinstance(sent, str):
        raise ValueError("should be a text such as '{timestamp}.{body}'")
    found = re.split(r"\{([^{}]*)\}", sent)
    parts: list[Part] = []
    for number, text in enumerate(found):
        if number % 2:
            if text not in ("id", "timestamp", "body"):
                raise ValueError(f"knows {{id}}, {{timestamp}} and {{body}}, and no {{{text}}}")
            parts.append(Part(text))  # type: ignore[arg-type]  # one of three names
        elif text:
            parts.append(Part("text", text))
    names = [one.name for one in parts if one.name != "text"]
    if names.count("body") != 1 or parts[-1].name != "body":
        raise ValueError("should end with {body}: what follows it could be taken for a part of it")
    if len(set(names)) < len(names):
        raise ValueError("should have each part once")
    for one, other in pairwise(parts):
        if "text" not in (one.name, other.name) and other.name != "body":
            raise ValueError(f"needs a separator between {{{one.name}}} and {{{other.name}}}")
    return tuple(parts)


Template = Annotated[tuple[Part, ...], PlainValidator(_template)]


class Table(BaseModel):
    """A table of the file. Unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Hmac(Table):
    """A header with a signature over `signed`."""

    kind: Literal["hmac"]
    secret: Variable
    key_encoding: Literal["text", "hex", "base64", "whsec"] = "text"
    """How the secret spells the key; `whsec` is base64 after `whsec_`."""
    algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    signed: Template = (Part("body"),)
    header: Header
    encoding: Literal["hex", "base64"] = "hex"
    prefix: Prefix = ""
    """Before each signature."""
    separator: Literal[" ", ","] | None = None
    """Between several signatures; without one there is only one."""

    @model_validator(mode="after")
    def _can_be_separated(self) -> Self:
        if self.separator and self.separator in self.prefix:
            raise ValueError("separator is in the prefix, so a signature would be cut in two")
        return self

    @property
    def variable(self) -> str:
        return self.secret


class HeaderValue(Table):
    """A header that is the secret itself."""

    kind: Literal["header"]
    secret: Variable
    header: Header

    @property
    def variable(self) -> str:
        return self.secret


class Basic(Table):
    """A user and a password (RFC 7617)."""

    kind: Literal["basic"]
    user: Annotated[str, Field(min_length=1, max_length=MAX_ID, pattern=r"^[^\x00-\x1f:]+$")]
    secret: Variable
    """Of the password."""

    @property
    def variable(self) -> str:
        return self.secret


class Allowlist(Table):
    """The sender's own addresses."""

    kind: Literal["allowlist"]
    addresses: Variable

    @property
    def variable(self) -> str:
        return self.addresses


Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"]
"""With a private and a public key each: with one key for both, the published key could sign."""


class Jwt(Table):
    """A token that the vendor signs for all its customers, with keys that it publishes."""

    kind: Literal["jwt"]
    keys: Annotated[str, AfterValidator(safe_url)]
    """The address of the set of keys."""
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256",)
    account: Body
    """The claim that says for which customer it is."""
    accounts: Variable
    """Of this installation's values of that claim."""
    header: Header | None = None
    """With the token; without one the body is the token, and its claims are the event."""
    scheme: Annotated[str, Field(max_length=40, pattern=r"^[!-~]* ?$")] = ""
    """Before the token in the header, such as `Bearer `."""
    body_sha256: Body | None = None
    """The claim with the body's SHA-256 in hex, for a token in a header."""

    @model_validator(mode="after")
    def _covers_the_body(self) -> Self:
        if (self.header is None) != (self.body_sha256 is None):
            raise ValueError("a token in a header needs body_sha256, and one in the body has none")
        if self.header is None and self.scheme:
            raise ValueError("scheme: is only for a token in a header")
        return self

    @property
    def variable(self) -> str:
        return self.accounts


Authentication = Annotated[
    Hmac | HeaderValue | Basic | Allowlist | Jwt, Field(discriminator="kind")
]


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
    """Seconds in which every delivery fails until the vendor stops."""
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
        for problem in (*_unsigned(self), *_ambiguous(self), *_shown(self)):
            raise ValueError(problem)
        return self

    def header_of(self, name: str) -> str | None:
        """The header with a part of the signed text."""
        places = {"id": self.event_id, "timestamp": self.timestamp and self.timestamp.at}
        where = places.get(name)
        return where.name if isinstance(where, InHeader) else None


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


def _shown(one: Declaration) -> Iterator[str]:
    """A secret that would be stored as an ID or a type."""
    how = one.authentication
    secret = {"header": getattr(how, "header", ""), "basic": "authorization"}.get(how.kind)
    for name, where in (("event_id", one.event_id), ("event_type", one.event_type)):
        if isinstance(where, InHeader) and where.name == secret:
            yield f"{name}: the header {secret} is the secret, which is not stored"


def could_be_time(signed: Sequence[Part], form: TimeForm) -> str | None:
    """What is wrong if a sign after the timestamp could be a part of a time; None if it is well."""
    follows = [after.text for part, after in pairwise(signed) if part.name == "timestamp"]
    sign = follows[0][:1] if follows else ""
    if sign.isdigit():
        return "a digit after {timestamp} could be a part of it"
    if form in ("iso", "any") and sign and sign in ".+-Z":
        return (
            f"{sign} after {{timestamp}} could be a part of a time in ISO 8601, unless it is in "
            "seconds or milliseconds"
        )
    return None


class File(Table):
    """The whole file."""

    vendors: tuple[Declaration, ...] = ()
    mindtickle: dict[str, Any] = {}
    """The names that differ in this account (`receiver/vendors/mindtickle.toml`)."""

    @field_validator("vendors")
    @classmethod
    def _each_once(cls, vendors: tuple[Declaration, ...]) -> tuple[Declaration, ...]:
        slugs = [one.slug for one in vendors]
        if twice := {one for one in slugs if slugs.count(one) > 1}:
            raise ValueError(f"{min(twice)} is there twice")
        return vendors


def read_file(path: Path, packaged: Mapping[str, Any] | None = None) -> File:
    """What a file declares. Where it has a vendor of `packaged`, another such file as it was read,
    its keys come first and all others from there. Raises SettingsError, a line for each mistake."""
    sent = toml_of(path)
    known = {one["slug"]: one for one in (packaged or {}).get("vendors", ())}
    own = sent.get("vendors")
    if known and isinstance(own, list):
        sent = sent | {"vendors": [_over(known, one) for one in own]}
    try:
        return File.model_validate(sent)
    except ValidationError as wrong:
        raise SettingsError("\n".join(in_words(wrong, str(path), sent))) from None


def toml_of(path: Path) -> dict[str, Any]:
    """The tables of a file. Raises SettingsError."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: is not TOML: {error}") from None


def _over(known: Mapping[str, Any], one: Any) -> Any:
    """A vendor's table over the packaged one with its slug, event types one by one."""
    base = known.get(str(one.get("slug"))) if isinstance(one, dict) else None
    if base is None:
        return one
    made = base | one
    for name in ("authentication", "timestamp"):
        if isinstance(one.get(name), dict):
            made[name] = base.get(name, {}) | one[name]
    if isinstance(one.get("events"), list):
        types = [event.get("type") for event in one["events"] if isinstance(event, dict)]
        others = [event for event in base["events"] if event["type"] not in types]
        made["events"] = [*others, *one["events"]]
    return made


def in_words(
    wrong: ValidationError, begin: str, sent: Mapping[str, Any] | None = None
) -> Sequence[str]:
    """A line for each mistake, without its value."""
    errors = list(_causes(wrong.errors(include_input=False, include_url=False)))
    lines = (f"{begin}: {_where(one, sent or {})}{_complaint(one)}" for one in errors)
    return list(dict.fromkeys(lines))


def _causes(errors: Sequence[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Without the complaint of a list that it is empty, where its items are what is wrong."""
    for one in errors:
        inner = [other for other in errors if other["loc"][: len(one["loc"])] == one["loc"]]
        if one["type"] != "too_short" or len(inner) == 1:
            yield one


def _where(error: ErrorDetails, sent: Mapping[str, Any]) -> str:
    """`acme: authentication.signed: `"""
    loc = list(error["loc"])
    if "authentication" in loc[:-1]:
        del loc[loc.index("authentication") + 1]  # its kind
    if error["type"] == "extra_forbidden":
        del loc[-1]
    if loc[:1] == ["vendors"] and len(loc) > 1:
        one = sent["vendors"][loc[1]]
        slug = one.get("slug") if isinstance(one, dict) else None
        begin = slug if isinstance(slug, str) else f"vendor {int(loc[1]) + 1}"
        rest = ".".join(str(part + 1) if isinstance(part, int) else part for part in loc[2:])
        return f"{begin}: {rest}: " if rest else f"{begin}: "
    return f"{'.'.join(map(str, loc))}: " if loc else ""


_WORDS = {
    "missing": "is missing",
    "string_type": "should be text",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "int_parsing": "should be a whole number",
    "tuple_type": "should be a list",
    "too_short": "should not be empty",
    "model_type": "should be a table",
    "model_attributes_type": "should be a table",
    "union_tag_not_found": "kind is missing: hmac, header, basic, allowlist or jwt",
    "union_tag_invalid": "kind should be hmac, header, basic, allowlist or jwt",
}
NAMES = sorted(
    {name for kind in (File, Declaration, Hmac, HeaderValue, Basic, Allowlist, Jwt, Timestamp,
                       EventTable, FactTable) for name in kind.model_fields}
)  # fmt: skip


def _complaint(error: ErrorDetails) -> str:
    """What is wrong, without the value."""
    if error["type"] == "extra_forbidden":
        name = str(error["loc"][-1])
        near = get_close_matches(name, NAMES, n=1)
        return f"{name} is not known here" + (f"; is {near[0]} meant?" if near else "")
    message = error["msg"].removeprefix("Value error, ")
    message = message.removeprefix("Input ").removeprefix("String ")
    return _WORDS.get(error["type"], message)
