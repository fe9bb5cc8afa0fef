"""Promise: the head and each byte of an answer leave when they come; only its very last bytes wait for the queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from rememberd.upstream.byte_lane import ByteLane
from tests.support.loopback import bytes_deployment, proxy_app, serving
from tests.support.raw_server import Visit, saying

PATIENCE = 120.0


async def nothing(collected: bytes, complete: bool) -> None:
    """An `on_end`, as on the chat paths; other paths have none."""


@asynccontextmanager
async def answered(
    head: str, *pieces: bytes, on_end: bool
) -> AsyncIterator[tuple[asyncio.Event, aiohttp.ClientSession, str]]:
    """A server that sends the head, and each piece once it is let go on."""
    go_on, lane = asyncio.Event(), ByteLane()

    async def handler(visit: Visit) -> None:
        await visit.request()
        await visit.say([f"HTTP/1.1 200 OK\r\n{head}Transfer-Encoding: chunked\r\n\r\n".encode()])
        for piece in (*pieces, b""):
            await go_on.wait()
            go_on.clear()
            await visit.say([b"%x\r\n%b\r\n" % (len(piece), piece)])
        await visit.reader.read()

    async with saying(handler) as server, asyncio.timeout(PATIENCE):
        app = proxy_app(lane, bytes_deployment(server.url), nothing if on_end else None)
        async with serving(app) as url, aiohttp.ClientSession() as session:
            yield go_on, session, url
    await lane.close()


JSON = "Content-Type: application/json\r\n"
KINDS: dict[str, tuple[str, list[bytes]]] = {
    "speech": ("Content-Type: audio/mpeg\r\n", [b"\xff\xfb\x90", b"\x00\x01", b"\x02"]),
    "JSON with heartbeats": (JSON, [b" ", b"\n", b"\n", b'{"a":', b"1, ", b'"b":[', b"]}"]),
    "events": ("Content-Type: text/event-stream\r\n", [b": ping\n", b"data: 1\n\n", b":\n\n", b"data: [DONE]\n\n"]),
    "events in capitals": ("Content-Type: TEXT/Event-Stream\r\n", [b"data: 1\n\n", b"data: [DONE]\n\n"]),
    "events without a type": ("", [b"event: x\ndata: 1\n\n", b"data: [DONE]\n\n"]),
}


@pytest.mark.parametrize("on_end", [True, False])
@pytest.mark.parametrize("kind", KINDS)
async def test_each_byte_leaves_when_it_comes(kind: str, on_end: bool) -> None:
    """The server sends nothing more until the client has what was sent before; the head needs no body. With an
    `on_end`, one byte that could end the answer is held back."""
    head, pieces = KINDS[kind]
    async with answered(head, *pieces, on_end=on_end) as (go_on, session, url), session.get(url) as response:
        assert response.status == 200
        received = b""
        for number in range(len(pieces)):
            go_on.set()
            due = len(b"".join(pieces[: number + 1]))
            if on_end and pieces[number].rstrip()[-1:] not in (b"", b"{", b"[", b":", b",") and "events" not in kind:
                due -= 1
            while len(received) < due:
                received += await response.content.read(due - len(received))
        go_on.set()
        assert received + await response.read() == b"".join(pieces)


async def test_a_stream_without_a_type_is_treated_as_one() -> None:
    """What follows half an event is held back in it as well."""
    async with answered("", b"data: 1\n\nda", on_end=True) as (go_on, session, url), session.get(url) as response:
        go_on.set()
        assert await response.content.readexactly(9) == b"data: 1\n\n"
        go_on.set()
        assert b"upstream_disconnected" in await response.read()
