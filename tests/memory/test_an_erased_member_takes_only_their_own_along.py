"""A turn of a member who was erased meanwhile is taken back, and nothing of what others contributed goes with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rememberd.api.memory_writes import MemoryWrites
from rememberd.errors import RequestError
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.erasure import erase, erase_contributions, texts_of
from rememberd.memory.ids import fact_id
from rememberd.ports.stores import LARGEST_PAGE
from rememberd.storage.spool import FileSpool
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.extraction_queue import SqliteExtractionQueue
from rememberd.types import Fact, Memory, Space
from tests.support.fakes import MemoryStoreFake
from tests.support.queue_contract import turn
from tests.support.writer_rig import Rig

LAB = Space.of_group("lab")
SAID = "I live in Oslo."
HOUR = 3_600_000


def contributed(by: str, at: int) -> Memory:
    return Memory(fact_id(LAB, SAID, contributor=by), SAID, "fact", at, at, at, group="lab", contributor=by)


async def test_a_turn_in_the_queue_takes_nothing_of_others_along(tmp_path: Path) -> None:
    """The other member's memory stays, although it says the same."""
    rig = Rig(tmp_path)
    writes = MemoryWrites(rig.store, rig.embedder, rig.queue, rig.block_cache)
    now = rig.clock.now
    await writes.merge(LAB, [contributed("ada", now)], now)
    for said in (turn("t1", text=SAID), replace(turn("t2"), found=(Fact(SAID, SAID),), of="t1")):
        await rig.queue.put(replace(said, space=LAB, contributor="bob", created_at=now + 1))
    await rig.queue.erase("bob", now + HOUR)
    await rig.drain()
    assert rig.texts(LAB) == [SAID]
    assert rig.store.memories(LAB)[0].contributor == "ada"


async def test_what_is_added_during_an_erasure_takes_nothing_of_others_along(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    writes = MemoryWrites(rig.store, rig.embedder, rig.queue, rig.block_cache)
    now = rig.clock.now
    await writes.merge(LAB, [contributed("ada", now)], now)
    await rig.queue.erase("bob", now + HOUR)
    with pytest.raises(RequestError):
        await writes.merge(LAB, [contributed("bob", now + 1)], now + 1)
    assert rig.texts(LAB) == [SAID]


@pytest.mark.parametrize("whole_group", [False, True])
async def test_no_block_of_another_member_keeps_what_is_erased(tmp_path: Path, whole_group: bool) -> None:
    """Until it expires it would lie on the disk, under a key of its own."""
    rig, ada = Rig(tmp_path), Space("ada")
    now = rig.clock.now
    await MemoryWrites(rig.store, rig.embedder, rig.queue, rig.block_cache).merge(LAB, [contributed("bob", now)], now)
    await rig.block_cache.put(ada, "k", 0, SAID.encode(), at=now)
    if whole_group:
        await erase(
            LAB.user,
            now,
            rig.queue,
            SqliteExtractionQueue(Database(tmp_path / "extraction.db"), idle_ms=0),
            rig.store,
            rig.receipts,
            rig.block_cache,
            FileSpool(tmp_path / "spool"),
            rig.usage,
            rig.tool_files,
        )
    else:
        await erase_contributions("bob", now, rig.store, rig.embedder, rig.block_cache, {"lab": False})
    assert (await rig.block_cache.get(ada, "k"))[1] is None


async def test_what_two_members_say_alike_is_both_s(tmp_path: Path) -> None:
    """When one is erased, what the other has said in the same words stays, and is no less theirs."""
    rig = Rig(tmp_path)
    writes = MemoryWrites(rig.store, rig.embedder, rig.queue, rig.block_cache)
    now = rig.clock.now
    for by in ("bob", "ada"):
        for at in (now, now + 1):  # said twice it is still once
            await writes.merge(LAB, [contributed(by, at)], at)
    assert sorted(each.contributor or "" for each in rig.store.memories(LAB)) == ["ada", "bob"]
    await erase_contributions("bob", now + 2, rig.store, rig.embedder, rig.block_cache, {"lab": False})
    assert [each.contributor for each in rig.store.memories(LAB)] == ["ada"]


class OnlyPages(MemoryStoreFake):
    async def all(self, *_: Any, **__: Any) -> list[Memory]:
        raise AssertionError("all memories of a space at once")


async def test_a_large_group_is_read_by_pages(tmp_path: Path) -> None:
    """A group may hold millions of memories, so never all of them at once."""
    rig = Rig(tmp_path)
    rig.store = OnlyPages()
    for n in range(LARGEST_PAGE + 100):
        memory = replace(contributed(("ada", "bob")[n % 2], n), id=fact_id(LAB, str(n)), text=str(n))
        await rig.store.put(LAB, [await to_point(memory, rig.embedder)])
    assert len(await texts_of(rig.store, "bob", {"lab": False})) == 1 + 100
    erased = await erase_contributions("bob", HOUR, rig.store, rig.embedder, rig.block_cache, {"lab": False})
    assert erased == (LARGEST_PAGE + 100) // 2
    assert {each.contributor for each in rig.store.memories(LAB)} == {"ada"}


async def test_the_search_after_an_erasure_looks_for_contributions(tmp_path: Path) -> None:
    """In groups that do not keep them, unless another member has told the same."""
    rig = Rig(tmp_path)
    for name, text, by in (
        ("lab", "The Heron code is seven.", "bob"),
        ("lab", SAID, "bob"),
        ("lab", SAID, "ada"),
        ("archive", "The Ibis code is nine.", "bob"),
    ):
        space = Space.of_group(name)
        memory = replace(contributed(by, 1), id=fact_id(space, text, contributor=by), text=text, group=name)
        await rig.store.put(space, [await to_point(memory, rig.embedder)])
    texts = await texts_of(rig.store, "bob", {"lab": False, "archive": True})
    assert sorted(texts.values()) == ["The Heron code is seven.", "bob"]
