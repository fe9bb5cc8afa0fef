"""Killed or cut off at any step of the second stage, or without Redis at any moment of it, it ends as if nothing had
happened."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rememberd.errors import MemoryUnavailable, QueueUnavailable
from rememberd.memory.ids import found_id
from rememberd.memory.learn.llm.llm_extract import Model
from rememberd.memory.learn.llm.llm_worker import LlmWorker
from rememberd.memory.learn.reconcile import merge
from rememberd.memory.learn.writer import Writer
from rememberd.storage.redis.client import RedisClient
from rememberd.storage.redis.extraction_queue import RedisExtractionQueue
from rememberd.storage.redis.queue import RedisQueue
from rememberd.types import Receipt, Source
from rememberd.upstream.byte_lane import ByteLane
from tests.memory.test_reconcile import fact as memory
from tests.memory.test_writer_survives_kill import Killed, Life
from tests.support.decision_rig import asks_to_decide
from tests.support.extraction_rig import ExtractionRig, deployment, fact, said
from tests.support.fake_model import Behaviour, FakeModel
from tests.support.fakes import EmbedderFake, MemoryStoreFake
from tests.support.pending_contract import claimed
from tests.support.pending_contract import said as told
from tests.support.queue_contract import turn
from tests.support.writer_rig import ADA

TEXTS = ("I live in Oslo.", "I live in Rome. I have three kids. I keep 2 cats.")
KNOWN = ("I have two kids.", "I have 2 cats.")


@pytest.fixture
async def upstream() -> AsyncIterator[FakeModel]:
    def answer(body: Any) -> str:
        text = body["messages"][-1]["content"]
        if asks_to_decide(body):
            return rulings(json.loads(text))
        homes = [fact(f"I live in {city}.", slot="home") for city in ("Oslo", "Rome")]
        others = [fact(each) for each in ("I have three kids.", "I keep 2 cats.")]
        return said(*(each for each in homes + others if each["text"] in text))

    async with FakeModel(default=Behaviour(answer)) as model:
        yield model


def rulings(pairs: Any) -> str:
    """The kids are a new number of them, the cats are the same."""
    relations = {KNOWN[0]: "replaces", KNOWN[1]: "same"}
    numbers = [{side: pair[side]["number"] for side in ("new", "old")} for pair in pairs]
    decisions = [
        {**number, "relation": relations[pair["old"]["text"]]} for number, pair in zip(numbers, pairs, strict=True)
    ]
    return json.dumps({"decisions": decisions})


class Mortal:
    """A part whose asynchronous calls are steps at which the process may die."""

    def __init__(self, part: Any, life: Life) -> None:
        self._part, self._life = part, life

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._part, name)
        if not inspect.iscoroutinefunction(member):
            return member
        return lambda *args, **named: self._life.spend(lambda: member(*args, **named))


class MortalRig(ExtractionRig):
    life: Life | None = None

    def writer(self) -> Writer:
        writer = super().writer()
        if self.life is not None:
            for part in ("queue", "store", "receipts", "block_cache", "extraction_queue"):
                setattr(writer, part, Mortal(getattr(writer, part), self.life))
        return writer

    def live(self, life: Life) -> None:
        self.life = life
        for part in ("extraction_queue", "queue", "store", "model"):
            setattr(self.stage, part, Mortal(getattr(self.stage, part), life))


async def life_of(folder: Path, url: str, calls: int, *, power_cut: bool) -> tuple[Any, bool]:
    """What stands after a death right after the given call and a new start, and whether there was a death."""
    folder.mkdir()
    first, second = MortalRig(folder, url), ExtractionRig(folder, url)
    second.store = second.stage.store = first.store
    known = [memory(text, first.clock.now - 1) for text in KNOWN]
    await merge(first.store, first.embedder, ADA, known, first.clock.now)
    await first.store.flush()
    for number, text in enumerate(TEXTS):
        at = first.clock.now + number
        receipt = Receipt(f"receipt-t{number}", ADA, at, "miss", "m", f"t{number}", (), 0, 1.0, "pending")
        await first.receipts.put(receipt)
        await first.queue.put(replace(turn(f"t{number}", text=text, at=at), source=Source(f"c{number}")))
    first.live(Life(calls, after=True))
    died = False
    try:
        await first.drain()
        await first.read_all()
    except Killed:
        died = True
        if power_cut:
            first.store.power_cut()
    second.clock.now = first.clock.now
    await second.queue.release()
    await second.extraction_queue.release()
    await second.drain()
    await second.read_all()
    stands = await _outcome(second)
    await first.close()
    await second.close()
    return stands, died


async def _outcome(rig: ExtractionRig) -> Any:
    """All memories, what each receipt says of current ones, and what is left to do."""
    memories = sorted(rig.store.memories(ADA), key=lambda each: each.id)
    current = {each.id for each in memories if each.valid_to is None}
    receipts = [await rig.receipts.get(ADA, f"receipt-t{number}") for number in range(len(TEXTS))]
    written = [receipt and (receipt.write, current.intersection(receipt.written)) for receipt in receipts]
    return memories, written, (rig.states("due", "asked", "dead"), rig.jobs())


@pytest.mark.parametrize("power_cut", [False, True], ids=["kill", "power-cut"])
@pytest.mark.slow
async def test_the_second_stage_may_die_at_any_step(tmp_path: Path, upstream: FakeModel, power_cut: bool) -> None:
    """Whichever call was the last, after a restart the same memories and receipts stand as without a death."""
    undisturbed, died = await life_of(tmp_path / "undisturbed", upstream.url, 10_000, power_cut=power_cut)
    assert not died
    current = {each.text for each in undisturbed[0] if each.kind == "fact" and each.valid_to is None}
    assert current == {"I live in Rome.", "I have three kids.", "I have 2 cats."}
    assert len(undisturbed[0]) == 7
    assert undisturbed[2] == ([], [])
    calls = 0
    while died or calls == 0:
        calls += 1
        stands, died = await life_of(tmp_path / str(calls), upstream.url, calls, power_cut=power_cut)
        assert stands == undisturbed, f"died at call {calls}"
    assert calls > 40


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
async def oslo() -> AsyncIterator[FakeModel]:
    async with FakeModel(default=Behaviour(said(fact("I live in Oslo.")))) as model:
        yield model


@pytest.mark.parametrize("answer", [said(fact("I live in Oslo.")), "nonsense"], ids=["good", "bad"])
async def test_an_outage_at_the_end_of_a_call_leaves_nobody_waiting(
    redis_url: str, oslo: FakeModel, answer: str
) -> None:
    """Whatever the model answered: nobody holds the turn any more, and it is read again once the lease has ended."""
    shared, lane = RedisClient(redis_url), ByteLane()
    extraction_queue, queue = Cut(shared), RedisQueue(shared)
    model = Model(lambda _: deployment(oslo.url), {"bytes": lane})
    stage = LlmWorker(extraction_queue, queue, MemoryStoreFake(), EmbedderFake(), model, 50_000)
    oslo.script(Behaviour(answer, delay_headers=0.2))
    await extraction_queue.add(told("t1"))
    step = asyncio.create_task(stage.step())
    while not oslo.chats:
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
    assert len(oslo.chats) == 2
    await lane.close()
    await queue.close()
