"""A server that says exactly what a test tells it to, well formed or not, in the event loop of the test."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Visit:
    """One connection: what it asked so far, and whether the client has left."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    requests: list[bytes] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def request(self) -> bytes:
        """The next request, head and body. Raises `IncompleteReadError` when the client has left."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        request = head + (await self.reader.readexactly(int(length[1])) if length else b"")
        self.requests.append(request)
        return request

    async def say(self, pieces: Sequence[bytes]) -> None:
        """One TCP write each."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)


Handler = Callable[[Visit], Awaitable[None]]


@dataclass
class RawServer:
    port: int = 0
    visits: list[Visit] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def requests(self) -> int:
        return sum(len(visit.requests) for visit in self.visits)


@asynccontextmanager
async def saying(
    handler: Handler, *, tls: ssl.SSLContext | None = None, path: Path | None = None
) -> AsyncIterator[RawServer]:
    """Each connection is one call of `handler`, and is closed when that returns. `path`: of a Unix socket in place of
    a port."""
    server = RawServer()
    tasks: set[asyncio.Task[None]] = set()

    async def visited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visit = Visit(reader, writer)
        server.visits.append(visit)
        try:
            await handler(visit)
        except (asyncio.IncompleteReadError, ConnectionError):
            visit.left.set()
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(visited(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    if path is not None:
        listener = await asyncio.start_unix_server(begin, path)
    else:
        listener = await asyncio.start_server(begin, "127.0.0.1", 0, ssl=tls)
        server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
