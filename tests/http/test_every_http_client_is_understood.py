"""Promise: what HTTP/1.1 allows a client is served: offers of other protocols, compressed bodies, doubled lengths."""

from __future__ import annotations

import gzip
import json
import socket
import sys
import zlib
from collections.abc import Callable
from itertools import pairwise

import httpx
import pytest

from tests.support.fake_model import FakeModel
from tests.support.proxy_server import Proxy
from tests.support.tables import each_row

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

BODY = json.dumps({"model": "model-a", "messages": [{"role": "user", "content": "Hi there"}]}).encode()
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
UPGRADE = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAA\r\n"
)


def request(head: bytes, body: bytes = BODY) -> bytes:
    line = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-alice\r\nX-Memory: off\r\n"
    return line + b"Content-Type: application/json\r\n" + head + b"\r\n" + body


def length(data: bytes) -> bytes:
    return b"Content-Length: %d\r\n" % len(data)


def answers(proxy: Proxy, *reads: bytes, many: int = 1) -> list[tuple[int, bool]]:
    """The status of each answer to what is sent in these reads over one connection, and whether it says "close"."""
    host, port = proxy.url.removeprefix("http://").split(":")
    found: list[tuple[int, bool]] = []
    with socket.create_connection((host, int(port)), 10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for read in reads:
            sock.sendall(read)
        with sock.makefile("rb") as stream:
            while len(found) < many and (line := stream.readline()):
                lines = list(iter(stream.readline, b"\r\n"))
                headers = dict(each.decode().lower().strip().split(": ", 1) for each in lines)
                stream.read(int(headers.get("content-length", 0)))
                found.append((int(line.split()[1]), headers.get("connection") == "close"))
    return found


@pytest.mark.parametrize("cuts", [(), (40,), (150, 300), tuple(range(10, 400, 30))])
@pytest.mark.parametrize(
    "head",
    [
        UPGRADE + length(BODY),
        length(BODY) + UPGRADE.replace(b"h2c", b"websocket"),
        UPGRADE.replace(b"Upgrade, ", b"keep-alive, Upgrade, ") + length(BODY),
    ],
)
def test_offers_of_other_protocols_are_passed_over(proxy: Proxy, head: bytes, cuts: tuple[int, ...]) -> None:
    """As JDK's HttpClient and curl --http2 send with a first request: HTTP/1.1 is the answer, the body is read, and
    the connection serves the next request; however the network cuts it."""
    wire = request(head)
    places = [0, *cuts, len(wire)]
    reads = [wire[begin:end] for begin, end in pairwise(places)]
    assert answers(proxy, *reads, request(length(BODY)), many=2) == [(200, False), (200, False)]


def test_an_offer_with_chunks_or_without_a_body(proxy: Proxy) -> None:
    """The chunks are read as chunks; a GET has none."""
    assert answers(proxy, request(UPGRADE + b"Transfer-Encoding: chunked\r\n", CHUNKED)) == [(200, False)]
    get = b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-alice\r\n" + UPGRADE + b"\r\n"
    assert answers(proxy, get, get, many=2) == [(200, False), (200, False)]


def test_a_tunnel_is_refused(proxy: Proxy) -> None:
    """This is no HTTP proxy."""
    assert answers(proxy, b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n") == [(400, True)]


@each_row(
    ("head", "body", "expected"),
    [
        (length(BODY) + length(BODY), BODY, (200, False)),
        (b"Content-Length: %d, %d\r\n" % (len(BODY), len(BODY)), BODY, (200, False)),
        (length(BODY) + length(BODY + b" "), BODY, (400, True)),
        (b"Content-Length: %d, x\r\n" % len(BODY), BODY, (400, True)),
        (length(b"x") + b"Transfer-Encoding: chunked\r\n", CHUNKED, (200, True)),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 99999999999\r\n", CHUNKED, (200, True)),
    ],
)
def test_lengths_are_read_as_the_standard_says(
    proxy: Proxy, head: bytes, body: bytes, expected: tuple[int, bool]
) -> None:
    """RFC 9112, 6.1 and 6.3: the same length twice is one length; chunks win over a length, and the connection ends
    after the answer; two different lengths are refused."""
    assert answers(proxy, request(head, body)) == [expected]


def deflate_without_header(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:]),
    "deflate": zlib.compress,
    "DEFLATE": deflate_without_header,
    "zstd": zstd.compress,
    "ZSTD": lambda data: zstd.compress(data[:9]) + zstd.compress(data[9:]),
    "gzip, zstd": lambda data: zstd.compress(gzip.compress(data)),
    "identity": bytes,
}


@each_row("coding", CODINGS)
def test_compressed_bodies_are_read(proxy: Proxy, upstream: FakeModel, coding: str) -> None:
    """The provider gets the body decoded, and no word of an encoding. So does the memory API."""
    packed = CODINGS[coding]
    with proxy.client("somebody who compresses", **{"Content-Encoding": coding, "X-Memory": "off"}) as client:
        reply = client.post("/v1/chat/completions", content=packed(BODY))
        assert reply.status_code == 200
        assert client.post("/v1/memories", content=packed(b'{"text": "I like tea."}')).status_code in (200, 201)
    assert upstream.chats[-1].raw == BODY
    assert "content-encoding" not in {name.lower() for name in upstream.chats[-1].headers}


def test_a_compressed_body_that_is_none_is_the_clients_fault(proxy: Proxy) -> None:
    """Cut off, of another coding, or of one nobody knows."""
    broken = {
        **{coding: packed(BODY)[:-3] for coding, packed in CODINGS.items() if coding != "identity"},
        "gzip": BODY,
        "br": BODY,
    }
    with proxy.client("anybody") as client:
        statuses = {
            coding: client.post("/v1/chat/completions", content=raw, headers={"Content-Encoding": coding}).status_code
            for coding, raw in broken.items()
        }
    assert statuses.pop("br") == 415
    assert set(statuses.values()) == {400}


@pytest.mark.parametrize("coding", ["gzip", "zstd", "gzip, zstd"])
def test_a_small_body_cannot_become_a_huge_one(proxy: Proxy, coding: str) -> None:
    """The limit of a body holds for what it decodes to; 128 MiB of spaces are not made to find that out."""
    huge = CODINGS[coding](BODY + b" " * 2**27)
    with proxy.client("anybody") as client:
        reply: httpx.Response = client.post(
            "/v1/chat/completions", content=huge, headers={"Content-Encoding": coding}
        )
    assert reply.status_code == 413
    assert reply.json()["error"]["code"] == "request_too_large"
