"""The model server behind every arm: it does what the request's path says, and next to nothing else.

`/FIRST-EVERY-COUNT/v1/chat/completions`: milliseconds to the first token, milliseconds between tokens, tokens.
The same string is the model's name, for proxies that choose by model. Each token is `N:T `, its number and the
`time.monotonic_ns` at which it was sent, so that a client on the same machine sees loss, order and delay.
"""

from __future__ import annotations

import asyncio
import re
import socket
import time
from typing import NamedTuple, cast

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STREAM = re.compile(rb'"stream": ?true')
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n%s\r\n"
_CHUNK = (
    b'data: {"id":"chatcmpl-load","object":"chat.completion.chunk","created":1700000000,"model":"load",'
    b'"choices":[{"index":0,"delta":{"content":"%d:%d "},"finish_reason":%s}]}\n\n'
)
_DONE = b"data: [DONE]\n\n"
_WHOLE = (
    b'{"id":"chatcmpl-load","object":"chat.completion","created":1700000000,"model":"load","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21}}'
)
_ANSWER = b"You told me where it is, and that you would like to be reminded of it on Monday."


class Behaviour(NamedTuple):
    """Times in milliseconds."""

    first: float
    every: float
    tokens: int


def behaviour(name: str) -> Behaviour:
    """Raises `ValueError` for what is not `FIRST-EVERY-COUNT`."""
    first, every, count = name.split("-")
    return Behaviour(float(first), float(every), int(count))


class Model(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.received = bytearray()
        self.needed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's has no such base class

    def data_received(self, data: bytes) -> None:
        self.received += data
        if not self.needed:
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self.received, 0, end)
            self.needed = end + 4 + (int(length[1]) if length else 0)
        if len(self.received) >= self.needed:
            request, self.needed = bytes(self.received), 0
            self.received.clear()
            self.answer(request)

    def answer(self, request: bytes) -> None:
        target = request[: request.index(b"\r\n")].split(b" ")[1]
        name = target.split(b"/")[1].decode()
        does = behaviour(name) if name.count("-") == 2 else Behaviour(0, 0, 1)
        if _STREAM.search(request):
            self._start_stream(does)
        elif does.first:
            self.loop.call_later(does.first / 1000, self._whole)
        else:
            self._whole()

    def _whole(self) -> None:
        body = _WHOLE % _ANSWER
        self._write(_HEAD % (b"application/json", b"Content-Length: %d\r\n" % len(body)) + body)

    def _start_stream(self, does: Behaviour) -> None:
        self.does, self.sent = does, 0
        self.began = self.loop.time() + does.first / 1000
        self._write(_HEAD % (b"text/event-stream", b"Transfer-Encoding: chunked\r\n"))
        self.loop.call_at(self.began, self._token)

    def _token(self) -> None:
        if self.transport.is_closing():
            return
        self.sent += 1
        last = self.sent >= self.does.tokens
        event = _CHUNK % (self.sent, time.monotonic_ns(), b'"stop"' if last else b"null")
        if last:
            self._write(_framed(event + _DONE) + b"0\r\n\r\n")
            return
        self._write(_framed(event))
        self.loop.call_at(self.began + self.sent * self.does.every / 1000, self._token)

    def _write(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(data)


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def serve(port: int) -> None:
    """In a process of its own, until it is ended; several may share the port."""
    uvloop.run(_serve(port))


async def _serve(port: int) -> None:
    listener = shared_listener(port)
    server = await asyncio.get_running_loop().create_server(Model, sock=listener, backlog=2048)
    await server.serve_forever()


def shared_listener(port: int) -> socket.socket:
    """Port 0 takes a free one."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    return listener
