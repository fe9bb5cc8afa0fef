"""Graceful shutdown behind a load balancer. For some seconds after SIGTERM, `/health/ready` answers 503 and each
connection is closed after its next response, but every request is still answered. Then the server stops listening."""

import asyncio
import signal
from collections.abc import Awaitable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rememberd.http.responses import json_response


class DrainMiddleware:
    """ASGI middleware; does nothing until `now` is set."""

    def __init__(self, app: ASGIApp) -> None:
        self.app, self.now = app, False

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return (self._last if self.now and scope["type"] == "http" else self.app)(scope, receive, send)

    async def _last(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def last(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [pair for pair in message["headers"] if pair[0].lower() != b"connection"]
                message = {**message, "headers": [*kept, (b"connection", b"close")]}
            await send(message)

        if scope["path"] == "/health/ready":
            await json_response({"status": "stopping"}, 503)(scope, receive, last)
        else:
            await self.app(scope, receive, last)


class DrainingServer(uvicorn.Server):
    """A server that continues for `drain_s` seconds after the first signal; a second signal ends the wait. Create it
    on its event loop."""

    def __init__(self, config: uvicorn.Config, drain: DrainMiddleware, drain_s: float) -> None:
        super().__init__(config)
        self.drain, self.drain_s = drain, drain_s
        self._loop = asyncio.get_running_loop()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.drain.now or sig != signal.SIGTERM or not self.drain_s:
            super().handle_exit(sig, frame)
            return
        self.drain.now = True
        self._loop.call_soon_threadsafe(self._loop.call_later, self.drain_s, super().handle_exit, sig, frame)
