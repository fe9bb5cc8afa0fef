"""Within one user turn every web worker sends the same block; after a change or an erasure no old one comes back."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.memory.database import Database
from proxy.memory.frozen import Frozen
from proxy.types import Space

ADA = Space("ada")


@pytest.fixture
async def frozen(tmp_path: Path) -> AsyncIterator[Frozen]:
    frozen = Frozen(Database(tmp_path / "queue.db"))
    yield frozen
    await frozen.database.close()


@pytest.fixture
async def other_worker(frozen: Frozen) -> AsyncIterator[Frozen]:
    other = Frozen(Database(frozen.database.path))
    yield other
    await other.database.close()


async def test_a_block_frozen_by_one_worker_is_thawed_by_another(frozen: Frozen, other_worker: Frozen) -> None:
    """The bytes and the version at which they were made, under their own space and key only."""
    assert other_worker.thawed(ADA, "turn") is None
    await frozen.freeze(ADA, "turn", 3, b"block")
    assert other_worker.thawed(ADA, "turn") == (3, b"block")
    assert other_worker.thawed(ADA, "other turn") is None
    assert other_worker.thawed(Space("ada", "work"), "turn") is None
    assert other_worker.thawed(Space("bob"), "turn") is None


async def test_of_two_racing_workers_the_first_wins(frozen: Frozen, other_worker: Frozen) -> None:
    """At one version the first block stands; a newer version replaces it, an older one never does."""
    await frozen.freeze(ADA, "turn", 3, b"first")
    await other_worker.freeze(ADA, "turn", 3, b"second")
    assert frozen.thawed(ADA, "turn") == (3, b"first")
    await other_worker.freeze(ADA, "turn", 4, b"newer")
    await frozen.freeze(ADA, "turn", 3, b"late")
    assert frozen.thawed(ADA, "turn") == (4, b"newer")


async def test_versions_count_the_changes_of_a_space(frozen: Frozen, other_worker: Frozen) -> None:
    """A bump in one process is seen in all, and only in its space."""
    assert frozen.version(ADA) == 0
    assert await frozen.bump(ADA) == 1
    assert await other_worker.bump(ADA) == 2
    assert frozen.version(ADA) == other_worker.version(ADA) == 2
    assert frozen.version(Space("ada", "work")) == 0


async def test_no_block_made_before_an_erasure_comes_back(frozen: Frozen) -> None:
    """Erasing drops the user's blocks, and a worker that recalled just before it cannot freeze what it found."""
    before = await frozen.bump(ADA)
    await frozen.freeze(ADA, "turn", before, b"secret")
    await frozen.freeze(Space("bob"), "turn", 0, b"bob's")
    assert await frozen.erase("ada") == 1
    assert frozen.version(ADA) > before
    await frozen.freeze(ADA, "turn", before, b"secret")
    assert frozen.thawed(ADA, "turn") is None
    await frozen.freeze(ADA, "turn", frozen.version(ADA), b"new")
    assert frozen.thawed(ADA, "turn") == (frozen.version(ADA), b"new")
    assert frozen.thawed(Space("bob"), "turn") == (0, b"bob's")


async def test_old_blocks_expire(frozen: Frozen) -> None:
    """Blocks frozen before the given time go, younger ones stay."""
    await frozen.freeze(ADA, "turn", 0, b"block")
    now = int(time.time() * 1000)
    assert await frozen.expire(now - 60_000) == 0
    assert frozen.thawed(ADA, "turn")
    assert await frozen.expire(now + 60_000) == 1
    assert frozen.thawed(ADA, "turn") is None
