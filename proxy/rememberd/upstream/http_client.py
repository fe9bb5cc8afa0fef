"""A small HTTP/1.1 client: bytes there and back over connections that are kept for the next request.

It follows no redirect, keeps no cookie, asks for no encoding and decodes nothing. No request is sent twice, with one
exception: the server had closed a kept connection meanwhile, no byte of a response came, and the request may be
repeated: GET, HEAD, or with an Idempotency-Key (RFC 9110, 9.2.2; Go's net/http does the same). Any other request
could have been at work already, and an answer may cost money. It is rare: connections are kept for a short time only.
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

from rememberd.upstream.connection import Connection, Origin
from rememberd.upstream.http_proxy import NO_PROXIES, HttpProxies, HttpProxy, open_tunnel

CONNECT_SECONDS = 10.0  # name lookup, the proxy's tunnel and the TLS handshake included
KEEP_SECONDS = 15.0  # how long a connection may wait for its next request; servers usually keep theirs longer
MAX_KEPT = 256  # of one origin
_NEXT_ADDRESS_SECONDS = 0.25  # RFC 8305, 5

_TARGET = re.compile(r"[!-~]+")  # what may stand in a request line without splitting it
_FRAMING = frozenset(("connection", "content-length", "expect", "keep-alive", "te", "transfer-encoding", "upgrade"))
_REPEATABLE = frozenset(("GET", "HEAD"))


class Address(NamedTuple):
    """Of an API. `path` is its own path without the slash at its end, `query` goes with every request, `login` is for
    Basic authentication."""

    origin: Origin
    host: str  # as the Host header has it
    path: str
    login: str | None
    query: str = ""


@lru_cache(maxsize=1024)
def address(base: str) -> Address:
    """Of http://…, https://… or unix:///path/to/socket, with `:/path` behind it if the API is not at /v1.

    Raises `ValueError`; the message does not repeat `base`, which may hold a password."""
    if base.startswith("unix:"):
        return _socket_address(base.removeprefix("unix:"))
    try:
        parts = urlsplit(base)
        tls, host, port = parts.scheme == "https", parts.hostname, parts.port
    except ValueError:
        raise ValueError("is not an address") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("is not an address that begins with http://, https:// or unix://")
    usual = 443 if tls else 80
    name = host if host.isascii() else host.encode("idna").decode()
    named = (f"[{name}]" if ":" in name else name) + (f":{port}" if port not in (None, usual) else "")
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}" if "@" in parts.netloc else None
    return Address(Origin(tls, name, usual if port is None else port), named, parts.path, login, parts.query)


def _socket_address(rest: str) -> Address:
    rest, _, query = rest.partition("?")
    path, _, below = re.sub("^//(?=/)", "", rest).partition(":")
    if not path.startswith("/"):
        raise ValueError("is not an address: after unix:// comes the absolute path of a socket")
    return Address(Origin(False, path, 0), "localhost", below or "/v1", None, query)


class Response:
    """`status` and `headers` (names in lower case), and `read`, which returns the body as it comes and then nothing.

    It must be closed. If it was read to its end, its connection is kept for another request."""

    def __init__(self, connection: Connection, client: Client, origin: Origin) -> None:
        self.status, self.headers = connection.status, connection.headers
        self._connection, self._client, self._origin, self._closed = connection, client, origin, False

    def read(self) -> Awaitable[bytes]:
        """Raises `OSError`, `TimeoutError`; `ValueError` once it is closed: the next response may be another's."""
        if self._closed:
            raise ValueError("read after it was closed")
        return self._connection.read()

    def close(self) -> None:
        """Drops what was not read. The connection is then closed, too."""
        if not self._closed:
            self._closed = True
            self._client.give_back(self._origin, self._connection)


class Client:
    """Any number of connections at once. Belongs to the event loop that first sends. `verify`: False trusts every
    certificate, a path those that the authorities in this file signed."""

    def __init__(
        self,
        proxies: HttpProxies = NO_PROXIES,
        *,
        verify: bool | str = True,
        keep_seconds: float = KEEP_SECONDS,
    ) -> None:
        self._keep_seconds, self._proxies, self._verify = keep_seconds, proxies, verify
        self._idle: defaultdict[Origin, list[Connection]] = defaultdict(list)
        self._sweeper: asyncio.TimerHandle | None = None

    async def request(
        self,
        method: str,
        to: Address,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        read_timeout: float,
    ) -> Response:
        """`headers` by name in lower case; `read_timeout` is how many seconds the server may be silent.

        Raises `OSError` (`ssl.SSLError` and `socket.gaierror` are such), `TimeoutError`, and `ValueError` for what
        cannot be sent: line ends in a header, a header that says where the body ends. Cancelled, it closes the
        connection."""
        head = request_head(method, to, path, headers, len(body), self._proxies.for_plain(to.origin))
        connection = self._take(to.origin)
        if connection is not None:
            try:
                return await self._send(connection, to.origin, method, head, body, read_timeout)
            except ConnectionError:
                if connection.touched or not (method in _REPEATABLE or "idempotency-key" in headers):
                    raise
        return await self._send(await self._connect(to.origin), to.origin, method, head, body, read_timeout)

    async def get(self, to: Address, path: str, headers: Mapping[str, str], *, within: float) -> bytes:
        """The whole body, whatever its status, `within` so many seconds. Raises what `request` does."""
        async with asyncio.timeout(within):
            response = await self.request("GET", to, path, headers, read_timeout=within)
            try:
                parts = []
                while part := await response.read():
                    parts.append(part)
                return b"".join(parts)
            finally:
                response.close()

    async def _send(
        self, connection: Connection, origin: Origin, method: str, head: bytes, body: bytes, read_timeout: float
    ) -> Response:
        try:
            await connection.send(head, body, read_timeout=read_timeout, is_head=method == "HEAD")
        except BaseException:
            connection.close()
            raise
        return Response(connection, self, origin)

    def give_back(self, origin: Origin, connection: Connection) -> None:
        """Keep it for the next request, or close it."""
        idle = self._idle[origin]
        if not connection.reusable or len(idle) >= MAX_KEPT:
            connection.close()
            return
        loop = asyncio.get_running_loop()
        connection.idle_since = loop.time()
        idle.append(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(self._keep_seconds, self._sweep)

    def _take(self, origin: Origin) -> Connection | None:
        """The connection that was used last, so that the others grow old and are closed."""
        idle = self._idle[origin]
        while idle:
            connection = idle.pop()
            if not self._old(connection) and connection.quiet():
                return connection
            connection.close()
        return None

    async def _connect(self, origin: Origin) -> Connection:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            sock = await self._open(origin)
            try:
                context, name = (self._tls, origin.host) if origin.tls else (None, None)
                _, connection = await loop.create_connection(
                    lambda: Connection(sock), sock=sock, ssl=context, server_hostname=name
                )
            except BaseException:
                sock.close()
                raise
        return connection

    async def _open(self, origin: Origin) -> socket.socket:
        """A connected socket whose other end is `origin`, or the proxy that passes plain HTTP on to it."""
        if origin.is_socket:
            return await _connect_socket(origin.host)
        proxy = self._proxies.for_origin(origin)
        sock = await _connect_tcp(proxy.origin if proxy else origin)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a head and its body are two writes
            if proxy and origin.tls:
                await open_tunnel(sock, proxy, origin)
        except BaseException:
            sock.close()
            raise
        return sock

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self._verify if isinstance(self._verify, str) else None)
        if self._verify is False:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _sweep(self) -> None:
        """Close the connections that nobody needed, and come back when the next one is old."""
        for origin, idle in list(self._idle.items()):
            for connection in [each for each in idle if not each.reusable or self._old(each)]:
                connection.close()
                idle.remove(connection)
            if not idle:
                del self._idle[origin]
        self._sweeper = None
        if self._idle:
            oldest = min(idle[0].idle_since for idle in self._idle.values())
            self._sweeper = asyncio.get_running_loop().call_at(oldest + self._keep_seconds, self._sweep)

    def _old(self, connection: Connection) -> bool:
        return asyncio.get_running_loop().time() - connection.idle_since >= self._keep_seconds

    def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
        for idle in self._idle.values():
            for connection in idle:
                connection.close()
        self._idle.clear()


async def _connect_tcp(origin: Origin) -> socket.socket:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    return await start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS, interleave=1, loop=loop)


async def _connect_socket(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, path)
    except BaseException:
        sock.close()
        raise
    return sock


def request_head(
    method: str, to: Address, path: str, headers: Mapping[str, str], length: int, proxy: HttpProxy | None = None
) -> bytes:
    """`proxy`: one that is asked for the whole address. Raises `ValueError`."""
    target = f"{to.path}{path}" or "/"
    if to.query:
        target += f"{'&' if '?' in target else '?'}{to.query}"
    if not _TARGET.fullmatch(target):
        raise ValueError("a path must be printable ASCII")
    if not _FRAMING.isdisjoint(headers):
        raise ValueError(f"the headers {', '.join(sorted(_FRAMING & headers.keys()))} cannot be set")
    lines = [f"{method} {target} HTTP/1.1" if proxy is None else f"{method} http://{to.host}{target} HTTP/1.1"]
    if proxy is not None:
        lines += proxy.authorization
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
