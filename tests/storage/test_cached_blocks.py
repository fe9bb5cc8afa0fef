"""Within one user turn every web worker sends the same block; after a change or an erasure no old one comes back."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from rememberd.encryption.records import SealedBlockCache
from rememberd.ports import BlockCache
from rememberd.storage.redis.records import RedisBlockCache
from rememberd.storage.sqlite.block_cache import SqliteBlockCache
from rememberd.types import Space
from tests.support.sealing import PLACES, kept_in

ADA = Space("ada")


@pytest.fixture(params=PLACES)
async def workers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[BlockCache]]:
    """Two web processes, each with a connection of its own."""
    kept = partial(kept_in, request, tmp_path, SqliteBlockCache, RedisBlockCache, SealedBlockCache)
    async with kept() as one, kept() as other:
        yield [one, other]


@pytest.fixture
def block_cache(workers: list[BlockCache]) -> BlockCache:
    return workers[0]


@pytest.fixture
def other_worker(workers: list[BlockCache]) -> BlockCache:
    return workers[1]


async def test_a_block_that_one_worker_cached_is_found_by_another(
    block_cache: BlockCache, other_worker: BlockCache
) -> None:
    """The bytes and the version at which they were made, under their own space and key only."""
    assert await other_worker.get(ADA, "turn") == (0, None)
    await block_cache.put(ADA, "turn", 3, b"block", at=1)
    assert await other_worker.get(ADA, "turn") == (0, (3, b"block"))
    for space, key in ((ADA, "other turn"), (Space("ada", "work"), "turn"), (Space("bob"), "turn")):
        assert await other_worker.get(space, key) == (0, None)


async def test_of_two_racing_workers_the_first_wins(block_cache: BlockCache, other_worker: BlockCache) -> None:
    """At one version the first block stands; a newer version replaces it, an older one never does."""
    await block_cache.put(ADA, "turn", 3, b"first", at=1)
    await other_worker.put(ADA, "turn", 3, b"second", at=1)
    assert await block_cache.get(ADA, "turn") == (0, (3, b"first"))
    await other_worker.put(ADA, "turn", 4, b"newer", at=1)
    await block_cache.put(ADA, "turn", 3, b"late", at=1)
    assert await block_cache.get(ADA, "turn") == (0, (4, b"newer"))


async def test_a_block_out_of_date_is_replaced_at_the_same_version(
    block_cache: BlockCache, other_worker: BlockCache
) -> None:
    """By the first of the processes that found it out of date; and then that one stands."""
    await block_cache.put(ADA, "turn", 3, b"stale", at=100)
    await block_cache.put(ADA, "turn", 3, b"racing", at=700)
    await other_worker.put(ADA, "turn", 2, b"older", at=700, replaces=100)
    assert await block_cache.get(ADA, "turn") == (0, (3, b"stale"))
    await other_worker.put(ADA, "turn", 3, b"fresh", at=700, replaces=100)
    await block_cache.put(ADA, "turn", 3, b"second", at=701, replaces=100)
    assert await block_cache.get(ADA, "turn") == (0, (3, b"fresh"))


async def test_versions_count_the_changes_of_a_space(block_cache: BlockCache, other_worker: BlockCache) -> None:
    """A bump in one process is seen in all, and only in its space."""
    assert (await block_cache.get(ADA, "turn"))[0] == 0
    assert await block_cache.bump(ADA) == 1
    assert await other_worker.bump(ADA) == 2
    assert (await block_cache.get(ADA, "turn"))[0] == (await other_worker.get(ADA, "turn"))[0] == 2
    assert (await block_cache.get(Space("ada", "work"), "turn"))[0] == 0


async def test_no_block_made_before_an_erasure_comes_back(block_cache: BlockCache) -> None:
    """Erasing drops the user's blocks, and a worker that recalled just before it cannot cache what it found."""
    before = await block_cache.bump(ADA)
    await block_cache.put(ADA, "turn", before, b"secret", at=1)
    await block_cache.put(Space("bob"), "turn", 0, b"bob's", at=1)
    assert await block_cache.erase("ada") == 1
    version, _ = await block_cache.get(ADA, "turn")
    assert version > before
    await block_cache.put(ADA, "turn", before, b"secret", at=1)
    assert await block_cache.get(ADA, "turn") == (version, None)
    await block_cache.put(ADA, "turn", version, b"new", at=1)
    assert await block_cache.get(ADA, "turn") == (version, (version, b"new"))
    assert await block_cache.get(Space("bob"), "turn") == (0, (0, b"bob's"))


async def test_old_blocks_expire(block_cache: BlockCache) -> None:
    """Blocks cached before the given time go, younger ones stay."""
    now = int(time.time() * 1000)
    await block_cache.put(ADA, "turn", 0, b"block", at=now)
    assert await block_cache.expire(now - 60_000) == 0
    assert await block_cache.get(ADA, "turn") == (0, (0, b"block"))
    assert await block_cache.expire(now + 60_000) == 1
    assert await block_cache.get(ADA, "turn") == (0, None)
