"""A small HTTP/1.1 client: bytes there and back over connections that are kept for the next request.

It follows no redirect, keeps no cookie, asks for no encoding, decodes nothing, knows no HTTP proxy. Nothing is sent
twice but a request whose kept connection the server had closed meanwhile, before a byte of an answer, and only if it
may be repeated: GET, HEAD, or with an Idempotency-Key (RFC 9110, 9.2.2; Go's net/http does the same). Any other could
have been at work already, and an answer may cost money. It is rare: connections are kept for a short time only.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from base64 import b64encode
from collections import defaultdict
from collections.abc import Awaitable, Mapping
from functools import cached_property, lru_cache
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from aiohappyeyeballs import start_connection

from rememberd.upstream.connection import Connection

CONNECT_SECONDS = 10.0  # name lookup and TLS handshake included
KEEP_SECONDS = 15.0  # how long a connection may wait for its next request; servers keep theirs longer, as a rule
MAX_KEPT = 256  # of one origin
_NEXT_ADDRESS_SECONDS = 0.25  # RFC 8305, 5

_TARGET = re.compile(r"[!-~]+")  # what may stand in a request line, and splits none
_FRAMING = frozenset(("connection", "content-length", "expect", "keep-alive", "te", "transfer-encoding", "upgrade"))
_REPEATABLE = frozenset(("GET", "HEAD"))


class Origin(NamedTuple):
    tls: bool
    host: str
    port: int


class Address(NamedTuple):
    """Of an API. `path` is its own, without the slash at its end; `login` is for Basic authentication."""

    origin: Origin
    host: str  # as the Host header has it
    path: str
    login: str | None


@lru_cache(maxsize=1024)
def address(base: str) -> Address:
    """Raises `ValueError` for anything but http://… and https://…; the message holds nothing of `base`."""
    try:
        parts = urlsplit(base)
        tls, host, port = parts.scheme == "https", parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not an address") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("is not an address that begins with http:// or https://")
    usual = 443 if tls else 80
    name = host if host.isascii() else host.encode("idna").decode()
    named = (f"[{name}]" if ":" in name else name) + (f":{port}" if port not in (None, usual) else "")
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}" if "@" in parts.netloc else None
    rest = f"{parts.path}?{parts.query}" if parts.query or base.endswith("?") else parts.path
    return Address(Origin(tls, name, usual if port is None else port), named, rest, login)


class Answer:
    """`status` and `headers` (names in lower case), and `read`, which gives the body as it comes and then nothing.

    It must be closed. If it was read to its end, its connection is kept for another request."""

    def __init__(self, connection: Connection, kept: list[Connection]) -> None:
        self.status, self.headers = connection.status, connection.headers
        self._connection, self._cached_block, self._closed = connection, kept, False

    def read(self) -> Awaitable[bytes]:
        """Raises `OSError`, `TimeoutError`; `ValueError` once it is closed, for the next answer may be another's."""
        if self._closed:
            raise ValueError("read after it was closed")
        return self._connection.read()

    def close(self) -> None:
        """What was not read is lost, and the connection with it."""
        if self._closed:
            return
        self._closed = True
        connection = self._connection
        if connection.reusable and len(self._cached_block) < MAX_KEPT:
            connection.kept_since = asyncio.get_running_loop().time()
            self._cached_block.append(connection)
        else:
            connection.close()


class Client:
    """Any number of connections at once. Belongs to the event loop that first sends."""

    def __init__(self, keep_seconds: float = KEEP_SECONDS) -> None:
        self._keep_seconds = keep_seconds
        self._cached_block: defaultdict[Origin, list[Connection]] = defaultdict(list)
        self._sweeper: asyncio.TimerHandle | None = None

    async def request(
        self, method: str, to: Address, path: str, headers: Mapping[str, str], body: bytes = b"", *, silence: float
    ) -> Answer:
        """`headers` by name in lower case; `silence` is how many seconds the server may do nothing.

        Raises `OSError` (`ssl.SSLError` and `socket.gaierror` are such), `TimeoutError`, and `ValueError` for what
        cannot be sent: line ends in a header, a header that says where the body ends. Cancelled, it closes the
        connection."""
        head = request_head(method, to, path, headers, len(body))
        connection = self._take(to.origin)
        if connection is not None:
            try:
                return await self._ask(connection, to.origin, method, head, body, silence)
            except ConnectionError:
                if connection.touched or not (method in _REPEATABLE or "idempotency-key" in headers):
                    raise
        return await self._ask(await self._connect(to.origin), to.origin, method, head, body, silence)

    async def get(self, to: Address, path: str, headers: Mapping[str, str], *, within: float) -> bytes:
        """The whole body, whatever its status, `within` so many seconds. Raises what `request` does."""
        async with asyncio.timeout(within):
            answer = await self.request("GET", to, path, headers, silence=within)
            try:
                parts = []
                while part := await answer.read():
                    parts.append(part)
                return b"".join(parts)
            finally:
                answer.close()

    async def _ask(
        self, connection: Connection, origin: Origin, method: str, head: bytes, body: bytes, silence: float
    ) -> Answer:
        try:
            await connection.ask(head, body, silence=silence, bodiless=method == "HEAD")
        except BaseException:
            connection.close()
            raise
        return Answer(connection, self._cached_block[origin])

    def _take(self, origin: Origin) -> Connection | None:
        """The one that was used last: the others may grow old."""
        kept = self._cached_block[origin]
        while kept:
            connection = kept.pop()
            if not connection.closed and not self._old(connection):
                return connection
            connection.close()
        return None

    async def _connect(self, origin: Origin) -> Connection:
        loop = asyncio.get_running_loop()
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._keep_seconds, self._sweep)
        async with asyncio.timeout(CONNECT_SECONDS):
            found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
            sock = await start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS, interleave=1, loop=loop)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a head and its body are two writes
                context, name = (self._tls, origin.host) if origin.tls else (None, None)
                _, connection = await loop.create_connection(Connection, sock=sock, ssl=context, server_hostname=name)
            except BaseException:
                sock.close()
                raise
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _sweep(self) -> None:
        """Close what nobody needed."""
        for origin, kept in list(self._cached_block.items()):
            for connection in [each for each in kept if each.closed or self._old(each)]:
                connection.close()
                kept.remove(connection)
            if not kept:
                del self._cached_block[origin]
        self._sweeper = None
        if self._cached_block:
            self._sweeper = asyncio.get_running_loop().call_later(self._keep_seconds, self._sweep)

    def _old(self, connection: Connection) -> bool:
        return asyncio.get_running_loop().time() - connection.kept_since > self._keep_seconds

    def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        for kept in self._cached_block.values():
            for connection in kept:
                connection.close()
        self._cached_block.clear()


def request_head(method: str, to: Address, path: str, headers: Mapping[str, str], length: int) -> bytes:
    """Raises `ValueError`."""
    target = f"{to.path}{path}" or "/"
    if not _TARGET.fullmatch(target):
        raise ValueError("a path must be printable ASCII")
    if not _FRAMING.isdisjoint(headers):
        raise ValueError(f"the headers {', '.join(sorted(_FRAMING & headers.keys()))} cannot be set")
    lines = [f"{method} {target} HTTP/1.1"]
    if "host" not in headers:
        lines.append(f"host: {to.host}")
    if to.login is not None:
        if "authorization" in headers:
            raise ValueError("has a user in its address and a key: leave one of them out")
        lines.append(f"authorization: Basic {b64encode(to.login.encode()).decode()}")
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if length or method not in _REPEATABLE:
        lines.append(f"content-length: {length}")
    text = "\r\n".join([*lines, "", ""])
    if not text.count("\r") == text.count("\n") == len(lines) + 1 or "\0" in text:
        raise ValueError("a header holds a line end")
    try:
        return text.encode("latin-1")  # as it was decoded: the client's bytes stay what they were
    except UnicodeEncodeError:
        return text.encode()
