"""Where a value is in a delivery: in a header, or in the body at a JMESPath."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import jmespath
from jmespath.exceptions import (
    ArityError,
    IncompleteExpressionError,
    JMESPathError,
    LexerError,
    ParseError,
)
from jmespath.functions import Functions, signature

from receiver.vendors.base import Incoming


class OurFunctions(Functions):
    """What a declaration may call besides the functions of JMESPath."""

    @signature({"types": ["number"]}, {"types": ["number"]})
    def _func_percent(self, part: float, whole: float) -> float | None:
        """How much `part` is of `whole`, at most 100; None of nothing."""
        return min(100.0, 100 * part / whole) if whole > 0 else None

    @signature({"types": ["string", "number"]}, {"types": ["number"]})
    def _func_modulo(self, number: str | int, by: int) -> str:
        """The rest of a whole number that may be written as text, as text."""
        return str(int(number) % by)


_OPTIONS = jmespath.Options(custom_functions=OurFunctions())


@dataclass(frozen=True, slots=True)
class InHeader:
    """A header, or a part of one: `t` of `t=1763800200,v1=…`."""

    name: str
    """In lower case."""
    part: str | None = None

    def value(self, headers: Mapping[str, bytes]) -> bytes:
        """What a delivery has there; empty if there is nothing, or a part twice."""
        sent = headers.get(self.name, b"")
        if self.part is None:
            return sent
        parts = (one.strip().partition(b"=") for one in _BETWEEN_PARTS.split(sent))
        found = [value for name, _, value in parts if name == self.part.encode()]
        return found[0] if len(found) == 1 else b""

    def __str__(self) -> str:
        return f"{self.part}= in {self.name}" if self.part else self.name


@dataclass(frozen=True, slots=True)
class InBody:
    """A value in the body."""

    path: str
    """The JMESPath as written: names the field in messages."""
    names: tuple[str, ...] | None
    """The keys from the outermost object inwards, if the path is only these."""
    find: Callable[[Any], Any] = field(compare=False, repr=False)
    """The value in a body; None if there is none."""


Place = InHeader | InBody


def in_body(path: object) -> InBody:
    """The place with this JMESPath. Raises ValueError with one line."""
    if not isinstance(path, str):
        raise ValueError("should be a JMESPath, such as 'user.id'")
    try:
        compiled = jmespath.compile(path)
    except JMESPathError as error:
        raise ValueError(f"is no JMESPath: {_complaint(error)}") from None
    for name in _functions(compiled.parsed):
        if name not in OurFunctions.FUNCTION_TABLE:
            raise ValueError(f"JMESPath has no function {name}()")
    names = _names(compiled.parsed)
    return InBody(path, names, _finding(compiled, names))


def _complaint(error: JMESPathError) -> str:
    """What is wrong with a path, and where."""
    if isinstance(error, IncompleteExpressionError):
        return "its end is missing"
    if isinstance(error, LexerError):
        return (
            f"{error.message} at character {error.lexer_position + 1}. A name with other signs "
            "than letters, digits and _ stands in double quotes, as '\"user-id\"'"
        )
    if isinstance(error, ParseError) and not isinstance(error, ArityError):
        return f"{error.token_value!r} does not belong at character {error.lex_position + 1}"
    return str(error).splitlines()[0]


def place(sent: object) -> Place:
    """`"user.id"`, `{header = "x-id"}` or `{header = "x-signature", part = "t"}`. Raises ValueError
    with one line."""
    if not isinstance(sent, dict):
        return in_body(sent)
    part = sent.get("part")
    if not {"header"} <= sent.keys() <= {"header", "part"}:
        raise ValueError('should be a JMESPath, { header = "…" } or { header = "…", part = "…" }')
    if "part" in sent and not (
        isinstance(part, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,40}", part)
    ):
        raise ValueError('part should be a name such as "t", of t=1763800200')
    return InHeader(header_name(sent["header"]), part)


def header_name(sent: object) -> str:
    """The name in lower case. Raises ValueError."""
    if not isinstance(sent, str) or not sent or set(sent.lower()) - _NAME:
        raise ValueError("should be the name of a header")
    return sent.lower()


_BETWEEN_PARTS = re.compile(b"[,;]")
_NAME = set("abcdefghijklmnopqrstuvwxyz0123456789-_")


def sent_text(where: Place, incoming: Incoming, body: Mapping[str, Any]) -> str | None:
    """The text or whole number at a place; None if there is no such value."""
    if isinstance(where, InHeader):
        return where.value(incoming.headers).decode("utf-8", "replace") or None
    return text_at(where, body)


def text_at(where: InBody, body: Mapping[str, Any]) -> str | None:
    """The text or whole number in a body; None if there is no such value."""
    value = where.find(body)
    is_one = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value) or None if is_one else None


def _names(node: Mapping[str, Any]) -> tuple[str, ...] | None:
    if node["type"] == "field":
        return (node["value"],)
    if node["type"] == "subexpression" and all(one["type"] == "field" for one in node["children"]):
        return tuple(one["value"] for one in node["children"])
    return None


def fields_in(path: str) -> Iterator[str]:
    """The fields that a JMESPath reads, `a.b` each."""
    yield from _fields(jmespath.compile(path).parsed)


def _fields(node: Any) -> Iterator[str]:
    if not isinstance(node, dict):
        return
    if names := _names(node):
        yield ".".join(names)
        return
    for child in node["children"]:
        yield from _fields(child)


def _finding(compiled: Any, names: tuple[str, ...] | None) -> Callable[[Any], Any]:
    """What searches a body. Names alone and literals need no search, and intake reads every body:
    the same, many times as fast."""
    if names is not None:
        return _following(names)
    if compiled.parsed["type"] == "literal":
        value = compiled.parsed["value"]
        return lambda _body: value
    return _searching(compiled)


def _following(names: tuple[str, ...]) -> Callable[[Any], Any]:

    def find(value: Any) -> Any:
        for name in names:
            if not isinstance(value, dict):
                return None
            value = value.get(name)
        return value

    return find


def _searching(compiled: Any) -> Callable[[Any], Any]:
    def find(body: Any) -> Any:
        try:
            return compiled.search(body, _OPTIONS)
        except Exception:  # its functions raise errors of all kinds over hostile bodies
            return None

    return find


def _functions(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node["type"] == "function_expression":
            yield node["value"]
        for child in node["children"]:
            yield from _functions(child)
