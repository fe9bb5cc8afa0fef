"""Recall: embed the question, search, rank, fit the budget, under one deadline."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Literal

from proxy.errors import Unavailable
from proxy.memory.block import render
from proxy.ports import Embedder, MemoryStore
from proxy.types import Candidate, Memory, Millis, Space


@dataclass(frozen=True, slots=True)
class Recalled:
    """What recall found. `block` is "" unless `status` is "hit"; `tokens` an estimate; `ms` the time it took."""

    status: Literal["hit", "miss", "degraded"]
    block: str = ""
    ids: tuple[str, ...] = ()
    tokens: int = 0
    ms: float = 0.0


class Recall:
    def __init__(
        self, store: MemoryStore, embedder: Embedder, budget_tokens: int = 600, deadline_ms: int = 150
    ) -> None:
        self.store, self.embedder = store, embedder
        self.budget_tokens, self.deadline_ms = budget_tokens, deadline_ms

    async def recall(
        self,
        space: Space,
        question: str,
        *,
        now: Millis,
        turn_id: str | None,
        conversation: str | None,
        previous: str | None = None,
    ) -> Recalled:
        """The block for `question`. Never raises: a store or embedder that fails or is late gives "degraded"."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self.deadline_ms / 1000):
                memories = await self._find(space, question, now, turn_id)
        except (Unavailable, TimeoutError):
            return Recalled("degraded", ms=(time.perf_counter() - began) * 1000)
        block = render(memories)
        ids = tuple(memory.id for memory in memories)
        return Recalled(
            "hit" if ids else "miss", block, ids, len(block) // 4, (time.perf_counter() - began) * 1000
        )

    async def _find(self, space: Space, question: str, now: Millis, turn_id: str | None) -> list[Memory]:
        dense = await self.embedder.dense(question)
        found = await self.store.search(space, dense, self.embedder.query(question), now=now)
        winners = self._pick([each for each in found if each.turn_id is None or each.turn_id != turn_id])
        return await self.store.get(space, [each.id for each in winners])

    def _pick(self, found: list[Candidate]) -> list[Candidate]:
        room, winners = self.budget_tokens - 30, []
        for each in sorted(found, key=lambda c: (not c.pinned, -c.dense, c.id)):
            if each.tokens <= room and (each.pinned or each.dense > 0.3):
                winners.append(each)
                room -= each.tokens
        return winners
