"""Which of the ranked memories go into the block: best first, until the budget is full (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from proxy.memory.block import FRAME_COST, HEADER_COST
from proxy.memory.dates import DAY_MS
from proxy.types import Candidate

# A profile this small against the budget goes in whole: the right one of 50 preferences is among the best ten in
# 94 % of cases, of 1,000 in 37 %, and what a model knows of a person it can use unasked.
WHOLE_SHARE = 0.25

SHORTEST_LINE = 4  # tokens: nothing that is told fits into less


class Pack:
    """Room in the block, in tokens as `render` will spend them at most."""

    def __init__(self, budget_tokens: int) -> None:
        self.budget, self.cost = budget_tokens, FRAME_COST
        self.ids: dict[str, None] = {}
        self._headers: set[tuple[bool, int]] = set()
        self._kinds: dict[str, str] = {}

    def add(self, memory: Candidate) -> None:
        """Takes `memory` if it fits and is not told already by a fact, or the episode, of the same turn."""
        header = (memory.pinned, memory.at // DAY_MS)
        cost = self.cost + memory.tokens + (0 if header in self._headers else HEADER_COST)
        told = self._kinds.get(memory.turn_id or memory.id, memory.kind) != memory.kind
        if cost > self.budget or told or memory.id in self.ids:
            return
        self.cost = cost
        self.ids[memory.id] = None
        self._headers.add(header)
        self._kinds[memory.turn_id or memory.id] = memory.kind

    @property
    def full(self) -> bool:
        return self.cost + SHORTEST_LINE > self.budget


def pack(ranked: Sequence[Candidate], budget_tokens: int) -> tuple[list[str], int]:
    """Ids in the order taken, and what the block costs at most, in tokens (0 for none)."""
    block = Pack(budget_tokens)
    pinned = [each for each in ranked if each.pinned]
    for each in [*pinned, *_profile(ranked, budget_tokens), *ranked]:
        if block.full:
            break
        block.add(each)
    return list(block.ids), block.cost if block.ids else 0


def _profile(ranked: Sequence[Candidate], budget_tokens: int) -> list[Candidate]:
    """All facts, if they are few and one person's."""
    facts = [each for each in ranked if each.kind == "fact"]
    if len({each.speaker for each in facts}) != 1:
        return []
    cost = sum(each.tokens for each in facts) + HEADER_COST * len({each.at // DAY_MS for each in facts})
    return facts if cost <= WHOLE_SHARE * budget_tokens else []
