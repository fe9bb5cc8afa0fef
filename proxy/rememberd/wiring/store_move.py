"""Moving all memories from the embedded store to a server, or back, while the proxy runs: both are written, and the
writer copies what was there before."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from rememberd.errors import ConfigError
from rememberd.memory.embedding.change_model import fill
from rememberd.memory.retry import cancel_and_wait
from rememberd.settings.schema import Settings
from rememberd.storage import moving
from rememberd.storage.edge.store import EdgeStore
from rememberd.storage.migrate import sync
from rememberd.telemetry.background import keep_running

if TYPE_CHECKING:
    from rememberd.storage.qdrant.store import QdrantStore

EMBEDDED = "embedded"

log = logging.getLogger("rememberd.store")


def next_place(settings: Settings) -> Settings | None:
    """The settings as they will be after the move; None if there is none. Raises `ConfigError`."""
    store, embedding = settings.memory.store, settings.memory.embedding
    if store.next_url is None:
        return None
    url = None if store.next_url == EMBEDDED else store.next_url
    there = replace(settings, memory=replace(settings.memory, store=replace(store, url=url, next_url=None)))
    if place(there) == place(settings):
        raise ConfigError("memory.store.next_url names the store in use")
    if embedding.next_model is not None or embedding.next_path is not None:
        raise ConfigError("change the embedding model and move the memories one after the other, not both at once")
    return there


def place(settings: Settings) -> str:
    """Where the memories are, as it may be shown."""
    store = settings.memory.store
    if not store.urls:
        return EMBEDDED
    from rememberd.storage.qdrant.connection import where

    return f"{where(store.urls[0])}/{store.collection}"


@asynccontextmanager
async def copying(
    settings: Settings, there: Settings, store: QdrantStore | EdgeStore, beside: QdrantStore | EdgeStore
) -> AsyncIterator[None]:
    to = place(there)
    moving.record(settings.data_path, to, ready=False)

    async def mark_ready(ready: bool) -> None:
        if not isinstance(beside, EdgeStore):
            await beside.mark_ready(ready)
        if ready and (version := await store.index_version()):
            await beside.mark_indexed(version)
        moving.record(settings.data_path, to, ready=ready)

    async def catch_up() -> int:
        changed = await sync(store, beside)
        log.info("%s points were copied to %s", f"{changed:,}", to)
        return changed

    async def work() -> None:
        await fill(catch_up, beside.flush, mark_ready)
        log.info("all memories are in %s too: set memory.store.url to it, drop next_url, and restart", to)

    running = asyncio.create_task(keep_running("moving", work))
    try:
        yield
    finally:
        await cancel_and_wait(running)
