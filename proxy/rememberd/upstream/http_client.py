"""A small HTTP/1.1 client with keep-alive connections. It sends and receives bytes.

It follows no redirects, stores no cookies, requests no encoding and decodes nothing. It sends a request again only if
the server closed a kept connection, no byte of a response arrived, and the request is repeatable: GET, HEAD, or with
an Idempotency-Key (RFC 9110, 9.2.2; like Go's net/http). The server may already have processed any other request, and
an answer may cost money. This is rare, because connections are kept only for a short time.
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

CONNECT_SECONDS = 10.0  # including name lookup, the proxy's tunnel and the TLS handshake
KEEP_SECONDS = 15.0  # how long an idle connection is kept; most servers keep it longer
MAX_KEPT = 256  # idle connections per origin
_NEXT_ADDRESS_SECONDS = 0.25  # RFC 8305, 5

_TARGET = re.compile(r"[!-~]+")  # characters that cannot split a request line
_FRAMING = frozenset(("connection", "content-length", "expect", "keep-alive", "te", "transfer-encoding", "upgrade"))
_REPEATABLE = frozenset(("GET", "HEAD"))


class Address(NamedTuple):
    """The address of an API. `path` has no slash at its end, `query` is added to every request, `login` is for Basic
    authentication."""

    origin: Origin
    host: str  # for the Host header
    path: str
    login: str | None
    query: str = ""


@lru_cache(maxsize=1024)
def address(base: str) -> Address:
    """Parses http://…, https://… or unix:///path/to/socket; after a socket, `:/path` if the API is not at /v1.

    Raises `ValueError`, without `base` in its message: it may contain a password."""
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
        raise ValueError("is not an address: write the absolute path of a socket after unix://")
    return Address(Origin(False, path, 0), "localhost", below or "/v1", None, query)


class Response:
    """`status`, `headers` (with lower-case names) and `read`, which returns the body as it arrives and then nothing.

    It must be closed. If it was read to its end, its connection is kept for another request."""

    def __init__(self, connection: Connection, client: Client, origin: Origin) -> None:
        self.status, self.headers = connection.status, connection.headers
        self._connection, self._client, self._origin, self._closed = connection, client, origin, False

    @property
    def arrived(self) -> bool:
        """True if the body has arrived whole."""
        return self._connection.arrived

    def read(self) -> Awaitable[bytes]:
        """Raises `OSError`, `TimeoutError`, and `ValueError` if the response is closed: the connection may already
        serve another request."""
        if self._closed:
            raise ValueError("read after it was closed")
        return self._connection.read()

    def close(self) -> None:
        """Drops unread bytes; the connection is then closed, too."""
        if not self._closed:
            self._closed = True
            self._client.give_back(self._origin, self._connection)


class Client:
    """Any number of connections at the same time. Use it in one event loop only. `verify`: False accepts every
    certificate; a path names a file of trusted authorities."""

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
        """`headers` by lower-case name; `read_timeout` is how many seconds the server may be silent.

        Raises `OSError` (also `ssl.SSLError` and `socket.gaierror`), `TimeoutError`, and `ValueError` for a request
        that cannot be sent: line ends in a header, or a header about the body's length. If it is cancelled, it closes
        the connection."""
        head = request_head(method, to, path, headers, len(body), self._proxies.for_plain(to.origin))
        connection = self._take(to.origin)
        if connection is not None:
            try:
                await connection.send(head, body, read_timeout=read_timeout, is_head=method == "HEAD")
                return Response(connection, self, to.origin)
            except ConnectionError:
                if connection.touched or not (method in _REPEATABLE or "idempotency-key" in headers):
                    raise
        connection = await self._connect(to.origin)
        await connection.send(head, body, read_timeout=read_timeout, is_head=method == "HEAD")
        return Response(connection, self, to.origin)

    async def get(self, to: Address, path: str, headers: Mapping[str, str], *, within: float) -> bytes:
        """The whole body for any status, `within` so many seconds. Raises the errors of `request`."""
        async with asyncio.timeout(within):
            response = await self.request("GET", to, path, headers, read_timeout=within)
            try:
                parts = []
                while part := await response.read():
                    parts.append(part)
                return b"".join(parts)
            finally:
                response.close()

    def give_back(self, origin: Origin, connection: Connection) -> None:
        """Keep the connection for the next request, or close it."""
        idle = self._idle[origin]
        if not connection.reusable or len(idle) >= MAX_KEPT:
            connection.close()
            return
        connection.idle_since = connection.loop.time()
        idle.append(connection)
        if self._sweeper is None:
            self._sweeper = connection.loop.call_later(self._keep_seconds, self._sweep)

    def _take(self, origin: Origin) -> Connection | None:
        """The connection that was used last, so that the others become old and are closed."""
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
        """A socket that is connected to `origin`, or to the proxy that forwards plain HTTP to it."""
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
        """Close old connections, and schedule the next sweep for when another one becomes old."""
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
        return connection.loop.time() - connection.idle_since >= self._keep_seconds

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
    """`proxy`: the proxy for plain HTTP, which needs the whole address in the request line. Raises `ValueError`."""
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
        raise ValueError("a header contains a line end")
    try:
        return text.encode("latin-1")  # as it was decoded, so that the client's bytes stay
    except UnicodeEncodeError:
        return text.encode()
