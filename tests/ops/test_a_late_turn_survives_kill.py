"""Promise 4 with a queue that is late: whose answer has ended, their turn is learned once, whatever is killed."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.fake_model import FakeModel
from tests.support.proxy_server import Proxy, ask, eventually, memories, remembered, running
from tests.support.redis_process import redis_running

SEALED = {"deadline_ms": 150, "encryption": {"master_key": "11" * 32}}


@pytest.mark.slow
@pytest.mark.parametrize("memory", [{"deadline_ms": 150}, SEALED], ids=["clear", "sealed"])
def test_killed_while_the_database_is_locked(tmp_path: Path, upstream: FakeModel, memory: dict[str, object]) -> None:
    """Web and writer die with SIGKILL right after each answer; sealed, no word stands in the spool."""
    with running(tmp_path, {"model-a": upstream.url}, memory=memory) as proxy, proxy.client("ada") as client:
        with closing(sqlite3.connect(proxy.data / "queue.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for number in range(2):
                text = f"I own a boat called number {number}."
                assert ask(client, text, stream=number == 1).headers["X-Memory-Write"] == "on"
                spooled = b"".join(file.read_bytes() for file in (proxy.data / "spool").iterdir())
                assert (b"number" in spooled) == ("encryption" not in memory)
                proxy.kill("web")
                if number == 1:
                    proxy.kill("writer")
                proxy.wait_ready()
        for number in range(2):
            remembered(client, f"number {number}", "episode")
        episodes = [each["evidence"]["text"] for each in memories(client, "episode")]
        assert sorted(episodes) == [f"I own a boat called number {number}." for number in range(2)]
        eventually(lambda: not any(file.stat().st_size for file in (proxy.data / "spool").iterdir()))


@pytest.mark.slow
def test_killed_while_redis_hangs(tmp_path: Path, upstream: FakeModel) -> None:
    """The turn lies on the web process's own host, and comes in when Redis answers again."""
    with redis_running(tmp_path) as redis:
        memory = {"deadline_ms": 150, "queue": {"url": redis.url}}
        with running(tmp_path, {"model-a": upstream.url}, memory=memory) as proxy, proxy.client("ada") as client:
            proxy.wait_ready()
            assert redis.process is not None
            redis.process.send_signal(signal.SIGSTOP)
            try:
                assert ask(client, "I own a boat.").headers["X-Memory-Write"] == "on"
                proxy.kill("web")
            finally:
                redis.process.send_signal(signal.SIGCONT)
            remembered(client, "I own a boat.", "episode")
            assert len(memories(client, "episode")) == 1


@pytest.mark.slow
def test_an_erasure_reaches_what_was_spooled(tmp_path: Path, upstream: FakeModel) -> None:
    """Spooled before the user was erased, taken in after: refused, and no byte of it stays in queue or spool."""
    memory = {"deadline_ms": 150}
    with running(tmp_path, {"model-a": upstream.url}, memory=memory) as proxy, proxy.client("ada") as client:
        with closing(sqlite3.connect(proxy.data / "queue.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            ask(client, "I own a boat called Petrel.")
            (file,) = (proxy.data / "spool").iterdir()
            left = file.read_bytes()
            assert b"Petrel" in left
        _erase(proxy)
        proxy.kill("web")
        (proxy.data / "spool" / "of-another.spool").write_bytes(left)
        proxy.wait_ready()
        eventually(lambda: not (proxy.data / "spool" / "of-another.spool").exists())
        ask(client, "I own a bicycle.")
        remembered(client, "bicycle", "episode")
        assert not any("Petrel" in each["text"] for each in memories(client))
    files = [*proxy.data.glob("queue.db*"), *(proxy.data / "spool").iterdir()]
    assert not any(b"Petrel" in file.read_bytes() for file in files)


def _erase(proxy: Proxy) -> None:
    with proxy.client("ada") as client:
        eventually(lambda: client.delete("/v1/memories").status_code == 200)
