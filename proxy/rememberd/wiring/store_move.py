"""Moves all memories from the embedded store to a server, or back, while the proxy runs: new memories are written to
both stores, and the writer copies the older ones. A file in `data_dir` says whether the move is complete, so that no
process starts with a store that is incomplete."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from rememberd.errors import ConfigError
from rememberd.memory.embedding.change_model import fill
from rememberd.settings.schema import Settings
from rememberd.storage.edge.store import EdgeStore
from rememberd.storage.migrate import sync
from rememberd.telemetry.background import keep_running, running

if TYPE_CHECKING:
    from rememberd.storage.qdrant.store import QdrantStore

EMBEDDED = "embedded"
MOVING = "moving.json"
MOVES = ("url", "collection", "shards", "shard_by_user")  # each has a setting with `next_` before it

log = logging.getLogger("rememberd.store")


def next_place(settings: Settings) -> Settings | None:
    """The settings after the move; None if no move is set. Raises `ConfigError`."""
    store, embedding = settings.memory.store, settings.memory.embedding
    given: dict[str, Any] = {name: getattr(store, f"next_{name}") for name in MOVES}
    if not any(value is not None for value in given.values()):
        return None
    following = {name: value for name, value in given.items() if value is not None}
    if store.next_url == EMBEDDED:
        following["url"] = None
    following |= {f"next_{name}": None for name in MOVES}
    there = replace(settings, memory=replace(settings.memory, store=replace(store, **following)))
    if place(there) == place(settings):
        raise ConfigError("memory.store.next_url is the store in use: set another one, or set next_collection")
    if embedding.next_model is not None or embedding.next_path is not None:
        raise ConfigError("change the embedding model and move the memories one after the other, not at once")
    return there


def place(settings: Settings) -> str:
    """The place of the memories, without secrets, for messages."""
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
    record_move(settings.data_path, to, ready=False)

    async def mark_ready(ready: bool) -> None:
        if not isinstance(beside, EdgeStore):
            await beside.mark_ready(ready)
        if ready and (version := await store.index_version()):
            await beside.mark_indexed(version)
        record_move(settings.data_path, to, ready=ready)

    async def catch_up() -> int:
        changed = await sync(store, beside)
        log.info("%s points were copied to %s", f"{changed:,}", to)
        return changed

    async def work() -> None:
        await fill(catch_up, beside.flush, mark_ready)
        log.info("all memories are in %s, too: set memory.store to it, remove the next_ settings, and restart", to)

    async with running(keep_running("moving", work)):
        yield


def record_move(data: Path, to: str, *, ready: bool) -> None:
    draft = data / f"{MOVING}.new"
    draft.write_bytes(orjson.dumps({"to": to, "ready": ready}))
    draft.replace(data / MOVING)


def check_move(data: Path, here: str) -> None:
    """Raises `ConfigError` if a move to `here` is not complete."""
    to, ready = _known(data)
    if to == here and not ready:
        raise ConfigError(
            f"not all memories have been copied to {here}: set memory.store.url back and memory.store.next_url to the"
            f" new place until the log says that all are copied; or delete {data / MOVING} to start without them"
        )


def begin_alone(data: Path, here: str) -> None:
    """Called by a writer that writes only to this store: a move to it is complete, or a move away from it was
    stopped. Raises the errors of `check_move`."""
    check_move(data, here)
    to, _ = _known(data)
    if to == here:
        (data / MOVING).unlink()
    elif to is not None:
        record_move(data, to, ready=False)


def _known(data: Path) -> tuple[str | None, bool]:
    try:
        known = orjson.loads((data / MOVING).read_bytes())
    except FileNotFoundError:
        return None, False
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{data / MOVING} is damaged: delete it if all memories are in memory.store.url") from error
    return known["to"], known["ready"]
