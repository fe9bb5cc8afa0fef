"""Forgets what the user told last, or within some days: wishes that name a time and no thing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from rememberd.memory.history import earlier_texts
from rememberd.memory.ids import episode_id
from rememberd.memory.learn.forget import forget
from rememberd.memory.recall.dates import DAY_MS, Span
from rememberd.ports import Embedder, MemoryStore
from rememberd.types import Memory, Millis, Space

_PAGE = 500
_JUST_MS = 3_600_000  # "just now", said in a conversation of its own: many clients name none, or always a new one


async def forget_turns(
    store: MemoryStore, embedder: Embedder, space: Space, turns: Sequence[str], now: Millis
) -> list[str]:
    """The exchanges of these turns with their facts. Returns the deleted ids. Raises `StoreUnavailable`,
    `EmbedderUnavailable`."""
    gone: list[str] = []
    for turn_id in turns:
        gone += await forget(store, embedder, space, episode_id(space, turn_id), lambda: now)
    return gone


async def forget_newest(
    store: MemoryStore, embedder: Embedder, space: Space, contributor: str | None, now: Millis
) -> list[str]:
    """The newest exchange of the last hour, with its facts. Only where all that was told before is stored. Raises
    `StoreUnavailable`, `EmbedderUnavailable`."""
    newest, _ = await store.page(space, limit=_PAGE if contributor else 1, now=now, kind="episode")
    theirs = (each for each in newest if each.contributor == contributor and now - each.created_at <= _JUST_MS)
    last = max(theirs, key=lambda each: each.created_at, default=None)
    return await forget(store, embedder, space, last.id, lambda: now) if last else []


async def told_within(
    store: MemoryStore, space: Space, contributor: str | None, span: Span, offset: Millis, now: Millis
) -> list[Memory]:
    """What was told on these days of the user's time zone, past facts too. Raises `StoreUnavailable`."""
    start, end = ((day - date(1970, 1, 1)).days * DAY_MS - offset for day in span)
    told = await store.all(space, now=now, include_past=True)
    return [each for each in told if each.contributor == contributor and start <= each.created_at < end]


async def forget_all_of(store: MemoryStore, space: Space, memories: Sequence[Memory], now: Millis) -> list[str]:
    """These, and their earlier texts. Returns the deleted ids. Raises `StoreUnavailable`."""
    ids = [each.id for each in memories]
    earlier = await earlier_texts(store, space, ids)
    return await store.delete(space, [*ids, *earlier], at=now)
