"""Promise 2, never in the way: with a part of memory down or hung chats flow, say `degraded`, and are counted."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.support.fake_model import FakeModel
from tests.support.proxy_server import Proxy, ask, eventually, remembered, running


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    with running(tmp_path_factory.mktemp("open"), {"model-a": upstream.url}, memory={"deadline_ms": 150}) as proxy:
        yield proxy


def metric(proxy: Proxy, line: str) -> float:
    found = [row for row in httpx.get(f"{proxy.url}/metrics").text.splitlines() if row.startswith(line)]
    return sum(float(row.rpartition(" ")[2]) for row in found)


def test_a_hung_store_costs_the_deadline_and_then_nothing(own: Proxy) -> None:
    """The breaker opens after three late recalls; when the store is back it is used again by itself."""
    own.wait_ready()
    with own.client("hung") as client:
        client.post("/v1/memories", json={"text": "I live in Lund."})
        counted = metric(own, 'rememberd_memory_status_total{status="degraded"}')
        own.kill("writer", signal.SIGSTOP)
        try:
            replies = [ask(client, f"Where do I live, try {n}?") for n in range(6)]
            assert [r.status_code for r in replies] == [200] * 6
            assert [r.headers["X-Memory-Status"] for r in replies] == ["degraded"] * 6
            assert float(replies[-1].headers["X-Memory-Recall-Ms"]) < 75  # half the deadline: the breaker is open
            ready = httpx.get(f"{own.url}/health/ready", timeout=120)
            assert ready.status_code == 503
            assert ready.json()["parts"]["store"] != "ok"
            assert ready.json()["parts"]["queue"] == "ok"
            assert httpx.get(f"{own.url}/health/live").status_code == 200
            assert metric(own, 'rememberd_memory_status_total{status="degraded"}') == counted + 6
        finally:
            own.kill("writer", signal.SIGCONT)
        eventually(
            lambda: ask(client, f"Where do I live, at {time.monotonic()}?").headers["X-Memory-Status"] == "hit"
        )


@pytest.mark.slow
def test_a_dead_writer_comes_back_and_nothing_said_meanwhile_is_lost(own: Proxy) -> None:
    """The turn waits in the queue."""
    own.wait_ready()
    with own.client("dead") as client:
        own.kill("writer")
        reply = ask(client, "I live in Malmö.")
        assert (reply.status_code, reply.headers["X-Memory-Write"]) == (200, "on")
        remembered(client, "Malmö", "fact")
    own.wait_ready()


@pytest.mark.slow
def test_a_memory_call_fails_closed_while_the_store_is_down(own: Proxy) -> None:
    """An empty list would be a lie: 503, and when to come back."""
    own.wait_ready()
    own.kill("writer")
    with own.client("closed") as client:
        reply = client.get("/v1/memories")
        if reply.status_code != 200:  # the supervisor may have been faster
            assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
            assert reply.json()["error"]["code"] == "memory_unavailable"
    own.wait_ready()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.slow
def test_a_broken_queue_does_not_hold_an_answer_back(tmp_path: Path, upstream: FakeModel, stream: bool) -> None:
    """The file is no database any more: the answer comes whole and readiness says why. The turn is spooled, and
    learned once the operator has removed the damaged file and started anew."""
    with running(tmp_path, {"model-a": upstream.url}) as proxy, proxy.client("q") as client:
        ask(client, "I live in Kiruna.")
        remembered(client, "Kiruna")
        for file in proxy.data.glob("queue.db*"):
            file.write_bytes(b"this is not a database" * 1000)
        reply = ask(client, "Do I live in Kiruna?", stream=stream)
        assert reply.status_code == 200
        assert "Kiruna" in reply.text
        assert not stream or reply.text.endswith("data: [DONE]\n\n")
        assert eventually(lambda: metric(proxy, 'rememberd_queue_puts_total{outcome="late"}')) == 1
        assert httpx.get(f"{proxy.url}/health/ready").status_code == 503
    for file in proxy.data.glob("queue.db*"):
        file.unlink()
    with running(tmp_path, {"model-a": upstream.url}) as proxy, proxy.client("q") as client:
        remembered(client, "Do I live in Kiruna?", "episode")


@pytest.mark.slow
def test_a_turn_waits_for_a_queue_that_comes_back(tmp_path: Path, upstream: FakeModel) -> None:
    """Longer than SQLite itself waits; the answer left long ago."""
    memory = {"deadline_ms": 200}
    with running(tmp_path, {"model-a": upstream.url}, memory=memory) as proxy, proxy.client("w") as client:
        with closing(sqlite3.connect(proxy.data / "queue.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert ask(client, "I live in Kiruna.").status_code == 200
            time.sleep(3)
        remembered(client, "Kiruna", "fact")


@pytest.mark.alone
@pytest.mark.slow
def test_a_queue_that_stays_late_is_not_waited_for(tmp_path: Path, upstream: FakeModel) -> None:
    """After one answer that waited for nothing the next ones leave at once; nothing that was said is lost, and
    answers wait again when the queue is back."""
    memory = {"deadline_ms": 1000}
    with running(tmp_path, {"model-a": upstream.url}, memory=memory) as proxy, proxy.client("late") as client:
        late = 'rememberd_queue_puts_total{outcome="late"}'
        with closing(sqlite3.connect(proxy.data / "queue.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waited = [ask(client, f"I own a boat called number {n}.").elapsed.total_seconds() for n in range(4)]
            assert waited[0] >= 1 > max(waited[1:])
            assert metric(proxy, late) == 4
        for n in range(4):
            remembered(client, f"number {n}")
        assert [ask(client, f"I live in Kiruna, still {n}.").status_code for n in range(3)] == [200] * 3
        assert metric(proxy, late) == 4
