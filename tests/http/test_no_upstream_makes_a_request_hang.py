"""Promise: whatever bytes an upstream sends, and however they are cut, a request ends at once: with the response, as
far as it is one, or with an error. No request is given another's bytes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rememberd.upstream.byte_lane import ByteLane
from rememberd.upstream.connection import CLOSED, BrokenResponse, Connection
from tests.support.loopback import PATH, bytes_deployment
from tests.support.raw_server import Visit, saying
from tests.support.tables import each_row

STEPS = 30  # turns of the event loop within which a request that has its bytes must have ended
many = settings(suppress_health_check=[HealthCheck.too_slow])


class PretendTransport(asyncio.Transport):
    """Takes every byte; `aborted` once the connection was closed by our side."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def write(self, data: Any) -> None: ...

    def writelines(self, list_of_data: Any) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def abort(self) -> None:
        self.aborted = True


@dataclass
class Result:
    """What a request came to: a status and a body, or an error in place of what is missing; or neither: it hangs."""

    status: int = 0
    body: bytes = b""
    error: Exception | None = None
    ended: bool = False
    closed: bool = False  # by either side


async def ask(connection: Connection, feed: Callable[[], None], *, is_head: bool = False) -> Result:
    """One request and what `feed` brings for it."""
    result = Result()

    async def request() -> None:
        try:
            await connection.send(b"head", b"", read_timeout=600, is_head=is_head)
            result.status = connection.status
            while part := await connection.read():
                result.body += part
        except (OSError, TimeoutError) as error:
            result.error = error
        result.ended = True

    task = asyncio.create_task(request())
    await asyncio.sleep(0)
    feed()
    for _ in range(STEPS):
        await asyncio.sleep(0)
    result.closed = connection.state is CLOSED
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return result


@contextmanager
def connected() -> Iterator[tuple[Connection, PretendTransport]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection, transport = Connection(ours), PretendTransport()
        connection.connection_made(transport)
        yield connection, transport
        connection.close()


def cut(wire: bytes, at: Sequence[int]) -> list[bytes]:
    places = sorted({0, *(each % (len(wire) + 1) for each in at), len(wire)})
    return [wire[begin:end] for begin, end in pairwise(places)]


CUTS = st.lists(st.integers(0, 10_000), max_size=6)
BODIES = st.one_of(st.binary(max_size=40), st.text(max_size=20).map(str.encode), st.just(b"x" * 300_000))
JUNK = st.sampled_from([b"", b"!", b"\r\n", b"\r\n\r\n", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n", b"\x00\xff" * 9])
INTERIM = st.lists(st.sampled_from([100, 102, 103, 104, 150, 199]), max_size=3)
FINAL = st.one_of(st.integers(200, 599), st.sampled_from([200, 204, 205, 304, 404, 429, 529]))


@dataclass(frozen=True)
class Wire:
    """Bytes that hold one response, and what a client must make of it."""

    data: bytes
    status: int
    body: bytes
    until_close: bool
    surplus: bool


@st.composite
def responses(draw: st.DrawFn) -> Wire:
    """Well framed, but for what follows the end, and for lengths that are shorter than the body."""
    interim = b"".join(b"HTTP/1.1 %d Wait\r\nX: 1\r\n\r\n" % status for status in draw(INTERIM))
    status, body, junk = draw(FINAL), draw(BODIES), draw(JUNK)
    framing = draw(st.sampled_from(["length", "short", "chunked", "both", "twice", "close"]))
    read = body[: draw(st.integers(0, len(body)))] if framing == "short" else body
    content, after = read, body[len(read) :] + junk
    lines = [b"HTTP/1.1 %d Final" % status]
    if framing in ("length", "short", "both", "twice"):
        lines += [b"Content-Length: %d" % len(read)] * (2 if framing == "twice" else 1)
    if framing in ("chunked", "both"):
        lines.append(b"Transfer-Encoding: chunked")
        size = draw(st.integers(1, 50_000))
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        content = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    elif framing == "close":
        read = content = body + junk
        after = b""
    elif framing == "twice":
        interim = b""  # a head that repeats its length is not accepted behind an interim one
    if status in (204, 304):
        read, after, framing = b"", content + after, "none"
    data = interim + b"\r\n".join([*lines, b"", b""]) + (b"" if framing == "none" else content) + after
    surplus = bool(after.strip(b"\r\n"))  # empty lines between messages are allowed
    return Wire(data, status, read, framing == "close", surplus)


@many
@given(wire=responses(), at=CUTS)
def test_a_response_is_given_at_once_whatever_follows_it(wire: Wire, at: list[int]) -> None:
    """A length counted in characters, garbage behind the last chunk, 204 with a body: the response, and then the
    connection serves nobody else. It does not take the server's closing, or the timeout, to end the request."""
    pieces = [wire.data] if b"\r\nContent-Length" in wire.data.split(b"Content-Length", 1)[-1] else cut(wire.data, at)

    async def scenario() -> None:
        with connected() as (connection, transport):

            def feed() -> None:
                for piece in pieces:
                    connection.data_received(piece)
                if wire.until_close:
                    connection.eof_received()

            result = await ask(connection, feed)
            assert result.error is None
            assert (result.ended, result.status, result.body) == (True, wire.status, wire.body)
            if wire.surplus:
                assert transport.aborted
                assert connection.state is CLOSED
                assert not connection.reusable

    asyncio.run(scenario())


@many
@given(first=responses(), second=responses(), at=CUTS)
def test_no_request_is_given_anothers_bytes(first: Wire, second: Wire, at: list[int]) -> None:
    """A second request over the connection, if it may be used, gets the second response and nothing of the first;
    bytes that come between the two close it."""

    async def scenario() -> None:
        with connected() as (connection, _):
            result = await ask(connection, lambda: connection.data_received(first.data))
            if not result.ended or not connection.reusable:
                return
            assert result.body == first.body
            if at:
                connection.data_received(second.data)
                assert not connection.reusable
            else:
                result = await ask(connection, lambda: connection.data_received(second.data))
                assert result.error or second.body.startswith(result.body)

    asyncio.run(scenario())


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A response with slices of it cut out, doubled, overwritten or moved."""
    data = bytearray(draw(responses()).data[:3000])
    for _ in range(draw(st.integers(1, 4))):
        begin = draw(st.integers(0, max(0, len(data) - 1)))
        end = draw(st.integers(begin, min(len(data), begin + 40)))
        piece = bytes(data[begin:end])
        match draw(st.sampled_from(["drop", "double", "write", "move"])):
            case "drop":
                del data[begin:end]
            case "double":
                data[end:end] = piece
            case "write":
                data[begin:end] = draw(st.binary(max_size=20))
            case "move":
                del data[begin:end]
                data[:0] = piece
    return bytes(data)


@many
@given(data=st.one_of(broken(), st.binary(max_size=200)), at=CUTS, is_head=st.booleans())
@example(data=b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!", at=[45], is_head=False)
@example(data=b"HTTP/1.1 099 Odd\r\nContent-Length: 5\r\n\r\nhello", at=[], is_head=False)
@example(data=b"HTTP/1.1 150 Odd\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", at=[], is_head=False)
@example(data=b"HTTP/1.1 101 Switch\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", at=[], is_head=False)
def test_whatever_comes_there_is_an_end(data: bytes, at: list[int], is_head: bool) -> None:
    """After the last byte and the end of the connection, and at once where our side closes it: no request waits for
    a connection that is closed."""

    async def scenario() -> None:
        with connected() as (connection, _):

            def feed() -> None:
                for piece in cut(data, at):
                    connection.data_received(piece)

            result = await ask(connection, feed, is_head=is_head)
            assert result.ended or not result.closed
            if not result.ended:
                connection_closes = await ask_again(connection)
                assert connection_closes.ended

    async def ask_again(connection: Connection) -> Result:
        """The rest of a request that still waits, once its server has closed."""
        result = Result()

        async def read() -> None:
            try:
                while part := await connection.read():
                    result.body += part
            except OSError as error:
                result.error = error
            result.ended = True

        task = asyncio.create_task(read())
        await asyncio.sleep(0)
        connection.eof_received()
        for _ in range(STEPS):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return result

    asyncio.run(scenario())


def test_a_closed_connection_sends_nothing() -> None:
    """It raises, and does not wait for a response that cannot come."""

    async def scenario() -> None:
        with connected() as (connection, _):
            connection.close()
            with pytest.raises(BrokenResponse):
                await connection.send(b"head", b"", read_timeout=600, is_head=False)

    asyncio.run(scenario())


SURPLUS = {
    "a length counted in characters": "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{'a': 'äöü'}".encode(),
    "garbage after the last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nJUNK",
    "a second response": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
    b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison",
}


@each_row("name", SURPLUS)
async def test_a_real_server_with_surplus_bytes(name: str) -> None:
    """Over sockets and through the lane, the surplus in a read of its own: the response, again and again, and each
    time over a connection that nothing waits on."""

    async def handler(visit: Visit) -> None:
        await visit.request()
        wire = SURPLUS[name]
        await visit.say([wire[:-4], wire[-4:]])
        await visit.reader.read()

    lane = ByteLane()
    async with saying(handler) as server, asyncio.timeout(120):
        for _ in range(5):
            reply = await lane.send(bytes_deployment(server.url), PATH, b"{}", [])
            body = b"".join([chunk async for chunk in reply.chunks()])
            assert reply.status == 200
            assert b"poison" not in body
            await asyncio.sleep(0.02)
        assert len(server.visits) == 5
    await lane.close()
