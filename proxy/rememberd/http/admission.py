"""Requests begin in turn, a few in each round of the event loop.

Those that come at once would all be parsed and checked in one round. With a hundred of them that takes half a second
on a busy machine, and `/health/live` and the streams that are under way would wait for its end.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

MOST = 8  # in a round
LONG_S = 0.004  # 20 requests without memory, or one or two with it, take so long


class AdmissionMiddleware:
    """ASGI middleware: first come, first served. One request begins in a round that follows a long one, and one more
    after each short one, up to `MOST`. As many wait as there are connections (`server.max_connections`). `/health/*`
    waits for nobody. `clock` counts the seconds of
    CPU of this thread: other processes make no round long."""

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.thread_time) -> None:
        self.app, self.clock = app, clock
        self._may_begin, self._begun = 1, 0  # in this round
        self._since = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith("/health/"):
            await self._turn()
        await self.app(scope, receive, send)

    async def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        if self._begun == 0:
            self._since = self.clock()
            loop.call_soon(self._next_round)
        if self._begun < self._may_begin:
            self._begun += 1
        else:
            turn = loop.create_future()
            self._waiting.append(turn)
            await turn

    def _next_round(self) -> None:
        began, self._since = self._since, self.clock()
        if self._since - began > LONG_S:
            self._may_begin = 1
        elif self._waiting:
            self._may_begin = min(self._may_begin + 1, MOST)
        let_in = 0
        while self._waiting and let_in < self._may_begin:
            turn = self._waiting.popleft()
            if not turn.done():  # else its client has gone
                turn.set_result(None)
                let_in += 1
        self._begun = self._may_begin if let_in else 0  # who comes now begins after those
        if let_in:
            asyncio.get_running_loop().call_soon(self._next_round)
