"""Requests begin in turn, a few in each round of the event loop.

Those that come at once would all be parsed and checked in one round. With a hundred of them that takes half a second
on a busy machine, and `/health/live` and the streams that are under way would wait for its end.
"""

from __future__ import annotations

import asyncio
from collections import deque

from starlette.types import ASGIApp, Receive, Scope, Send

IN_A_ROUND = 2


class AdmissionMiddleware:
    """ASGI middleware: first come, first served, `IN_A_ROUND` in each round. As many wait as there are connections
    (`server.max_connections`). `/health/*` waits for nobody."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._begun = 0  # in this round
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith("/health/"):
            await self._turn()
        await self.app(scope, receive, send)

    async def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        if self._begun == 0:
            loop.call_soon(self._next_round)
        if self._begun < IN_A_ROUND:
            self._begun += 1
        else:
            turn = loop.create_future()
            self._waiting.append(turn)
            await turn

    def _next_round(self) -> None:
        self._begun = 0
        while self._waiting and self._begun < IN_A_ROUND:
            turn = self._waiting.popleft()
            if not turn.done():  # else its client has gone
                turn.set_result(None)
                self._begun += 1
        if self._begun:
            asyncio.get_running_loop().call_soon(self._next_round)
