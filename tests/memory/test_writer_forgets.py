"""What was deleted or erased is not written again, at whatever moment that happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.ids import fact_id
from rememberd.types import Fact, Memory, Point, Receipt, Space, Turn
from tests.support.fakes import MemoryStoreFake
from tests.support.queue_contract import turn
from tests.support.writer_rig import ADA, Rig, Sentences


async def test_a_user_erased_while_the_turn_is_read_leaves_nothing(tmp_path: Path) -> None:
    """The user is erased after the episode was stored and before the facts are. The facts never reach the store."""
    kinds: list[str] = []

    class WatchedStore(MemoryStoreFake):
        async def put(self, space: Space, points: Sequence[Point]) -> None:
            kinds.extend(point.memory.kind for point in points)
            await super().put(space, points)

    class ErasingExtractor(Sentences):
        async def facts(self, turn: Turn) -> list[Fact]:
            await rig.queue.erase("ada", at=turn.created_at)
            await rig.store.erase("ada")
            return await super().facts(turn)

    rig = Rig(tmp_path, [ErasingExtractor()])
    rig.store = WatchedStore()
    await rig.queue.put(turn("t1"))
    await rig.drain()
    assert rig.store.memories(ADA) == []
    assert kinds == ["episode"]
    await rig.database.close()


async def test_a_user_erased_while_the_turn_is_written_leaves_nothing(tmp_path: Path) -> None:
    """The write reaches the store just after the erasure: it is undone, and what the user then tells is kept."""

    class SlowStore(MemoryStoreFake):
        async def put(self, space: Space, points: Sequence[Point]) -> None:
            if points[0].memory.kind == "fact" and points[0].memory.created_at == 1:
                await rig.queue.erase("ada", at=1)
                await rig.store.erase("ada")
            await super().put(space, points)

    rig = Rig(tmp_path)
    rig.store = SlowStore()
    await rig.queue.put(turn("t1"))
    await rig.drain()
    assert rig.store.memories(ADA) == []
    assert await rig.queue.put(turn("t2", at=2))
    await rig.drain()
    assert len(rig.texts()) == 2
    await rig.database.close()


async def test_a_deleted_memory_is_not_learned_again_from_older_turns(tmp_path: Path) -> None:
    """A replay of the turn it came from leaves it deleted; telling it anew brings it back."""
    rig = Rig(tmp_path)
    fact = fact_id(ADA, "I live in Oslo.")
    await rig.queue.put(turn("t1", at=1_000))
    await rig.drain()
    assert await rig.store.delete(ADA, [fact], at=2_000) == [fact]
    await rig.queue.put(turn("t1", at=1_000))
    await rig.drain()
    assert rig.texts() == ["User: I live in Oslo.\nAssistant: Nice."]
    await rig.queue.put(turn("t2", at=3_000))
    await rig.drain()
    assert "I live in Oslo." in rig.texts()
    await rig.database.close()


async def test_a_wish_that_the_writer_carries_out_reaches_groups_too(tmp_path: Path) -> None:
    """Before the answer there was no time for it. Only what the user has contributed goes, and the group's blocks."""
    rig, lab = Rig(tmp_path), Space.of_group("lab")
    for user in ("ada", "bob"):
        told = turn(f"of {user}", text="I live in Oslo.")
        await rig.queue.put(replace(told, space=lab, contributor=user))
    await rig.drain()
    before = await rig.block_cache.versions([lab])
    await rig.queue.put(replace(turn("t1", text="Forget that I live in Oslo."), groups=("lab",)))
    await rig.drain()
    assert {each.contributor for each in rig.store.memories(lab)} == {"bob"}
    assert await rig.block_cache.versions([lab]) != before
    await rig.database.close()


async def test_a_wish_that_was_carried_out_takes_nothing_more(tmp_path: Path) -> None:
    """Before the answer the nearest memory went; after it, the writer looks for what was learned since only."""
    rig = Rig(tmp_path)
    for text in ("Tea is at four.", "I like tea."):
        memory = Memory(fact_id(ADA, text), text, "fact", 1, 1, 1)
        await rig.store.put(ADA, [await to_point(memory, rig.embedder)])
    await rig.store.delete(ADA, [memory.id], at=2)
    wish = turn("t1", text="Forget that I like tea.", at=2)
    await rig.queue.put(replace(wish, forgotten=(memory.id,)))
    await rig.drain()
    assert rig.texts() == ["Tea is at four."]
    await rig.database.close()


async def test_a_wish_waits_for_what_went_to_a_group_before(tmp_path: Path) -> None:
    """What was told a group just before may be learned after the wish to forget it; what is told later stays."""
    rig, lab = Rig(tmp_path), Space.of_group("lab")
    for turn_id, at, text in (("t0", 1, "I saw a heron."), ("t1", 2, "I live in Oslo.")):
        told = turn(turn_id, text=text, answer="", at=at)
        await rig.queue.put(replace(told, space=lab, contributor="ada"))
    await rig.queue.put(replace(turn("t2", text="Forget that I live in Oslo.", at=3), groups=("lab",)))
    told = turn("t3", text="I ate a fig.", answer="", at=4)
    await rig.queue.put(replace(told, space=lab, contributor="ada"))
    await rig.drain()
    assert [each for each in rig.texts(lab) if each.startswith("I ")] == ["I ate a fig.", "I saw a heron."]
    await rig.database.close()


async def test_receipts_are_kept_for_a_month_only(tmp_path: Path) -> None:
    """The writer drops those of turns that began longer ago."""
    rig = Rig(tmp_path)
    month = 30 * 86_400_000
    for receipt_id, at in (("old", rig.clock.now - month - 1), ("young", rig.clock.now - month + 60_000_000)):
        await rig.receipts.put(Receipt(receipt_id, ADA, at, "miss", "m", None, (), 0, 1.0, "off"))
    await rig.queue.put(turn("t1"))
    await rig.drain()
    assert await rig.receipts.get(ADA, "old") is None
    assert await rig.receipts.get(ADA, "young")
    await rig.database.close()
