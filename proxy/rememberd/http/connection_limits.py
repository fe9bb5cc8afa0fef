"""Limits the size of a request's head, the time in which its head and its body must arrive, and the number of
connections. uvicorn limits none of these for HTTP. Timers run only for heads and bodies that do not arrive in one
piece, and one for an idle connection, so that an ordinary request starts and stops none.
"""

import asyncio
import logging
from typing import ClassVar, NamedTuple
from urllib.parse import unquote

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rememberd.errors import openai_body
from rememberd.http.disconnect import connected, disconnected
from rememberd.http.framing import single_content_length
from rememberd.http.response_cycle import ResponseCycle
from rememberd.telemetry.metrics import counter

log = logging.getLogger("rememberd.protocol")

_REASONS = ("too_many_connections", "slow_head", "slow_body", "head_too_large")
REFUSED = counter("rememberd_connections_refused", "Connections that were closed.", "reason", *_REASONS)

LARGEST_HEAD = 64 * 1024  # bytes; real chat clients send 1 to 4 KB
_LENGTHS = frozenset((b"transfer-encoding", b"content-length"))
_OFFER = (b"upgrade", b"http2-settings", b"connection")
_PHRASES = {408: "Request Timeout", 431: "Request Header Fields Too Large", 503: "Service Unavailable"}


class ConnectionLimits(NamedTuple):
    """The most connections of a process, and the seconds in which a head or a body must arrive."""

    max_connections: int
    head_seconds: float
    body_seconds: float


def limited_protocol(limits: ConnectionLimits) -> type[HttpToolsProtocol]:
    """uvicorn's protocol class with these limits."""
    return type("LimitedProtocol", (_LimitedProtocol,), {"limits": limits})


class _LimitedProtocol(HttpToolsProtocol):
    limits: ClassVar[ConnectionLimits]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.parser, self._upgrade_offered = _parser(self), False
        self._idle_since: float | None = None
        self._in_head, self._in_body, self._head_bytes = True, False, 0
        self._timer: asyncio.TimerHandle | None = None
        self._timed = ""
        if len(self.connections) > self.limits.max_connections:
            self._refuse(503, "too_many_connections", "too many connections; try again in a moment")
        else:
            self._time("head")

    def connection_lost(self, exc: Exception | None) -> None:
        self._time("")
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        if self.cycle is not None and not self.cycle.response_complete:
            disconnected(self.cycle.scope)  # type: ignore[arg-type]

    def data_received(self, data: bytes) -> None:
        self._idle_since = None
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._misread(data)
            return
        except httptools.HttpParserUpgrade as end_of_head:
            self._ignore_upgrade(data[end_of_head.args[0] :])
            return
        if self.transport.is_closing():
            return
        if self._in_head and self._head_bytes > LARGEST_HEAD:
            self._refuse_head()
        else:
            self._time("head" if self._in_head and self._head_bytes else "body" if self._in_body else "")

    def _read_again(self, data: bytes) -> None:
        """Start a new parser, and give it `data` instead of the bytes at which the old one stopped."""
        self.parser, self._head_bytes, self._upgrade_offered = _parser(self), 0, False
        self.data_received(data)

    def _misread(self, data: bytes) -> None:
        """Answer 400, unless the only fault is that the same Content-Length is given several times."""
        first = self._in_head and self._head_bytes == len(data)
        if first and (single := single_content_length(data)) is not None:
            self._read_again(single)
        else:
            self.send_400_response("Invalid HTTP request received.")

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Serve HTTP/1.1 to a client that offers another protocol (RFC 9110, 7.8): JDK's HttpClient and curl --http2
        offer h2c with every first request. The parser skips the body of such a request, so it gets the head again
        without the offer."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.send_400_response("CONNECT is not supported.")
            return
        line = b"%b %b HTTP/%b" % (method, self.url, self.parser.get_http_version().encode())
        kept = [b"%b: %b" % pair for pair in self.headers if pair[0] not in _OFFER]
        options = (option for name, value in self.headers if name == b"connection" for option in value.split(b","))
        others = b", ".join(option for option in options if option.strip().lower() not in _OFFER)
        connection = [b"connection: " + others] if others else []
        self._read_again(b"\r\n".join([line, *kept, *connection, b"", b""]) + rest)

    def on_headers_complete(self) -> None:
        if self._head_bytes > LARGEST_HEAD and _size(self.headers) + len(self.url) > LARGEST_HEAD:
            raise ValueError("the head is too large")  # the parser stops, and `send_400_response` is called
        if self.parser.should_upgrade():
            self._upgrade_offered = True  # `_ignore_upgrade` comes next
            return
        self._in_head, self._in_body, self._head_bytes = False, True, 0
        # With both, use the chunks and close afterwards: another proxy may have used the length (RFC 9112, 6.1).
        both = len({name for name, _ in self.headers if name in _LENGTHS}) == len(_LENGTHS)
        if both:
            self.headers[:] = [pair for pair in self.headers if pair[0] != b"content-length"]
        version = self.parser.get_http_version()
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii")
        self.scope |= {
            "method": self.parser.get_method().decode("ascii"),
            "http_version": version,
            "path": unquote(path) if "%" in path else path,
            "raw_path": url.path,
            "query_string": url.query or b"",
        }
        connected(self.scope, self.transport)  # type: ignore[arg-type]
        self._begin(keep_alive=not both and version != "1.0" and self.parser.should_keep_alive())

    def _begin(self, *, keep_alive: bool) -> None:
        """Start the request, or queue it if the client did not wait for the response before."""
        before, self.cycle = (
            self.cycle,
            ResponseCycle(
                scope=self.scope,
                transport=self.transport,
                flow=self.flow,
                logger=self.logger,
                access_logger=self.access_logger,
                access_log=self.access_log,
                default_headers=self.server_state.default_headers,
                message_event=asyncio.Event(),
                expect_100_continue=self.expect_100_continue,
                keep_alive=keep_alive,
                on_response=self.on_response_complete,
            ),
        )
        if before is None or before.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._close_later(self.timeout_keep_alive)

    def _close_later(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it has been idle for long enough. During a request there is nothing to do: its end
        starts a new timer."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._close_later(left)
        else:
            super().timeout_keep_alive_handler()

    def on_message_complete(self) -> None:
        if self._upgrade_offered:
            return
        self._in_head, self._in_body = True, False
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if self._head_bytes > LARGEST_HEAD:
            self._refuse_head()
        else:
            super().send_400_response(msg)

    def _time(self, what: str) -> None:
        """Start the timer of a head or a body that is not complete; stop it when nothing more is expected."""
        if what == self._timed:
            return
        self._timed = what
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if what:
            seconds = self.limits.head_seconds if what == "head" else self.limits.body_seconds
            self._timer = self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        what, answering = self._timed, self.cycle is not None and self.cycle.response_started
        if answering and not self.cycle.response_complete:
            self.transport.close()  # a response has begun, so no error response can follow
            REFUSED.labels(f"slow_{what}").inc()
        else:
            self._refuse(408, f"slow_{what}", f"the {what} of the request took too long")

    def _refuse_head(self) -> None:
        self._refuse(431, "head_too_large", f"the request's head is over {LARGEST_HEAD // 1024} KiB: send less in it")

    def _refuse(self, status: int, reason: str, message: str) -> None:
        REFUSED.labels(reason).inc()
        body = orjson.dumps(openai_body(status, reason, message))
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n%bconnection: close\r\n\r\n%b"
            % (status, _PHRASES[status].encode(), len(body), b"retry-after: 1\r\n" if status == 503 else b"", body)
        )
        self.transport.close()
        self._time("")


def _parser(protocol: HttpToolsProtocol) -> httptools.HttpRequestParser:
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True, lenient_chunked_length=True)
    return parser


def _size(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) + 4 for name, value in headers)
