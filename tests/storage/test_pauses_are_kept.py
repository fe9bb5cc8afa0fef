"""A pause holds in every web process, and what was said meanwhile is not learned."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from rememberd.encryption.pauses import SealedPauses
from rememberd.ports import PauseStore
from rememberd.storage.redis.client import RedisClient
from rememberd.storage.redis.queue import RedisQueue
from rememberd.storage.redis.records import RedisPauses
from rememberd.storage.sqlite.pauses import SqlitePauses
from rememberd.types import EVERY_SCOPE, Space
from tests.support.queue_contract import claimed, found_in, turn
from tests.support.sealing import PLACES, kept_in


@pytest.fixture(params=PLACES)
async def pauses(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PauseStore]:
    """One promise, two adapters, and either of them under seal."""
    async with kept_in(request, tmp_path, SqlitePauses, RedisPauses, SealedPauses) as pauses:
        yield pauses


async def test_a_pause_lasts_until_it_is_ended(pauses: PauseStore) -> None:
    """Of one user only, in every scope; pausing twice is pausing once."""
    ada = Space("ada", EVERY_SCOPE)
    await pauses.pause(ada)
    await pauses.pause(ada)
    assert await pauses.paused(Space("ada"))
    assert await pauses.paused(Space("ada", "work"))
    assert not await pauses.paused(Space("bob"))
    await pauses.resume(ada)
    assert not await pauses.paused(Space("ada"))


async def test_a_pause_of_a_scope_is_of_that_scope(pauses: PauseStore) -> None:
    """It ends for itself, or with the pause of everything; and it does not end a pause of everything."""
    work, everywhere = Space("ada", "work"), Space("ada", EVERY_SCOPE)
    await pauses.pause(work)
    assert [await pauses.paused(each) for each in (work, Space("ada"), Space("bob", "work"))] == [True, False, False]
    await pauses.resume(Space("ada", "home"))
    assert await pauses.paused(work)
    await pauses.resume(work)
    assert not await pauses.paused(work)
    await pauses.pause(everywhere)
    await pauses.resume(work)
    assert await pauses.paused(work)
    await pauses.pause(work)
    await pauses.resume(everywhere)
    assert not await pauses.paused(work)


async def test_a_paused_users_turn_is_refused_by_redis_itself(redis_url: str) -> None:
    """A chat that could not ask in time whether its user has paused puts the turn later: it is not kept. What a
    model found in a turn from before the pause is."""
    shared = RedisClient(redis_url, soon_ms=5_000)
    queue, pauses = RedisQueue(shared), RedisPauses(shared)
    await pauses.pause(Space("ada", EVERY_SCOPE))
    assert not await queue.put(turn("t1"))
    await pauses.pause(Space("bob", "work"))
    assert await queue.put(turn("t2", "bob"))
    assert not await queue.put(replace(turn("t5"), space=Space("bob", "work")))
    assert await queue.put(found_in(turn("t3", "cyd")))
    await pauses.pause(Space("cyd", EVERY_SCOPE))
    assert await queue.put(found_in(turn("t4", "cyd")))
    await pauses.resume(Space("ada", EVERY_SCOPE))
    assert await queue.put(turn("t1"))
    assert sorted(await claimed(queue)) == sorted(["t1", "t2", found_in(turn("t3")).id])
    await queue.close()
