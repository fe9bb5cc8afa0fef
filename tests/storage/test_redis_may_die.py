"""With the queue in Redis: its death delays no chat beyond the deadline, loses no turn and doubles none."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.support.fake_model import FakeModel
from tests.support.proxy_server import Proxy, ask, eventually, memories, remembered, running
from tests.support.redis_process import RedisServer, redis_running

DEADLINE_S = 1.0
ALWAYS = ("--appendfsync", "always")
KILLED_OR_HANGING = [
    pytest.param(signal.SIGKILL, id="killed"),
    pytest.param(signal.SIGSTOP, id="hanging", marks=pytest.mark.slow),
]


def memory(server: RedisServer) -> dict[str, object]:
    return {"deadline_ms": int(DEADLINE_S * 1000), "queue": {"url": server.url}}


def metric(proxy: Proxy, name: str) -> float:
    lines = httpx.get(f"{proxy.url}/metrics").text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


class Talk(threading.Thread):
    """Chats one after the other, each saying something new, until it is told to stop."""

    def __init__(self, proxy: Proxy, user: str) -> None:
        super().__init__()
        self.proxy, self.user = proxy, user
        self.stop = threading.Event()
        self.said: list[str] = []
        self.failed: list[str] = []

    def run(self) -> None:
        with self.proxy.client(self.user) as client:
            while not self.stop.wait(0.05):
                text = f"This is sentence number {len(self.said)} of {self.user}."
                answer = ask(client, text)
                self.said.append(text)
                if answer.status_code != 200 or "X-Memory-Receipt" not in answer.headers:
                    self.failed.append(answer.text)


@pytest.mark.parametrize("number", KILLED_OR_HANGING)
@pytest.mark.slow
def test_no_turn_is_lost_or_doubled(tmp_path: Path, upstream: FakeModel, number: signal.Signals) -> None:
    """Chats go on while Redis is away; when it is back, everything said meanwhile is remembered, once, by itself."""
    with (
        redis_running(tmp_path, *ALWAYS) as server,
        running(tmp_path, {"model-a": upstream.url}, memory=memory(server)) as proxy,
    ):
        talks = [Talk(proxy, f"user{n}") for n in range(3)]
        for talk in talks:
            talk.start()
        eventually(lambda: all(len(talk.said) >= 3 for talk in talks))
        before = sum(len(talk.said) for talk in talks)
        assert server.process is not None
        server.process.send_signal(number)
        time.sleep(3)
        if number == signal.SIGSTOP:
            server.process.send_signal(signal.SIGCONT)
        else:
            server.process.wait()
            server.start()
        for talk in talks:
            talk.stop.set()
            talk.join()
        assert sum(len(talk.said) for talk in talks) > before
        assert not any(talk.failed for talk in talks)
        assert metric(proxy, 'rememberd_queue_puts_total{outcome="late"}') > 0
        for talk in talks:
            with proxy.client(talk.user) as client:
                remembered(client, talk.said[-1], "episode")
                eventually(partial(all_there, client, len(talk.said)))
                assert Counter(episodes(client)) == Counter(talk.said)
        assert metric(proxy, 'rememberd_queue_puts_total{outcome="lost"}') == 0


def all_there(client: httpx.Client, count: int) -> bool:
    return len(episodes(client)) >= count


def episodes(client: httpx.Client) -> list[str]:
    return [each["evidence"]["text"] for each in memories(client, "episode")]


@pytest.mark.slow
def test_check_and_start_warn_of_a_redis_that_could_lose_turns(tmp_path: Path) -> None:
    """Without an append-only file, or with one that throws keys away when its memory is full."""
    options = ("--appendonly", "no", "--maxmemory-policy", "allkeys-lru")
    with redis_running(tmp_path, *options) as server:
        config = tmp_path / "rememberd.yaml"
        settings = {"data_dir": str(tmp_path / "data"), "model_list": [], "memory": {"queue": {"url": server.url}}}
        config.write_text(json.dumps(settings))
        argv = [sys.executable, "-m", "rememberd", "check", "--config", str(config)]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False).stdout
        with running(tmp_path / "proxy", {}, memory={"queue": {"url": server.url}}) as proxy:
            eventually(lambda: any("could be lost: Redis evicts keys" in line for line in proxy.log))
    (line,) = [line for line in said.splitlines() if " queue " in line]
    assert line.startswith("WRONG")
    assert "appendonly yes" in line
    assert "maxmemory-policy noeviction" in line
