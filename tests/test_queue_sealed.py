"""The sealed queue keeps what every queue promises, and its file holds no word and no name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from proxy.memory.database import Database
from proxy.memory.ids import fact_id
from proxy.memory.queue.redis import RedisQueue
from proxy.memory.queue.sqlite import SqliteQueue
from proxy.memory.redis.client import Shared
from proxy.memory.sealed.pending import SealedPending
from proxy.memory.sealed.queue import SealedQueue
from proxy.types import Fact, Source
from tests.queue_contract import LEASE_MS, Clock, QueueContract, turn
from tests.sealing import opened, opened_in_redis


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def queue(tmp_path: Path, clock: Clock) -> AsyncIterator[SealedQueue]:
    async with opened(tmp_path) as keyring:
        database = Database(tmp_path / "queue.db", busy_s=0.2)
        queue = SealedQueue(SqliteQueue(database, lease_ms=LEASE_MS, clock=clock), keyring)
        yield queue
        await queue.close()


class TestContract(QueueContract):
    pass


class TestContractInRedis(QueueContract):
    @pytest.fixture
    async def queue(self, redis_url: str, clock: Clock) -> AsyncIterator[SealedQueue]:
        async with opened_in_redis(redis_url) as keyring:
            queue = SealedQueue(RedisQueue(Shared(redis_url, clock=clock), lease_ms=LEASE_MS), keyring)
            yield queue
            await queue.close()


async def changed(database: Database, body: bytes, seq: int) -> None:
    await database.write(lambda db: db.execute("UPDATE turns SET body = ? WHERE seq = ?", (body, seq)))


def on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def test_no_word_no_name_and_no_id_is_on_the_disk(queue: SealedQueue, tmp_path: Path) -> None:
    """Not of a turn that waits, nor of one that failed, whose error may quote it."""
    said = turn("0123456789abcdef0123456789abcdef", "ada-lovelace", text="my secret is xyzzy", answer="plugh")
    await queue.put(said)
    await queue.claim(1)
    await queue.bury(said.id, "ValueError: xyzzy")
    assert (await queue.dead())[0].error == "ValueError: xyzzy"
    kept = on_disk(tmp_path)
    for plain in (b"xyzzy", b"plugh", b"ada-lovelace", b"0123456789abcdef", b"receipt-"):
        assert plain not in kept


async def test_an_erased_users_turns_cannot_be_read(queue: SealedQueue, tmp_path: Path) -> None:
    """With the key gone, what is left of a turn (in a backup, say) is a dead letter, and others' turns come."""
    await queue.put(turn("t1"))
    await queue.put(turn("t2", "bob"))
    await queue.keyring.shred("ada")
    assert [claim.turn.id for claim in await queue.claim(10)] == ["t2"]
    (letter,) = await queue.dead()
    assert (letter.space.user, letter.error) == ("ada", "cannot be decrypted")


async def test_a_dead_letter_of_another_keyring_is_shown_as_it_is(queue: SealedQueue) -> None:
    """The operator sees that there is one, and `check` does not fail over it."""
    await queue.queue.put(turn("t1"))
    assert await queue.claim(1) == []
    assert [(letter.turn_id, letter.space.user) for letter in await queue.dead()] == [("t1", "ada")]


async def test_a_text_moved_to_another_user_or_turn_is_not_believed(queue: SealedQueue, tmp_path: Path) -> None:
    """Swapped in the file, three turns are dead letters; nobody is taken for somebody else."""
    for turn_id, user in (("t1", "ada"), ("t2", "ada"), ("t3", "bob")):
        await queue.put(turn(turn_id, user))
    other = Database(tmp_path / "queue.db")
    bodies = [orjson.loads(body) for (body,) in other.read("SELECT body FROM turns ORDER BY seq")]
    texts = [body["user_text"] for body in bodies]
    for seq, (body, text) in enumerate(zip(bodies, texts[1:] + texts[:1], strict=True), 1):
        await changed(other, orjson.dumps(body | {"user_text": text}), seq)
    await other.close()
    for _ in range(3):
        assert await queue.claim(10) == []
    assert len(await queue.dead()) == 3


async def test_what_waits_for_a_model_is_sealed_and_comes_back(tmp_path: Path) -> None:
    """The table of the second stage: a turn, its facts with their verdicts, and a dead letter's reason."""
    async with opened(tmp_path) as keyring:
        database = Database(tmp_path / "queue.db")
        pending, queue = SealedPending(database, keyring, idle_ms=0), SealedQueue(SqliteQueue(database), keyring)
        said = replace(turn("t1", "ada-lovelace", text="I live in Xyzzy."), source=Source("plugh", "gpt-4o", "curl"))
        await pending.add(said)
        (claimed_turn,) = await pending.claim()
        assert claimed_turn == said
        fact = Fact("Ada lives in Xyzzy.", "I live in Xyzzy.", "home", 5, {"m1": "replaces"})
        await pending.found([said], {"t1": [fact]}, 70)
        await pending.decided([said], {"t1": [fact]}, 5)
        assert [each.id for each in await pending.answered(9)] == ["t1"]
        assert await pending.facts(said) == [fact]
        assert list(await pending.verdicts(said)) == [fact_id(said.space, fact.text)]
        assert (await pending.alive("t1"), pending.spent("ada-lovelace")) == (True, 75)
        await pending.bury("t1", "ValueError: Xyzzy")
        assert pending.stats().errors == ["ValueError: Xyzzy"]
        kept = on_disk(tmp_path)
        assert [each for each in (b"Xyzzy", b"lovelace", b"plugh", b"gpt-4o") if each in kept] == []
        await queue.erase("ada-lovelace", at=said.created_at)
        assert not await pending.alive("t1")
        assert await pending.facts(said) == []
        await queue.close()


async def test_an_import_after_an_erasure_is_read_by_the_model_too(tmp_path: Path) -> None:
    """What was said before the erasure and brought in after it, sealed as in clear text."""
    async with opened(tmp_path) as keyring:
        database = Database(tmp_path / "queue.db")
        pending, queue = SealedPending(database, keyring, idle_ms=0), SealedQueue(SqliteQueue(database), keyring)
        await queue.erase("ada", at=1000)
        brought = replace(turn("t1", "ada", text="I live in Oslo.", at=500), taken_at=1500)
        await pending.add(brought)
        assert [each.id for each in await pending.claim()] == ["t1"]
        await queue.close()
