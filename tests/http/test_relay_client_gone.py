"""Promise: when the client leaves, the upstream call ends within a second, in every window."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from rememberd.http.disconnect import cancel_on_disconnect, disconnected
from rememberd.upstream.byte_lane import ByteLane
from tests.support.fake_model import Behaviour, FakeModel, Recorded
from tests.support.loopback import bytes_deployment, proxy_app, serving

MESSAGES = [{"role": "user", "content": "Hi"}]
SILENCE = 60.0  # seconds; far longer than any test may take

Ends = list[tuple[bytes, bool]]


class Setup:
    """A fake model behind a proxy, and what `on_end` was told."""

    def __init__(self, upstream: FakeModel, url: str, ends: Ends) -> None:
        self.upstream, self.url, self.ends = upstream, url, ends

    async def leave(self, *, stream: bool, after: int) -> float:
        """Ask, read `after` bytes of the answer, leave once the upstream has the request. Returns when that was."""
        session = aiohttp.ClientSession()
        body = {"model": "m", "stream": stream, "messages": MESSAGES}
        asked = asyncio.create_task(self._read(session, body, after))
        await until(lambda: bool(self.upstream.requests))
        if after:
            await asked
        await asyncio.sleep(0.1)
        left = time.monotonic()
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await session.close()
        return left

    async def _read(self, session: aiohttp.ClientSession, body: Any, after: int) -> None:
        async with session.post(self.url, json=body) as response:
            await response.content.readexactly(after)
            await asyncio.sleep(SILENCE if not after else 0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    ends: Ends = []

    async def on_end(collected: bytes, complete: bool) -> None:
        ends.append((collected, complete))

    lane = ByteLane()
    async with FakeModel() as upstream, serving(proxy_app(lane, bytes_deployment(upstream.url), on_end)) as url:
        yield Setup(upstream, url + "/chat/completions", ends)
    await lane.close()


async def gone(request: Recorded, left: float) -> float:
    """The seconds from the client's leaving to the upstream's noticing it."""
    await until(lambda: request.gone_at is not None)
    assert request.gone_at is not None
    return request.gone_at - left


@pytest.mark.parametrize("stream", [True, False])
async def test_before_the_headers(setup: Setup, stream: bool) -> None:
    """The model is thinking and has not answered at all; there is no answer whose end could be handed over."""
    setup.upstream.script(Behaviour(delay_headers=SILENCE))
    left = await setup.leave(stream=stream, after=0)
    assert await gone(setup.upstream.requests[0], left) < SILENCE / 4
    assert setup.ends == []


async def test_before_the_first_token(setup: Setup) -> None:
    """The headers of the stream have arrived, nothing else."""
    setup.upstream.script(Behaviour(delay_first=SILENCE))
    left = await setup.leave(stream=True, after=0)
    assert await gone(setup.upstream.requests[0], left) < SILENCE / 4
    await until(lambda: setup.ends == [(b"", False)])


async def test_in_mid_stream_while_the_model_is_silent(setup: Setup) -> None:
    """A part has arrived; memory gets that part, once, and is told that it is not the whole."""
    setup.upstream.script(Behaviour(stream=[b"data: 1\n\n", b"data: 2\n\n"], delay_chunk=SILENCE))
    left = await setup.leave(stream=True, after=9)
    assert await gone(setup.upstream.requests[0], left) < SILENCE / 4
    await until(lambda: setup.ends == [(b"data: 1\n\n", False)])


async def test_in_mid_stream_while_the_model_talks(setup: Setup) -> None:
    """A stream without pauses stops too."""
    setup.upstream.script(Behaviour(stream=[b"data: 1\n\n"] * 100_000, delay_chunk=0.001))
    left = await setup.leave(stream=True, after=90)
    assert await gone(setup.upstream.requests[0], left) < SILENCE / 4
    await until(lambda: [complete for _, complete in setup.ends] == [False])


async def test_in_a_body_that_is_not_streamed(setup: Setup) -> None:
    """The beginning of a whole body has arrived at the proxy, which holds back its last read."""
    setup.upstream.script(
        Behaviour(stream=[b"{", b"}"], delay_chunk=SILENCE, headers={"Content-Type": "application/json"})
    )
    left = await setup.leave(stream=False, after=0)
    assert await gone(setup.upstream.requests[0], left) < SILENCE / 4
    await until(lambda: setup.ends == [(b"{", False)])


async def test_the_connection_pool_survives(setup: Setup) -> None:
    """After fifty clients left, the fifty-first is answered."""
    setup.upstream.default = Behaviour(delay_first=SILENCE)
    await asyncio.gather(*(setup.leave(stream=True, after=0) for _ in range(50)))
    setup.upstream.default = Behaviour(answer="still here")
    body = {"model": "m", "messages": MESSAGES}
    async with aiohttp.ClientSession() as session, session.post(setup.url, json=body) as response:
        assert b"still here" in await response.read()


async def test_who_left_before_the_work_began_is_not_worked_for() -> None:
    scope: dict[str, Any] = {}
    disconnected(scope)
    assert await cancel_on_disconnect(scope, asyncio.sleep(SILENCE, "done")) is None
    assert await cancel_on_disconnect(scope, asyncio.sleep(SILENCE, "done")) is None  # the client is still gone


async def test_nothing_is_cancelled_after_the_work_has_ended() -> None:
    for before in (False, True):
        scope: dict[str, Any] = {}
        if before:
            disconnected(scope)
        assert await cancel_on_disconnect(scope, at_once()) == "done"
        disconnected(scope)
        await asyncio.sleep(0)


async def at_once() -> str:
    return "done"
