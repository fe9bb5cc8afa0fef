"""Forgetting a memory also forgets the others with the same content: a fact is deleted with its episode and with
every other episode that has all its words (an answer that repeated it), an episode with the facts found in it.
Otherwise the next recall would bring it back from there."""

from collections.abc import Callable, Sequence

from rememberd.memory.history import earlier_texts
from rememberd.memory.ids import episode_id
from rememberd.ports import Embedder, MemoryStore
from rememberd.types import Memory, Millis, Space, Turn


async def forget(
    store: MemoryStore, embedder: Embedder, space: Space, memory_id: str, clock: Callable[[], Millis]
) -> list[str]:
    """Returns the deleted ids, the requested one first; empty if there is no such memory.

    The `clock` is read last: an edit that began while the related ones were looked up must not survive, nor its copy
    of the earlier text.

    Raises `StoreUnavailable`, `EmbedderUnavailable`."""
    ids = [each.id for each in await going(store, embedder, space, memory_id, clock())]
    if not ids:
        return []
    gone = await store.delete(space, ids, at=clock())
    written_meanwhile = await earlier_texts(store, space, ids)
    return gone + (await store.delete(space, written_meanwhile, at=clock()) if written_meanwhile else [])


async def going(store: MemoryStore, embedder: Embedder, space: Space, memory_id: str, now: Millis) -> list[Memory]:
    """The memories that would be deleted with this one, itself first: those that say the same, and earlier texts of
    all of these. Raises `StoreUnavailable`, `EmbedderUnavailable`."""
    found = await store.get(space, [memory_id])
    if not found:
        return []
    together = [found[0], *(await related(store, embedder, space, found[0], now))]
    earlier = await earlier_texts(store, space, [each.id for each in together])
    return [*together, *(await store.get(space, earlier))]


async def take_back(
    store: MemoryStore, space: Space, ids: Sequence[str], contributor: str | None, at: Millis
) -> None:
    """Delete memories written for a user who was erased meanwhile. With a `contributor`, the space is a group's, and
    contributions of others stay, even if they said the same. Raises `StoreUnavailable`."""
    known = await store.get(space, ids) if contributor else []
    others = {each.id for each in known if each.contributor != contributor}
    await store.delete(space, [each for each in ids if each not in others], at=at)


async def unforgotten(store: MemoryStore, space: Space, turns: Sequence[Turn]) -> list[Turn]:
    """The turns whose episode was not deleted since. Raises `StoreUnavailable`."""
    episodes = {turn.id: episode_id(space, turn.said_in) for turn in turns}
    gone = await store.deleted_at(space, list(episodes.values()))
    return [turn for turn in turns if episodes[turn.id] not in gone]


async def related(store: MemoryStore, embedder: Embedder, space: Space, memory: Memory, now: Millis) -> list[Memory]:
    """Other memories with the same content: for a fact the exchanges with its words, for an exchange its facts. In a
    group, not the contributions of others."""
    terms = embedder.query(memory.text)
    near = await store.search(space, await embedder.dense(memory.text), terms, now=now)
    others = [candidate.id for candidate in near if candidate.kind != memory.kind]
    if memory.kind == "fact" and memory.evidence and memory.evidence.turn_id:
        others.append(episode_id(space, memory.evidence.turn_id))  # in quarantine no search finds it
    said = frozenset(terms.indices) if memory.kind == "fact" else frozenset()
    return [
        other
        for other in await store.get(space, others)
        if other.contributor == memory.contributor
        and (_same_turn(memory, other) or (said and said <= set(embedder.query(other.text).indices)))
    ]


def _same_turn(memory: Memory, other: Memory) -> bool:
    turn_id = memory.evidence.turn_id if memory.evidence else None
    return turn_id is not None and other.evidence is not None and other.evidence.turn_id == turn_id
