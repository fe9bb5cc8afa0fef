"""An issuer of tokens whose keys and mistakes a test decides: it serves its metadata and its keys over HTTP."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwk, jwt

AUDIENCE = "rememberd-api"


class TokenIssuer:
    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.keys: list[Any] = [new_key("first")]
        self.also: list[dict[str, Any]] = []  # further entries of its JWKS
        self.fetched = 0
        self.down = False
        self.asked, self.answers = threading.Event(), threading.Event()  # `answers` is cleared to let requests wait
        self.answers.set()

    def token(self, key: Any = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """Good for an hour, except for what `header` and `claims` change; None drops a claim."""
        key, now = key or self.keys[0], int(time.time())
        usual = {"iss": self.issuer, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 3600}
        named = {"alg": "RS256", "kid": key.kid, "typ": "at+jwt"} | (header or {})
        asked = {name: value for name, value in (usual | claims).items() if value is not None}
        return jwt.encode(
            {name: value for name, value in named.items() if value is not None},
            asked,
            key,
            algorithms=["RS256", "HS256", "ES256", "none"],
        )

    def answer(self, path: str) -> dict[str, Any] | None:
        self.asked.set()
        self.answers.wait()
        if self.down:
            return None
        if path.endswith("/.well-known/openid-configuration"):
            return {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        self.fetched += 1
        return {"keys": [*(key.as_dict(private=False) for key in self.keys), *self.also]}


def new_key(kid: str) -> Any:
    return jwk.RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


@contextmanager
def issuing() -> Iterator[TokenIssuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = issuer.answer(self.path)
            body = json.dumps(found).encode()
            self.send_response(503 if found is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = TokenIssuer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
