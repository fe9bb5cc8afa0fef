"""HTTP/1.1 by hand: requests that no client library would send."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import orjson

PATIENCE = 60.0  # seconds
CLOSED, HANGS = 0, -1  # in place of a status

Header = tuple[str, str | bytes]


@dataclass(frozen=True, slots=True)
class Answer:
    """`raw` is every byte that came, without the chunks' frames."""

    status: int
    raw: bytes
    body: bytes = b""

    @property
    def json(self) -> dict[str, object]:
        found: dict[str, object] = orjson.loads(self.body)
        return found


def request(method: str, path: str, headers: Sequence[Header], body: bytes = b"") -> bytes:
    """As it is to be sent; nothing is escaped or checked."""
    lines = [f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1".encode()]
    lines += [
        name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()) for name, value in headers
    ]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Connection:
    """Kept alive as long as the server lets it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, data: bytes) -> Answer:
        """Once more over a new connection where a kept one was closed: the server may do so whenever it is idle."""
        kept = self._streams is not None
        answer = await self._asked(data)
        return await self._asked(data) if kept and answer.status == CLOSED else answer

    async def _asked(self, data: bytes) -> Answer:
        try:
            async with asyncio.timeout(PATIENCE):
                answer, stays = await self._ask(data)
        except TimeoutError:
            answer, stays = Answer(HANGS, b""), False
        except (ConnectionError, asyncio.IncompleteReadError):
            answer, stays = Answer(CLOSED, b""), False
        if not stays:
            await self.close()
        return answer

    async def _ask(self, data: bytes) -> tuple[Answer, bool]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
        reader, writer = self._streams
        writer.write(data)
        return await _read(reader)

    async def close(self) -> None:
        if self._streams is not None:
            writer, self._streams = self._streams[1], None
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> tuple[Answer, bool]:
    head = await reader.readuntil(b"\r\n\r\n")
    fields = {
        name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in head.split(b"\r\n"))
    }
    if fields.get(b"transfer-encoding") == b"chunked":
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
    return Answer(int(head.split(b" ", 2)[1]), head + body, body), fields.get(b"connection") != b"close"


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    chunks = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        chunks.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(chunks)
