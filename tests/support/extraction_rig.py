"""A writer with the second stage beside it: the real table, the real byte lane, a fake model server at its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rememberd.memory.learn.llm.llm_extract import Model
from rememberd.memory.learn.llm.llm_worker import LlmWorker
from rememberd.memory.learn.writer import Writer
from rememberd.memory.serialization import turn_from_json
from rememberd.ports import Upstream
from rememberd.storage.sqlite.extraction_queue import SqliteExtractionQueue
from rememberd.types import CHAT, Deployment, Memory, Space
from rememberd.upstream.byte_lane import ByteLane
from tests.support.fake_model import FakeModel
from tests.support.writer_rig import ADA, Rig

IDLE_MS = 20_000


def said(*facts: Mapping[str, Any]) -> str:
    """A model's answer in the asked shape."""
    return json.dumps({"facts": [{"slot": None, "valid_from": None, **fact} for fact in facts]})


def fact(text: str, evidence: str | None = None, **more: Any) -> dict[str, Any]:
    return {"text": text, "evidence": text if evidence is None else evidence, **more}


# What only a model finds, in a sentence of which no rule makes a fact (held in test_llm_extraction_end_to_end.py).
SAID = "So late again, what with the bassoon and my orchestra."
FOUND = fact("I play the bassoon in my orchestra.", "the bassoon and my orchestra")


def deployment(base: str, timeout: float = 10.0) -> Deployment:
    return Deployment("small", "openai", "small-1", frozenset((CHAT,)), base, "sk-operator", timeout)


class ExtractionRig(Rig):
    """No rules, so that every fact is the model's; `budget` is what a user may spend a day."""

    def __init__(self, folder: Path, base: str, *, budget: int = 50_000, timeout: float = 10.0) -> None:
        super().__init__(folder, [])
        self.extraction_queue = SqliteExtractionQueue(self.database, idle_ms=IDLE_MS, clock=self.clock)
        self.lane = ByteLane()
        lanes: dict[str, Upstream] = {"bytes": self.lane}
        model = Model(lambda _: deployment(base, timeout), lanes)
        self.stage = LlmWorker(
            self.extraction_queue,
            self.queue,
            self.store,
            self.embedder,
            model,
            budget,
            usage=self.usage,
            clock=self.clock,
        )

    def writer(self) -> Writer:
        return Writer(
            self.queue, self.store, self.embedder, self.extractors, self.receipts, self.block_cache,
            extraction_queue=self.extraction_queue, clock=self.clock,
        )  # fmt: skip

    async def read_all(self) -> None:
        """Let every conversation rest, ask the model for all that is due, and store what it found."""
        self.clock.now += IDLE_MS
        while await self.stage.step():
            pass
        await self.drain()

    async def drain(self) -> None:
        """Everything in the queue, without moving the clock: turns, and what was found in some."""
        unfinished = "SELECT 1 FROM turns WHERE state <> 'dead'"
        stop = asyncio.Event()
        running = asyncio.create_task(self.writer().run(stop))
        try:
            async with asyncio.timeout(120):
                while self.database.read(unfinished) and not running.done():
                    await asyncio.sleep(0.01)
        finally:
            stop.set()
            await running

    async def once(self) -> None:
        """A writer that is stopped at once: it takes what is due and flushes."""
        stop = asyncio.Event()
        running = asyncio.create_task(self.writer().run(stop))
        await asyncio.sleep(0.05)
        stop.set()
        await running

    async def spent(self, user: str = "ada") -> int:
        return (await self.extraction_queue.spent(user)).tokens

    def jobs(self) -> list[str]:
        """The ids of the turns whose facts are in the queue."""
        bodies = self.database.read("SELECT body FROM turns ORDER BY seq")
        return [each.of for each in (turn_from_json(body) for (body,) in bodies) if each.found]

    def states(self, *wanted: str) -> list[str]:
        """The ids of the turns that wait for the model in one of these states, oldest first."""
        rows = self.database.read("SELECT turn, state FROM readings ORDER BY created_at, turn")
        return [turn for turn, state in rows if state in wanted]

    def facts(self, space: Space = ADA) -> list[Memory]:
        found = [memory for memory in self.store.memories(space) if memory.kind == "fact"]
        return sorted(found, key=lambda memory: memory.text)

    async def close(self) -> None:
        await self.lane.close()
        await self.database.close()


def sent(model: FakeModel) -> list[list[str]]:
    """The messages of each call, as the model got them."""
    calls = [json.loads(chat.json["messages"][-1]["content"]) for chat in model.chats]
    return [[each["message"] for each in call] for call in calls]
