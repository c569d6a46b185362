"""A file with declared vendors. Every mistake in it stops the start, a line each."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from receiver.vendors.declared.authentication import Allowlist, Basic, HeaderValue, Hmac, Jwt
from receiver.vendors.declared.declaration import Declaration, EventTable, FactTable, Timestamp
from receiver.vendors.declared.tables import Table
from shared.settings import SettingsError


class File(Table):
    """The whole file."""

    vendors: tuple[Declaration, ...] = ()
    mindtickle: Mapping[str, Any] = Field(default_factory=dict)
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
        raise SettingsError(f"{path}: is not UTF-8; save it as that") from None
    except tomllib.TOMLDecodeError as error:
        hint = ". A text stands in quotes" if "Invalid value" in str(error) else ""
        raise SettingsError(f"{path}: is not TOML: {error}{hint}") from None


def _over(known: Mapping[str, Any], one: Any) -> Any:
    """A vendor's table over the packaged one with its slug, event types one by one."""
    base = known.get(str(one.get("slug"))) if isinstance(one, dict) else None
    if base is None:
        return one
    made = base | one
    for name in ("authentication", "timestamp"):
        own, known_one = one.get(name), base.get(name, {})
        if isinstance(own, dict) and own.get("kind") in (None, known_one.get("kind")):
            made[name] = known_one | own
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
    "int_type": "should be a whole number of seconds",
    "int_from_float": "should be a whole number of seconds",
    "int_parsing": "should be a whole number of seconds",
    "tuple_type": "should be a list",
    "too_short": "should not be empty",
    "model_type": "should be a table",
    "model_attributes_type": "should be a table",
    "union_tag_not_found": "kind is missing: hmac, header, basic, allowlist or jwt",
    "union_tag_invalid": "kind should be hmac, header, basic, allowlist or jwt",
}
TABLES = {"vendors": "vendors", "events": "vendors.events", "facts": "vendors.events.facts"}
"""The lists of tables, by their last name."""
NAMES = sorted(
    {name for kind in (File, Declaration, Hmac, HeaderValue, Basic, Allowlist, Jwt, Timestamp,
                       EventTable, FactTable) for name in kind.model_fields}
)  # fmt: skip


def _complaint(error: ErrorDetails) -> str:
    """What is wrong, without the value."""
    if error["type"] == "extra_forbidden":
        name = str(error["loc"][-1])
        if name in NAMES:
            return f"{name} does not belong here"
        near = get_close_matches(name, NAMES, n=1)
        return f"{name} is not known here; " + (f"is {near[0]} meant?" if near else "remove it")
    if error["type"] == "tuple_type" and error["loc"][-1] in TABLES:
        name = TABLES[str(error["loc"][-1])]
        return f"should be a list of tables: each begins with [[{name}]], in two brackets"
    message = error["msg"].removeprefix("Value error, ")
    message = message.removeprefix("Input ").removeprefix("String ")
    return _WORDS.get(error["type"], message)
