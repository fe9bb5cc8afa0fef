"""The second stage over Redis, which may be away at any moment of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rememberd.errors import MemoryUnavailable, QueueUnavailable
from rememberd.memory.ids import found_id
from rememberd.memory.learn.llm.llm_extract import Model
from rememberd.memory.learn.llm.llm_worker import LlmWorker
from rememberd.storage.redis.client import RedisClient
from rememberd.storage.redis.extraction_queue import RedisExtractionQueue
from rememberd.storage.redis.queue import RedisQueue
from rememberd.upstream.byte_lane import ByteLane
from tests.support.extraction_rig import deployment, fact, said
from tests.support.fake_model import Behaviour, FakeModel
from tests.support.fakes import EmbedderFake, MemoryStoreFake
from tests.support.pending_contract import claimed
from tests.support.pending_contract import said as turn

LEASE_MS = 600


class Cut(RedisExtractionQueue):
    """Does not reach Redis while it is `away`; the renewal of its leases does."""

    def __init__(self, shared: RedisClient) -> None:
        super().__init__(shared, idle_ms=0, lease_ms=LEASE_MS)
        self.away, run = False, self._run

        async def cut(operation: str, *values: Any) -> Any:
            if self.away:
                raise QueueUnavailable("Redis: away")
            return await run(operation, *values)

        self._run = cut


@pytest.fixture
async def upstream() -> AsyncIterator[FakeModel]:
    async with FakeModel(default=Behaviour(said(fact("I live in Oslo.")))) as model:
        yield model


@pytest.mark.parametrize("answer", [said(fact("I live in Oslo.")), "nonsense"], ids=["good", "bad"])
async def test_an_outage_at_the_end_of_a_call_leaves_nobody_waiting(
    redis_url: str, upstream: FakeModel, answer: str
) -> None:
    """Whatever the model answered: nobody holds the turn any more, and it is read again once the lease has ended."""
    shared, lane = RedisClient(redis_url), ByteLane()
    extraction_queue, queue = Cut(shared), RedisQueue(shared)
    model = Model(lambda _: deployment(upstream.url), {"bytes": lane})
    stage = LlmWorker(extraction_queue, queue, MemoryStoreFake(), EmbedderFake(), model, 50_000)
    upstream.script(Behaviour(answer, delay_headers=0.2))
    await extraction_queue.add(turn("t1"))
    step = asyncio.create_task(stage.step())
    while not upstream.chats:
        await asyncio.sleep(0.01)
    extraction_queue.away = True
    with pytest.raises(MemoryUnavailable):
        await step
    assert await queue.claim(9) == []
    extraction_queue.away = False
    async with asyncio.timeout(120):
        while not await stage.step():
            await asyncio.sleep(0.05)
    (job,) = await queue.claim(9)
    assert (job.turn.id, job.turn.of, [each.text for each in job.turn.found]) == (
        found_id("t1"),
        "t1",
        ["I live in Oslo."],
    )
    assert await claimed(extraction_queue) == []
    assert len(upstream.chats) == 2
    await lane.close()
    await queue.close()
