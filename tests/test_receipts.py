"""A receipt tells its owner what went into an answer and what was written after it; nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.memory.database import Database
from proxy.memory.queue.sqlite import SqliteQueue
from proxy.memory.receipts import Receipts
from proxy.types import Receipt, Space
from tests.queue_contract import turn

ADA = Space("ada")
RECEIPT = Receipt("r1", ADA, 1_000, "hit", "gpt-4o", "t1", ("m1", "m2"), 120, 3.5, "pending")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "queue.db")
    yield database
    await database.close()


@pytest.fixture
def receipts(database: Database) -> Receipts:
    return Receipts(database)


async def test_a_receipt_comes_back_whole(receipts: Receipts) -> None:
    """To the last field, also from another process's connection."""
    assert await receipts.put(RECEIPT)
    other = Receipts(Database(receipts.database.path))
    assert other.get(ADA, "r1") == receipts.get(ADA, "r1") == RECEIPT
    await other.database.close()


async def test_nobody_elses_receipt_is_shown(receipts: Receipts) -> None:
    """Another user, another scope and an unknown id look the same: nothing there."""
    await receipts.put(RECEIPT)
    strangers = receipts.get(Space("bob"), "r1"), receipts.get(Space("ada", "work"), "r1"), receipts.get(ADA, "r2")
    assert strangers == (None, None, None)


async def test_what_was_written_stands_in_every_receipt_of_the_turn(receipts: Receipts) -> None:
    """A tool loop leaves several receipts of one turn; the writer knows the last, and all of them tell."""
    await receipts.put(RECEIPT)
    await receipts.put(replace(RECEIPT, id="r2"))
    await receipts.put(replace(RECEIPT, id="r3", turn_id="t2"))
    await receipts.put(replace(RECEIPT, id="r4", turn_id=None))
    await receipts.written(ADA, "r2", ["m3"], "written")
    found = [receipts.get(ADA, each) for each in ("r1", "r2", "r3", "r4")]
    assert [each and (each.write, each.written) for each in found] == [
        ("written", ("m3",)),
        ("written", ("m3",)),
        ("pending", ()),
        ("pending", ()),
    ]


async def test_a_turn_and_its_receipt_share_a_commit(database: Database, receipts: Receipts) -> None:
    """Put at the same time, they cost one disk sync."""
    queue = SqliteQueue(database)
    await asyncio.gather(queue.put(turn("t1")), receipts.put(RECEIPT))
    assert database.commits == 1
    assert await queue.alive("t1")
    assert receipts.get(ADA, "r1")


async def test_an_erased_users_receipts_are_gone_and_late_ones_refused(receipts: Receipts) -> None:
    """Erasing drops the user's receipts in every scope and keeps out those of turns that began before."""
    await receipts.put(RECEIPT)
    await receipts.put(replace(RECEIPT, id="r2", space=Space("ada", "work")))
    await receipts.put(replace(RECEIPT, id="r3", space=Space("bob")))
    assert await receipts.erase("ada", at=2_000) == 2
    assert not await receipts.put(replace(RECEIPT, created_at=2_000))
    assert await receipts.put(replace(RECEIPT, id="r4", created_at=2_001))
    await receipts.written(ADA, "r1", ["m3"], "written")
    assert receipts.get(ADA, "r1") is None
    assert receipts.get(Space("bob"), "r3")


async def test_old_receipts_expire(receipts: Receipts) -> None:
    """Only what began before the given time goes."""
    await receipts.put(RECEIPT)
    await receipts.put(replace(RECEIPT, id="r2", created_at=5_000))
    assert await receipts.expire(older_than=5_000) == 1
    assert receipts.get(ADA, "r1") is None
    assert receipts.get(ADA, "r2")


async def test_nobody_elses_receipt_is_changed(receipts: Receipts) -> None:
    """The outcome of one user's turn never lands in a receipt of another."""
    await receipts.put(RECEIPT)
    await receipts.written(Space("bob"), "r1", ["m3"], "written")
    assert receipts.get(ADA, "r1") == RECEIPT
