"""`POST /mcp`. The official SDK stands behind it: half a second and 40 MB, paid by the first who asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from importlib import import_module
from typing import Any

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from proxy.api.caller import Caller

Serving = Callable[[int], AbstractAsyncContextManager[ASGIApp]]


class Mcp:
    """Streamable HTTP without sessions: each request shows its key, and is answered by whichever process gets it.

    Raises `RequestError` as the memory API does: 401, 403 for no identity or for a page of another site."""

    def __init__(self, caller: Caller, max_body_bytes: int) -> None:
        self.caller, self.max_body_bytes = caller, max_body_bytes
        self._server: asyncio.Future[ASGIApp] | None = None
        self._running: asyncio.Task[None] | None = None

    def routes(self) -> list[Route]:
        return [Route("/mcp", self, methods=["POST"])]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.caller.space(Request(scope))
        if self._server is None:
            self._server = asyncio.get_running_loop().create_future()
            self._running = asyncio.create_task(self._run(self._server))
        server = await asyncio.shield(self._server)
        await server(scope, receive, send)

    async def _run(self, server: asyncio.Future[ASGIApp]) -> None:
        """In one task from start to end, as the SDK's task group wants it; until it is cancelled."""
        try:
            sdk: Any = await asyncio.to_thread(import_module, "proxy.mcp.server")
            serving: Serving = sdk.serving
            async with AsyncExitStack() as stack:
                server.set_result(await stack.enter_async_context(serving(self.max_body_bytes)))
                await asyncio.Event().wait()
        except Exception as error:  # noqa: BLE001 - whatever kept it from starting is told to those who wait for it
            self._server = None
            server.set_exception(error)

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running
