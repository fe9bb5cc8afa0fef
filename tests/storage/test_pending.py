"""Turns wait for a model in SQLite as in Redis, in clear text as sealed; and what each of these adds."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rememberd.encryption.extraction_queue import SealedExtractionQueue
from rememberd.storage.redis.client import PREFIX, RedisClient
from rememberd.storage.redis.extraction_queue import RedisExtractionQueue
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.extraction_queue import SqliteExtractionQueue
from rememberd.storage.sqlite.queue import SqliteQueue
from rememberd.types import Source
from tests.support.pending_contract import IDLE_MS, LEASE_MS, OSLO, PendingContract, claimed, finished, said
from tests.support.queue_contract import Clock
from tests.support.redis_process import RedisServer
from tests.support.sealing import opened, opened_in_redis


@pytest.fixture
def clock() -> Clock:
    return Clock()


@asynccontextmanager
async def sqlite_at(folder: Path, clock: Clock) -> AsyncIterator[SqliteExtractionQueue]:
    database = Database(folder / "queue.db", busy_s=0.2)
    try:
        yield SqliteExtractionQueue(database, idle_ms=IDLE_MS, lease_ms=LEASE_MS, clock=clock)
    finally:
        await database.close()


@asynccontextmanager
async def redis_at(url: str, clock: Clock) -> AsyncIterator[RedisExtractionQueue]:
    shared = RedisClient(url, clock=clock)
    try:
        yield RedisExtractionQueue(shared, idle_ms=IDLE_MS, lease_ms=LEASE_MS)
    finally:
        await shared.close()


@pytest.fixture
async def in_sqlite(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteExtractionQueue]:
    async with sqlite_at(tmp_path, clock) as extractions:
        yield extractions


@pytest.fixture
async def in_redis(redis_url: str, clock: Clock) -> AsyncIterator[RedisExtractionQueue]:
    async with redis_at(redis_url, clock) as extractions:
        yield extractions


@pytest.fixture
async def other(redis_url: str, clock: Clock) -> AsyncIterator[RedisExtractionQueue]:
    """The queue as another writer opens it."""
    async with redis_at(redis_url, clock) as extractions:
        yield extractions


@pytest.fixture(params=["sqlite", "redis"])
async def sealed(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> AsyncIterator[SealedExtractionQueue]:
    if request.param == "sqlite":
        async with opened(tmp_path) as keyring, sqlite_at(tmp_path, clock) as extractions:
            yield SealedExtractionQueue(extractions, keyring)
    else:
        url = request.getfixturevalue("redis_url")
        async with opened_in_redis(url) as keyring, redis_at(url, clock) as extractions:
            yield SealedExtractionQueue(extractions, keyring)


class TestInSqlite(PendingContract):
    @pytest.fixture
    def extractions(self, in_sqlite: SqliteExtractionQueue) -> SqliteExtractionQueue:
        return in_sqlite


class TestInRedis(PendingContract):
    @pytest.fixture
    def extractions(self, in_redis: RedisExtractionQueue) -> RedisExtractionQueue:
        return in_redis


class TestSealed(PendingContract):
    @pytest.fixture
    def extractions(self, sealed: SealedExtractionQueue) -> SealedExtractionQueue:
        return sealed


async def test_two_writers_never_read_of_one_user_at_once(
    in_redis: RedisExtractionQueue, other: RedisExtractionQueue, clock: Clock
) -> None:
    """Whichever claims: the budget is overdrawn by one call at most."""
    for turn_id, user, conversation in (("a1", "ada", "c"), ("a2", "ada", "d"), ("b1", "bob", "c")):
        await in_redis.add(said(turn_id, user, conversation))
        clock.now += 1
    clock.now += IDLE_MS
    assert await claimed(in_redis) == ["a1"]
    assert await claimed(other) == ["b1"]
    assert await claimed(other) == []
    await in_redis.done(["a1"])
    assert await claimed(other) == ["a2"]


async def test_who_lost_a_lease_has_no_say_any_more(
    in_redis: RedisExtractionQueue, other: RedisExtractionQueue, clock: Clock
) -> None:
    """A writer that was stalled cannot finish, fail, postpone or return what another has taken over."""
    await in_redis.add(said("t1"))
    clock.now += IDLE_MS
    (turn,) = await in_redis.claim()
    clock.now += LEASE_MS
    assert await claimed(other) == ["t1"]
    await in_redis.keep([replace(turn, found=(OSLO,))])
    await in_redis.keep([turn])
    assert await in_redis.release() == 0
    await in_redis.done(["t1"])
    await in_redis.defer(["t1"], 0, "unavailable")
    assert await in_redis.fail(["t1"], "nonsense") == 0
    assert await claimed(in_redis) == []
    await other.defer(["t1"], 0, "unavailable")
    assert await other.claim() == [turn]


async def test_leases_are_renewed_while_a_writer_works(redis_url: str) -> None:
    """A call that takes longer than a lease is not made twice; a dead writer's is, soon. Redis's clock tells."""
    shared = [RedisClient(redis_url) for _ in range(2)]
    first, second = (RedisExtractionQueue(each, idle_ms=0, lease_ms=600) for each in shared)
    await first.add(said("t1"))
    assert await claimed(first) == ["t1"]
    await asyncio.sleep(1.5)
    assert await claimed(second) == []
    await shared[0].close()  # as good as dead
    async with asyncio.timeout(120):
        while await claimed(second) != ["t1"]:
            await asyncio.sleep(0.05)
    await shared[1].close()


async def test_redis_keeps_nothing_of_what_was_read(
    in_redis: RedisExtractionQueue, redis_server: RedisServer, clock: Clock
) -> None:
    """After the hour nothing but the day's spending, which ends by itself: it does not grow with the years."""
    for n in range(6):
        await in_redis.add(said(f"t{n}", f"user{n % 2}", f"c{n % 3}"))
    await in_redis.spend("user0", 7)
    clock.now += IDLE_MS
    assert await in_redis.fail(await claimed(in_redis), "nonsense") == 0
    (turn, *_) = await in_redis.claim()
    await in_redis.keep([replace(turn, found=(OSLO,))])
    await in_redis.defer([turn.id], 0, "over_budget")
    clock.now += IDLE_MS
    assert sorted(each for batch in await finished(in_redis) for each in batch) == [f"t{n}" for n in range(6)]
    clock.now += 3_600_001
    await in_redis.add(said("last"))
    await in_redis.erase("ada", clock.now)
    with redis_server.client() as client:
        spent, *others = sorted(client.keys(), reverse=True)
        assert (spent.decode().rpartition(":")[0], others) == (f"{PREFIX}reading:spent", [f"{PREFIX}erased".encode()])
        assert 0 < client.ttl(spent) <= 2 * 86_400


async def test_a_sqlite_writer_that_starts_anew_tries_dead_letters_again(
    in_sqlite: SqliteExtractionQueue, clock: Clock
) -> None:
    """What stood in their way, a model that cannot do it, may have been put right."""
    await in_sqlite.add(said("t1"))
    clock.now += IDLE_MS
    while (await in_sqlite.stats()).dead == 0:
        await in_sqlite.fail(await claimed(in_sqlite), "nonsense")
        clock.now += 3_600_000
    await in_sqlite.release()
    assert await claimed(in_sqlite) == ["t1"]


async def test_no_word_and_no_name_lies_anywhere(
    sealed: SealedExtractionQueue, tmp_path: Path, clock: Clock, request: pytest.FixtureRequest
) -> None:
    """Not of a turn that waits, of what was found in it, of a dead letter's reason, or of who spent what."""
    turn_id, user = "0123456789abcdef0123456789abcdef", "ada-lovelace"
    first = replace(said(turn_id, user, scope="plover"), user_text="I live in Xyzzy.")
    await sealed.add(replace(first, source=Source("plugh", "gpt-4o", "curl")))
    clock.now += IDLE_MS
    (turn,) = await sealed.claim()
    await sealed.keep([replace(turn, found=(OSLO,))])
    await sealed.spend(user, 70)
    while (await sealed.stats()).dead == 0:
        await sealed.fail([turn_id], "ValueError: Xyzzy")
        clock.now += 3_600_000
        await sealed.claim()
    (letter,) = await sealed.dead()
    assert (letter.turn_id, letter.space, letter.error) == (turn_id, turn.space, "ValueError: Xyzzy")
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir() if file.is_file())
    if "redis" in request.node.name:
        kept += _all_of(request.getfixturevalue("redis_server"))
    assert kept
    words = (turn_id, user, "lovelace", "plover", "Xyzzy", "plugh", "gpt-4o", "Oslo", "older", "replaces")
    assert [word for word in words if word.encode() in kept] == []


def _all_of(server: RedisServer) -> bytes:
    reads = {b"hash": "hgetall", b"set": "smembers", b"zset": "zrange", b"string": "get"}
    with server.client() as client:
        found: list[Any] = []
        for key in client.scan_iter():
            read = getattr(client, reads[client.type(key)])
            found += [key, read(key, 0, -1) if read.__name__ == "zrange" else read(key)]
    return repr(found).encode()


async def test_a_text_that_cannot_be_read_ends_as_a_dead_letter(sealed: SealedExtractionQueue, clock: Clock) -> None:
    """With its key gone, as in a backup that was brought back; others are read."""
    await sealed.add(said("t1"))
    await sealed.add(said("t2", "bob"))
    await sealed.keyring.delete_key("ada")
    clock.now += IDLE_MS
    read = []
    for _ in range(8):
        read += await claimed(sealed)
        await sealed.done(read)
        clock.now += 3_600_000
    assert read == ["t2"]
    assert [(each.space.user, each.error) for each in await sealed.dead()] == [("ada", "cannot be decrypted")]


BEFORE = """
CREATE TABLE erased (user TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE extractions (turn TEXT PRIMARY KEY, user TEXT NOT NULL, created_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE turns (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, user TEXT NOT NULL, scope TEXT NOT NULL,
    created_at INTEGER NOT NULL, answered INTEGER NOT NULL, body BLOB NOT NULL, state TEXT NOT NULL DEFAULT 'due',
    due INTEGER NOT NULL DEFAULT 0, version INTEGER NOT NULL DEFAULT 1, claimed INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX lines ON turns (user, seq, state, due, created_at) WHERE state IN ('due', 'leased');
CREATE TRIGGER erased_extractions AFTER INSERT ON erased
BEGIN DELETE FROM extractions WHERE user = NEW.user AND created_at <= NEW.at; END;
CREATE TRIGGER erased_extractions_again AFTER UPDATE ON erased
BEGIN DELETE FROM extractions WHERE user = NEW.user AND created_at <= NEW.at; END;
INSERT INTO extractions VALUES ('t0', 'ada', 1);
INSERT INTO turns (id, user, scope, created_at, answered, body) VALUES ('t1', 'ada', 'default', 1, 1,
    '{"id":"t1","space":["ada","default"],"created_at":1,"user_text":"I live in Oslo.","answer":"Ah.","receipt":"r",'
    || '"source":{"conversation":null,"model":null,"client":null},"speaker":null,"recalled":[],"earlier":[],'
    || '"continues":false,"trace":"","taken_at":0}');
"""


async def test_a_file_made_before_there_was_this_table_opens(tmp_path: Path) -> None:
    """Its turns are claimed, its users can be erased, and nothing of the old table is left."""
    path = tmp_path / "queue.db"
    with sqlite3.connect(path) as db:
        db.executescript(BEFORE)
    db.close()
    database = Database(path)
    queue, extractions = SqliteQueue(database), SqliteExtractionQueue(database, idle_ms=0)
    assert (await queue.stats()).depth == 1
    assert [claim.turn.id for claim in await queue.claim(9)] == ["t1"]
    await extractions.add(said("t2"))
    await queue.erase("ada", 2)
    await extractions.erase("ada", 2)
    assert await claimed(extractions) == []
    assert database.read("SELECT name FROM sqlite_master WHERE name LIKE '%extractions%'") == []
    await database.close()
