"""Equal memories are one line of the block (pure)."""

from __future__ import annotations

from collections.abc import Sequence

from rememberd.memory.ids import normal
from rememberd.memory.recall.block import sides
from rememberd.memory.text_similarity import content
from rememberd.types import Memory


def without_repeats(memories: Sequence[Memory], *, latest: bool) -> list[Memory]:
    """Of those that say the same in the same words the latest one, or the first in their order; and no exchange whose
    words all stand in facts of it. Pinned ones stay."""
    facts, shown = dict[str, set[str]](), dict[str, Memory]()
    for each in memories:
        if each.kind == "fact" and (turn := _turn(each)):
            facts.setdefault(turn, set()).update(content(each.text))
        words = _words(each)
        if words not in shown or (latest and shown[words].valid_from < each.valid_from):
            shown[words] = each

    def tells_more(each: Memory) -> bool:
        told = facts.get(_turn(each) or "")
        return each.kind == "fact" or told is None or not told.issuperset(content(sides(each)[0]))

    return [each for each in memories if each.pinned or (shown[_words(each)] is each and tells_more(each))]


def _turn(memory: Memory) -> str | None:
    return memory.evidence.turn_id if memory.evidence else None


def _words(memory: Memory) -> str:
    return f"{memory.speaker or ''} {normal(sides(memory)[0] if memory.kind == 'episode' else memory.text)}"
