"""kill -9 of the process that has the store loses no acknowledged write."""

from __future__ import annotations

import asyncio
import random
from itertools import count
from pathlib import Path

import pytest

from rememberd.errors import StoreUnavailable
from rememberd.storage.edge.client import EdgeClient
from tests.support.store_contract import ANN, NOW, point
from tests.support.store_process import store_process

ROUNDS = 4


async def write_until_killed(
    client: EdgeClient, acknowledged: set[str], deleting: set[str], deleted: set[str], first: int
) -> None:
    for number in count(first):
        batch = [f"m{number}-{i}" for i in range(3)]
        await client.put(ANN, [point(id_) for id_ in batch])
        acknowledged.update(batch)
        if number % 7 == 0:
            deleting.update(batch[:1])
            await client.delete(ANN, batch[:1], at=NOW)
            deleted.update(batch[:1])
        if number % 50 == 0:
            await client.flush()


async def test_no_acknowledged_write_is_lost(tmp_path: Path) -> None:
    """Whatever put or delete had returned before the kill still holds after the restart, flushed or not, and the
    same client goes on with the new process."""
    acknowledged: set[str] = set()
    deleted: set[str] = set()
    deleting: set[str] = set()  # the kill may come after the deletion and before its answer
    client = EdgeClient(tmp_path / "s")
    for round_ in range(ROUNDS):
        async with store_process(tmp_path / "store", tmp_path / "s") as process:
            present = {memory.id for memory in await client.get(ANN, sorted(acknowledged))}
            assert acknowledged - present <= deleting
            assert not deleted & present
            writing = asyncio.create_task(
                write_until_killed(client, acknowledged, deleting, deleted, round_ * 100_000)
            )
            await asyncio.sleep(random.uniform(0.1, 0.6))
            process.kill()
            with pytest.raises(StoreUnavailable):
                await writing
    assert len(acknowledged) > ROUNDS
    await client.close()


async def test_half_built_segments_of_a_killed_optimisation_are_cleared(tmp_path: Path) -> None:
    """What the engine leaks there when it is killed does not fill the disk."""
    async with store_process(tmp_path / "store", tmp_path / "s"):
        pass
    leak = tmp_path / "store" / "shard" / "temp_segments" / "half"
    leak.mkdir(parents=True)
    async with store_process(tmp_path / "store", tmp_path / "s"):
        assert not leak.exists()
