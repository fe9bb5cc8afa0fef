"""Files that a crash or a hand has damaged: chats flow without memory, and the log says in a line what is wrong."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support.fake_model import FakeModel
from tests.support.proxy_server import PATIENCE, Proxy, ask, eventually, remembered, running


def _garbage(data: Path) -> None:
    for file in data.glob("queue.db*"):
        file.write_bytes(os.urandom(20_000))


def _cut(data: Path) -> None:
    for file in (data / "qdrant" / "shard").rglob("*"):
        if file.is_file():
            os.truncate(file, file.stat().st_size // 2)


def _emptied(data: Path) -> None:
    (data / "qdrant" / "embedder.json").write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "named", "statuses"),
    [
        # The writer opens the store before it meets the queue: until it ends for that, memories are recalled.
        (_garbage, "queue.db", {"degraded", "hit"}),
        (_cut, "embedded store failed", {"degraded"}),
        (_emptied, "embedder.json", {"degraded"}),
    ],
)
@pytest.mark.slow
def test_a_damaged_file_stops_no_chat(
    tmp_path: Path, upstream: FakeModel, damage: Callable[[Path], None], named: str, statuses: set[str]
) -> None:
    """While the writer cannot start, no answer takes the user for one without memories, readiness is 503, and no line
    is a traceback."""
    with running(tmp_path, {"model-a": upstream.url}) as proxy, proxy.client("ada") as client:
        ask(client, "My name is Ada.")
        remembered(client, "Ada", "fact")
        proxy.kill("writer", signal.SIGSTOP)
        proxy.kill("writer")
        damage(proxy.data)
        proxy.kill("web")
        eventually(lambda: _complains(proxy, named))
        reply = eventually(lambda: ask(client, "What is my name?"))
        assert (reply.status_code, reply.headers["x-memory-status"] in statuses) == (200, True), reply.headers
        assert httpx.get(f"{proxy.url}/health/ready", timeout=PATIENCE).status_code == 503
        assert not [line for line in proxy.log if "Traceback" in line]


def _complains(proxy: Proxy, named: str) -> bool:
    return any(" ERROR " in line and named in line for line in proxy.log)
