"""Web and writer processes apart, on Redis: each can be replaced while people talk, and nobody notices."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from rememberd.storage.edge.socket_protocol import socket_path
from tests.support.apart import Apart, Balanced
from tests.support.fake_model import FakeModel
from tests.support.proxy_server import eventually, memories
from tests.support.redis_process import redis_running


@pytest.fixture
def apart(tmp_path: Path, upstream: FakeModel) -> Iterator[Apart]:
    with redis_running(tmp_path, "--appendfsync", "always") as server:
        apart = Apart(tmp_path, upstream.url, {"queue": {"url": server.url}})
        try:
            yield apart
        finally:
            apart.close()


class Balancer(threading.Thread):
    """Asks again and again which process is there and not about to stop. One without its store, while the writer
    that has it is replaced, still serves chats: memory fails open."""

    def __init__(self, apart: Apart) -> None:
        super().__init__()
        self.apart, self.ready, self.stopping = apart, set(apart.urls), threading.Event()

    def run(self) -> None:
        while not self.stopping.wait(0.1):
            for name in self.apart.urls:
                (self.ready.add if self.apart.serves(name) else self.ready.discard)(name)


def said_by(apart: Apart, user: str) -> list[str]:
    headers = {"Authorization": "Bearer sk-webui", "X-Memory-User": user}
    with httpx.Client(base_url=apart.urls["web-0"], headers=headers, timeout=120) as client:
        return [each["evidence"]["text"] for each in memories(client, "episode")]


def more_said(people: list[Balanced], count: int) -> bool:
    return sum(len(each.said) for each in people) > count


def all_remembered(apart: Apart, person: Balanced) -> bool:
    return len(said_by(apart, person.user)) >= len(person.said)


@pytest.mark.slow
def test_every_process_is_replaced_without_a_failed_request_or_a_lost_turn(apart: Apart) -> None:
    """Two web processes by SIGTERM one after the other, the writer by SIGTERM and by SIGKILL."""
    for name in ("writer", "web-0", "web-1"):
        apart.start(name)
    for name in ("web-0", "web-1"):
        apart.wait_ready(name)
    balancer = Balancer(apart)
    people = [Balanced(apart, balancer.ready, f"user{n}") for n in range(3)]
    for thread in (balancer, *people):
        thread.start()
    try:
        for name, number in (
            ("web-0", signal.SIGTERM),
            ("writer", signal.SIGTERM),
            ("web-1", signal.SIGTERM),
            ("writer", signal.SIGKILL),
        ):
            before = sum(len(each.said) for each in people)
            apart.stop(name, number)
            apart.start(name)
            eventually(lambda: {"web-0", "web-1"} <= balancer.ready, 60)
            eventually(partial(more_said, people, before + 20), 60)
    finally:
        for each in people:
            each.stopping.set()
            each.join()
        balancer.stopping.set()
        balancer.join()
    assert [failed for each in people for failed in each.failed] == []
    for each in people:
        eventually(partial(all_remembered, apart, each), 60)
        assert Counter(said_by(apart, each.user)) == Counter(each.said)


@pytest.mark.slow
def test_a_web_process_that_stops_says_so_before_it_refuses(apart: Apart) -> None:
    """After SIGTERM it is not ready, and still answers; each answer ends its connection, so that clients move on."""
    apart.start("writer")
    apart.start("web-0")
    apart.wait_ready("web-0")
    url = apart.urls["web-0"]
    body = {"model": "model-a", "messages": [{"role": "user", "content": "I live in Oslo."}]}
    with httpx.Client(base_url=url, headers={"Authorization": "Bearer sk-alice"}, timeout=120) as client:
        assert "connection" not in client.post("/v1/chat/completions", json=body).headers
        apart.running["web-0"].terminate()
        eventually(lambda: client.get("/health/ready").status_code == 503)
        last = client.post("/v1/chat/completions", json=body)
        assert (last.status_code, last.headers["connection"]) == (200, "close")
    assert apart.running.pop("web-0").wait(30) == -signal.SIGTERM
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health/live")


@pytest.mark.slow
def test_a_second_writer_on_an_embedded_store_is_refused(apart: Apart) -> None:
    """With what to do: several writers need a Qdrant server."""
    apart.start("writer")
    eventually(socket_path(apart.folder / "data").exists)
    apart.start("writer-2")
    assert apart.running.pop("writer-2").wait(60) != 0
    said = (apart.folder / "writer-2.log").read_text()
    assert "memory.store.url" in said
    assert "Traceback" not in said
