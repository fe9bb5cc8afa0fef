"""Serves the embedded store to other processes of the same account, over a Unix socket."""

import asyncio
import logging
import os
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from traceback import format_tb
from typing import Any

import orjson
from prometheus_client import Counter

from rememberd import __version__
from rememberd.errors import InputRejected, MemoryUnavailable, StoreUnavailable
from rememberd.memory.recall.retrieve import Wanted, retrieve
from rememberd.ports import MemoryStore, PageQuery
from rememberd.search_results import Candidates
from rememberd.storage.edge.socket_protocol import (
    READ_AHEAD_BYTES,
    UNANSWERED,
    Frames,
    frame,
    pack_candidates,
    pack_error,
    unpack_vector,
)
from rememberd.storage.edge.store import EdgeStore
from rememberd.storage.payload import point_of
from rememberd.telemetry.background import keep_running
from rememberd.types import Space, Sparse

# For the lock of the folder, which is held while a backup is copied. A caller that reads its own write waits for it.
_WAITING = frozenset(("put", "delete", "erase", "flush", "snapshot"))
# An optimisation blocks the engine, so it runs only after this time without a call; also how often to check.
QUIET_SECONDS = 60.0

log = logging.getLogger("rememberd.store")
faults = Counter("rememberd_store_server_faults_total", "Calls to the store's server that failed because of a bug")


Method = Callable[..., Awaitable[Any]]


@asynccontextmanager
async def serving(store: EdgeStore, path: Path, opened: MemoryStore | None = None) -> AsyncIterator[None]:
    """Answer calls on the socket `path` while the body runs. Close the store only afterwards. `opened` is the
    decrypting adapter over this store, if there is one: `retrieve` ranks and reads through it.

    The store's lock guarantees that no process uses a socket file that is found here.
    """
    connections: set[asyncio.Task[None]] = set()
    methods = _methods(store, opened or store)

    async def connected(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.create_task(_converse(methods, reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_unix_server(connected, sock=_listener(path), limit=READ_AHEAD_BYTES)
    housekeeping = asyncio.create_task(keep_running("housekeeping", partial(_optimize_when_quiet, store)))
    try:
        yield
    finally:
        server.close()
        with suppress(FileNotFoundError):
            os.unlink(path)
        stopping = [housekeeping, *connections]
        for task in stopping:
            task.cancel()
        await asyncio.gather(*stopping, return_exceptions=True)


def _listener(path: Path) -> socket.socket:
    """The socket gets its final name only when it listens and other accounts cannot open it."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(draft))
    draft.chmod(0o600)
    listener.listen(128)
    os.replace(draft, path)
    return listener


async def _converse(methods: Mapping[str, Method], reader: StreamReader, writer: StreamWriter) -> None:
    """Answer one call after the other. While a call that may wait is waiting, later calls are answered."""
    frames, waiting = Frames(), set[asyncio.Task[None]]()

    async def reply(number: int, method: str, arguments: dict[str, Any], vector: bytes) -> None:
        result, columns, error = await _answer(methods, method, arguments, vector)
        if number != UNANSWERED:
            writer.write(frame([number, result, error], columns))
            with suppress(ConnectionError):
                await writer.drain()

    try:
        with suppress(ConnectionError):
            while data := await reader.read(READ_AHEAD_BYTES):
                for (number, method, arguments), vector in frames.feed(data):
                    replying = reply(number, method, arguments, vector)
                    if method in _WAITING:
                        waiting.add(task := asyncio.create_task(replying))
                        task.add_done_callback(waiting.discard)
                    else:
                        await replying
                    await asyncio.sleep(0)  # so that a busy connection does not block the others
    finally:
        for task in waiting:
            task.cancel()
        writer.close()


async def _answer(
    methods: Mapping[str, Method], method: str, arguments: dict[str, Any], vector: bytes
) -> tuple[Any, bytes, Any]:
    """The result, its columns, and the error: either the first or the last is None."""
    if method not in methods:
        known = f"the running proxy is rememberd {__version__}, which does not know `{method}`"
        return None, b"", pack_error(StoreUnavailable(f"{known}: restart it with the version of this command"))
    try:
        result = await methods[method](**_typed(arguments, vector))
        return (*pack_candidates(result), None) if isinstance(result, Candidates) else (result, b"", None)
    except (InputRejected, MemoryUnavailable) as error:
        return None, b"", pack_error(error)
    except Exception as error:  # noqa: BLE001 - a bug met in one call must not end the connection that all share
        faults.inc()
        kind, where = type(error).__name__, "".join(format_tb(error.__traceback__))
        # the exception's message may quote a memory
        log.error("the store's server failed in %s: %s\n%s", method, kind, where)
        return None, b"", pack_error(StoreUnavailable(f"the store's server failed: {kind}"))


def _typed(arguments: dict[str, Any], vector: bytes) -> dict[str, Any]:
    if vector:
        arguments["dense"] = unpack_vector(vector)
    if "space" in arguments:
        arguments["space"] = Space(*arguments["space"])
    if "wanted" in arguments:
        arguments["wanted"] = Wanted(*arguments["wanted"])
    if "sparse" in arguments:
        arguments["sparse"] = Sparse(*arguments["sparse"])
    if "points" in arguments:
        arguments["points"] = [point_of(point) for point in arguments["points"]]
    return arguments


def _methods(store: EdgeStore, opened: MemoryStore) -> dict[str, Method]:
    def asked(method: Method) -> Method:
        def call(**arguments: Any) -> Awaitable[Any]:
            store.asked()
            return method(**arguments)

        return call

    return {
        "put": store.put,
        "get": asked(store.get),
        "ahead": asked(store.prefetch),
        "search": asked(store.search),
        "retrieve": asked(partial(retrieve, opened)),
        "page": asked(partial(_page, store)),
        "count": store.count,
        "buried": store.deleted_at,
        "delete": store.delete,
        "erase": store.erase,
        "spaces": store.spaces,
        "users": store.users,
        "ping": store.ping,
        "flush": store.flush,
        "snapshot": lambda target: store.snapshot(Path(target)),
    }


async def _page(store: EdgeStore, space: Space, **wanted: Any) -> tuple[list[orjson.Fragment], str | None]:
    stored, following = await store.stored_page(space, PageQuery(**wanted))
    return [orjson.Fragment(each) for each in stored], following


async def _optimize_when_quiet(store: EdgeStore) -> None:
    while True:
        await asyncio.sleep(QUIET_SECONDS)
        if store.quiet_for() > QUIET_SECONDS:
            try:
                await store.optimize()
            except StoreUnavailable as error:
                log.warning("the embedded store was not optimised: %s", error)
