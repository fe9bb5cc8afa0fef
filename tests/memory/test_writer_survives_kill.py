"""A writer that dies at any step, by kill -9 or in a power cut, loses nothing and stores nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rememberd.memory.learn.writer import Writer
from rememberd.types import Receipt, Space
from tests.support.queue_contract import turn
from tests.support.writer_rig import ADA, Rig

BOB = Space("bob")


class Killed(BaseException):
    """What a process feels of kill -9: no handler sees it."""


class Life:
    """Lets a number of calls pass; from then on every call dies, before or after it took effect."""

    def __init__(self, calls: int, *, after: bool) -> None:
        self.calls, self.after = calls, after

    async def spend(self, call: Callable[[], Any]) -> Any:
        self.calls -= 1
        if self.calls < 0 or (self.calls == 0 and not self.after):
            raise Killed
        result = await call()
        if self.calls == 0:
            raise Killed
        return result


class _Mortal:
    def __init__(self, part: Any, life: Life) -> None:
        self._part, self._life = part, life

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._part, name)
        return lambda *args, **named: self._life.spend(lambda: method(*args, **named))


class MortalRig(Rig):
    life: Life | None = None

    def writer(self) -> Writer:
        writer = super().writer()
        if self.life is not None:
            for part in ("queue", "store", "receipts", "block_cache"):
                setattr(writer, part, _Mortal(getattr(writer, part), self.life))
        return writer


async def put_turns(rig: Rig) -> None:
    for turn_id, user, text in (
        ("t1", "ada", "I live in Oslo. I like tea."),
        ("t2", "bob", "I have a dog."),
        ("t3", "ada", "I live in Rome."),
    ):
        at = int(turn_id[1])
        await rig.receipts.put(
            Receipt(f"receipt-{turn_id}", Space(user), rig.clock.now, "miss", "m", turn_id, (), 0, 1.0, "pending")
        )
        await rig.queue.put(turn(turn_id, user, text=text, at=at))


async def outcome(rig: Rig) -> Any:
    """All memories, and of each receipt what it says of current ones: only the first try sees what it superseded."""
    memories = [sorted(rig.store.memories(space), key=lambda memory: memory.id) for space in (ADA, BOB)]
    current = {memory.id for each in memories for memory in each if memory.valid_to is None}
    receipts = [
        await rig.receipts.get(space, f"receipt-{each}") for each, space in (("t1", ADA), ("t2", BOB), ("t3", ADA))
    ]
    return memories, [receipt and (receipt.write, current.intersection(receipt.written)) for receipt in receipts]


async def life_of(folder: Path, calls: int, *, after: bool, power_cut: bool) -> tuple[Any, bool]:
    """What stands after a writer died at the given call and another one took over, and whether it did die."""
    folder.mkdir()
    rig = MortalRig(folder)
    await put_turns(rig)
    rig.life = Life(calls, after=after)
    died = False
    try:
        await rig.drain()
    except Killed:
        died = True
        if power_cut:
            rig.store.power_cut()
        await rig.queue.release()
    rig.life = None
    await rig.drain()
    stands = await outcome(rig)
    await rig.database.close()
    return stands, died


# After one call is nearly the same moment as before the next.
@pytest.mark.parametrize("after", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["before", "after"])
@pytest.mark.parametrize("power_cut", [False, True], ids=["kill", "power-cut"])
async def test_a_writer_may_die_at_any_step(tmp_path: Path, after: bool, power_cut: bool) -> None:
    """Whichever call it was that died, after a restart the same memories and receipts stand as without a death."""
    undisturbed, died = await life_of(tmp_path / "undisturbed", 10_000, after=after, power_cut=power_cut)
    assert not died
    assert [len(memories) for memories in undisturbed[0]] == [5, 2]
    calls = 0
    while died or calls == 0:
        calls += 1
        stands, died = await life_of(tmp_path / str(calls), calls, after=after, power_cut=power_cut)
        assert stands == undisturbed, f"died at call {calls}"
    assert calls > 20


async def test_a_writer_that_is_killed_again_and_again_gets_on(tmp_path: Path) -> None:
    """Under a backlog, while recalls leave no quiet moment for a flush: of what each writer has stored, the next one
    does only the last again."""
    rig = Rig(tmp_path)
    for number in range(400):
        await rig.queue.put(turn(f"t{number}", f"user-{number}", text="I like tea.", at=number + 1))

    def left() -> int:
        return int(rig.database.read("SELECT count(*) FROM turns")[0][0])

    for _ in range(3):
        before = left()
        writer = rig.writer()
        writer.quiet_for = writer.chats_ago = lambda: 0.0
        writer.flush_took = 0.00001  # so that the first flush is not far
        running = asyncio.create_task(writer.run(asyncio.Event()))
        async with asyncio.timeout(60):
            while left() == before:
                await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.wait({running})
        rig.store.power_cut()
        assert 0 < left() < before
        await rig.queue.release()
    await rig.drain()
    assert all(len(rig.texts(Space(f"user-{number}"))) == 2 for number in range(400))
    await rig.database.close()
