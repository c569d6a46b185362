"""A server of public keys (JWKS) on this machine, and tokens that its keys sign."""

import base64
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jws
from joserfc.jwk import RSAKey


@cache
def key(kid: str) -> RSAKey:
    """A private key with this ID, the same in every test."""
    return RSAKey.generate_key(2048, {"kid": kid})


def public(*kids: str) -> bytes:
    """The set of these keys, without their private parts."""
    keys = [{**key(kid).as_dict(private=False), "kid": kid, "use": "sig"} for kid in kids]
    return json.dumps({"keys": keys}).encode()


def token(claims: object, kid: str = "current", **header: Any) -> bytes:
    """Claims, signed with the key."""
    sent = {"alg": "RS256", "kid": kid, "typ": "JWT"} | header
    registry = jws.JWSRegistry(strict_check_header=False)
    return jws.serialize_compact(
        sent, json.dumps(claims).encode(), key(kid), registry=registry
    ).encode()


def unsigned(claims: Mapping[str, Any], signature: bytes = b"", **header: Any) -> bytes:
    """Claims under any header, with any signature."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return b".".join(base64.urlsafe_b64encode(one).rstrip(b"=") for one in parts)


class KeyServer(ThreadingHTTPServer):
    """Answers each request with `status` and `document`."""

    daemon_threads = True

    def __init__(self, document: bytes, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/jwks"
        self.document, self.status, self.asked = document, 200, 0


class _Handler(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        self.server.asked += 1
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.document)))
        self.end_headers()
        self.wfile.write(self.server.document)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def serving(document: bytes, port: int = 0) -> Iterator[KeyServer]:
    """The server, until the block ends."""
    with KeyServer(document, port) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()
