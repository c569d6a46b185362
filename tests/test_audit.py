"""`.ci/audit`: a pass means that the pins were looked up, and else it says that they were not."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.running import ROOT, environment

NO_PROXY_THERE = "http://127.0.0.1:1"
ADVISORY = {
    "id": "PYSEC-1", "summary": "bad", "schema_version": "1.0.0",
    "affected": [{"package": {"name": "typer", "ecosystem": "PyPI"},
                  "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "99.0"}]}]}],
}  # fmt: skip


def audit(database: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run where PyPI cannot be reached, with this address of OSV."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    settings = {"VULNERABILITY_DATABASE": database, "HTTPS_PROXY": NO_PROXY_THERE, "PATH": path}
    return subprocess.run(
        [sys.executable, ROOT / ".ci" / "audit", *arguments],
        env=environment(**settings), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@contextmanager
def osv(answer: Callable[[str, str], bytes]) -> Iterator[str]:
    """An advisory list; `answer` gives the body for a package and its version."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            body = answer(asked["package"]["name"], asked["version"])
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep standard error for the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/query"
    finally:
        server.shutdown()
        server.server_close()


def naming(*vulnerable: str) -> Callable[[str, str], bytes]:
    """A list that knows of an old version of Jinja, as each does, and of these packages."""
    found = json.dumps({"vulns": [ADVISORY]}).encode()

    def answer(name: str, version: str) -> bytes:
        return found if name in vulnerable or (name, version) == ("jinja2", "2.10") else b"{}"

    return answer


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--required",), 1)])
def test_without_a_list_that_answers_it_says_not_checked(
    arguments: tuple[str, ...], code: int
) -> None:
    ended = audit("http://127.0.0.1:1/query", *arguments)
    assert ended.returncode == code
    lines = ended.stdout.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("not checked: ") for line in lines)
    assert "No known vulnerabilities" not in ended.stdout


@pytest.mark.parametrize("body", [b"{}", b"<html>Sign in to the network</html>"])
def test_an_answer_that_names_no_vulnerability_of_a_package_that_has_some_is_no_check(
    body: bytes,
) -> None:
    with osv(lambda *_: body) as database:
        ended = audit(database, "--required")
    assert ended.returncode == 1
    assert f"not checked: {database}: " in ended.stdout
    assert "packages checked" not in ended.stdout


def test_pins_without_a_known_vulnerability_pass_and_are_counted() -> None:
    pins = (ROOT / ".requirements" / "app.txt").read_text().count("==")
    with osv(naming()) as database:
        ended = audit(database, "--required")
    assert (ended.returncode, ended.stderr) == (0, "")
    (line,) = ended.stdout.splitlines()
    count, said = line.split(" ", 1)
    assert said == f"packages checked at {database}, 0 with known vulnerabilities"
    assert pins * 0.8 < int(count) <= pins  # some are for other systems


def test_a_pin_with_a_known_vulnerability_fails_and_is_named() -> None:
    with osv(naming("typer")) as database:
        ended = audit(database)
    assert ended.returncode == 1
    first, _ = ended.stdout.splitlines()
    assert first.startswith("typer ")
    assert first.endswith(": PYSEC-1, fixed in 99.0")
