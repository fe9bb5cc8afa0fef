"""Promise: whatever a server sends, the client gives its bytes or says what is wrong, and mixes up no two answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, nullcontext
from inspect import Parameter, Signature, signature
from itertools import pairwise
from typing import Any

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from rememberd.upstream.connection import BrokenResponse
from rememberd.upstream.http_client import Address, Client, Response, address
from tests.support.raw_server import Handler, RawServer, Visit, saying
from tests.support.tables import each_row

OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"Content-Length: 5\r\n\r\nhello"
PATIENCE = 120.0  # seconds
LONG = 60.0

# What is sent, the status and the body that it means, and whether the connection may be used again.
ANSWERS: dict[str, tuple[bytes, int, bytes, bool]] = {
    "a length": (HELLO, 200, b"hello", True),
    "no body": (OK + b"Content-Length: 0\r\n\r\n", 200, b"", True),
    "chunks": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n3;x=1\r\nhel\r\n002 \r\nlo\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n",
        *(200, b"hello", True),
    ),
    "until the end": (OK + b"Content-Type: text/plain\r\n\r\nhello", 200, b"hello", False),
    "an encoding until the end": (OK + b"Transfer-Encoding: gzip\r\n\r\nhello", 200, b"hello", False),
    "interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + HELLO,
        *(200, b"hello", True),
    ),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "304 with a length": (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b"", True),
    "an error": (b"HTTP/1.1 529 \r\nContent-Length: 2\r\nRetry-After: 3\r\n\r\nno", 529, b"no", True),
    "asked to close": (OK + b"Connection: close\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", False),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", False),
    "a length and chunks": (
        OK + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        *(200, b"hello", False),
    ),
    "the same length twice": (OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello", True),
    "the same length in one list": (OK + b"Content-Length: 5, 5\r\n\r\nhello", 200, b"hello", True),
    "an interim answer nobody knows": (b"HTTP/1.1 199 Odd\r\nX: y\r\n\r\n" + HELLO, 200, b"hello", True),
    "a length that is too short": (OK + b"Content-Length: 5\r\n\r\nhello!", 200, b"hello", False),
    "garbage after the last chunk": (
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nJUNK",
        *(200, b"hello", False),
    ),
    "204 with a body": (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", 204, b"", False),
    "bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", 200, b"hello", True),
}

BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-",
    "a huge header": OK + b"X: " + b"x" * 1_000_000 + b"\r\nContent-Length: 0\r\n\r\n",
    "headers without end": OK + b"X: x\r\n" * 100_000,
    "interim answers without end": b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000,
    "trailers without end": OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: x\r\n" * 100_000,
    "an end before the length": OK + b"Content-Length: 9\r\n\r\nhello",
    "an end before the last chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "a chunk without a size": OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
    "a negative length": OK + b"Content-Length: -1\r\n\r\n",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "a status beyond HTTP's": b"HTTP/1.1 666 Odd\r\nContent-Length: 5\r\n\r\nhello",
    "a status below HTTP's": b"HTTP/1.1 099 Odd\r\nContent-Length: 5\r\n\r\nhello",
    "a folded header": OK + b"X: a\r\n b\r\nContent-Length : 5\r\n\r\nhello",
    "a control character": OK + b"X: a\x00b\r\nContent-Length: 5\r\n\r\nhello",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
}


def on_both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """`test` with a client of its own, on asyncio's loop and on uvloop, which serves: their transports differ."""

    async def scenario(arguments: dict[str, Any]) -> None:
        client = Client()
        try:
            await test(client, **arguments)
        finally:
            client.close()

    def both(run: Callable[[Coroutine[Any, Any, None]], None], **arguments: Any) -> None:
        run(scenario(arguments))

    own = [Parameter("run", Parameter.KEYWORD_ONLY)]
    others = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in list(signature(test).parameters.values())[1:]]
    both.__signature__ = Signature(own + others)  # type: ignore[attr-defined] # what pytest reads
    both.__name__, both.__doc__ = test.__name__, test.__doc__
    on_each: Callable[[Any], Callable[..., None]] = pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
    return on_each(both)


def scripted(*answers: bytes) -> Handler:
    """Each request of a connection gets the next answer, in one write; then the connection is closed."""

    async def handler(visit: Visit) -> None:
        for answer in answers:
            await visit.request()
            await visit.say([answer])

    return handler


async def endlessly(visit: Visit) -> None:
    while True:
        await visit.request()
        await visit.say([HELLO])


async def ask(client: Client, to: Address, method: str = "POST", body: bytes = b"{}", **headers: str) -> Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with asyncio.timeout(PATIENCE):
        return await client.request(
            method, to, "/v1/x", named, body if method == "POST" else b"", read_timeout=PATIENCE
        )


async def body_of(answer: Response) -> bytes:
    parts = []
    try:
        async with asyncio.timeout(PATIENCE):
            while part := await answer.read():
                parts.append(part)
    finally:
        answer.close()
    return b"".join(parts)


@asynccontextmanager
async def asked(client: Client, server: RawServer, **kwargs: Any) -> AsyncIterator[Response]:
    answer = await ask(client, address(server.url), **kwargs)
    try:
        yield answer
    finally:
        answer.close()


@pytest.mark.parametrize("name", ANSWERS)
@on_both_loops
async def test_every_kind_of_answer_is_read(client: Client, name: str) -> None:
    """Its status and its body, and the connection serves again exactly if the answer said where it ended."""
    wire, status, body, again = ANSWERS[name]

    async def handler(visit: Visit) -> None:
        await visit.request()
        await visit.say([wire])
        if again:
            await endlessly(visit)

    async with saying(handler) as server:
        answer = await ask(client, address(server.url))
        assert (answer.status, await body_of(answer)) == (status, body)
        await body_of(await ask(client, address(server.url)))
        assert len(server.visits) == (1 if again else 2)


# Of these, a head that comes in several reads may be refused.
CUTTABLE = sorted(ANSWERS.keys() - {"the same length twice", "the same length in one list"})


@given(
    name=st.sampled_from(CUTTABLE),
    at=st.lists(st.integers(1, 150), max_size=12),
    loop=st.booleans(),
)
def test_an_answer_may_be_cut_anywhere(name: str, at: list[int], loop: bool) -> None:
    """However the network cuts its bytes, it is the same answer."""
    wire, status, body, _ = ANSWERS[name]
    cuts = sorted({0, *(cut for cut in at if cut < len(wire)), len(wire)})

    async def handler(visit: Visit) -> None:
        await visit.request()
        await visit.say([wire[begin:end] for begin, end in pairwise(cuts)])

    async def once() -> tuple[int, bytes]:
        client = Client()
        async with saying(handler) as server, asked(client, server) as answer:
            return answer.status, await body_of(answer)

    assert (uvloop.run(once()) if loop else asyncio.run(once())) == (status, body)


@pytest.mark.parametrize("name", BROKEN)
@on_both_loops
async def test_a_broken_answer_is_an_error(client: Client, name: str) -> None:
    """Never a clean-looking end, never an unbounded wait or memory; and nothing of it is seen by the next request."""

    async def handler(visit: Visit) -> None:
        await visit.request()
        await visit.say([BROKEN[name]] if server.requests == 1 else [HELLO])

    async with saying(handler) as server:
        with pytest.raises(BrokenResponse) as raised:
            await body_of(await ask(client, address(server.url)))
        assert ("65536 bytes" in str(raised.value)) == (len(BROKEN[name]) > 65536)
        assert await body_of(await ask(client, address(server.url))) == b"hello"


@on_both_loops
async def test_what_came_before_the_break_is_given(client: Client) -> None:
    """The client of a stream has it, and then the error."""
    async with saying(scripted(BROKEN["an end before the length"])) as server, asked(client, server) as answer:
        await asyncio.sleep(0.1)
        assert await answer.read() == b"hello"
        with pytest.raises(BrokenResponse):
            await answer.read()


@on_both_loops
async def test_head_has_no_body_whatever_its_headers_say(client: Client) -> None:
    """And the request after it gets its own answer."""

    async def handler(visit: Visit) -> None:
        first = await visit.request()
        await visit.say([OK + b"Content-Length: 5\r\n\r\n" if first.startswith(b"HEAD") else HELLO])

    async with saying(handler) as server:
        answer = await ask(client, address(server.url), "HEAD")
        assert (answer.status, await body_of(answer)) == (200, b"")
        assert await body_of(await ask(client, address(server.url))) == b"hello"


@on_both_loops
async def test_headers_arrive_as_they_were_sent(client: Client) -> None:
    """Repeated ones stay apart, bytes beyond ASCII can be written again."""
    wire = (
        OK
        + "Set-Cookie: a\r\nset-cookie: b\r\nX-City: Łódź\r\n".encode()
        + b"X-Odd: \xff\r\nContent-Length: 0\r\n\r\n"
    )
    async with saying(scripted(wire)) as server, asked(client, server) as answer:
        headers = [(name, value.encode("utf-8", "surrogateescape")) for name, value in answer.headers]
        assert headers[:2] == [("set-cookie", b"a"), ("set-cookie", b"b")]
        assert headers[2:4] == [("x-city", "Łódź".encode()), ("x-odd", b"\xff")]


@on_both_loops
async def test_the_request_is_as_it_should_be(client: Client) -> None:
    """One head, one length, no encoding asked for and no 100 awaited; the client's odd bytes as they came."""
    async with saying(endlessly) as server:
        to = address(f"http://me:p%40ss@127.0.0.1:{server.port}/base/")
        answer = await client.request("POST", to, "v1?a=b%20c", {"x-odd": "\xe9\xff"}, b"{}", read_timeout=PATIENCE)
        await body_of(answer)
        lines = [b"POST /base/v1?a=b%20c HTTP/1.1", b"host: 127.0.0.1:%d" % server.port]
        lines += [b"authorization: Basic bWU6cEBzcw==", b"x-odd: \xe9\xff", b"content-length: 2", b"", b"{}"]
        assert server.visits[0].requests == [b"\r\n".join(lines)]


@pytest.mark.parametrize("evil", ["a\r\nx-api-key: stolen", "a\nb", "a\rb", "a\0b"])
@on_both_loops
async def test_a_header_cannot_smuggle_another(client: Client, evil: str) -> None:
    """Neither can it smuggle in a second request: the client raises, and nothing is sent."""
    async with saying(endlessly) as server:
        to = address(server.url)
        for headers in ({"x-title": evil}, {evil: "a"}):
            with pytest.raises(ValueError, match="line end"):
                await client.request("POST", to, "/v1", headers, read_timeout=PATIENCE)
        for path in (f"/{evil}", "/a b", "/é"):
            with pytest.raises(ValueError, match="path"):
                await client.request("POST", to, path, {}, read_timeout=PATIENCE)
        for name in ("content-length", "transfer-encoding", "connection", "expect"):
            with pytest.raises(ValueError, match=name):
                await client.request("POST", to, "/v1", {name: "7"}, read_timeout=PATIENCE)
        assert server.visits == []


@on_both_loops
async def test_a_second_answer_to_one_question_reaches_nobody(client: Client) -> None:
    """Whether it comes with the first or later: the next request gets an answer of its own."""
    poison = OK + b"Content-Length: 6\r\n\r\npoison"

    async def handler(visit: Visit) -> None:
        await visit.request()
        if len(server.visits) == 1:
            await visit.say([HELLO + poison])
        elif len(server.visits) == 2:
            await visit.say([HELLO])
            await asyncio.sleep(0.1)
            await visit.say([poison])
        else:
            await visit.say([HELLO])
        await visit.reader.read()

    async with saying(handler) as server:
        for _ in range(3):
            assert await body_of(await ask(client, address(server.url))) == b"hello"
            await asyncio.sleep(0.2)
        assert len(server.visits) == 3


@on_both_loops
async def test_an_answer_that_was_not_read_leaves_no_connection(client: Client) -> None:
    """What remains of it must not be taken for the next answer."""
    async with saying(endlessly) as server:
        async with asked(client, server):
            pass
        await body_of(await ask(client, address(server.url)))
        assert len(server.visits) == 2


@on_both_loops
async def test_a_closed_answer_reads_no_more(client: Client) -> None:
    """Its connection may be at work for somebody else."""
    async with saying(endlessly) as server:
        first = await ask(client, address(server.url))
        await body_of(first)
        second = await ask(client, address(server.url))
        with pytest.raises(ValueError, match="closed"):
            await first.read()
        first.close()
        assert (await body_of(second), len(server.visits)) == (b"hello", 1)


@on_both_loops
async def test_connections_are_kept_for_a_while(unused: Client) -> None:
    """For the origin they lead to only, and not longer than they are likely to live."""
    impatient = Client(keep_seconds=1.0)
    async with saying(endlessly) as server, saying(endlessly) as other:
        for _ in range(3):
            await body_of(await ask(impatient, address(server.url)))
        await body_of(await ask(impatient, address(other.url)))
        assert (len(server.visits), len(other.visits)) == (1, 1)
        async with asyncio.timeout(PATIENCE):
            await server.visits[0].left.wait()
        await body_of(await ask(impatient, address(server.url)))
        assert len(server.visits) == 2
        impatient.close()


@on_both_loops
async def test_a_connection_that_was_busy_while_others_grew_old_is_closed_too(unused: Client) -> None:
    """The pool may have forgotten its origin meanwhile."""
    impatient = Client(keep_seconds=0.2)
    async with saying(endlessly) as server:
        slow = await ask(impatient, address(server.url))
        await body_of(await ask(impatient, address(server.url)))
        async with asyncio.timeout(PATIENCE):
            await server.visits[1].left.wait()
            await body_of(slow)
            await server.visits[0].left.wait()
    impatient.close()


async def closes_when_asked_again(visit: Visit) -> None:
    """As a server does whose patience ended while the second request was on its way."""
    await visit.request()
    await visit.say([HELLO])
    await visit.request()


@pytest.mark.parametrize(
    ("method", "headers", "repeated"),
    [("GET", {}, True), ("POST", {"idempotency_key": "k"}, True), ("POST", {}, False)],
)
@on_both_loops
async def test_only_what_may_be_repeated_is(client: Client, method: str, headers: Any, repeated: bool) -> None:
    """A kept connection closed without an answer: a chat could have been at work already, and is not sent twice."""
    async with saying(closes_when_asked_again) as server:
        await body_of(await ask(client, address(server.url)))
        if repeated:
            assert await body_of(await ask(client, address(server.url), method, **headers)) == b"hello"
        else:
            with pytest.raises(BrokenResponse):
                await ask(client, address(server.url), method, **headers)
        assert server.requests == (3 if repeated else 2)


@on_both_loops
async def test_nothing_is_repeated_once_an_answer_began(client: Client) -> None:
    """Nor is a request sent again that was sent on a new connection: a server that closes it has seen the request."""
    async with saying(scripted(HELLO, b"HTTP/1.1 2")) as server:
        await body_of(await ask(client, address(server.url)))
        with pytest.raises(BrokenResponse):
            await ask(client, address(server.url), "GET")
        assert server.requests == 2
    async with saying(scripted(b"")) as server:
        with pytest.raises(BrokenResponse):
            await ask(client, address(server.url), "GET")
        assert server.requests == 1


@on_both_loops
async def test_a_connection_that_was_closed_meanwhile_is_not_used(client: Client) -> None:
    """A POST does not fail because a server tidied up."""
    async with saying(scripted(HELLO)) as server:
        for number in range(1, 4):
            assert await body_of(await ask(client, address(server.url))) == b"hello"
            await asyncio.sleep(0.05)
            assert len(server.visits) == number


@on_both_loops
async def test_a_slow_reader_holds_up_the_server_not_the_memory(client: Client) -> None:
    """64 MB for somebody who does not read: most of it stays with the server, and all of it arrives in the end.
    Not to read is no silence of the server."""
    size, sent = 64 * 2**20, 0

    async def handler(visit: Visit) -> None:
        nonlocal sent
        await visit.request()
        await visit.say([OK + b"Content-Length: %d\r\n\r\n" % size])
        while sent < size:
            visit.writer.write(bytes(2**16))
            await visit.writer.drain()
            sent += 2**16

    async with saying(handler) as server:
        answer = await client.request("POST", address(server.url), "/", {}, read_timeout=0.5)
        await asyncio.sleep(0.8)
        assert sent < size / 2
        assert len(await body_of(answer)) == size


@on_both_loops
async def test_a_slow_server_gets_a_large_body_whole(client: Client) -> None:
    """32 MB, a quarter of it taken for longer than the silence allowed: it is no silence while it takes them."""
    body = bytes(range(256)) * 2**17
    received = bytearray()

    async def handler(visit: Visit) -> None:
        head = await visit.reader.readuntil(b"\r\n\r\n")
        assert b"content-length: %d\r\n" % len(body) in head
        while len(received) < len(body):
            received.extend(await visit.reader.read(2**21))
            await asyncio.sleep(0.05 if len(received) < 2**23 else 0)
        await visit.say([HELLO])

    async with saying(handler) as server:
        answer = await client.request("POST", address(server.url), "/", {}, body, read_timeout=2.0)
        assert await body_of(answer) == b"hello"
        assert received == body


@on_both_loops
async def test_a_pause_of_this_process_is_no_silence_of_the_server(client: Client) -> None:
    """A busy machine may not let it run for longer than the time-out: what the server did meanwhile is read first. A
    server that is silent after that as well is given up."""

    async def handler(visit: Visit) -> None:
        await visit.request()
        time.sleep(1.0)
        await asyncio.sleep(0.05)
        await visit.say([HELLO])
        await visit.request()
        time.sleep(1.0)
        await asyncio.sleep(60)

    async with saying(handler) as server:
        for expected in (None, TimeoutError):
            with pytest.raises(expected) if expected else nullcontext():
                answer = await client.request("POST", address(server.url), "/", {}, read_timeout=0.5)
                assert await body_of(answer) == b"hello"


@on_both_loops
async def test_a_body_may_be_refused_half_way(client: Client) -> None:
    """The answer is there at once, and the connection, in the middle of a request, serves nobody else."""

    async def handler(visit: Visit) -> None:
        await visit.reader.readuntil(b"\r\n\r\n")
        await visit.say([b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"])
        await asyncio.sleep(LONG)

    async with saying(handler) as server:
        answer = await ask(client, address(server.url), body=bytes(32 * 2**20))
        assert (answer.status, await body_of(answer)) == (413, b"no")
        await body_of(await ask(client, address(server.url)))
        assert len(server.visits) == 2


@pytest.mark.parametrize("said", [b"", OK, OK + b"Content-Length: 9\r\n\r\nhello"])
@on_both_loops
async def test_silence_ends_the_wait(client: Client, said: bytes) -> None:
    """Before the head, in it, and in the body."""

    async def handler(visit: Visit) -> None:
        await visit.request()
        await visit.say([said])
        await asyncio.sleep(LONG)

    async with saying(handler) as server, asyncio.timeout(PATIENCE):
        with pytest.raises(TimeoutError, match="silent"):
            await body_of(await client.request("POST", address(server.url), "/", {}, read_timeout=0.2))


@on_both_loops
async def test_a_trickle_is_no_silence(client: Client) -> None:
    """An answer may take longer as a whole than any pause in it may, its head as well as its body."""

    async def handler(visit: Visit) -> None:
        await visit.request()
        for piece in (
            b"HTTP/1.1 ",
            b"200 ",
            b"OK\r\n",
            b"Content-",
            b"Length: ",
            b"5\r\n",
            b"\r\n",
            *(b"h", b"e", b"l", b"l", b"o"),
        ):
            await asyncio.sleep(0.1)
            await visit.say([piece])

    async with saying(handler) as server:
        answer = await client.request("POST", address(server.url), "/", {}, read_timeout=1.0)
        assert await body_of(answer) == b"hello"


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200", OK + b"Content-Length: 9\r\n\r\nhello"])
@on_both_loops
async def test_whoever_is_cancelled_hangs_up(client: Client, said: bytes) -> None:
    """Before the head, in it, and in the body: the server notices at once."""

    async def handler(visit: Visit) -> None:
        await visit.request()
        await visit.say([said])
        await visit.reader.readexactly(1)

    async def once(server: RawServer) -> None:
        async with asked(client, server) as answer:
            await body_of(answer)

    async with saying(handler) as server, asyncio.timeout(PATIENCE):
        task = asyncio.create_task(once(server))
        while not server.requests:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        task.cancel()
        await server.visits[0].left.wait()


@on_both_loops
async def test_several_reads_arrive_as_one(client: Client) -> None:
    """A reader that was busy gets everything that arrived meanwhile, in order."""

    async def handler(visit: Visit) -> None:
        await visit.request()
        await visit.say([OK + b"Transfer-Encoding: chunked\r\n\r\n", *(b"1\r\n%c\r\n" % i for i in b"abcdef")])
        await asyncio.sleep(LONG)

    async with saying(handler) as server, asked(client, server) as answer:
        await asyncio.sleep(0.2)
        assert await answer.read() == b"abcdef"


@each_row(
    ("base", "origin", "host", "path"),
    [
        ("http://a.example/v1", (False, "a.example", 80), "a.example", "/v1"),
        ("https://a.example:443", (True, "a.example", 443), "a.example", ""),
        ("https://A.example:8443/v1", (True, "a.example", 8443), "a.example:8443", "/v1"),
        ("http://[::1]:8080/x", (False, "::1", 8080), "[::1]:8080", "/x"),
        ("http://bücher.example/", (False, "xn--bcher-kva.example", 80), "xn--bcher-kva.example", "/"),
    ],
)
def test_addresses(base: str, origin: tuple[bool, str, int], host: str, path: str) -> None:
    """Where it leads, and what the Host header says."""
    assert address(base)[:3] == (origin, host, path)


@each_row("base", ["", "a.example/v1", "ftp://a.example", "http://", "http://a:b", "http://[::1"])
def test_what_is_no_address_says_so(base: str) -> None:
    """The error does not repeat the address, which may hold a password."""
    with pytest.raises(ValueError, match=r"^is not an address"):
        address(base)
