"""Memories change their owner: from one user to another, with their dates, evidence and history. Their settings
too."""

from collections.abc import Sequence
from dataclasses import replace

from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.history import version_ids
from rememberd.memory.ids import episode_id, fact_id
from rememberd.ports import Embedder, MemoryStore, PreferenceStore
from rememberd.types import EVERY_SCOPE, Memory, Millis, Space


async def adopt(store: MemoryStore, embedder: Embedder, old: str, new: str, at: Millis) -> int:
    """Move all memories of the user `old` to the user `new`, scope by scope. Returns their number. An interrupted
    move can be run again. Raises `StoreUnavailable`, `EmbedderUnavailable`."""
    moved = 0
    for space in await store.spaces(old):
        moved += await _move(store, embedder, space, space._replace(user=new), at)
    return moved


async def adopt_preferences(preferences: PreferenceStore, old: str, new: str) -> None:
    """Move the pause and the time zone of the user `old`, of every scope. The user `new` keeps a time zone of their
    own. Raises `QueueUnavailable`."""
    before, after = Space(old, EVERY_SCOPE), Space(new, EVERY_SCOPE)
    paused, zone = await preferences.of(before)
    if paused:
        await preferences.pause(after)
        await preferences.resume(before)
    if zone is not None and (await preferences.of(after)).time_zone is None:
        await preferences.set_time_zone(after, zone)
    await preferences.set_time_zone(before, None)


async def _move(store: MemoryStore, embedder: Embedder, old: Space, new: Space, at: Millis) -> int:
    memories = await store.all(old, now=at, include_past=True)
    ids = _new_ids(memories, old, new)
    for memory in memories:
        await store.put(new, [await to_point(replace(memory, id=ids[memory.id]), embedder)])
    await store.flush()
    await store.delete(old, [memory.id for memory in memories], at=at)
    return len(memories)


def _new_ids(memories: Sequence[Memory], old: Space, new: Space) -> dict[str, str]:
    """New ids by the old ones. An id contains its owner's name; an earlier text is found by the id of its memory."""
    ids = {each.id: _new_id(each, old, new) for each in memories}
    for each in memories:
        earlier = zip(version_ids(each.id), version_ids(ids[each.id]), strict=True)
        ids |= {before: after for before, after in earlier if before in ids}
    return ids


def _new_id(memory: Memory, old: Space, new: Space) -> str:
    if memory.kind == "episode":
        return episode_id(new, memory.id)
    plain = memory.id == fact_id(old, memory.text)
    return fact_id(new, memory.text, "" if plain else memory.id)
