"""An identity provider of our own, spoken to by HTTP, and a dashboard that trusts it."""

import json
import threading
import warnings
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

from tests import running
from tests.running import free_port

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it still imports names that Authlib will drop
    import oidc_provider_mock

COOKIE_SECRET = "a-cookie-secret-of-the-tests-0123456789"
CLIENT_SECRET = "a-client-secret-of-the-tests"


class Provider:
    """While `unsigned`, its tokens say that they need no signature."""

    def __init__(self) -> None:
        self.unsigned = False
        self._app = oidc_provider_mock.app()
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,))

    @contextmanager
    def running(self) -> Iterator["Provider"]:
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def knows(self, name: str, /, **claims: object) -> None:
        """A person who signs in as `name`. `claims` are added to the standard ones of a token."""
        httpx.put(f"{self.url}/users/{name}", json=claims, verify=False).raise_for_status()

    def _answer(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        if not (self.unsigned and environ["PATH_INFO"] == "/oauth2/token"):
            return self._app(environ, start_response)
        answer = Response.from_app(self._app, environ)
        token = answer.get_json()
        _, claims, _ = token["id_token"].split(".")
        token["id_token"] = f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{claims}."
        answer.set_data(json.dumps(token))
        return answer(environ, start_response)

    def settings(self, dashboard_url: str) -> dict[str, str]:
        """What makes a dashboard trust it."""
        return {
            "DASHBOARD_URL": dashboard_url,
            "DASHBOARD_COOKIE_SECRET": COOKIE_SECRET,
            "OIDC_CLIENT_ID": "repboard",
            "OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "OIDC_METADATA_URL": f"{self.url}/.well-known/openid-configuration",
        }


def encoded(part: object) -> str:
    """A part of a token."""
    return urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


@contextmanager
def dashboard(provider: Provider, database_url: str, log: Path, **more: str) -> Iterator[str]:
    """A dashboard that has people sign in; its address. What it writes goes to `log`."""
    port = str(free_port())
    url = f"http://127.0.0.1:{port}"
    given = {"DATABASE_URL": database_url} | provider.settings(url) | more
    with running.dashboard(port, log, **given) as address:
        yield address
