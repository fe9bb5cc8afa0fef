"""One HTTP/1.1 client connection: sends a request, receives its response as bytes, then the next one.

NEW      connected, nothing was sent yet             -> ACTIVE by `send`
ACTIVE   a request or its response is in progress    -> IDLE when both are complete and the connection may be kept
IDLE     the response is complete                    -> ACTIVE by `send`
CLOSED   nothing more is sent or received; after any error, surplus byte or end of the connection
"""

import asyncio
import select
import socket
from enum import Enum
from typing import NamedTuple, cast

import httptools

from rememberd.http.framing import single_content_length

HEAD_LIMIT = 64 * 1024  # bytes (and up to one read more) that may arrive without any byte of a body
HIGH_WATER = 256 * 1024  # bytes of a body that may wait for their reader
_STALL_S = 0.1  # a timer that is later than this shows that the process did not run
_PIECE = 1024 * 1024  # bytes passed to the transport at once; TLS encrypts them in about a millisecond


class Origin(NamedTuple):
    """The other end of a connection: a host and a port; or, in `host`, the absolute path of a Unix socket."""

    tls: bool
    host: str
    port: int

    @property
    def is_socket(self) -> bool:
        return self.host.startswith("/")


class State(Enum):
    NEW, ACTIVE, IDLE, CLOSED = "new", "active", "idle", "closed"


NEW, ACTIVE, IDLE, CLOSED = State


class BrokenResponse(ConnectionError):
    """The server sent something that is not HTTP or a head that is too large, or ended its response too early."""


class Connection(asyncio.Protocol):
    """Call `send`, then `read` until it returns nothing. Then, if the connection is `reusable`, call `send` again.

    Both raise `OSError` if the connection breaks and `TimeoutError` if the server is silent for too long. Interim
    responses (1xx) and trailers are skipped. Reading pauses while `read` is not called. The request's body is sent
    while the response is already awaited: a server may refuse a body before it has read all of it."""

    def __init__(self, sock: socket.socket) -> None:
        """`sock` is the socket of this protocol's transport."""
        self._news = select.poll()
        self._news.register(sock, select.POLLIN)
        self.loop = asyncio.get_running_loop()
        self._parser = self._new_parser()
        self.state, self.status = NEW, 0
        self.headers: list[tuple[str, str]] = []
        self.touched = False  # at least one byte of the response has arrived
        self.idle_since = 0.0  # set by the pool
        self._timer: asyncio.TimerHandle | None = None  # one for many responses: starting and stopping it takes 2 µs
        self._waiter: asyncio.Future[None] = self.loop.create_future()
        self._waiter.set_result(None)  # nobody waits
        self._error: Exception | None = None  # why the response is incomplete
        self._body: list[bytes] = []
        self._waiting = self._without_body = 0
        self._unsent = memoryview(b"")
        self._full = self._paused = False

    @property
    def arrived(self) -> bool:
        """True if the response is complete, whether or not it was read."""
        return self.state is not ACTIVE and self._error is None

    @property
    def reusable(self) -> bool:
        return self.state is IDLE and not self._body

    def quiet(self) -> bool:
        """True if the connection can be used again. Also asks the kernel, because unread bytes or the end of the
        connection may have arrived."""
        return self.reusable and not self._news.poll(0)

    async def send(self, head: bytes, body: bytes, *, read_timeout: float, is_head: bool) -> None:
        """Returns when `status` and `headers` have arrived; otherwise, also if it is cancelled, the connection is
        closed. `read_timeout`: the most seconds without a byte in either direction. `is_head`: the response has no
        body, whatever its headers say (HEAD)."""
        if self.state not in (NEW, IDLE):
            raise BrokenResponse("closed the connection")
        self.state = ACTIVE
        self.status, self.headers = 0, []
        self.touched = self._keep = self._until_close = self._waits_again = False
        self._without_body, self._is_head = 0, is_head
        self._read_timeout, self._since, self._left = read_timeout, self.loop.time(), 0
        self._watch(self._since + read_timeout)
        try:
            if len(body) <= _PIECE:
                self._transport.writelines((head, body))
            else:
                self._unsent = memoryview(body)[_PIECE:]
                self._transport.writelines((head, memoryview(body)[:_PIECE]))
                self._send_more()
            while not self.status:
                await self._wait_for_data()
        except BaseException:
            self.close()
            raise

    async def read(self) -> bytes:
        """All bytes of the body that arrived since the last call; empty at the end of the body."""
        while not self._body:
            if self.state is not ACTIVE and self._error is None:
                return b""
            await self._wait_for_data()
        data = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self._waiting = 0
        if self._paused and self.state is not CLOSED:
            self._paused = False
            self._transport.resume_reading()
        return data

    def close(self) -> None:
        """Close the connection at once. Unsent bytes are dropped."""
        self._close(BrokenResponse("was closed"))

    def _wait_for_data(self) -> asyncio.Future[None]:
        """Await the result at once. Not a coroutine, to save one for each streamed token."""
        if self._error is not None:
            raise self._error
        self._since = self.loop.time()
        self._waiter = self.loop.create_future()
        return self._waiter

    def _wake(self) -> None:
        if not self._waiter.done():
            self._waiter.set_result(None)

    def _watch(self, due: float) -> None:
        """Check the time-out at `due` or earlier."""
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(due, self._check_timeout)

    def _check_timeout(self) -> None:
        """Counts the time in which the server neither sends nor accepts bytes."""
        now, timer, self._timer = self.loop.time(), self._timer, None
        if self.state is not ACTIVE or timer is None:
            return
        left = len(self._unsent) + self._transport.get_write_buffer_size()
        if self._waiter.done() or left != self._left:
            self._since, self._left, self._waits_again = now, left, False
        due, late = self._since + self._read_timeout, now - timer.when()
        if due <= now and late > _STALL_S and not self._waits_again:  # what the server did meanwhile was not read yet
            due, self._waits_again = now + min(late, self._read_timeout), True
        if due > now:
            self._watch(due)
        else:
            self._close(TimeoutError(f"silent for {self._read_timeout} s"))

    def _send_more(self) -> None:
        while self._unsent and not self._full:
            piece, self._unsent = self._unsent[:_PIECE], self._unsent[_PIECE:]
            self._transport.write(piece)

    def _complete(self) -> None:
        """The response is complete. If surplus bytes follow in the same read, they close the connection."""
        if self._keep and not self._unsent:
            self.state = IDLE
        else:
            self._close(None)

    def _close(self, error: Exception | None) -> None:
        """Close the connection and wake the reader, which raises `error` unless its response is complete."""
        if self.state is ACTIVE:
            self._error = error
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.state, self._unsent = CLOSED, memoryview(b"")
        self._transport.abort()
        self._wake()

    def _ended(self, error: Exception | None) -> None:
        """The server closed the connection. This also ends a response without a length and without chunks."""
        whole = error is None and self._until_close
        self._close(None if whole else error or BrokenResponse("closed before the end of its response"))

    # Called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transport has no such base class

    def data_received(self, data: bytes) -> None:
        if self.state is not ACTIVE:
            self._close(None)  # bytes that belong to no request
            return
        self.touched = True
        self._without_body += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._misread(data, error)
        if self._without_body > HEAD_LIMIT:
            self._close(BrokenResponse(f"sent a head of over {HEAD_LIMIT} bytes"))
        if self._waiting > HIGH_WATER and not self._paused and self.state is ACTIVE:
            self._paused = True
            self._transport.pause_reading()
        if not self._waiter.done():
            self._waiter.set_result(None)

    def _misread(self, data: bytes, error: Exception) -> None:
        """Close, unless the only fault is a repeated Content-Length, which is allowed (RFC 9112, 6.3)."""
        first = self.state is ACTIVE and not self.status and self._without_body == len(data)
        if first and (single := single_content_length(data)) is not None:
            self._parser, self.headers = self._new_parser(), []
            self.data_received(single)
        else:
            reason = "switches protocols" if isinstance(error, httptools.HttpParserUpgrade) else str(error)
            self._close(BrokenResponse(f"does not speak HTTP/1.1: {reason}"))

    def eof_received(self) -> None:
        self._ended(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._ended(error)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._send_more()

    # Called by the parser

    def _new_parser(self) -> httptools.HttpResponseParser:
        parser = httptools.HttpResponseParser(self)
        # Deviations that all other clients accept. None of them moves the border between two responses. A response
        # with a length and chunks is read by its chunks, and its connection is not used again.
        parser.set_dangerous_leniencies(
            lenient_chunked_length=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        return parser

    def on_message_begin(self) -> None:
        if self.state is IDLE:
            self._close(None)  # a second response to one request

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:
            self.headers.append((name.decode("latin-1").lower(), value.decode("utf-8", "surrogateescape")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self.status:
            return  # of a second response
        if not 100 <= status < 600:
            self._close(BrokenResponse(f"sent {status}, which is not an HTTP status"))
        elif status < 200:
            self.headers = []
        else:
            self._keep = self._parser.should_keep_alive() and not self._is_head
            self._read_framing(status)
            self.status = status
            if self._is_head:
                self._complete()

    def _read_framing(self, status: int) -> None:
        """Find out where the body ends and whether another response may follow. A Content-Length that is not valid
        here is removed, so that it is not passed on."""
        length = coding = ""
        for name, value in self.headers:
            if name == "content-length":
                length = value
            elif name == "transfer-encoding":
                coding = value
        self._until_close = not (coding.lower().endswith("chunked") if coding else length)
        bodiless = status in (204, 304)
        if length and (coding or bodiless):
            self.headers = [pair for pair in self.headers if pair[0] != "content-length"]
        if (coding and (length or bodiless)) or (status == 204 and length.strip("0")):
            self._keep = False  # the server may send more bytes

    def on_body(self, body: bytes) -> None:
        if self.state is ACTIVE:
            self._without_body = 0
            self._waiting += len(body)
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self.status and self.state is ACTIVE:
            self._complete()
