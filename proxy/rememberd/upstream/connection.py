"""One connection to a server: an HTTP/1.1 request goes out, the answer comes back as bytes, then the next one."""

from __future__ import annotations

import asyncio
from typing import cast

import httptools

HEAD_LIMIT = 64 * 1024  # bytes, and up to one read more, that may come without one of a body among them
HIGH_WATER = 256 * 1024  # bytes of a body that may wait for their reader
_PIECE = 1024 * 1024  # bytes handed to the transport at once; TLS encrypts them in about a millisecond


class BrokenAnswer(ConnectionError):
    """What came is no HTTP, too large a head, or ended too early."""


class Connection(asyncio.Protocol):
    """`ask`, then `read` until it returns nothing; if the connection is `reusable` then, it may be asked again.

    Both raise `OSError` when the connection breaks and `TimeoutError` after too long a silence. Interim answers (1xx)
    and trailers are passed over. What the server sends is not read faster than `read` takes it, and a request's body
    leaves while the answer is already awaited: a server may refuse it half way."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        # What every other client bears with too; none of it moves the border between two answers.
        self._parser.set_dangerous_leniencies(
            lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.touched = False  # something of the answer has come
        self.ended = True  # the whole answer has
        self.kept_since = 0.0  # when it was put by, for the pool
        self._waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiter.set_result(None)  # nobody waits
        self._error: Exception | None = None
        self._body: list[bytes] = []
        self._waiting = self._without_body = 0
        self._unsent = memoryview(b"")
        self._closed = self._full = self._paused = False

    @property
    def reusable(self) -> bool:
        return self.ended and self._keep and not (self._closed or self._body or self._unsent)

    @property
    def closed(self) -> bool:
        return self._closed

    async def ask(self, head: bytes, body: bytes, *, silence: float, bodiless: bool) -> None:
        """Returns when `status` and `headers` are there. `silence`: seconds without a byte, there or back, that are
        too long; `bodiless`: the answer has none whatever its headers say (HEAD)."""
        self.status, self.headers = 0, []
        self.touched = self.ended = self._keep = self._until_close = False
        self._without_body, self._bodiless = 0, bodiless
        self._silence, self._since, self._left = silence, self._loop.time(), 0
        self._timer = self._loop.call_later(silence, self._check_silence)
        self._unsent = memoryview(body)[_PIECE:]
        self._transport.writelines((head, memoryview(body)[:_PIECE]))
        self._send_more()
        while not self.status:
            await self._wait_for_data()

    async def read(self) -> bytes:
        """All of the body that has come since, in one; empty at its end."""
        while not self._body:
            if self.ended:
                return b""
            await self._wait_for_data()
        data = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self._waiting = 0
        if self._paused and not self._closed:
            self._paused = False
            self._transport.resume_reading()
        return data

    def close(self) -> None:
        """At once: what was not sent yet is not sent any more."""
        self._over(None)
        self._transport.abort()

    def _wait_for_data(self) -> asyncio.Future[None]:
        """To be awaited at once. Not a coroutine: a streamed token would pay for one more."""
        if self._error is not None:
            raise self._error
        self._since = self._loop.time()
        self._waiter = self._loop.create_future()
        return self._waiter

    def _wake(self) -> None:
        if not self._waiter.done():
            self._waiter.set_result(None)

    def _check_silence(self) -> None:
        """One timer for the whole answer: only the wait for the server counts, and that not while it takes bytes."""
        left = len(self._unsent) + self._transport.get_write_buffer_size()
        if self._waiter.done() or left != self._left:
            self._since, self._left = self._loop.time(), left
        due = self._since + self._silence
        if due > self._loop.time():
            self._timer = self._loop.call_at(due, self._check_silence)
        else:
            self._fail(TimeoutError(f"silent for {self._silence} s"))

    def _send_more(self) -> None:
        while self._unsent and not self._full:
            piece, self._unsent = self._unsent[:_PIECE], self._unsent[_PIECE:]
            self._transport.write(piece)

    def _fail(self, error: Exception) -> None:
        self._over(error)
        self._transport.abort()

    def _over(self, error: Exception | None) -> None:
        """Nothing more will come. An answer that had ended before stays a whole one."""
        self._closed, self._unsent = True, memoryview(b"")
        if self.ended:
            return
        self._timer.cancel()
        if self._until_close and error is None:
            self.ended = True
        else:
            self._error = self._error or error or BrokenAnswer("closed before the end of its answer")
        self._wake()

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has no such base class

    def data_received(self, data: bytes) -> None:
        if self.ended:
            return self.close()  # nobody asked
        self.touched = True
        self._without_body += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            return self._fail(BrokenAnswer(f"not HTTP/1.1: {error}"))
        if self._without_body > HEAD_LIMIT:
            return self._fail(BrokenAnswer(f"a head of over {HEAD_LIMIT} bytes"))
        if self._waiting > HIGH_WATER and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        return self._wake()

    def eof_received(self) -> None:
        self._over(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._over(error)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._send_more()

    # What the parser calls

    def on_message_begin(self) -> None:
        if self.ended:
            self._keep = False  # a second answer to one question

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:
            self.headers.append((name.decode("latin-1").lower(), value.decode("utf-8", "surrogateescape")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            self.headers = []
        elif not self.status:
            self.status, self._keep = status, self._parser.should_keep_alive() and not self._bodiless
            self._until_close = not any(_frames(name, value) for name, value in self.headers)
            if self._bodiless:
                self._end()

    def on_body(self, body: bytes) -> None:
        if not self.ended:
            self._without_body = 0
            self._waiting += len(body)
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self.status and not self.ended:
            self._end()

    def _end(self) -> None:
        self.ended = True
        self._timer.cancel()


def _frames(name: str, value: str) -> bool:
    """Does this header say where the body ends? Without one, the end of the connection does."""
    return name == "content-length" or (name == "transfer-encoding" and value.lower().endswith("chunked"))
