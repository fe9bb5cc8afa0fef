"""What nobody waits for rests a moment and shares a commit; it is never lost, overtaken or in anybody's way."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.receipts import SqliteReceipts
from rememberd.types import Receipt, Space

ADA = Space("ada")


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(tmp_path / "queue.db")
    database.declare("CREATE TABLE IF NOT EXISTS said (word TEXT);")
    yield database
    await database.close()


def say(word: str) -> Callable[[sqlite3.Connection], int]:
    return lambda db: db.execute("INSERT INTO said VALUES (?)", (word,)).rowcount


def said(path: Path) -> list[str]:
    with sqlite3.connect(path) as db:
        return [word for (word,) in db.execute("SELECT word FROM said ORDER BY rowid")]


async def test_patient_writes_share_a_commit(database: Database) -> None:
    """Fifty in ten milliseconds are one or two commits, and all of them are there."""
    writing = []
    for n in range(50):
        writing.append(asyncio.create_task(database.write(say(f"{n}"), durable=False, patient=True)))
        await asyncio.sleep(0.0002)
    await asyncio.gather(*writing)
    assert database.commits <= 5
    assert said(database.path) == [f"{n}" for n in range(50)]


async def test_an_impatient_write_takes_them_along(database: Database) -> None:
    """In one commit, in the order they came, and without waiting."""
    resting = asyncio.create_task(database.write(say("first"), durable=False, patient=True))
    await asyncio.sleep(0)
    await database.write(say("second"))
    await resting
    assert database.commits == 1
    assert said(database.path) == ["first", "second"]


async def test_closing_commits_what_rests(database: Database) -> None:
    """A process that ends leaves nothing behind in its memory."""
    resting = asyncio.create_task(database.write(say("last"), durable=False, patient=True))
    await asyncio.sleep(0)
    await database.close()
    await resting
    assert said(database.path) == ["last"]


async def test_who_gives_up_waiting_has_still_written(database: Database) -> None:
    """A receipt belongs to an answer that was given, whether or not somebody still waits for it."""
    resting = asyncio.create_task(database.write(say("kept"), durable=False, patient=True))
    await asyncio.sleep(0)
    resting.cancel()
    await database.write(say("after"))
    assert said(database.path) == ["kept", "after"]


async def test_an_erasure_takes_a_resting_receipt_along(tmp_path: Path) -> None:
    """Whether the receipt rests when the user is erased, or comes later: it is not there afterwards."""
    database = Database(tmp_path / "queue.db")
    receipts = SqliteReceipts(database)
    old = Receipt("rcpt_1", ADA, 5, "hit", "gpt-4o", "turn", ("m1",), 10, 1.0, "off")
    resting = asyncio.create_task(receipts.put(old))
    await asyncio.sleep(0)
    await receipts.erase("ada", at=10)
    assert await resting
    assert await receipts.get(ADA, "rcpt_1") is None
    assert not await receipts.put(old)
    await database.close()
