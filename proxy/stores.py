"""Which store the settings name, for each kind of process."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from proxy.errors import StoreUnavailable
from proxy.memory.store.edge import EdgeStore
from proxy.memory.store.edge_client import EdgeClient
from proxy.memory.store.edge_server import serving
from proxy.memory.store.edge_wire import socket_path
from proxy.ports import Embedder, MemoryStore
from proxy.settings import Settings

if TYPE_CHECKING:
    from proxy.memory.store.qdrant import QdrantStore

log = logging.getLogger("rememberd.store")


def for_web(settings: Settings, embedder: Embedder) -> MemoryStore:
    """The server, or the writer's process. Raises `ConfigError`."""
    return on_server(settings, embedder) if settings.memory.store.url else EdgeClient(socket_path(settings.data_path))


@asynccontextmanager
async def for_writer(
    settings: Settings, embedder: Embedder
) -> AsyncIterator[tuple[MemoryStore, Callable[[], float] | None]]:
    """The store, and what tells for how many seconds nobody has asked it; None if a flush disturbs nobody.

    An embedded one is served to the web processes meanwhile. Raises `ConfigError`."""
    if settings.memory.store.url:
        server = on_server(settings, embedder)
        try:
            await server.open()
        except StoreUnavailable as error:
            log.error("the store is away, and will be asked again: %s", error)
        try:
            yield server, None
        finally:
            await server.close()
        return
    store = embedded(settings, embedder)
    try:
        async with serving(store, socket_path(settings.data_path)):
            yield store, store.quiet_for
    finally:
        await store.close()


@asynccontextmanager
async def for_command(settings: Settings, embedder: Embedder) -> AsyncIterator[MemoryStore]:
    """The server, the running writer's store, or the folder itself. Raises `ConfigError`, `StoreUnavailable`."""
    store = for_web(settings, embedder)
    try:
        await store.ping()
    except StoreUnavailable:
        if settings.memory.store.url:
            await store.close()
            raise
        # Nothing runs; if something does and hangs, the folder's lock says so.
        store = embedded(settings, embedder)
    try:
        yield store
    finally:
        await store.close()


def embedded(settings: Settings, embedder: Embedder) -> EdgeStore:
    return in_folder(settings.data_path / "qdrant", embedder)


def in_folder(folder: Path, embedder: Embedder) -> EdgeStore:
    return EdgeStore.open(folder, dim=embedder.dim, embedder=embedder.name)


def on_server(settings: Settings, embedder: Embedder) -> QdrantStore:
    from proxy.memory.store.qdrant import QdrantStore  # two seconds and 60 MB: not for the embedded store

    return QdrantStore.at(settings.memory.store, embedder)
