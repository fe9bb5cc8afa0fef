"""Two hosts with a master key, one Redis and one Qdrant server: what is told at one is known at the other, what is
erased at one is unknown at the other, and no byte that lies anywhere tells of it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rememberd.storage.redis.client import PREFIX
from tests.support.fake_model import FakeModel
from tests.support.proxy_server import Proxy, ask, eventually, memories, remembered, running
from tests.support.qdrant_process import qdrant_running
from tests.support.redis_process import RedisServer, redis_running
from tests.support.sealing import OLD

pytestmark = pytest.mark.slow

USER = "ada.lovelace@example.org"
SAID = ["Zwitscherling", "Quastenflosser", "Wachtelweizen", "Taubnessel"]
NAMES = [USER, "lovelace", "Knabenkraut"]
# Packed, a file would hide what it holds from a search for its bytes.
UNPACKED = ("--rdbcompression", "no", "--appendfsync", "always", "--save", "3600", "1")


@pytest.fixture(scope="module")
def redis_at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_running(tmp_path_factory.mktemp("redis"), *UNPACKED) as server:
        yield server


@pytest.fixture(scope="module")
def qdrant_url() -> Iterator[str]:
    """Of a server without the unencrypted memories of other tests, beside which these hosts would not start."""
    with qdrant_running() as url:
        yield url


@pytest.fixture(scope="module")
def hosts(
    tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel, redis_at: RedisServer, qdrant_url: str
) -> Iterator[tuple[Proxy, Proxy]]:
    memory = {
        "deadline_ms": 5000,
        "encryption": {"master_key": OLD},
        "queue": {"url": redis_at.url},
        "store": {"url": qdrant_url},
        "extract": {"model": "model-a", "idle_seconds": 3600},
    }
    models, folder = {"model-a": upstream.url}, tmp_path_factory.mktemp("hosts")
    with running(folder / "a", models, memory=memory) as a, running(folder / "b", models, memory=memory) as b:
        yield a, b


def left_behind(hosts: tuple[Proxy, Proxy], redis_at: RedisServer, words: list[str]) -> list[tuple[str, str]]:
    places = [redis_at.folder, *(host.data for host in hosts)]
    files = {str(path): path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()}
    files["the logs"] = "".join(line for host in hosts for line in host.log).encode()
    return [(name, word) for name, data in files.items() for word in words if word.lower().encode() in data.lower()]


def wrapped(redis_at: RedisServer) -> set[bytes]:
    with redis_at.client() as client:
        return set(client.hgetall(f"{PREFIX}keys").values())


def test_what_is_told_at_one_host_is_known_at_the_other_and_lies_nowhere(
    hosts: tuple[Proxy, Proxy], redis_at: RedisServer
) -> None:
    """Chats, edits and deletions, kill -9 of both kinds of process and of Redis: it is recalled, and no file of Redis
    or of a host, and no line of a log, holds a word of it."""
    a, b = hosts
    with a.client(USER, **{"X-Memory-Scope": "Knabenkraut"}) as told, a.client(USER) as here, b.client(USER) as there:
        ask(here, "I live in Zwitscherling and I like Quastenflosser.")
        ask(told, "I live in Taubnessel.")
        remembered(there, "Zwitscherling", "fact")
        added = there.post("/v1/memories", json={"text": "I play Taubnessel."}).json()["id"]
        here.patch(f"/v1/memories/{added}", json={"text": "I play Wachtelweizen."}).raise_for_status()
        here.delete(f"/v1/memories/{added}").raise_for_status()
        a.kill("writer", signal.SIGKILL)
        b.kill("web", signal.SIGKILL)
        redis_at.kill(signal.SIGKILL)
        redis_at.start()
        eventually(lambda: ask(there, "Where do I live?").headers["X-Memory-Status"] == "hit")
        assert "Zwitscherling" in ask(there, "Where do I live?").text
        with redis_at.client() as client:
            assert client.scard(f"{PREFIX}reading:waiting") == 2  # for a model to read them, also through the kill
            client.save()
        assert left_behind(hosts, redis_at, SAID + NAMES) == []


def test_a_user_erased_at_one_host_is_unknown_at_the_other(hosts: tuple[Proxy, Proxy], redis_at: RedisServer) -> None:
    """Who had the key in use notices at once, and it is gone from Redis's files; what is told anew has a new key."""
    a, b = hosts
    with a.client("cyd") as here, b.client("cyd") as there:
        before = wrapped(redis_at)
        here.post("/v1/memories", json={"text": "I live in Lund."}).raise_for_status()
        assert ask(there, "Where do I live?").headers["X-Memory-Status"] == "hit"
        (key,) = wrapped(redis_at) - before
        assert here.delete("/v1/memories").json()["deleted"] in (1, 2)  # the question too, if it was written by then
        assert ask(there, "Where do I live?").headers["X-Memory-Status"] == "miss"
        eventually(lambda: not any(key in path.read_bytes() for path in redis_at.folder.rglob("*") if path.is_file()))
        there.post("/v1/memories", json={"text": "I live in Oslo."}).raise_for_status()
        assert [each["text"] for each in memories(here, "fact")] == ["I live in Oslo."]
        assert key not in wrapped(redis_at)


def test_the_commands_work_on_what_is_shared(hosts: tuple[Proxy, Proxy], redis_at: RedisServer) -> None:
    """At either host: the keys' status, and an erasure that looks through Redis's files too."""
    a, b = hosts
    with b.client("dora-of-lund") as client:
        client.post("/v1/memories", json={"text": "I live in Zwitscherling."}).raise_for_status()
    status = run(a, "encryption", "status")
    assert (status.returncode, "(the newest)" in status.stdout) == (0, True), status.stderr
    erased = run(a, "erase", "dora-of-lund", "--verify", "--also", str(redis_at.folder))
    assert erased.returncode == 0, erased.stdout + erased.stderr
    assert erased.stdout.startswith("erased: 1 memories")
    assert "nothing found" in erased.stdout


def run(proxy: Proxy, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rememberd", *arguments, "--config", str(proxy.data.parent / "rememberd.yaml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_a_host_without_the_master_key_does_not_start(
    hosts: tuple[Proxy, Proxy], redis_at: RedisServer, tmp_path: Path, upstream: FakeModel
) -> None:
    """It would put clear text beside what is sealed."""
    memory = {"deadline_ms": 5000, "queue": {"url": redis_at.url}}
    with pytest.raises(AssertionError, match="are encrypted: set"):  # noqa: SIM117
        with running(tmp_path, {"model-a": upstream.url}, memory=memory):
            pass
