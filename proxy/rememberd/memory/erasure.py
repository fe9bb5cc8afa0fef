"""Erases a user completely, although other processes write at the same time."""

from asyncio import gather
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rememberd.memory.embedding.indexing import to_point
from rememberd.ports import (
    BlockCache,
    Embedder,
    Erasable,
    ExtractionQueue,
    MemoryStore,
    ReceiptStore,
    Spool,
    TurnQueue,
)
from rememberd.telemetry.usage.counts import UsageStore
from rememberd.types import Memory, Millis, Space

_AHEAD: Millis = 3_600_000  # to include blocks made since the erasure began, whatever the clock of their host
_TEXTS = 100  # of the erased memories, the newest of each scope: each text is searched for in every file


async def erase(
    user: str,
    at: Millis,
    queue: TurnQueue,
    extraction_queue: ExtractionQueue,
    store: MemoryStore,
    receipts: ReceiptStore,
    block_cache: BlockCache,
    spool: Spool,
    usage: UsageStore,
    *others: Erasable,
) -> int:
    """Erase everything of this user that began at or before `at`, in every scope. Returns the number of memories.
    Raises `MemoryUnavailable`: then it must be repeated. Contributions to groups are not erased.

    The queue is first: with a master key it deletes the user's key, and its mark keeps a turn in progress from being
    written later. The blocks are last, because a block may be made from memories that are still in the store. The
    others run concurrently, so that they share the commits of a file and the wiping of its log."""
    await queue.erase(user, at)
    _, _, erased = await gather(extraction_queue.erase(user, at), spool.erase(user), store.erase(user))
    if Space(user).group:
        await block_cache.expire(at + _AHEAD)  # the blocks of its members hold memories of it
    others_too = [other.erase(user, at) for other in others]
    await gather(receipts.erase(user, at), block_cache.erase(user), usage.erase(user), *others_too)
    return erased


async def texts_of(store: MemoryStore, user: str, groups: Mapping[str, bool]) -> dict[str, str]:
    """The texts that a search of the disk looks for after this user's erasure, by label. `groups` as for
    `erase_contributions`: texts that stay there, or that others told as well, are not included. Raises
    `StoreUnavailable`."""
    texts = {"the name": user}
    for space in await store.spaces(user):
        memories, _ = await store.page(space, limit=_TEXTS, now=0, include_past=True)
        texts |= {f"memory {memory.id[:8]}": memory.text for memory in memories}
    for name in (name for name, keep in groups.items() if not keep):
        space = Space.of_group(name)
        theirs: dict[str, str] = {}
        async for page in store.pages(space, now=0, include_past=True):
            newest = [each for each in page if each.contributor == user][: _TEXTS - len(theirs)]
            theirs |= {each.text: each.id for each in newest}
        if not theirs:
            continue
        async for page in store.pages(space, now=0, include_past=True):
            for other in (each for each in page if each.contributor != user):
                theirs.pop(other.text, None)
        texts |= {f"memory {memory_id[:8]} of @{name}": text for text, memory_id in theirs.items()}
    return texts


async def erase_contributions(
    user: str,
    at: Millis,
    store: MemoryStore,
    embedder: Embedder,
    block_cache: BlockCache,
    groups: Mapping[str, bool],
) -> int:
    """`groups` are those that may hold contributions of the user (`Groups.leave`), and whether these stay, without
    the name. Returns how many memories were deleted or lost the name. Call it after each `erase`: the writer skips
    turns still in the queue, because the user was erased. Raises `MemoryUnavailable`."""
    erased = 0
    for name, keep in groups.items():
        space, before = Space.of_group(name), erased
        async for page in store.pages(space, now=0, include_past=True):
            theirs = [memory for memory in page if memory.contributor == user]
            erased += len(theirs)
            if theirs and keep:
                nameless = [replace(each, contributor=None, updated_at=max(at, each.updated_at)) for each in theirs]
                await store.put(space, [await to_point(each, embedder) for each in nameless])
            elif theirs:
                await store.delete(space, [each.id for each in theirs], at=at)
                # Members' blocks hold them, but only a token's claim may tell who the members are.
                await block_cache.expire(at + _AHEAD)
        if erased > before:
            await block_cache.erase(space.user)
    return erased


async def undo_interrupted(store: MemoryStore, turns: Sequence[tuple[Space, Millis]]) -> None:
    """Delete the memories of turns whose writer was killed after a put, before it checked whether the user was erased
    meanwhile. They have the turn's time. Raises `StoreUnavailable`."""
    for space, at in turns:
        async for page in store.pages(space, now=0, include_past=True):
            left = [memory.id for memory in page if at in _times(memory)]
            if left:
                await store.delete(space, left, at=at)


def _times(memory: Memory) -> tuple[Millis | None, ...]:
    return memory.created_at, memory.updated_at, memory.valid_to
