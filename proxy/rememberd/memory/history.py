"""Earlier texts of edited memories, stored as past memories beside them, so that an edit can be undone."""

from collections.abc import Sequence
from dataclasses import replace

from rememberd.memory.ids import version_id
from rememberd.ports import MemoryStore
from rememberd.types import Memory, Millis, Space

SHOWN = 100  # other values of one slot
KEPT = 20  # earlier texts of one memory; a new one replaces the oldest


async def earlier_text(store: MemoryStore, space: Space, memory: Memory, at: Millis) -> Memory:
    """`memory` as it was before the edit `at`, to be stored beside it. Raises `StoreUnavailable`."""
    versions = version_ids(memory.id)
    taken = {each.id: each.valid_to or at for each in await store.get(space, versions)}
    deleted = await store.deleted_at(space, versions)
    free = [each for each in versions if each not in taken and each not in deleted]
    place = free[0] if free else min(taken, key=taken.__getitem__, default=versions[0])
    return replace(memory, id=place, pinned=False, valid_to=memory.valid_to or max(at, memory.valid_from))


async def earlier_texts(store: MemoryStore, space: Space, memory_ids: Sequence[str]) -> list[str]:
    """The ids of earlier texts of these memories, unless such a text is current again. Raises `StoreUnavailable`."""
    versions = [version for each in memory_ids for version in version_ids(each)]
    return [each.id for each in await store.get(space, versions) if each.valid_to is not None]


async def history(store: MemoryStore, space: Space, memory: Memory, now: Millis) -> list[Memory]:
    """Its earlier texts, and other values of its slot by the same person, newest first. Raises `StoreUnavailable`."""
    found = {each.id: each for each in await store.get(space, version_ids(memory.id))}
    if memory.slot is not None:
        same, _ = await store.page(space, limit=SHOWN, now=now, slot=memory.slot, include_past=True)
        found |= {each.id: each for each in same if each.contributor == memory.contributor}
    found.pop(memory.id, None)
    return sorted(found.values(), key=lambda each: each.valid_to or now, reverse=True)


def version_ids(memory_id: str) -> list[str]:
    return [version_id(memory_id, number) for number in range(KEPT)]
