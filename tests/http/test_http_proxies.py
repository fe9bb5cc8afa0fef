"""Promise: HTTPS_PROXY, HTTP_PROXY and NO_PROXY hold for the byte lane, and a proxy that refuses is named."""

from __future__ import annotations

import asyncio
import ssl
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rememberd.errors import ConfigError, UpstreamUnavailable
from rememberd.types import Deployment
from rememberd.upstream.byte_lane import ByteLane
from rememberd.upstream.connection import Origin
from rememberd.upstream.http_proxy import HttpProxies, exempt_loopback
from tests.http.test_upstream_tls import certificate
from tests.support.loopback import PATH, bytes_deployment
from tests.support.raw_server import RawServer, Visit, saying
from tests.support.tables import each_row

__all__ = ["certificate"]  # a fixture

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
BODY = b'{"model":"m"}'
PATIENCE = 120.0


@dataclass
class Proxying:
    """What an HTTP proxy on loopback was asked: request lines and logins."""

    port: int = 0
    lines: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def proxying(to: RawServer | None, refusal: bytes = b"") -> AsyncIterator[Proxying]:
    """A proxy whose every way leads to `to`, whatever host is asked for."""
    seen = Proxying()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(2**16):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def handler(visit: Visit) -> None:
        head = (await visit.reader.readuntil(b"\r\n\r\n")).decode()
        seen.lines.append(head.partition("\r\n")[0])
        seen.logins += [line for line in head.split("\r\n") if line.startswith("proxy-authorization")]
        if refusal or to is None:
            await visit.say([refusal])
            return
        there, here = await asyncio.open_connection("127.0.0.1", to.port)
        if head.startswith("CONNECT"):
            await visit.say([b"HTTP/1.1 200 Connection established\r\n\r\n"])
        else:
            here.write(head.encode())
        try:
            await asyncio.gather(pump(visit.reader, here), pump(there, visit.writer))
        finally:
            here.close()
            with suppress(OSError):
                await here.wait_closed()

    async with saying(handler) as proxy:
        seen.port = proxy.port
        yield seen


async def politely(visit: Visit) -> None:
    while True:
        await visit.request()
        await visit.say([ANSWER])


async def ask(lane: ByteLane, deployment: Deployment) -> bytes:
    async with asyncio.timeout(PATIENCE):
        reply = await lane.send(deployment, PATH, BODY, [])
        return b"".join([chunk async for chunk in reply.chunks()])


async def test_plain_http_goes_to_the_proxy_with_its_whole_address() -> None:
    """And over one connection again and again; the name is for the proxy to look up, the login is Basic."""
    async with saying(politely) as server, proxying(server) as proxy:
        login = proxy.url.replace("//", "//me:p%40ss@")
        lane = ByteLane(HttpProxies.of({"HTTP_PROXY": login, "HTTPS_PROXY": "http://127.0.0.1:9"}))
        for _ in range(2):
            assert await ask(lane, bytes_deployment("http://no.such.host.invalid:81/v1?a=b")) == b"hello"
        await lane.close()
        assert proxy.lines == ["POST http://no.such.host.invalid:81/v1/chat/completions?a=b HTTP/1.1"]
        assert proxy.logins == ["proxy-authorization: Basic bWU6cEBzcw=="]
        assert len(server.visits[0].requests) == 2
        assert all(b"host: no.such.host.invalid:81\r\n" in each for each in server.visits[0].requests)


async def test_tls_goes_through_a_tunnel(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate is checked through it; the proxy sees neither the path nor the key."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with saying(politely, tls=context) as server, proxying(server) as proxy:
        environ = {"https_proxy": proxy.url.replace("//", "//me:you@"), "HTTPS_PROXY": "http://127.0.0.1:9"}
        lane = ByteLane(HttpProxies.of(environ))
        for _ in range(2):
            assert await ask(lane, bytes_deployment("https://192.0.2.1:4433/v1")) == b"hello"
        with pytest.raises(UpstreamUnavailable, match="certificate"):
            await ask(lane, bytes_deployment("https://elsewhere.invalid/v1"))
        await lane.close()
        assert proxy.lines == ["CONNECT 192.0.2.1:4433 HTTP/1.1", "CONNECT elsewhere.invalid:443 HTTP/1.1"]
        assert set(proxy.logins) == {"proxy-authorization: Basic bWU6eW91"}


@each_row(
    ("refusal", "named"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "requires a login"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "refuses api.example with status 403"),
        (b"SSH-2.0\r\n\r\n", "does not speak HTTP"),
        (b"", "does not answer CONNECT"),
    ],
)
async def test_a_proxy_that_refuses_is_named(refusal: bytes, named: str) -> None:
    """With what to do, and without its password."""
    async with proxying(None, refusal) as proxy:
        lane = ByteLane(HttpProxies.of({"HTTPS_PROXY": proxy.url.replace("//", "//me:secret@")}))
        with pytest.raises(UpstreamUnavailable, match=named) as raised:
            await ask(lane, bytes_deployment("https://api.example/v1"))
        await lane.close()
        assert "secret" not in str(raised.value)


async def test_a_login_that_plain_http_lacks_is_named() -> None:
    """A 407 is between us and the proxy: the client gets a 502."""
    async with proxying(None, b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n") as proxy:
        lane = ByteLane(HttpProxies.of({"HTTP_PROXY": proxy.url}))
        with pytest.raises(UpstreamUnavailable, match="HTTP_PROXY=http://USER"):
            await ask(lane, bytes_deployment("http://api.example/v1"))
        await lane.close()


async def test_what_is_local_never_leaves_by_a_proxy() -> None:
    """Private memories may go there, so nobody else may see it."""
    async with saying(politely) as server, proxying(server) as proxy:
        lane = ByteLane(HttpProxies.of({"HTTP_PROXY": proxy.url}))
        assert await ask(lane, bytes_deployment(server.url, local=True)) == b"hello"
        await lane.close()
        assert proxy.lines == []


async def test_loopback_is_never_asked_for_at_a_proxy() -> None:
    """Whatever it is called, and without NO_PROXY: a proxy would ask its own machine."""
    proxies = HttpProxies.of({"HTTP_PROXY": "proxy:3128", "HTTPS_PROXY": "proxy:3128"})
    here = (
        "127.0.0.1",
        "127.9.8.7",
        "::1",
        "::ffff:127.0.0.1",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
    )
    elsewhere = ("128.0.0.1", "10.0.0.1", "0.0.0.1", "::2", "localhost.example", "notlocalhost", "127.0.0.1.example")
    for tls in (False, True):
        assert [host for host in here if proxies.for_origin(Origin(tls, host, 8000))] == []
        assert [host for host in elsewhere if not proxies.for_origin(Origin(tls, host, 8000))] == []
    async with saying(politely) as server:
        lane = ByteLane(HttpProxies.of({"HTTP_PROXY": "http://127.0.0.1:9"}))
        assert await ask(lane, bytes_deployment(server.url)) == b"hello"
        await lane.close()


@pytest.mark.parametrize("given", ["", "a.example", "127.0.0.1, a.example", "*"])
def test_libraries_are_told_that_loopback_has_no_proxy(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """litellm's clients read the environment by themselves; what the operator wrote stays."""
    environ = {"NO_PROXY": given}
    exempt_loopback(environ)
    assert environ.get("no_proxy", given) == environ["NO_PROXY"]
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)  # another test of this process may have set them
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    hosts = ["127.0.0.1", "localhost", "::1", *(["a.example"] if "a.example" in given else [])]
    assert [host for host in hosts if not urllib.request.proxy_bypass(host)] == []
    assert bool(urllib.request.proxy_bypass("b.example")) is (given == "*")


@each_row(
    ("no_proxy", "host", "port", "direct"),
    [
        ("", "a.example", 80, False),
        ("*", "a.example", 80, True),
        ("a.example", "a.example", 80, True),
        ("a.example", "b.a.example", 80, True),
        (".a.example", "b.a.example", 80, True),
        ("*.a.example", "b.a.example", 80, True),
        ("a.example", "ba.example", 80, False),
        ("A.Example , other", "a.example", 80, True),
        ("x a.example:80", "a.example", 80, True),
        ("a.example:81", "a.example", 80, False),
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("127.0.0.1", "127.0.0.1", 8000, True),
        ("::1", "::1", 80, True),
        ("[::1]:80", "::1", 80, True),
        ("fe80::/10", "fe80::1", 80, True),
    ],
)
def test_no_proxy_names_hosts_domains_and_networks(no_proxy: str, host: str, port: int, direct: bool) -> None:
    """In each form that curl, Python or Go take."""
    proxies = HttpProxies.of({"HTTP_PROXY": "proxy:3128", "NO_PROXY": no_proxy})
    proxy = proxies.for_origin(Origin(False, host, port))
    assert (proxy is None) is direct
    assert proxy is None or proxy.origin == Origin(False, "proxy", 3128)


@each_row("value", ["socks5://proxy:1080", "https://proxy:3128", "http://:x", "http://pro xy:port"])
def test_a_proxy_of_another_kind_stops_the_start(value: str) -> None:
    """Rather than be passed over: requests would go out another way than the operator meant."""
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as raised:
        HttpProxies.of({"HTTPS_PROXY": value})
    assert value not in str(raised.value)


async def test_a_unix_socket_is_an_address(tmp_path: Path) -> None:
    """At /v1, or at the path behind a colon; never through a proxy."""
    path = tmp_path / "model.sock"
    lane = ByteLane(HttpProxies.of({"HTTP_PROXY": "http://127.0.0.1:9"}))
    async with saying(politely, path=path) as server:
        for base in (f"unix://{path}", f"unix://{path}:/api/v3?a=b", f"unix:{path}"):
            assert await ask(lane, bytes_deployment(base)) == b"hello"
        heads = [request.split(b"\r\n")[:2] for request in server.visits[0].requests]
    paths = ["/v1/chat/completions", "/api/v3/chat/completions?a=b", "/v1/chat/completions"]
    assert heads == [[f"POST {each} HTTP/1.1".encode(), b"host: localhost"] for each in paths]
    with pytest.raises(UpstreamUnavailable, match="cannot be reached"):
        await ask(lane, bytes_deployment(f"unix://{tmp_path}/none.sock"))
    await lane.close()
