"""Opens the store that the settings name, for each kind of process. While memories move or the embedding model is
changed, it opens two stores."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rememberd.errors import ConfigError, StoreUnavailable
from rememberd.memory.embedding.change_model import DualWriteStore, Reembedding
from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.recall.retrieve import Retrieve
from rememberd.ports import Embedder, MemoryStore
from rememberd.settings.schema import Settings, Store
from rememberd.storage.changes import ChangeLog
from rememberd.storage.edge.client import EdgeClient
from rememberd.storage.edge.server import serving
from rememberd.storage.edge.shard import clear_of_others, is_locked, mark_ready, take_over
from rememberd.storage.edge.socket_protocol import socket_path
from rememberd.storage.edge.store import EdgeStore
from rememberd.storage.migrate import copy_tombstones
from rememberd.storage.sqlite.changes import SqliteChangeLog
from rememberd.storage.sqlite.database import Database
from rememberd.telemetry.background import keep_running, running
from rememberd.wiring.store_move import begin_alone, check_move, copying, next_place, place

if TYPE_CHECKING:
    from rememberd.storage.qdrant.collection import Layout, Role
    from rememberd.storage.qdrant.connection import Connection
    from rememberd.storage.qdrant.store import QdrantStore

Seal = Callable[[MemoryStore], MemoryStore]  # wraps a store so that it gets encrypted memories

log = logging.getLogger("rememberd.store")

_STARTS_WITHIN_SECONDS = 10.0  # a starting writer opens its store within this time


class WriterStore(NamedTuple):
    """`unsealed`: the stores behind `store`; with encryption they have pseudonyms for names. `quiet_for` returns the
    seconds since the last search; None if a flush does not delay searches."""

    store: MemoryStore
    unsealed: tuple[QdrantStore | EdgeStore, ...]
    quiet_for: Callable[[], float] | None


class WebStore(NamedTuple):
    """`retrieve` runs in the writer's process; None if the store is a server."""

    store: MemoryStore
    retrieve: Retrieve | None


def for_web(settings: Settings, embedder: Embedder, seal: Seal) -> WebStore:
    """The Qdrant server, or the writer's process. Raises `ConfigError`."""
    return _connected(settings, embedder, seal, _STARTS_WITHIN_SECONDS)


def _connected(settings: Settings, embedder: Embedder, seal: Seal, wait_s: float) -> WebStore:
    check_move(settings.data_path, place(settings))
    if (there := next_place(settings)) is not None:
        here = _web_store(settings, embedder, "alone", wait_s)
        moved = DualWriteStore(here, _web_store(there, embedder, _role_there(there), wait_s))
        return WebStore(seal(moved), here.retrieve if isinstance(here, EdgeClient) else None)
    following = next_embedder(settings)
    store = _web_store(settings, embedder, "changing" if following else "alone", wait_s)
    near = store.retrieve if isinstance(store, EdgeClient) else None
    if following is None:
        return WebStore(seal(store), near)
    beside = _web_store(settings, following, "next", wait_s)
    return WebStore(DualWriteStore(seal(store), seal(beside), _loading(following)), near)


@asynccontextmanager
async def for_writer(settings: Settings, embedder: Embedder, seal: Seal) -> AsyncIterator[WriterStore]:
    """Also serves an embedded store to the web processes. Raises `ConfigError`, `EmbedderUnavailable`."""
    following, there = next_embedder(settings), next_place(settings)
    async with AsyncExitStack() as stack:
        if there is not None:
            check_move(settings.data_path, place(settings))
            here = await stack.enter_async_context(_writer_store(settings, embedder, "alone", seal))
            other = await stack.enter_async_context(_writer_store(there, embedder, _role_there(there), seal))
            await stack.enter_async_context(copying(settings, there, here, other))
            quiet_for = here.quiet_for if isinstance(here, EdgeStore) else None
            # Encrypted only once, so that both stores have the same bytes.
            yield WriterStore(seal(DualWriteStore(here, other)), (here, other), quiet_for)
            return
        begin_alone(settings.data_path, place(settings))
        role: Role = "changing" if following else "alone"
        store = await stack.enter_async_context(_writer_store(settings, embedder, role, seal))
        quiet_for = store.quiet_for if isinstance(store, EdgeStore) else None
        if following is None:
            yield WriterStore(seal(store), (store,), quiet_for)
            return
        stack.callback(following.close)
        await following.start()
        if (following.name, following.dim) == (embedder.name, embedder.dim):
            raise ConfigError(f"memory.embedding.next_model or next_path names the model in use, {embedder.name}")
        beside = await stack.enter_async_context(_writer_store(settings, following, "next", seal))
        work = Reembedding(
            seal(store),
            seal(beside),
            following,
            bury=partial(copy_tombstones, store, beside),
            mark_ready=beside.mark_ready,
            total=store.size,
        )
        await stack.enter_async_context(running(keep_running("reembedding", work.run)))
        both = DualWriteStore(seal(store), seal(beside), _loading(following))
        yield WriterStore(both, (store, beside), quiet_for)


@asynccontextmanager
async def for_command(settings: Settings, embedder: Embedder, seal: Seal) -> AsyncIterator[MemoryStore]:
    """The Qdrant server, else the running writer's store, else the folder. Raises `ConfigError`,
    `StoreUnavailable`."""
    busy = not settings.memory.store.url and is_locked(settings.data_path / "qdrant")
    store = _connected(settings, embedder, seal, _STARTS_WITHIN_SECONDS if busy else 0.0).store
    try:
        await store.ping()
    except StoreUnavailable:
        if settings.memory.store.url:
            await store.close()
            raise
        # No process runs; if one hangs, the folder is locked and opening it fails. A move copies these changes later.
        begin_alone(settings.data_path, place(settings))
        store = seal(embedded(settings, embedder, "changing" if next_embedder(settings) else "alone"))
    try:
        yield store
    finally:
        await store.close()


def exists(settings: Settings) -> bool:
    """True if there is a store. The first writer creates an embedded one."""
    return bool(settings.memory.store.url) or (settings.data_path / "qdrant").exists()


async def snapshot(settings: Settings, target: Path) -> int:
    """Copy the embedded store to the absolute path `target`: by the running writer, else from its folder. Returns the
    number of points. Raises `StoreUnavailable`, `ConfigError`."""
    folder = settings.data_path / "qdrant"
    if is_locked(folder):
        client = EdgeClient(socket_path(settings.data_path), wait_s=_STARTS_WITHIN_SECONDS)
        try:
            return await client.snapshot(target)
        finally:
            await client.close()
    store = EdgeStore.reopen(folder)
    try:
        return await store.snapshot(target)
    finally:
        await store.close()


def embedded(settings: Settings, embedder: Embedder, role: Role) -> EdgeStore:
    """Raises `ConfigError`."""
    folder, following = settings.data_path / "qdrant", _next_folder(settings)
    if role == "next":
        clear_of_others(following, embedder.name, embedder.dim)
        return in_folder(following, embedder)
    take_over(folder, following, embedder.name, embedder.dim)
    if role == "alone":  # from now on, the other store gets no writes
        mark_ready(following, False)
    return in_folder(folder, embedder)


def in_folder(folder: Path, embedder: Embedder) -> EdgeStore:
    return EdgeStore.open(folder, dim=embedder.dim, embedder=embedder.name)


def on_server(settings: Settings, embedder: Embedder, role: Role = "alone") -> QdrantStore:
    """Sends nothing yet. Raises `ConfigError` for an invalid URL."""
    from rememberd.storage.qdrant.store import QdrantStore  # here, because an embedded store does not need it

    return QdrantStore(*server_of(settings), embedder, role, _change_log(settings))


def server_of(settings: Settings) -> tuple[Connection, Layout]:
    """Raises `ConfigError`."""
    from rememberd.storage.qdrant.connection import Connection

    store = settings.memory.store
    return Connection(store.urls, store.api_key), layout_of(store)


def _change_log(settings: Settings) -> ChangeLog:
    if settings.memory.queue.url:
        from rememberd.storage.redis.changes import RedisChangeLog
        from rememberd.storage.redis.client import RedisClient

        return RedisChangeLog(RedisClient(settings.memory.queue.url, soon_ms=settings.memory.deadline_ms / 3))
    return SqliteChangeLog(Database(settings.data_path / "changes.db"))


def layout_of(store: Store) -> Layout:
    from rememberd.storage.qdrant.collection import Layout

    return Layout(**{field.name: getattr(store, field.name) for field in fields(Layout)})


def _role_there(there: Settings) -> Role:
    """Only a server can have two collections; an embedded store has one folder."""
    return "next" if there.memory.store.url else "alone"


def next_embedder(settings: Settings) -> FastEmbedder | None:
    wanted = settings.memory.embedding
    if wanted.next_model is None and wanted.next_path is None:
        return None
    return FastEmbedder(wanted.next_model, wanted.next_path)


def _web_store(settings: Settings, embedder: Embedder, role: Role, wait_s: float) -> MemoryStore:
    if settings.memory.store.url:
        return on_server(settings, embedder, role)
    return EdgeClient(socket_path(_next_folder(settings) if role == "next" else settings.data_path), wait_s=wait_s)


@asynccontextmanager
async def _writer_store(
    settings: Settings, embedder: Embedder, role: Role, seal: Seal
) -> AsyncIterator[QdrantStore | EdgeStore]:
    if settings.memory.store.url:
        server = on_server(settings, embedder, role)
        try:
            await server.open()
        except StoreUnavailable as error:
            log.error("the store does not answer; it is tried again: %s", error)
        try:
            async with running(keep_running("removals", server.removals.run)):
                yield server
        finally:
            await server.close()
        return
    store = embedded(settings, embedder, role)
    path = socket_path(_next_folder(settings) if role == "next" else settings.data_path)
    try:
        async with serving(store, path, seal(store)):
            yield store
    finally:
        await store.close()


def _next_folder(settings: Settings) -> Path:
    return settings.data_path / "qdrant-next"


def _loading(embedder: FastEmbedder) -> Callable[[], Awaitable[Embedder]]:
    """A function that loads the model at its first call."""
    lock = asyncio.Lock()

    async def load() -> Embedder:
        async with lock:
            if not embedder.ready:
                await embedder.start()
        return embedder

    return load
