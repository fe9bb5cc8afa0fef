"""A request that is read after its client has left is not worked for: the client may have said something newer to
another process meanwhile, and the older statement would replace it."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.fake_model import FakeModel
from tests.support.proxy_server import Proxy, ask

DIALECTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "model-a"},
    "/v1/messages": {"model": "claude", "max_tokens": 9},
    "/v1/responses": {"model": "open"},
}
SIZES = (0, 40_000)  # of what is said besides; larger bodies are read in a thread


@contextmanager
def stopped(proxy: Proxy) -> Iterator[None]:
    """The web processes read nothing meanwhile; the kernel takes connections and bytes for them."""
    pids = proxy.pids("web")
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def request(path: str, said: str, user: str, memory: str, *, stream: bool, size: int) -> bytes:
    text = f"{said} {'really ' * (size // 7)}"
    words = {"input": text} if path.endswith("responses") else {"messages": [{"role": "user", "content": text}]}
    body = json.dumps(DIALECTS[path] | words | {"stream": stream}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-webui\r\nX-Memory-User: {user}\r\n"
    head += f"X-Memory: {memory}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize("how", ["close", "reset"])
def test_who_has_left_is_not_answered(served: Proxy, upstream: FakeModel, user: str, how: str) -> None:
    """Whatever was asked, and however the connection was closed."""
    marker, port = f"I moved to Lisbon {how}", urlsplit(served.url).port
    user = user.encode().hex()  # a plain name
    with stopped(served):
        for path, stream, memory, size in product(DIALECTS, (True, False), ("on", "off"), SIZES):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(request(path, marker, user, memory, stream=stream, size=size))
                if how == "reset":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    with served.client(user) as client:
        for number in range(3):
            assert ask(client, f"Are you there, {how} {number}?").status_code == 200
            time.sleep(0.05)
    assert not [each for each in upstream.requests if marker.encode() in each.raw]
