"""Ranking runs in the process that has the store: when that one hangs or dies, a recall costs at most the deadline,
then nothing, and it is back by itself."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.recall.recall import Recall, Recalled
from rememberd.memory.retry import FAILURES, PAUSE_S, PUNCTUAL, Breaker
from rememberd.storage.edge.client import EdgeClient
from tests.support.fakes import EmbedderFake
from tests.support.retrieval_rig import ADA, NOW, memory
from tests.support.store_contract import DIM
from tests.support.store_process import store_process

DEADLINE_MS = 100


class Four(EmbedderFake):
    name, dim = "test", DIM


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def recall(tmp_path: Path) -> AsyncIterator[Recall]:
    client = EdgeClient(tmp_path / "s")
    recall = Recall(client, Four(), deadline_ms=DEADLINE_MS, retrieving=client.retrieve)
    yield recall
    await client.close()


async def ask(recall: Recall) -> Recalled:
    return await recall.recall(ADA, "Where do I live?", now=NOW, turn_id=None, conversation=None)


async def tell(recall: Recall) -> None:
    await recall.store.put(ADA, [await to_point(memory("I live in Oslo."), Four())])


async def warm(recall: Recall) -> None:
    """What was told is recalled. The first question of a process may take longer than the deadline."""
    for _ in range(600):
        if (await ask(recall)).status == "hit":
            return
        recall.breaker = Breaker(recall.breaker.clock)
    raise AssertionError("never in time")


async def back(recall: Recall, clock: Clock) -> None:
    """The breaker is closed after one probe, and what was told is recalled."""
    clock.now += PAUSE_S
    assert (await ask(recall)).status == "degraded"  # it probes behind the scenes
    while not recall.breaker.closed:
        await asyncio.sleep(0.01)
    found = await ask(recall)
    assert (found.status, "Oslo" in found.block) == ("hit", True)


async def test_a_hung_process_costs_the_deadline_three_times(recall: Recall, tmp_path: Path) -> None:
    """At least, and a second after it last answered. Then nothing is tried; awake again it answers the probe,
    whatever it finds waiting."""
    recall.breaker = Breaker(clock := Clock())
    async with store_process(tmp_path / "store", tmp_path / "s") as process:
        await tell(recall)
        await warm(recall)
        clock.now += PAUSE_S  # since the last success
        process.send_signal(signal.SIGSTOP)
        late = [await ask(recall) for _ in range(FAILURES)]
        assert [each.status for each in late] == ["degraded"] * FAILURES
        assert all(PUNCTUAL * DEADLINE_MS - 1 <= each.ms < 20 * DEADLINE_MS for each in late)
        assert not recall.breaker.closed
        assert (await ask(recall)).ms < PUNCTUAL * DEADLINE_MS
        process.send_signal(signal.SIGCONT)
        recall.deadline_ms = 30_000
        await back(recall, clock)


def test_a_store_that_answers_some_is_busy_and_not_down() -> None:
    """However many in a row are late: only a second without an answer opens the breaker."""
    breaker = Breaker(clock := Clock())
    for _ in range(20):
        breaker.success()
        for _ in range(3 * FAILURES):
            breaker.failure()
        assert breaker.closed
        clock.now += PAUSE_S / 2
    clock.now += PAUSE_S / 2
    assert not breaker.closed


async def test_a_process_that_dies_in_the_middle_of_a_recall_ends_it_at_once(recall: Recall, tmp_path: Path) -> None:
    """Long before the deadline; and the next process is found without a restart of this one."""
    recall.breaker, recall.deadline_ms = Breaker(clock := Clock()), 30_000
    async with store_process(tmp_path / "store", tmp_path / "s") as process:
        await tell(recall)
        await recall.store.flush()
        process.send_signal(signal.SIGSTOP)
        waiting = [asyncio.create_task(ask(recall)) for _ in range(FAILURES)]
        await asyncio.sleep(0.05)
        process.kill()
        found = await asyncio.wait_for(asyncio.gather(*waiting), 120)
        assert [each.status for each in found] == ["degraded"] * FAILURES
        await process.wait()
        clock.now += PAUSE_S
        assert (await ask(recall)).status == "degraded"
    async with store_process(tmp_path / "store", tmp_path / "s"):
        await back(recall, clock)
