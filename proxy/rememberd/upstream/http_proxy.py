"""HTTP proxies between rememberd and the providers: HTTPS_PROXY, HTTP_PROXY and NO_PROXY of the environment.

A plain HTTP request is sent to the proxy with the whole address in its request line; TLS uses a tunnel (CONNECT).
"""

from __future__ import annotations

import asyncio
import re
import socket
from base64 import b64encode
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from rememberd.errors import ConfigError
from rememberd.upstream.connection import Origin

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HEAD_LIMIT = 16 * 1024  # bytes of a proxy's answer to CONNECT
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r\n]")


class ProxyError(ConnectionError):
    """The proxy opened no tunnel. The message contains the proxy's host and advice, but not its login."""


class HttpProxy(NamedTuple):
    origin: Origin
    authorization: tuple[str, ...] = ()  # header lines


@dataclass(frozen=True)
class HttpProxies:
    """The proxy for each origin. Unix sockets and loopback use none: a proxy would connect to its own loopback."""

    plain: HttpProxy | None
    tls: HttpProxy | None
    exempt: tuple[str, ...]
    _known: dict[Origin, HttpProxy | None] = field(default_factory=dict, repr=False)

    @staticmethod
    def of(environ: Mapping[str, str]) -> HttpProxies:
        """Lower-case variables take precedence, as in curl. Raises `ConfigError`."""
        exempt = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
        return HttpProxies(_named("http", environ), _named("https", environ), tuple(re.split(r"[,\s]+", exempt)))

    def for_origin(self, origin: Origin) -> HttpProxy | None:
        if origin not in self._known:
            exempt = (
                origin.is_socket or is_loopback(origin.host) or any(_covers(each, origin) for each in self.exempt)
            )
            self._known[origin] = None if exempt else self.tls if origin.tls else self.plain
        return self._known[origin]

    def for_plain(self, origin: Origin) -> HttpProxy | None:
        """The proxy that forwards plain HTTP requests to `origin`; None for TLS or without a proxy."""
        return None if origin.tls or self.plain is None else self.for_origin(origin)


def is_loopback(host: str) -> bool:
    """True for `localhost` and for addresses that only this machine can have."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        address = ip_address(name)
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def exempt_loopback(environ: MutableMapping[str, str]) -> None:
    """Add the loopback addresses to NO_PROXY, for libraries that read the environment themselves."""
    names = re.split(r"[,\s]+", environ.get("no_proxy") or environ.get("NO_PROXY") or "")
    if "*" not in names:  # urllib accepts "*" only alone
        names = [name for name in names if name] + [name for name in _LOOPBACK if name not in names]
        environ["no_proxy"] = environ["NO_PROXY"] = ",".join(names)


NO_PROXIES = HttpProxies(None, None, ())


async def open_tunnel(sock: socket.socket, proxy: HttpProxy, to: Origin) -> None:
    """Open a tunnel to `to` with CONNECT over `sock`, which is connected to `proxy`. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    there = f"[{to.host}]:{to.port}" if ":" in to.host else f"{to.host}:{to.port}"
    lines = [f"CONNECT {there} HTTP/1.1", f"host: {there}", *proxy.authorization, "", ""]
    await loop.sock_sendall(sock, "\r\n".join(lines).encode())
    head = b""
    while b"\r\n\r\n" not in head:
        if not (piece := await loop.sock_recv(sock, 4096)) or len(head) > _HEAD_LIMIT:
            raise ProxyError(f"the proxy {proxy.origin.host} does not answer CONNECT")
        head += piece
    status = _STATUS.match(head)
    if status is None:
        raise ProxyError(f"the proxy {proxy.origin.host} does not speak HTTP")
    if status[1] == b"407":
        raise ProxyError(f"the proxy {proxy.origin.host} requires a login: set HTTPS_PROXY=http://USER:PASSWORD@HOST")
    if not status[1].startswith(b"2"):
        raise ProxyError(f"the proxy {proxy.origin.host} refuses {to.host} with status {status[1].decode()}")


def _named(scheme: str, environ: Mapping[str, str]) -> HttpProxy | None:
    variable = f"{scheme}_proxy"
    value = environ.get(variable) or environ.get(variable.upper())
    if not value:
        return None
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = None
    if host is None or parts.scheme != "http":
        raise ConfigError(f"{variable.upper()}: not the address of an HTTP proxy; write http://HOST:PORT")
    login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    basic = f"proxy-authorization: Basic {b64encode(login.encode()).decode()}"
    return HttpProxy(Origin(False, host, 80 if port is None else port), (basic,) if parts.username else ())


def _covers(entry: str, origin: Origin) -> bool:
    """True if an entry of NO_PROXY matches `origin`: `*`, a host, a domain with its subdomains, an address or a
    network, each with or without a port."""
    if entry == "*":
        return True
    name, _, port = entry.rpartition(":") if re.fullmatch(r"[^:]+:\d+|\[.*\]:\d+", entry) else (entry, "", "")
    name = name.strip("[]").lower().removeprefix("*").removeprefix(".")
    if not name or (port and int(port) != origin.port):
        return False
    try:
        return ip_address(origin.host) in ip_network(name, strict=False)
    except ValueError:
        return origin.host == name or origin.host.endswith(f".{name}")
