"""The sealed queue keeps what every queue promises, and its file holds no word and no name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from rememberd.encryption.queue import SealedQueue
from rememberd.storage.redis.client import RedisClient
from rememberd.storage.redis.queue import RedisQueue
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.queue import SqliteQueue
from tests.support.queue_contract import LEASE_MS, Clock, QueueContract, turn
from tests.support.sealing import opened, opened_in_redis


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
            queue = SealedQueue(RedisQueue(RedisClient(redis_url, clock=clock), lease_ms=LEASE_MS), keyring)
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
    await queue.dead_letter(said.id, "ValueError: xyzzy")
    assert (await queue.dead())[0].error == "ValueError: xyzzy"
    kept = on_disk(tmp_path)
    for plain in (b"xyzzy", b"plugh", b"ada-lovelace", b"0123456789abcdef", b"receipt-"):
        assert plain not in kept


async def test_an_erased_users_turns_cannot_be_read(queue: SealedQueue, tmp_path: Path) -> None:
    """With the key gone, what is left of a turn (in a backup, say) is a dead letter, and others' turns come."""
    await queue.put(turn("t1"))
    await queue.put(turn("t2", "bob"))
    await queue.keyring.delete_key("ada")
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
