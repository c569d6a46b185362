"""What the tables of a file with declarations have in common: places, names and signed texts."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
)

from receiver.vendors.declared.places import InBody, Place, header_name, in_body, place
from receiver.vendors.fields import TimeForm
from shared.settings import TEN_YEARS_SEC

Line = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f]+$")]
Header = Annotated[str, BeforeValidator(header_name)]
Body = Annotated[InBody, PlainValidator(in_body)]
Anywhere = Annotated[Place, PlainValidator(place)]
Prefix = Annotated[str, Field(max_length=40, pattern=r"^[!-~]*$")]
Delay = Annotated[int, Field(ge=1, le=604_800)]
Seconds = Annotated[int, Field(ge=0, le=TEN_YEARS_SEC)]


class Table(BaseModel):
    """A table of the file. Unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


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
