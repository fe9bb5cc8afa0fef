"""`python -m loadtests.request_cpu [TOKENS]`: µs of CPU of a chat with memory off, 16 connections, a prompt of so
many tokens. One process holds uvicorn's protocol, the application and the HTTP client; only the sockets are left out.
The best of many short rounds counts, so that it says something on a busy machine, too. To compare two commits run
them in turn, each with its own worktree as PYTHONPATH. PROMETHEUS_MULTIPROC_DIR must name an empty folder, as it
does under `serve`."""

from __future__ import annotations

import asyncio
import socket
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
import uvicorn
import uvloop
from uvicorn.server import ServerState

from loadtests.prompts import Prompt
from loadtests.servers import KEY, model_entry
from rememberd.http.connection_limits import limited_protocol
from rememberd.settings.schema import load
from rememberd.upstream.connection import Connection
from rememberd.upstream.http_client import Client
from rememberd.wiring.app import build_app
from rememberd.wiring.components import build_embedder, connection_limits
from rememberd.wiring.encryption import open_encryption

CONNECTIONS, CHATS, ROUNDS, WARM = 16, 96, 30, 5
_MODEL = "a"
_ANSWER = orjson.dumps(
    {
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "There."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14},
    }
)
_RESPONSE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(_ANSWER),
    _ANSWER,
)


class _Transport(asyncio.Transport):
    """Of a connection whose other end takes everything at once."""

    def write(self, data: object) -> None: ...

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def abort(self) -> None: ...


class _Provider(_Transport):
    """Answers each request in the next round of the event loop."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def writelines(self, list_of_data: Iterable[object]) -> None:
        asyncio.get_running_loop().call_soon(self._connection.data_received, _RESPONSE)


async def main(tokens: int) -> None:
    idle, peer = socket.socketpair()
    idle.setblocking(False)

    async def connect(_client: Client, _origin: object) -> Connection:
        connection = Connection(idle)
        connection.connection_made(_Provider(connection))
        return connection

    with tempfile.TemporaryDirectory() as folder, patch.object(Client, "_connect", connect), peer:
        print(f"{await _best(Path(folder), Prompt(_MODEL, tokens).body()) * 1e6:.0f} µs of CPU a chat")


async def _best(folder: Path, body: bytes) -> float:
    """Seconds of CPU."""
    config = folder / "config.json"
    keys = [{"name": "load", "key": KEY, "trust_identity": True}]
    config.write_bytes(
        orjson.dumps({"data_dir": str(folder), "model_list": [model_entry(_MODEL, _MODEL, 1)], "keys": keys})
    )
    settings = load(config, {})
    async with AsyncExitStack() as stack:
        encryption = await stack.enter_async_context(open_encryption(settings))
        app = build_app(settings, settings.model_list or [], {}, build_embedder(settings), encryption)
        await stack.enter_async_context(app.router.lifespan_context(app))
        protocol = limited_protocol(connection_limits(settings))
        server = uvicorn.Config(
            app,
            interface="asgi3",
            http=protocol,
            ws="none",
            log_config=None,
            server_header=False,
            proxy_headers=False,
        )
        server.load()
        chats = _Chats(server, protocol, body)
        for _ in range(WARM):
            await chats.run(CHATS)
        return min([await chats.run(CHATS) for _ in range(ROUNDS)]) / CHATS


class _Chats:
    def __init__(self, server: uvicorn.Config, protocol: Any, body: bytes) -> None:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {KEY}\r\n"
        head += f"content-type: application/json\r\nx-memory: off\r\ncontent-length: {len(body)}\r\n\r\n"
        self._request, self._loop, chats = head.encode() + body, asyncio.get_running_loop(), self
        self._left = self._busy = 0

        class Client(protocol):  # type: ignore[misc]
            def on_response_complete(self) -> None:
                super().on_response_complete()
                chats._loop.call_soon(chats._next, self)

        state = ServerState()
        self._clients = [Client(server, state, {}, self._loop) for _ in range(CONNECTIONS)]
        for each in self._clients:
            each.connection_made(_Transport())

    async def run(self, chats: int) -> float:
        """Seconds of CPU of this thread."""
        self._left, self._busy, self._done = chats, CONNECTIONS, self._loop.create_future()
        began = time.thread_time()
        for each in self._clients:
            self._next(each)
        await self._done
        return time.thread_time() - began

    def _next(self, client: Any) -> None:
        if self._left:
            self._left -= 1
            client.data_received(self._request)
            return
        self._busy -= 1
        if not self._busy:
            self._done.set_result(None)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
