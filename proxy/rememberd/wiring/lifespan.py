"""Start and end of a web process: starts the background tasks and closes all parts in the right order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

from starlette.applications import Starlette

from rememberd.telemetry.background import keep_running
from rememberd.wiring.routes import Handlers

if TYPE_CHECKING:
    from rememberd.wiring.app import Parts

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]


def lifespan(parts: Parts, handlers: Handlers) -> Lifespan:
    @asynccontextmanager
    async def running(app: Starlette) -> AsyncIterator[None]:
        await parts.watcher.refresh()
        await parts.groups.look()
        handlers.chat.recorder.outbox.start()
        loops = (
            keep_running("key_watcher", parts.watcher.run),
            keep_running("groups", parts.groups.run),
            keep_running("audit_log", parts.audit_log.run),
            keep_running("usage", parts.meter.run),
            keep_running("apps", parts.app_log.run),
        )
        background = [asyncio.create_task(loop) for loop in loops]
        yield
        await handlers.mcp.close()
        for task in background:
            task.cancel()
        parts.audit_log.sync()
        await parts.watcher.record_uses()
        await handlers.chat.recorder.drain()
        await parts.meter.close()
        await parts.app_log.close()
        await parts.keys.close()
        if parts.sign_in:
            await parts.sign_in.close()
        await parts.groups.close()
        parts.limits.close()
        await parts.queues.queue.close()
        await parts.store.close()
        await parts.byte_lane.close()
        await parts.litellm_lane.close()
        parts.embedder.close()

    return running
