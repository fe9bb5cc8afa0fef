"""Sends an upstream's bytes to the client, unchanged, and collects a copy of them for memory."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from prometheus_client import Counter
from starlette.types import Receive, Scope, Send

from rememberd.dialects import chat
from rememberd.dialects.formats import sse
from rememberd.dialects.registry import Dialect
from rememberd.errors import UpstreamUnavailable
from rememberd.http.disconnect import cancel_on_disconnect
from rememberd.http.response_buffer import COPY_LIMIT, ResponseBuffer
from rememberd.http.response_cycle import BODY_FOLLOWS
from rememberd.http.response_headers import response_headers
from rememberd.ports import Reply
from rememberd.telemetry.usage.answers import Tokens, estimated, reported

OnEnd = Callable[[bytes, bool], Awaitable[None]]
OnFirst = Callable[[bool], None]

_WHOLE_WITHIN_S = 0.02  # too short to notice, and most bodies of a local provider are complete by then
_WHOLE_LIMIT = 256 * 1024  # bytes
_OPEN = b"{[,:"  # no JSON value ends with these
_COLON = ord(":")

log = logging.getLogger("rememberd.relay")
_failures = Counter("rememberd_relay_on_end_failures", "Answers whose end could not be handed to memory.")
_running: set[asyncio.Task[None]] = set()  # the event loop holds tasks weakly


class Relay:
    """A response that starlette can send: `reply` as it arrives, with `headers` added (lower case; they replace
    upstream's).

    The head and each byte are sent as soon as they arrive, with three exceptions. An event is sent when it is
    complete. Bytes that arrive within `_WHOLE_WITHIN_S` after the head are sent in one piece, so that a body that
    breaks off by then becomes an error and not half a body. The last bytes wait for `on_end`.

    `on_end(collected, complete)` is awaited exactly once, before the client can know that the answer has ended:
    before the event that `dialect.END` marks, and before the last byte of any other body. `collected` is the
    decompressed body, at most `COPY_LIMIT` bytes. `complete` is False if it was cut, or if the client or the upstream
    left early. `on_end` continues if the response is cancelled, so it needs its own deadline; its exceptions are
    logged and counted. `on_first(streamed)` is called at the first bytes of a successful answer.

    Raises `UpstreamUnavailable` if a body breaks off before any of it was sent."""

    def __init__(
        self,
        reply: Reply,
        headers: Sequence[tuple[bytes, bytes]] = (),
        *,
        on_end: OnEnd | None = None,
        on_first: OnFirst | None = None,
        dialect: Dialect = chat,
    ) -> None:
        self._reply = reply
        self._added = headers
        self._on_end = on_end
        self._on_first = on_first if 200 <= reply.status < 300 else None
        self._dialect = dialect
        upstream = {name.lower(): value for name, value in reply.headers}
        self._type = upstream.get("content-type") or None
        self._streamed = sse.is_event_stream(self._type, b"")
        self._encoding = upstream.get("content-encoding", "identity")
        self._copy = ResponseBuffer(self._encoding, COPY_LIMIT if on_end else 0)
        self._started = False
        self._held = b""  # bytes of a body that are not sent yet
        self._flushing: asyncio.Task[None] | None = None
        self._ended: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await cancel_on_disconnect(scope, self.run(send))

    async def run(self, send: Send) -> None:
        """Send the response. The caller must cancel this when the client leaves."""
        try:
            await (self._relay_stream if self._streamed else self._relay_body)(send, self._reply.chunks())
        finally:
            if self._flushing is not None:
                self._flushing.cancel()
            await self._reply.close()
            if self._on_end is not None:
                await self._end(complete=False)

    def tokens(self, request_bytes: int) -> Tokens | None:
        """The tokens that the answer reports, else an estimate by its length; None for an error."""
        if not 200 <= self._reply.status < 300:
            return None
        ends = self._copy.ends()
        return reported(ends) or estimated(request_bytes, ends, self._copy.length, streamed=self._streamed)

    async def _relay_stream(self, send: Send, chunks: AsyncIterator[bytes]) -> None:
        await self._start(send)
        events, end, plain = sse.EventBuffer(), self._dialect.END, self._encoding == "identity"
        begin = latest = b""
        marked = False
        try:
            async for chunk in chunks:
                whole = events.add(self._take(chunk))
                if plain and not marked:
                    chunk = whole
                if not marked and (at := sse.find_marker(whole, end)) is not None:
                    marked = True
                    at = at if plain else 0
                    await _write(send, chunk[:at])
                    await self._end(complete=True)
                    chunk = chunk[at:] + (events.rest if plain else b"")
                if whole and whole[0] != _COLON:
                    begin, latest = begin or whole, whole
                if chunk:
                    await _write(send, chunk)
            self._check_end(events.rest, latest, whole_without_end=marked or not plain)
        except UpstreamUnavailable as error:
            if not marked:
                await self._end(complete=False)
                if plain and not events.torn:
                    await _write(send, self._dialect.error_event(error, begin, latest), more=False)
                return  # if no error event could be sent, the server closes the connection
        await self._end(complete=True)
        await _write(send, b"" if marked or not plain else events.rest, more=False)

    def _check_end(self, rest: bytes, latest: bytes, *, whole_without_end: bool) -> None:
        """Raises `UpstreamUnavailable` for a stream that its server ended cleanly, but too early."""
        if whole_without_end or sse.find_marker(rest, self._dialect.END) is not None:
            return
        if rest.strip():
            raise UpstreamUnavailable("the model's stream stopped in the middle of an event")
        if not self._dialect.is_whole(latest):
            raise UpstreamUnavailable("the model's stream stopped before its end")

    def _take(self, chunk: bytes) -> bytes:
        if self._on_first is not None:
            self._on_first(self._streamed)
            self._on_first = None
        return self._copy.add(chunk)

    async def _relay_body(self, send: Send, chunks: AsyncIterator[bytes]) -> None:
        untyped = self._type is None
        soon = None
        if not self._reply.arrived:
            soon = asyncio.get_running_loop().call_later(_WHOLE_WITHIN_S, self._flush_now, send)
        try:
            async for chunk in chunks:
                if untyped and sse.is_event_stream(None, chunk):
                    self._streamed = True
                    break
                untyped = False
                self._take(chunk)
                self._held += chunk
                if self._flushing is not None or len(self._held) > _WHOLE_LIMIT:
                    await self._flushed()
                    await self._flush(send)
        except UpstreamUnavailable:
            await self._flushed()
            if not self._started:
                raise
            log.warning("upstream broke off in mid-body")
            return  # the body has no end, so the server closes the connection
        finally:
            if soon is not None:
                soon.cancel()
        await self._flushed()
        if self._streamed:
            await self._relay_stream(send, _chain(chunk, chunks))
            return
        await self._end(complete=True)
        await self._start(send, body_follows=True)
        await _write(send, self._held, more=False)

    def _flush_now(self, send: Send) -> None:
        self._flushing = asyncio.create_task(self._flush(send))

    async def _flushed(self) -> None:
        if self._flushing is not None:
            await self._flushing

    async def _flush(self, send: Send) -> None:
        """Send the head and the held bytes, except those that may be the end of the body if `on_end` must run
        first."""
        await self._start(send)
        at = len(self._held) if self._on_end is None else _safe_length(self._held)
        ready, self._held = self._held[:at], self._held[at:]
        if ready:
            await _write(send, ready)

    async def _start(self, send: Send, *, body_follows: bool = False) -> None:
        if self._started:
            return
        self._started = True
        headers = response_headers(self._reply.headers, self._added, streamed=self._streamed)
        head = {"type": "http.response.start", "status": self._reply.status, "headers": headers}
        await send(head | {BODY_FOLLOWS: True} if body_follows else head)

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
        except Exception:  # a fault of memory must not stop the answer
            _failures.inc()
            log.exception("the end of an answer could not be handed over")


async def _chain(first: bytes, others: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in others:
        yield chunk


def _safe_length(body: bytes) -> int:
    """How many bytes of an unfinished body may be sent: all before the byte that may be the last of a JSON value.
    Leading spaces, which providers send to keep the connection alive, may be sent."""
    length = len(body.rstrip())
    return len(body) if not length or body[length - 1] in _OPEN else length - 1


def _write(send: Send, chunk: bytes, *, more: bool = True) -> Awaitable[None]:
    return send({"type": "http.response.body", "body": chunk, "more_body": more})
