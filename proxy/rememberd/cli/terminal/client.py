"""Calls a running proxy by HTTP. Uses the standard library's client, so that commands start fast."""

from __future__ import annotations

import http.client
import os
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import click
import orjson

from rememberd import __version__
from rememberd.cli import config_option, settings_of
from rememberd.errors import RememberdError

_TIMEOUT_SECONDS = 120.0
_ANY_ADDRESS = frozenset(("0.0.0.0", "::", ""))  # noqa: S104 - a server can listen on them; clients use loopback


class ProxyError(RememberdError):
    """The proxy did not answer or refused the request. The message says what to do. `status` is 0 without an answer;
    `retry_after` is the number of seconds that the key must wait, if a rate limit is the reason."""

    def __init__(self, message: str, status: int = 0, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.retry_after = status, retry_after


class Where(NamedTuple):
    """The proxy's address and the user, from the command's options."""

    config: Path | None
    url: str | None
    key: str | None
    user: str | None
    scope: str | None


def proxy_options(function: Callable[..., int]) -> Callable[..., int]:
    """Decorator: the options for the proxy and the user; `function` gets them as the argument `where`."""

    @config_option
    @click.option("--url", help="address of the proxy (default: $REMEMBERD_URL, else from the settings)")
    @click.option("--key", help="API key (default: $REMEMBERD_KEY; none is needed on loopback without keys)")
    @click.option("--user", help="the user, for a key that may name users")
    @click.option("--scope", help="a separate memory of the same user, such as work")
    @wraps(function)
    def with_proxy(
        config: Path | None, url: str | None, key: str | None, user: str | None, scope: str | None, **given: Any
    ) -> int:
        return function(where=Where(config, url, key, user, scope), **given)

    return with_proxy


def connect(where: Where) -> Client:
    """Raises `ConfigError`, and `ProxyError` for an invalid URL."""
    key = where.key or os.environ.get("REMEMBERD_KEY")
    headers = {"X-Memory-User": where.user, "X-Memory-Scope": where.scope, "Authorization": key and f"Bearer {key}"}
    url = where.url or os.environ.get("REMEMBERD_URL") or _configured(where)
    return Client(url, {name: value for name, value in headers.items() if value})


def _configured(where: Where) -> str:
    server = settings_of(where.config).server
    host = "127.0.0.1" if server.host in _ANY_ADDRESS else server.host
    return f"http://[{host}]:{server.port}" if ":" in host else f"http://{host}:{server.port}"


class Client:
    """Opens one connection for each call and sends `headers` with it."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ProxyError(f"{url!r} is not the address of a proxy: give one such as http://127.0.0.1:8787")
        self.url, self.headers = url.rstrip("/").removesuffix("/v1"), dict(headers)
        self.parts = urlsplit(self.url)

    def ask(self, method: str, path: str, body: Any = None, *, lines: Iterable[bytes] | None = None) -> Any:
        """The JSON of an answer. `body` is sent as JSON, `lines` as NDJSON. Raises `ProxyError`."""
        data = b"".join(lines) if lines is not None else b"" if body is None else orjson.dumps(body)
        kind = "application/json" if lines is None else "application/x-ndjson"
        with self.open(method, path, data, {"Content-Type": kind}) as answer:
            raw = self._read(answer)
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise ProxyError(f"{self.url} does not answer like rememberd: is this its address?") from error

    def open(
        self, method: str, path: str, data: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPResponse:
        """A successful answer, not read yet. Closing it closes the connection. Raises `ProxyError`."""
        kind = http.client.HTTPSConnection if self.parts.scheme == "https" else http.client.HTTPConnection
        host, port = self.parts.hostname or "", self.parts.port
        connection = kind(host, port, timeout=_TIMEOUT_SECONDS)
        sent = {"User-Agent": f"rememberd/{__version__}", "Connection": "close", **self.headers, **(headers or {})}
        try:
            connection.request(method, self.parts.path + path, data, sent)
            answer = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise ProxyError(self._absent(error)) from error
        if answer.status >= 400:
            with answer:
                raise self._refusal(answer.status, answer.headers.get("Retry-After"), self._read(answer))
        return answer

    def _read(self, answer: http.client.HTTPResponse) -> bytes:
        try:
            return answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise ProxyError(f"{self.url} broke off in its answer: try again") from error

    def _absent(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"{self.url} did not answer within {_TIMEOUT_SECONDS:.0f} s: look at its log, or try again"
        return f"nobody answers at {self.url} ({error}): start `rememberd serve`, or name another address with --url"

    def _refusal(self, status: int, retry_after: str | None, raw: bytes) -> ProxyError:
        try:
            message = str(orjson.loads(raw)["error"]["message"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            message = f"{self.url} answers {status}, but not like rememberd: is this its address?"
        if status == 401:
            message = f"{message}\nset REMEMBERD_KEY to a key of the proxy's `keys`, or give one with --key"
        if status == 403 and "several users" in message:
            message = f"{message}\nname one with --user"
        wait = float(retry_after) if status == 429 and retry_after and retry_after.isdigit() else None
        return ProxyError(message, status, wait)
