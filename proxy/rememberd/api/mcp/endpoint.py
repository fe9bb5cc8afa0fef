"""`POST /mcp`, served by the official SDK. Its import takes half a second and 40 MB, at the first request."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from rememberd.access.apps import AppLog, app_name
from rememberd.api.dependencies import CallerResolver
from rememberd.api.mcp.internal_client import ASKING, McpContext
from rememberd.http.request import header_values
from rememberd.memory.safety.privacy import Privacy
from rememberd.ports import PreferenceStore
from rememberd.telemetry.clock import wall_clock

Serving = Callable[[int], AbstractAsyncContextManager[ASGIApp]]


class Mcp:
    """Streamable HTTP without sessions: each request has its own key, and any process can answer it.

    Raises the `RequestError` of the memory API: 401, and 403 without an identity or for a page of another site.
    """

    def __init__(
        self,
        caller: CallerResolver,
        privacy: Privacy,
        app_log: AppLog,
        preferences: PreferenceStore,
        max_body_bytes: int,
    ) -> None:
        self.caller, self.privacy, self.app_log, self.preferences = caller, privacy, app_log, preferences
        self.max_body_bytes = max_body_bytes
        self._ready: asyncio.Future[ASGIApp] | None = None
        self._running: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = header_values(scope)
        self.caller.auth.refuse_foreign_page(headers)  # as the protocol's transport demands
        identity = self.caller.identity(Request(scope))
        app, principal = app_name(headers), self.caller.principal(Request(scope))
        self.app_log.note(identity.user, app, principal.name, wall_clock())
        rights, scopes = await self.app_log.store.rights(identity.user, app), principal.scopes
        if rights.scope and "x-memory-scope" not in headers and (scopes is None or rights.scope in scopes):
            identity = replace(identity, scope=rights.scope)
            scope = {**scope, "headers": [*scope["headers"], (b"x-memory-scope", rights.scope.encode())]}
        paused = (await self.preferences.of(identity.space)).paused
        scope[ASKING] = McpContext(paused, rights.memory, partial(self.privacy.keeps_text, identity.memories))
        server = await self._server()
        await server(scope, receive, send)

    async def _server(self) -> ASGIApp:
        """The server, which is started if necessary. Raises the error of a failed start; the next request tries
        again."""
        if self._ready is None or self._running is None or self._running.done():
            self._ready = asyncio.get_running_loop().create_future()
            self._running = asyncio.create_task(self._run(self._ready))
        ready, running = self._ready, self._running
        either: set[asyncio.Future[Any]] = {ready, running}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        return ready.result()

    async def _run(self, ready: asyncio.Future[ASGIApp]) -> None:
        """Run in one task from start to end, as the SDK's task group requires, until it is cancelled."""
        sdk: Any = await asyncio.to_thread(import_module, "rememberd.api.mcp.server")
        serving: Serving = sdk.serving
        async with serving(self.max_body_bytes) as server:
            ready.set_result(server)
            await asyncio.Event().wait()

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
