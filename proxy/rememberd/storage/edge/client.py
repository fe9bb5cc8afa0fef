"""The `MemoryStore` port for a process that does not hold the embedded store itself."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from asyncio import Future
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, cast

from rememberd.errors import StoreUnavailable
from rememberd.memory.recall.retrieve import Retrieved, Wanted
from rememberd.memory.serialization import memory_of
from rememberd.ports import MemoryStore, PageQuery
from rememberd.search_results import Candidates, Query
from rememberd.storage.edge.socket_protocol import (
    UNANSWERED,
    Frames,
    frame,
    pack_vector,
    unpack_candidates,
    unpack_error,
)
from rememberd.types import Kind, Memory, Millis, Point, Space, Sparse

# If more bytes than this wait to be sent, the server does not read.
MAX_UNSENT_BYTES = 32 * 2**20
MAX_UNSENT_HINT_BYTES = 2**16
_RETRY_SECONDS = 0.02

log = logging.getLogger("rememberd.store")

Answer = tuple[Any, bytes]  # the result, and its columns if it has any


class EdgeClient(MemoryStore):
    """Calls the server on the socket `path`. It connects at the first call, and again after the server was away.

    While the server is away, a call raises `StoreUnavailable` at once; but until the first connection, calls wait for
    a server that is starting, up to `wait_s` after this client was made. A call to a server that hangs waits until
    the caller cancels it; other calls on the same connection are not affected. A write that failed may have been made
    nevertheless: repeat it, it writes the same point.
    """

    def __init__(self, path: Path, *, wait_s: float = 0.0) -> None:
        self._path, self._wait_until = path, time.monotonic() + wait_s
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()
        self.cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1

    async def put(self, space: Space, points: Sequence[Point]) -> None:
        await self._call("put", space=space, points=points)

    async def get(self, space: Space, ids: Sequence[str]) -> list[Memory]:
        return [memory_of(stored) for stored in await self._call("get", space=space, ids=ids)]

    async def prefetch(self, space: Space, sparse: Sparse, *, now: Millis) -> None:
        """Send without waiting, if there is a connection and a second core: two searches take more CPU than one."""
        if self.cores > 1 and self._connection is not None and not self._connection.lost:
            self._connection.tell("ahead", {"space": space, "sparse": sparse, "now": now})

    async def search_all(self, queries: Sequence[Query], *, now: Millis) -> Candidates:
        """Several calls. A recall uses `retrieve` instead, which runs in the store's process."""
        return Candidates.joined(await asyncio.gather(*(self._search(each, now) for each in queries)))

    async def _search(self, query: Query, now: Millis) -> Candidates:
        space, dense, sparse, limit, kind, _ = query
        arguments = {"space": space, "sparse": sparse, "now": now, "limit": limit, "kind": kind}
        return unpack_candidates(*await self._answered("search", arguments, pack_vector(dense)))

    async def retrieve(self, space: Space, dense: list[float], sparse: Sparse, wanted: Wanted) -> Retrieved:
        """Runs in the process of the store. Raises `StoreUnavailable`."""
        arguments = {"space": space, "sparse": sparse, "wanted": wanted}
        found, _ = await self._answered("retrieve", arguments, pack_vector(dense))
        return Retrieved(*found)

    async def read_page(self, space: Space, wanted: PageQuery) -> tuple[list[Memory], str | None]:
        memories, following = await self._call("page", space=space, **wanted._asdict())
        return [memory_of(stored) for stored in memories], following

    async def count(self, space: Space, *, now: Millis, kind: Kind | None = None, include_past: bool = False) -> int:
        counted: int = await self._call("count", space=space, now=now, kind=kind, include_past=include_past)
        return counted

    async def deleted_at(self, space: Space, ids: Sequence[str]) -> dict[str, Millis]:
        times: dict[str, Millis] = await self._call("buried", space=space, ids=ids)
        return times

    async def delete(self, space: Space, ids: Sequence[str], *, at: Millis) -> list[str]:
        existed: list[str] = await self._call("delete", space=space, ids=ids, at=at)
        return existed

    async def erase(self, user: str) -> int:
        erased: int = await self._call("erase", user=user)
        return erased

    async def spaces(self, user: str | None = None) -> list[Space]:
        return [Space(*each) for each in await self._call("spaces", user=user)]

    async def users(self, after: str, limit: int) -> list[Space]:
        return [Space(*each) for each in await self._call("users", after=after, limit=limit)]

    async def ping(self) -> None:
        await self._call("ping")

    async def flush(self) -> None:
        await self._call("flush")

    async def snapshot(self, target: Path) -> int:
        """Like `EdgeStore.snapshot`; the server's process writes to the absolute path `target`."""
        points: int = await self._call("snapshot", target=str(target))
        return points

    async def close(self) -> None:
        """Disconnect; the store stays open in its own process."""
        if self._connection is not None:
            await self._connection.close()

    async def _call(self, method: str, **arguments: Any) -> Any:
        result, _ = await self._answered(method, arguments)
        return result

    async def _answered(self, method: str, arguments: dict[str, Any], columns: bytes = b"") -> Answer:
        async with self._connecting:
            if self._connection is None or self._connection.lost:
                self._connection = await self._connected()
        return await self._connection.call(method, arguments, columns)

    async def _connected(self) -> _Connection:
        while True:
            try:
                connection = await _connect(self._path)
            except StoreUnavailable:
                if time.monotonic() > self._wait_until:
                    raise
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self._wait_until = 0.0
                return connection


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._numbers = count(UNANSWERED + 1)
        self._waiting: dict[int, Future[Answer]] = {}
        self._frames = Frames()
        self._end: Future[None] = self._loop.create_future()

    @property
    def lost(self) -> bool:
        return self._end.done()

    def tell(self, method: str, arguments: dict[str, Any]) -> None:
        """Send without expecting an answer; send nothing if the server does not keep up."""
        if self._transport.get_write_buffer_size() < MAX_UNSENT_HINT_BYTES:
            self._transport.write(frame([UNANSWERED, method, arguments]))

    async def call(self, method: str, arguments: dict[str, Any], columns: bytes) -> Answer:
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            raise StoreUnavailable("the store is too slow: too many calls wait to be sent")
        number = next(self._numbers)
        answer: Future[Answer] = self._loop.create_future()
        self._waiting[number] = answer
        try:
            # Written into the buffer in one piece, so that a cancelled call never cuts a frame in two.
            self._transport.write(frame([number, method, arguments], columns))
            return await answer
        finally:
            del self._waiting[number]

    async def close(self) -> None:
        self._transport.abort()
        await self._end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transport has no such base class

    def data_received(self, data: bytes) -> None:
        try:
            for (number, result, error), columns in self._frames.feed(data):
                self._settle(number, (result, columns), error)
        except ValueError as error:
            log.error("the store's process sent an invalid frame: %s", error)
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._end.set_result(None)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(StoreUnavailable("the store's process closed the connection during the call"))

    def _settle(self, number: int, result: Answer, error: dict[str, Any] | None) -> None:
        answer = self._waiting.get(number)
        if answer is None or answer.done():  # its caller has given up
            return
        if error is None:
            answer.set_result(result)
        else:
            answer.set_exception(unpack_error(error))


async def _connect(path: Path) -> _Connection:
    try:
        _, connection = await asyncio.get_running_loop().create_unix_connection(_Connection, str(path))
    except OSError as error:
        raise StoreUnavailable(f"the store's process cannot be reached at {path}: {error.strerror}") from error
    return connection
