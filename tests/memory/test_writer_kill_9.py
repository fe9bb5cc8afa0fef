"""The real writer over the real embedded store, killed again and again: 0 lost, 0 doubled."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import pytest

from rememberd.memory.ids import episode_id, fact_id
from rememberd.storage.edge.store import EdgeStore
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.queue import SqliteQueue
from rememberd.types import Space
from tests.support.fakes import EmbedderFake
from tests.support.queue_contract import turn

ROOT = Path(__file__).parents[2]
USERS = [Space("ada"), Space("bob"), Space("cyd")]
ROUNDS, TURNS = 4, 12


async def writer_in(folder: Path) -> asyncio.subprocess.Process:
    argv = sys.executable, "-m", "tests.support.writer_process", str(folder)
    return await asyncio.create_subprocess_exec(*argv, cwd=ROOT)


def unfinished(database: Database, settled: bool) -> int:
    where = "" if settled else "WHERE state <> 'settled'"
    return int(database.read(f"SELECT count(*) FROM turns {where}")[0][0])


async def until_left(database: Database, count: int, *, settled: bool) -> None:
    async with asyncio.timeout(60):
        while unfinished(database, settled) > count:
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.slow
async def test_a_killed_writer_loses_and_doubles_nothing(tmp_path: Path, seed: int) -> None:
    """Killed at a random turn of every round, and then left to finish: each turn has its episode, each fact is there
    once, nothing else is."""
    dice = random.Random(seed)
    database = Database(tmp_path / "queue.db")
    queue = SqliteQueue(database)
    expected: dict[Space, set[str]] = {space: set() for space in USERS}
    for round_ in range(ROUNDS):
        for number in range(TURNS):
            space, turn_id = USERS[number % 3], f"t{round_}-{number}"
            text = f"I like dish {number}."  # the same facts in each round
            await queue.put(turn(turn_id, space.user, text=text, at=round_ * TURNS + number + 1))
            expected[space] |= {episode_id(space, turn_id), fact_id(space, text)}
        process = await writer_in(tmp_path)
        await until_left(database, dice.randrange(1, TURNS), settled=False)
        await asyncio.sleep(dice.uniform(0, 0.01))
        process.kill()
        await process.wait()
    process = await writer_in(tmp_path)
    await until_left(database, 0, settled=True)
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 60) == 0
    await queue.close()
    assert await contents(tmp_path) == expected


async def contents(folder: Path) -> dict[Space, set[str]]:
    store = EdgeStore.open(folder / "store", dim=EmbedderFake.dim, embedder=EmbedderFake.name)
    pages = {space: (await store.page(space, limit=1_000, now=10**9, include_past=True))[0] for space in USERS}
    await store.close()
    ids = {space: [memory.id for memory in page] for space, page in pages.items()}
    assert all(len(each) == len(set(each)) for each in ids.values())
    return {space: set(each) for space, each in ids.items()}
