"""The way back: an upstream's bytes to the client, unchanged, and a copy of them to memory."""

from __future__ import annotations

import asyncio
import logging
import re
import zlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from prometheus_client import Counter
from starlette.types import Receive, Scope, Send

from rememberd.dialects import chat, sse
from rememberd.errors import UpstreamUnavailable
from rememberd.ports import Reply

T = TypeVar("T")
OnEnd = Callable[[bytes, bool], Awaitable[None]]
OnFirst = Callable[[bool], None]

COPY_LIMIT = 8 * 2**20  # bytes of one answer kept for memory
_WATCHED_AFTER_S = 0.02  # whoever left before is noticed then, and no request waits for its watcher to be made

log = logging.getLogger("rememberd.relay")
_failures = Counter("rememberd_relay_on_end_failures", "Answers whose end could not be handed to memory.")
_running: set[asyncio.Task[None]] = set()  # the event loop holds tasks weakly

_NOT_RELAYED = frozenset(
    (
        # of one connection only (RFC 9110, 7.6.1)
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
        # of the provider's host, or said by our own server
        *("alt-svc", "date", "server", "set-cookie", "strict-transport-security"),
    )
)


async def cancel_on_disconnect(receive: Receive, work: Awaitable[T]) -> T | None:
    """The result of `work`; or None, with `work` cancelled, when the client leaves first.

    The request's body must have been read, and nobody else may call `receive` meanwhile."""
    task = asyncio.current_task()
    assert task is not None
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        task.cancel()

    watcher: asyncio.Task[None] | None = None

    def begin() -> None:
        nonlocal watcher
        watcher = asyncio.create_task(watch())

    beginning = asyncio.get_running_loop().call_later(_WATCHED_AFTER_S, begin)
    try:
        return await work
    except asyncio.CancelledError:
        if gone and task.uncancel() == 0:
            return None
        raise
    finally:
        beginning.cancel()
        if watcher is not None:
            watcher.cancel()


class Relay:
    """A response that starlette can send: `reply` as it comes, with `headers` added (they win over upstream's).

    `on_end(collected, complete)` is awaited exactly once, before the client can know that the answer has ended:
    before `end`, the terminal marker of an event stream (see `sse.Tail`), and before the last read of any other
    body. `collected` is the body decompressed, at most `COPY_LIMIT` bytes; `complete` is False when it was cut, or
    the client or the upstream left early. `on_end` outlives a cancelled response and needs a deadline of its own;
    what it raises is logged and counted. `on_first(streamed)` is called when the first bytes of a good answer have
    come. `end` and `error_event` are the dialect's.

    Raises `UpstreamUnavailable` if a body breaks off before anything of it was sent."""

    def __init__(
        self,
        reply: Reply,
        headers: Sequence[tuple[str, str]] = (),
        *,
        on_end: OnEnd | None = None,
        on_first: OnFirst | None = None,
        end: re.Pattern[bytes] = chat.END,
        error_event: Callable[[UpstreamUnavailable], bytes] = chat.error_event,
    ) -> None:
        self._reply = reply
        self._added = headers
        self._on_end = on_end
        self._on_first = on_first if 200 <= reply.status < 300 else None
        self._tail = sse.Tail(end)
        self._error_event = error_event
        upstream = {name.lower(): value for name, value in reply.headers}
        self._streamed = upstream.get("content-type", "").startswith("text/event-stream")
        self._encoding = upstream.get("content-encoding", "identity")
        self._copy = ResponseBuffer(self._encoding, COPY_LIMIT if on_end else 0)
        self._started = self._marked = False
        self._ended: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await cancel_on_disconnect(receive, self.run(send))

    async def run(self, send: Send) -> None:
        """For somebody who cancels it when the client leaves."""
        try:
            await (self._relay_stream if self._streamed else self._relay_body)(send)
        finally:
            await self._reply.close()
            await self._end(complete=False)

    async def _relay_stream(self, send: Send) -> None:
        await self._start(send)
        try:
            async for chunk in self._reply.chunks():
                if (at := self._terminal(chunk)) is not None:
                    self._marked = True
                    await _write(send, chunk[:at])
                    await self._end(complete=True)
                    chunk = chunk[at:]
                await _write(send, chunk)
        except UpstreamUnavailable as error:
            if not self._marked:
                await self._break(send, error)
                return
        await self._end(complete=True)
        await _write(send, b"", more=False)

    def _terminal(self, chunk: bytes) -> int | None:
        at = self._tail.find(self._take(chunk))
        return at if at is None or self._encoding == "identity" else 0

    def _take(self, chunk: bytes) -> bytes:
        if self._on_first is not None:
            self._on_first(self._streamed)
            self._on_first = None
        return self._copy.add(chunk)

    async def _relay_body(self, send: Send) -> None:
        held = b""
        try:
            async for chunk in self._reply.chunks():
                self._take(chunk)
                if held:
                    await self._start(send)
                    await _write(send, held)
                held = chunk
        except UpstreamUnavailable:
            if not self._started:
                raise
            log.warning("upstream broke off in mid-body")
            return  # without an end, so that the server cuts the connection
        await self._end(complete=True)
        await self._start(send)
        await _write(send, held, more=False)

    async def _break(self, send: Send, error: UpstreamUnavailable) -> None:
        """Say in the stream that it broke. In a compressed one that cannot be said: then cut the connection."""
        await self._end(complete=False)
        if self._encoding == "identity":
            gap = b"" if self._tail.at_boundary else b"\n\n"
            await _write(send, gap + self._error_event(error), more=False)

    async def _start(self, send: Send) -> None:
        if self._started:
            return
        self._started = True
        headers = response_headers(self._reply.headers, self._added, streamed=self._streamed)
        await send({"type": "http.response.start", "status": self._reply.status, "headers": headers})

    async def _end(self, *, complete: bool) -> None:
        if self._on_end is None:
            return
        if self._ended is None:
            self._ended = asyncio.create_task(self._hand_over(self._on_end, complete))
            _running.add(self._ended)
            self._ended.add_done_callback(_running.discard)
        await asyncio.shield(self._ended)

    async def _hand_over(self, on_end: OnEnd, complete: bool) -> None:
        try:
            await on_end(bytes(self._copy.body), complete and self._copy.whole)
        except Exception:  # the answer must flow whatever becomes of memory
            _failures.inc()
            log.exception("the end of an answer could not be handed over")


def _write(send: Send, chunk: bytes, *, more: bool = True) -> Awaitable[None]:
    return send({"type": "http.response.body", "body": chunk, "more_body": more})


class ResponseBuffer:
    """What went by, decompressed, up to `limit` bytes. `whole` turns False when something is missing in it."""

    def __init__(self, encoding: str, limit: int) -> None:
        self.body = bytearray()
        self.whole = True
        self._room = limit
        self._inflate = _inflater(encoding)

    def add(self, chunk: bytes) -> bytes:
        """Returns the plain text of `chunk`, empty if it cannot be read."""
        try:
            plain = self._inflate(chunk)
        except zlib.error:
            plain, self.whole = b"", False
        if len(plain) > self._room:
            self.whole = False
        if self._room:
            self.body += plain[: self._room]
            self._room -= min(len(plain), self._room)
        return plain


def _inflater(encoding: str) -> Callable[[bytes], bytes]:
    match encoding:
        case "identity":
            return bytes
        case "gzip":
            return partial(zlib.decompressobj(wbits=31).decompress, max_length=COPY_LIMIT + 1)
        case "deflate":
            return partial(zlib.decompressobj().decompress, max_length=COPY_LIMIT + 1)
        case _:
            return _unreadable


def _unreadable(chunk: bytes) -> bytes:
    raise zlib.error("an encoding that cannot be read")


def response_headers(
    upstream: Sequence[tuple[str, str]], added: Sequence[tuple[str, str]], *, streamed: bool
) -> list[tuple[bytes, bytes]]:
    """Upstream's headers without those of its connection; ours replace those of the same name. Values are encoded as
    they were decoded, so that whatever bytes a provider sends there cost nobody an answer."""
    ours = {name.lower(): value for name, value in added}
    headers = [(n, v) for name, v in upstream if (n := name.lower()) not in _NOT_RELAYED and n not in ours]
    if streamed:
        headers = [(n, v) for n, v in headers if n != "content-length"]
        ours.setdefault("x-accel-buffering", "no")
        if all(n != "cache-control" for n, _ in headers):
            ours.setdefault("cache-control", "no-cache")
    return [(n.encode("latin-1"), v.encode("utf-8", "surrogateescape")) for n, v in (*headers, *ours.items())]
