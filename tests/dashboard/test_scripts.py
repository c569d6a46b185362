"""Streamlit's scripts and styles, as browsers get them."""

import gzip
from typing import Any

import pytest

from dashboard.scripts import FOLDER, Scripts
from tests.dashboard.test_server import LOOPBACK, answer

SCRIPT, STYLE = (
    f"/{next((FOLDER / 'static').glob(kind)).relative_to(FOLDER).as_posix()}"
    for kind in ("js/DataFrame.*.js", "css/index.*.css")
)
BROWSER = "gzip, deflate, br, zstd"


@pytest.mark.parametrize(
    ("path", "content_type"), [(SCRIPT, b"text/javascript"), (STYLE, b"text/css")]
)
def test_a_browser_gets_them_compressed_with_the_headers_of_every_answer(
    path: str, content_type: bytes
) -> None:
    start, body = answer(LOOPBACK, path, accept_encoding=BROWSER)
    headers = dict(start["headers"])
    assert start["status"] == 200
    assert gzip.decompress(body["body"]) == (FOLDER / path[1:]).read_bytes()
    assert headers[b"content-encoding"] == b"gzip"
    assert headers[b"content-length"] == str(len(body["body"])).encode()
    assert headers[b"content-type"].startswith(content_type)
    assert headers[b"vary"] == b"accept-encoding"
    assert headers[b"x-content-type-options"] == b"nosniff"


@pytest.mark.parametrize(
    "asked",
    [
        {"headers": []},
        {"headers": [(b"accept-encoding", b"br")]},
        {"headers": [(b"accept-encoding", b"gzip;q=0")]},
        {"headers": [(b"accept-encoding", b"gzip"), (b"range", b"bytes=0-9")]},
        {"method": "HEAD"},
        {"path": "/"},
        {"path": "/static/js/../../index.html"},
        {"path": "/static/js/none.js"},
        {"path": SCRIPT.upper()},
    ],
)
def test_streamlit_itself_answers_all_else(asked: dict[str, Any]) -> None:
    whole = {"path": SCRIPT, "method": "GET", "headers": [(b"accept-encoding", BROWSER.encode())]}
    scripts = Scripts()
    assert scripts.has(whole)
    assert not scripts.has(whole | asked)
