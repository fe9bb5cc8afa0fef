"""Promise: the turn is handed over once, before the client can know that the answer has ended, whatever happens."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from prometheus_client import REGISTRY

from rememberd.dialects import chat, responses
from rememberd.dialects.formats import sse
from rememberd.dialects.registry import Dialect
from rememberd.http.relay import OnEnd
from rememberd.http.response_buffer import COPY_LIMIT
from rememberd.upstream.byte_lane import ByteLane
from tests.support.fake_model import Behaviour, FakeModel, chat_stream, responses_stream
from tests.support.loopback import bytes_deployment, proxy_app, serving
from tests.support.tables import each_row

STREAMED = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
WHOLE = {**STREAMED, "stream": False}
DONE = b"data: [DONE]\n\n"


class Ending:
    """An `on_end` that waits until it is let go, and what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[bytes, bool]] = []
        self.called = asyncio.Event()
        self.let_go = asyncio.Event()
        self.finished = asyncio.Event()

    async def __call__(self, collected: bytes, complete: bool) -> None:
        self.told.append((collected, complete))
        self.called.set()
        await self.let_go.wait()
        self.finished.set()


@asynccontextmanager
async def asking(url: str, body: object) -> AsyncIterator[aiohttp.ClientResponse]:
    async with aiohttp.ClientSession(auto_decompress=False) as session, session.post(url, json=body) as response:
        yield response


@asynccontextmanager
async def proxied(
    on_end: OnEnd, *behaviours: Behaviour, timeout: float = 600, dialect: Dialect = chat
) -> AsyncIterator[str]:
    lane = ByteLane()
    async with FakeModel() as upstream:
        upstream.script(*behaviours)
        async with serving(proxy_app(lane, bytes_deployment(upstream.url, timeout=timeout), on_end, dialect)) as url:
            yield url + "/chat/completions"
    await lane.close()


async def post(url: str, body: object) -> tuple[int, bytes]:
    async with asking(url, body) as response:
        return response.status, await response.read()


@each_row("cut", range(len(DONE)))
async def test_the_end_of_a_stream_waits(cut: int) -> None:
    """However [DONE] is cut over reads, the client has not read it all before the turn is handed over; and has read
    every word before that."""
    events = chat_stream("m", "four score and seven")
    stream = b"".join(events)
    at = len(stream) - len(DONE) + cut
    on_end = Ending()
    reads = Behaviour(stream=[stream[:at], stream[at:]], delay_chunk=0.05)  # long enough to be two reads
    async with proxied(on_end, reads) as url, asking(url, STREAMED) as response:
        received = await response.content.readexactly(len(stream) - len(DONE))
        await on_end.called.wait()
        await asyncio.sleep(0.02)
        received += response.content.read_nowait()
        assert b"[DONE]" not in received
        on_end.let_go.set()
        assert received + await response.read() == stream
    ((collected, complete),) = on_end.told
    assert complete
    assert collected.rstrip() == stream.rstrip()


async def test_the_end_of_a_stream_without_a_marker_waits() -> None:
    """A stream that just stops is not at its end for the client before the turn is handed over."""
    on_end = Ending()
    async with proxied(on_end, Behaviour(stream=[b"data: 1\n\n"])) as url, asking(url, STREAMED) as response:
        assert await response.content.readexactly(9) == b"data: 1\n\n"
        await on_end.called.wait()
        assert not response.content.at_eof()
        on_end.let_go.set()
        assert await response.read() == b""
    assert on_end.told == [(b"data: 1\n\n", True)]


async def test_a_whole_body_waits() -> None:
    """The last byte of a body does not leave before the turn is handed over."""
    on_end = Ending()
    async with proxied(on_end, Behaviour(body=b'{"a":1}')) as url:
        asked = asyncio.create_task(post(url, WHOLE))
        await on_end.called.wait()
        await asyncio.sleep(0.1)
        assert not asked.done()
        on_end.let_go.set()
        assert await asked == (200, b'{"a":1}')
    assert on_end.told == [(b'{"a":1}', True)]


@pytest.mark.parametrize("body", [STREAMED, WHOLE])
async def test_a_client_that_leaves_does_not_stop_it(body: object) -> None:
    """A hand-over that has begun goes on to its end when the client leaves meanwhile, and is not begun again."""
    on_end = Ending()
    async with proxied(on_end, Behaviour(answer="one")) as url:
        asked = asyncio.create_task(post(url, body))
        await on_end.called.wait()
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await asyncio.sleep(0.1)
        on_end.let_go.set()
        async with asyncio.timeout(120):
            await on_end.finished.wait()
    assert [complete for _, complete in on_end.told] == [True]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_compressed_answer_is_handed_over_as_text(stream: bool) -> None:
    """Memory reads the text of an answer that an upstream compressed unasked."""
    on_end = Ending()
    on_end.let_go.set()
    async with proxied(on_end, Behaviour(gzip=True, answer="packed")) as url:
        await post(url, {**STREAMED, "stream": stream})
    ((collected, complete),) = on_end.told
    assert complete
    assert b"packed" in collected


async def test_an_answer_that_cannot_be_read_is_handed_over_as_nothing() -> None:
    """An unknown encoding passes; memory is told that it has not got the answer."""
    on_end = Ending()
    on_end.let_go.set()
    odd = Behaviour(stream=[b"\x8b\x00odd"], headers={"Content-Encoding": "br"})
    async with proxied(on_end, odd) as url, asking(url, STREAMED) as response:
        assert await response.read() == b"\x8b\x00odd"
    assert on_end.told == [(b"", False)]


async def test_a_huge_answer_is_handed_over_in_part() -> None:
    """No more than the limit is kept, and memory is told so."""
    on_end = Ending()
    on_end.let_go.set()
    async with proxied(on_end, Behaviour(body=b"x" * (COPY_LIMIT + 5))) as url:
        status, body = await post(url, WHOLE)
    assert (status, len(body)) == (200, COPY_LIMIT + 5)
    assert [(len(collected), complete) for collected, complete in on_end.told] == [(COPY_LIMIT, False)]


async def test_an_end_that_fails_is_counted_and_the_answer_flows(caplog: pytest.LogCaptureFixture) -> None:
    """The client gets its whole answer; the operator a log line and a count."""

    async def fail(collected: bytes, complete: bool) -> None:
        raise OSError("no space")

    before = REGISTRY.get_sample_value("rememberd_relay_on_end_failures_total") or 0
    with caplog.at_level(logging.ERROR, "rememberd.relay"):
        async with proxied(fail, Behaviour(answer="whole"), Behaviour(answer="whole")) as url:
            assert (await post(url, STREAMED))[1].endswith(DONE)
            assert (await post(url, WHOLE))[0] == 200
    assert REGISTRY.get_sample_value("rememberd_relay_on_end_failures_total") == before + 2
    assert len(caplog.records) == 2


@pytest.mark.parametrize(("drop_after", "sent"), [(0, 0), (1, 1), (3, 3)])
async def test_a_stream_that_breaks_says_so(drop_after: int, sent: int) -> None:
    """After what arrived comes an error event and no [DONE]; memory gets what arrived, once."""
    on_end = Ending()
    on_end.let_go.set()
    events = chat_stream("m", "one two three")
    async with proxied(on_end, Behaviour(stream=events, drop_after=drop_after)) as url:
        _, body = await post(url, STREAMED)
    arrived = b"".join(events[:sent])
    assert body.startswith(arrived + b'data: {"error":{')
    assert b'"code":"upstream_disconnected"' in body
    assert b"[DONE]" not in body
    assert on_end.told == [(arrived, False)]


@pytest.mark.parametrize("drop_after", [2, None])
async def test_half_an_event_is_no_event(drop_after: int | None) -> None:
    """Whether the connection breaks in an event or the stream ends there in good order: it does not leave, and the
    error stands in its place."""
    on_end = Ending()
    on_end.let_go.set()
    reads = [b"data: 1\n\n", b'data: {"cho', *([b"never sent"] if drop_after else [])]
    async with proxied(on_end, Behaviour(stream=reads, drop_after=drop_after)) as url:
        _, body = await post(url, STREAMED)
    assert body.startswith(b'data: 1\n\ndata: {"error":')
    assert body.endswith(b"}\n\n")
    assert [complete for _, complete in on_end.told] == [False]


@pytest.mark.parametrize("drop_after", [3, None])
async def test_a_response_that_is_cut_has_failed(drop_after: int | None) -> None:
    """A stream of the Responses dialect without its last event, broken or ended in good order: `response.failed`,
    with the next sequence number."""
    on_end = Ending()
    on_end.let_go.set()
    events = responses_stream("m", "one two three")
    behaviour = Behaviour(stream=events if drop_after else events[:3], drop_after=drop_after)
    async with proxied(on_end, behaviour, dialect=responses) as url:
        _, body = await post(url, STREAMED)
    assert body.startswith(b"".join(events[:3]))
    *_, last = (json.loads(event) for event in sse.events(body))
    assert (last["type"], last["sequence_number"], last["response"]["status"]) == ("response.failed", 3, "failed")
    assert last["response"]["id"].startswith("resp_")


@each_row("end", ["completed", "incomplete", "failed", "error"])
async def test_a_response_that_has_ended_is_left_alone(end: str) -> None:
    """With the `event:` line of its last event or without one."""
    on_end = Ending()
    on_end.let_go.set()
    kind = end if end == "error" else f"response.{end}"
    for head in (f"event: {kind}\n", ""):
        stream = f'{head}data: {{"type":"{kind}","sequence_number":1}}\n\n'.encode()
        async with proxied(on_end, Behaviour(stream=[stream, b": bye\n\n"]), dialect=responses) as url:
            assert (await post(url, STREAMED))[1] == stream + b": bye\n\n"


async def test_a_stream_that_falls_silent_says_so() -> None:
    """The deployment's timeout ends a silence, under another code."""
    on_end = Ending()
    on_end.let_go.set()
    quiet = Behaviour(stream=[b"data: 1\n\n", b"data: 2\n\n"], delay_chunk=60)
    async with proxied(on_end, quiet, timeout=0.2) as url:
        _, body = await post(url, STREAMED)
    assert b'"code":"upstream_timeout"' in body


async def test_a_break_after_the_end_is_none() -> None:
    """Once the marker has passed, a broken connection changes nothing."""
    on_end = Ending()
    on_end.let_go.set()
    events = chat_stream("m", "one")
    async with proxied(on_end, Behaviour(stream=events, drop_after=len(events))) as url:
        _, body = await post(url, STREAMED)
    assert body == b"".join(events)
    assert on_end.told == [(body, True)]


async def test_a_small_body_that_breaks_is_an_error() -> None:
    """While nothing has been sent, the client gets a 502 in place of half a body."""
    on_end = Ending()
    on_end.let_go.set()
    async with proxied(on_end, Behaviour(body=b'{"a":"b"}', drop_after=-1)) as url:
        status, body = await post(url, WHOLE)
    assert status == 502
    assert b"upstream_error" in body
    assert [complete for _, complete in on_end.told] == [False]


async def test_a_large_body_that_breaks_does_not_look_whole() -> None:
    """When a part has been sent, the connection is cut short of the announced length."""
    on_end = Ending()
    on_end.let_go.set()
    async with proxied(on_end, Behaviour(body=b"x" * 2_000_000, drop_after=-1)) as url:
        with pytest.raises(aiohttp.ClientPayloadError):
            await post(url, WHOLE)
    assert [complete for _, complete in on_end.told] == [False]


async def test_a_slow_client_holds_the_upstream_back() -> None:
    """Of 100 MB that a client does not read, only what fits the buffers on the way leaves the upstream."""
    written = 0

    class Endless(list[bytes]):
        def __iter__(self):  # type: ignore[no-untyped-def]
            nonlocal written
            for _ in range(1000):
                written += 100_000
                yield b"x" * 100_000

    on_end = Ending()
    on_end.let_go.set()
    async with proxied(on_end, Behaviour(stream=Endless())) as url:
        host, port = url.split("/")[2].split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n" + b'{"stream":true}'
            )
            settled = -1
            while settled != written or not written:
                settled = written
                await asyncio.sleep(0.5)
    assert written < 50_000_000
