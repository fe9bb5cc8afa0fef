"""A receipt tells its owner what went into an answer and what was written after it; nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from rememberd.encryption.records import SealedReceipts
from rememberd.ports import ReceiptStore
from rememberd.storage.redis.records import RedisReceipts
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.queue import SqliteQueue
from rememberd.storage.sqlite.receipts import SqliteReceipts
from rememberd.types import Receipt, Space
from tests.support.queue_contract import turn
from tests.support.sealing import PLACES, kept_in

ADA = Space("ada")
RECEIPT = Receipt("r1", ADA, 1_000, "hit", "gpt-4o", "t1", ("m1", "m2"), 120, 3.5, "pending")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "queue.db")
    yield database
    await database.close()


@pytest.fixture(params=PLACES)
async def receipts(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ReceiptStore]:
    """One promise, two adapters, and either of them under seal."""
    async with kept_in(request, tmp_path, SqliteReceipts, RedisReceipts, SealedReceipts) as receipts:
        yield receipts


async def test_a_receipt_comes_back_whole(receipts: ReceiptStore) -> None:
    """To the last field."""
    assert await receipts.put(RECEIPT)
    assert await receipts.get(ADA, "r1") == RECEIPT
    whole = replace(RECEIPT, id="r2", turn_id=None, recalled=(), written=("m1", "m2"), created_at=1_001)
    assert await receipts.put(whole)
    assert await receipts.get(ADA, "r2") == whole


async def test_the_newest_come_first(receipts: ReceiptStore) -> None:
    """Of one space only, without imported turns, and no more than asked for; the operator's commands see what all of
    them recalled."""
    for number in range(4):
        await receipts.put(replace(RECEIPT, id=f"r{number}", created_at=number, recalled=(f"m{number}",)))
    await receipts.put(replace(RECEIPT, id="work", space=Space("ada", "work"), created_at=9, recalled=("w",)))
    await receipts.put(replace(RECEIPT, id="imp_1", created_at=-8, recalled=()))
    assert [each.id for each in await receipts.recent(ADA, 3)] == ["r3", "r2", "r1"]
    assert await receipts.recalled(ADA) == (-8, frozenset({"m0", "m1", "m2", "m3"}))
    assert await receipts.recalled(Space("bob")) == (None, frozenset())


async def test_what_is_written_in_stages_is_added(receipts: ReceiptStore) -> None:
    """Each id once, in the order of the stages; the last outcome stands."""
    await receipts.put(RECEIPT)
    await receipts.written(ADA, "r1", ["m3", "m4"], "nothing")
    await receipts.written(ADA, "r1", ["m4", "m5"], "written")
    found = await receipts.get(ADA, "r1")
    assert found is not None
    assert (found.write, found.written) == ("written", ("m3", "m4", "m5"))


async def test_two_processes_of_one_host_share_the_file(database: Database) -> None:
    """What one has put the other finds."""
    assert await SqliteReceipts(database).put(RECEIPT)
    other = SqliteReceipts(Database(database.path))
    assert await other.get(ADA, "r1") == RECEIPT
    await other.database.close()


async def test_nobody_elses_receipt_is_shown(receipts: ReceiptStore) -> None:
    """Another user, another scope and an unknown id look the same: nothing there."""
    await receipts.put(RECEIPT)
    strangers = (
        await receipts.get(Space("bob"), "r1"),
        await receipts.get(Space("ada", "work"), "r1"),
        await receipts.get(ADA, "r2"),
    )
    assert strangers == (None, None, None)


async def test_what_was_written_stands_in_every_receipt_of_the_turn(receipts: ReceiptStore) -> None:
    """A tool loop leaves several receipts of one turn; the writer knows the last, and all of them tell."""
    await receipts.put(RECEIPT)
    await receipts.put(replace(RECEIPT, id="r2"))
    await receipts.put(replace(RECEIPT, id="r3", turn_id="t2"))
    await receipts.put(replace(RECEIPT, id="r4", turn_id=None))
    await receipts.written(ADA, "r2", ["m3"], "written")
    found = [await receipts.get(ADA, each) for each in ("r1", "r2", "r3", "r4")]
    assert [each and (each.write, each.written) for each in found] == [
        ("written", ("m3",)),
        ("written", ("m3",)),
        ("pending", ()),
        ("pending", ()),
    ]


async def test_a_turn_and_its_receipt_share_a_commit(database: Database) -> None:
    """Put at the same time, they cost one disk sync."""
    queue, receipts = SqliteQueue(database), SqliteReceipts(database)
    await asyncio.gather(queue.put(turn("t1")), receipts.put(RECEIPT))
    assert database.commits == 1
    assert await queue.alive("t1")
    assert await receipts.get(ADA, "r1")


async def test_an_erased_users_receipts_are_gone_and_late_ones_refused(receipts: ReceiptStore) -> None:
    """Erasing drops the user's receipts in every scope and keeps out those of turns that began before."""
    await receipts.put(RECEIPT)
    await receipts.put(replace(RECEIPT, id="r2", space=Space("ada", "work")))
    await receipts.put(replace(RECEIPT, id="r3", space=Space("bob")))
    assert await receipts.erase("ada", at=2_000) == 2
    assert not await receipts.put(replace(RECEIPT, created_at=2_000))
    assert await receipts.put(replace(RECEIPT, id="r4", created_at=2_001))
    await receipts.written(ADA, "r1", ["m3"], "written")
    assert await receipts.get(ADA, "r1") is None
    assert await receipts.get(Space("bob"), "r3")


async def test_old_receipts_expire(receipts: ReceiptStore) -> None:
    """Only what began before the given time goes."""
    await receipts.put(RECEIPT)
    await receipts.put(replace(RECEIPT, id="r2", created_at=5_000))
    assert await receipts.expire(older_than=5_000) == 1
    assert await receipts.get(ADA, "r1") is None
    assert await receipts.get(ADA, "r2")


async def test_nobody_elses_receipt_is_changed(receipts: ReceiptStore) -> None:
    """The outcome of one user's turn never lands in a receipt of another."""
    await receipts.put(RECEIPT)
    await receipts.written(Space("bob"), "r1", ["m3"], "written")
    assert await receipts.get(ADA, "r1") == RECEIPT
