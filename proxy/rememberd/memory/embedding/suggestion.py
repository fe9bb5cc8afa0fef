"""Whether the packaged multilingual model would find more of these memories than the English model in use."""

import asyncio
from collections.abc import Sequence

from rememberd.memory.embedding.embedder import PACKAGED
from rememberd.memory.recall.block import sides
from rememberd.memory.recall.needs import is_english
from rememberd.ports import Embedder, MemoryStore
from rememberd.types import Memory, Millis, Space

SUGGESTED = "multilingual"
SAMPLE, LEAST = 200, 20  # memories that are read, the newest of each space; fewer than LEAST give no suggestion


async def suggested_model(store: MemoryStore, embedder: Embedder, spaces: Sequence[Space], now: Millis) -> str | None:
    """A better value for `memory.embedding.model`: "multilingual" if the model is the English one and most memories
    are in other languages; otherwise None. Raises `StoreUnavailable`."""
    if embedder.name != PACKAGED.name or not spaces:
        return None
    each = max(1, SAMPLE // len(spaces))
    pages = [(await store.page(space, limit=each, now=now))[0] for space in spaces[:SAMPLE]]
    memories = [memory for page in pages for memory in page]
    return SUGGESTED if await asyncio.to_thread(_mostly_foreign, memories) else None


def _mostly_foreign(memories: Sequence[Memory]) -> bool:
    texts = [memory.text if memory.kind == "fact" else sides(memory)[0] for memory in memories]
    return len(texts) >= LEAST and 2 * sum(not is_english(text) for text in texts) > len(texts)
