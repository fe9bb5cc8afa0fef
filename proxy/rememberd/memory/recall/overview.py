"""What is shown to "what do you know about me?": without a search."""

from collections.abc import Sequence

from rememberd.dialects.attribution_words import speaks_of_self
from rememberd.dialects.segments import segment
from rememberd.memory.learn.rules.sentences import sentences
from rememberd.memory.recall.block import HEADER_COST, line_cost, sides
from rememberd.ports import MemoryStore
from rememberd.types import Memory, Millis, Space

_FACTS, _EXCHANGES = 100, 20  # nobody wants to read more
_FOR_FACTS = 0.75  # of the budget, before the first exchange


async def overview(store: MemoryStore, space: Space, *, now: Millis, budget: int) -> list[Memory]:
    """The facts, pinned and newest first. The newest exchanges in which the person tells something that is no fact
    come in the last quarter of `budget` tokens: it may be news of a fact. Raises `StoreUnavailable`."""
    facts, _ = await store.page(space, limit=_FACTS, now=now, kind="fact")
    exchanges, _ = await store.page(space, limit=_EXCHANGES, now=now, kind="episode")
    ordered = sorted(facts, key=lambda each: not each.pinned)
    first = _fitting(ordered, _FOR_FACTS * budget)
    return [*ordered[:first], *(each for each in exchanges if _tells_more(each, facts)), *ordered[first:]]


def _fitting(memories: Sequence[Memory], budget: float) -> int:
    """How many of them, from the first on, fit."""
    cost = 0.0
    for number, each in enumerate(memories):
        cost += line_cost(each) + HEADER_COST
        if cost > budget:
            return number
    return len(memories)


def _tells_more(exchange: Memory, facts: Sequence[Memory]) -> bool:
    said = segment(sides(exchange)[0]).masked()
    for fact in facts:
        said = said.replace(fact.text, "")
    told = (said[span.start : span.end] for span in sentences(said))
    return any(speaks_of_self(each) and not each.endswith(("?", "？")) for each in told)
