"""A turn is on a disk when the end of its answer leaves: in the queue, or in the spool until the queue is back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from rememberd.errors import QueueUnavailable
from rememberd.pipeline.outbox import TURNS, Outbox
from rememberd.storage.spool import FileSpool
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.queue import SqliteQueue
from rememberd.types import Turn
from tests.support.queue_contract import turn


class Faulty(SqliteQueue):
    """A queue that hangs while `open` is not set, and refuses what comes in while `down`; `refused` is what
    "turn-bad" raises."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Database(folder / "queue.db"))
        self.open = asyncio.Event()
        self.open.set()
        self.down = False
        self.refused: Exception | None = None
        self.puts: list[str] = []

    async def put(self, turn: Turn) -> bool:
        if self.refused and turn.id == "turn-bad":
            raise self.refused
        if self.down:
            raise QueueUnavailable("down")
        await self.open.wait()
        self.puts.append(turn.id)
        return await super().put(turn)


@pytest.fixture
async def queue(tmp_path: Path) -> AsyncIterator[Faulty]:
    queue = Faulty(tmp_path)
    yield queue
    await queue.close()


def spool(folder: Path) -> FileSpool:
    return FileSpool(folder / "spool")


quick = partial(Outbox, drain_s=0.2, retry_s=0.01)


async def spooled(folder: Path) -> list[str]:
    """What another process finds on the disk, without taking it."""
    files = sorted((folder / "spool").glob("*"))
    return [
        name for file in files for name in file.read_text(errors="replace").split('"') if name.startswith("turn-")
    ]


async def emptied(outbox: Outbox) -> None:
    async with asyncio.timeout(120):
        while outbox.behind:
            await asyncio.sleep(0.01)


async def test_a_turn_in_time_touches_no_spool(queue: Faulty, tmp_path: Path) -> None:
    """It is in the queue."""
    outbox = quick(queue, spool(tmp_path), 10_000)
    await outbox.put(turn("turn-1"))
    assert queue.puts == ["turn-1"]
    assert not (tmp_path / "spool").exists()
    await outbox.close()


@pytest.mark.parametrize("fault", ["hangs", "refuses"])
async def test_a_late_turn_is_spooled_and_put_once_when_the_queue_is_back(
    queue: Faulty, tmp_path: Path, fault: str
) -> None:
    """With the user's turns in their order; and the file is empty afterwards."""
    outbox = quick(queue, spool(tmp_path), 10)
    queue.down = fault == "refuses"
    if fault == "hangs":
        queue.open.clear()
    names = [f"turn-{n}" for n in range(40)]
    for name in names:
        await outbox.put(turn(name, user=f"user-{len(name)}"))
        assert name in await spooled(tmp_path)
    queue.down = False
    queue.open.set()
    await emptied(outbox)
    assert sorted(queue.puts) == sorted(names)
    for length in (6, 7):
        assert [n for n in queue.puts if len(n) == length] == [n for n in names if len(n) == length]
    assert (await queue.stats()).depth == 40
    assert await spooled(tmp_path) == []
    await outbox.put(turn("turn-later"))
    assert queue.puts[-1] == "turn-later"
    await outbox.close()


async def test_the_next_start_takes_in_what_was_left(queue: Faulty, tmp_path: Path) -> None:
    """Stopped while the queue was away; twice the same turn is one; an erased user's turn is refused."""
    first = quick(queue, spool(tmp_path), 10)
    queue.down = True
    for each in (turn("turn-1", at=1_000), turn("turn-1", at=1_000), turn("turn-2", user="erased", at=1_000)):
        await first.put(each)
    await first.close()
    assert len(await spooled(tmp_path)) == 3
    queue.down = False
    await queue.erase("erased", 1_500)
    second = quick(queue, spool(tmp_path), 10)
    second.start()
    async with asyncio.timeout(120):
        while await spooled(tmp_path):
            await asyncio.sleep(0.01)
    assert [claim.turn.id for claim in await queue.claim(10)] == ["turn-1"]
    await second.close()


async def test_a_turn_that_nothing_takes_is_counted(queue: Faulty, tmp_path: Path) -> None:
    """Neither the queue nor the disk: the answer goes on, and the loss is counted at the end."""
    (tmp_path / "spool").write_text("a file where the folder should be")
    outbox = quick(queue, spool(tmp_path), 10)
    queue.down = True
    lost = TURNS.labels("lost")._value.get()
    await outbox.put(turn("turn-1"))
    await outbox.close()
    assert TURNS.labels("lost")._value.get() == lost + 1


async def test_a_turn_that_neither_took_is_tried_again(
    queue: Faulty, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And kept when the queue is back in time."""
    (tmp_path / "spool").write_text("a file where the folder should be")
    outbox = quick(queue, spool(tmp_path), 10)
    queue.open.clear()
    await outbox.put(turn("turn-1"))
    queue.open.set()
    await outbox.close()
    assert queue.puts == ["turn-1"]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("refused", [ValueError("I live in Oslo"), OverflowError(), RuntimeError(), KeyError("x")])
async def test_a_turn_that_the_queue_refuses_is_a_dead_letter(
    queue: Faulty, tmp_path: Path, late: bool, refused: Exception
) -> None:
    """It keeps back no other turn, and goes into the queue when it is replayed after the cause is gone."""
    outbox = quick(queue, spool(tmp_path), 10 if late else 10_000)
    queue.refused, queue.down = refused, late
    dead = TURNS.labels("dead")._value.get()
    for name in ("turn-1", "turn-bad", "turn-2"):
        await outbox.put(turn(name))
    queue.down = False
    await emptied(outbox)
    assert queue.puts == ["turn-1", "turn-2"]
    assert TURNS.labels("dead")._value.get() == dead + 1
    (letter,) = await outbox.spool.dead()
    assert (letter.turn_id, letter.space.user, letter.error) == ("turn-bad", "ada", type(refused).__name__)
    queue.refused = None
    assert await outbox.spool.replay(queue.put) == 1
    assert queue.puts == ["turn-1", "turn-2", "turn-bad"]
    assert await outbox.spool.dead() == []
    await outbox.close()


class NoLetters(FileSpool):
    """Cannot write this turn either."""

    async def dead_letter(self, turn: Turn, error: str) -> None:
        raise TypeError(turn.id)


async def test_a_turn_that_cannot_even_be_a_dead_letter_is_counted_as_lost(queue: Faulty, tmp_path: Path) -> None:
    """Whoever puts it is told, and an operator sees it in the counter."""
    outbox = quick(queue, NoLetters(tmp_path / "spool"), 10_000)
    queue.refused = ValueError("no such text")
    lost = TURNS.labels("lost")._value.get()
    with pytest.raises(TypeError):
        await outbox.put(turn("turn-bad"))
    await asyncio.sleep(0)
    assert TURNS.labels("lost")._value.get() == lost + 1
    await outbox.close()


class Tardy(FileSpool):
    """The append of "turn-2" returns long after its turn is in the file, as one that has to wait for the lock."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.may_return = asyncio.Event()

    async def append(self, turn: Turn) -> int:
        position = await super().append(turn)
        if turn.id == "turn-2":
            await self.may_return.wait()
        return position


async def test_a_turn_is_not_taken_for_another_that_stood_at_its_place(queue: Faulty, tmp_path: Path) -> None:
    """Of two rounds of late turns, the second in the same places of the file: all are put."""
    slow = Tardy(tmp_path / "spool")
    outbox = quick(queue, slow, 10)
    queue.open.clear()
    first = [asyncio.create_task(outbox.put(turn(name))) for name in ("turn-1", "turn-2")]
    async with asyncio.timeout(20):
        while len(await spooled(tmp_path)) < 2:
            await asyncio.sleep(0.01)
    queue.open.set()
    await emptied(outbox)
    slow.may_return.set()
    await asyncio.gather(*first)
    queue.open.clear()
    await outbox.put(turn("turn-3"))
    assert outbox.behind
    await outbox.put(turn("turn-4"))
    queue.open.set()
    await emptied(outbox)
    assert set(queue.puts) == {f"turn-{n}" for n in range(1, 5)}
    await outbox.close()
