"""The Redis queue keeps what every queue promises, and what many writers add."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from rememberd import __version__
from rememberd.errors import ConfigError
from rememberd.ports.retry_policy import DONE_MS
from rememberd.storage.format_version import FORMAT
from rememberd.storage.redis.client import PREFIX, RedisClient
from rememberd.storage.redis.extraction_queue import RedisExtractionQueue
from rememberd.storage.redis.queue import MISSING, RedisQueue
from tests.support.queue_contract import LEASE_MS, Clock, QueueContract, claimed, turn
from tests.support.redis_process import RedisServer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def queue(redis_url: str, clock: Clock) -> AsyncIterator[RedisQueue]:
    queue = RedisQueue(RedisClient(redis_url, clock=clock), lease_ms=LEASE_MS)
    yield queue
    await queue.close()


@pytest.fixture
async def other(redis_url: str, clock: Clock) -> AsyncIterator[RedisQueue]:
    """Another process's."""
    queue = RedisQueue(RedisClient(redis_url, clock=clock), lease_ms=LEASE_MS)
    yield queue
    await queue.close()


class TestContract(QueueContract):
    pass


async def test_a_redis_of_a_later_version_is_refused(queue: RedisQueue) -> None:
    """Both versions are named. A Redis without a mark, as 0.1 left it, gets ours."""
    shared = queue.shared
    await shared.require_format()
    assert await shared.ask(shared.client.get(f"{PREFIX}format")) == f"{FORMAT} {__version__}".encode()
    await shared.require_format()
    await shared.ask(shared.client.set(f"{PREFIX}format", "99 9.9.9"))
    with pytest.raises(ConfigError, match=r"Redis has the format 99 of rememberd 9\.9\.9; this is rememberd 0\."):
        await shared.require_format()


async def test_two_writers_never_hold_two_turns_of_one_user(queue: RedisQueue, other: RedisQueue) -> None:
    """What one has leased keeps the user's next one from the other, until it is settled."""
    for n in range(2):
        await queue.put(turn(f"a{n}", "ada"))
    await queue.put(turn("b0", "bob"))
    assert await claimed(queue, 1) == ["a0"]
    assert await claimed(other) == ["b0"]
    await queue.settle(["a0"])
    assert await claimed(other) == ["a1"]


async def test_who_lost_a_lease_has_no_say_any_more(queue: RedisQueue, other: RedisQueue, clock: Clock) -> None:
    """A writer that was stalled cannot ack, settle, retry or bury what another has taken over."""
    await queue.put(turn("t1"))
    await queue.put(turn("t2"))
    await queue.claim(10)
    clock.now += LEASE_MS
    assert await claimed(other) == ["t1"]
    await queue.settle(["t1"])
    await queue.retry("t1", "ValueError", 0)
    await queue.dead_letter("t1", "ValueError")
    await queue.ack(["t1"])
    assert await queue.release() == 0
    assert await claimed(queue) == []
    assert (await queue.stats()).depth == 2
    await other.ack(["t1"])
    assert await claimed(queue) == ["t2"]


async def test_a_writer_that_stops_returns_its_own_leases_only(queue: RedisQueue, other: RedisQueue) -> None:
    """At once, in their old order; nobody else's are touched."""
    for turn_id, user in (("a1", "ada"), ("a2", "ada"), ("b1", "bob")):
        await queue.put(turn(turn_id, user))
    assert await claimed(queue, 1) == ["a1"]
    await queue.settle(["a1"])
    assert await claimed(queue, 1) == ["a2"]
    assert await claimed(other) == ["b1"]
    assert await queue.release() == 2
    assert await claimed(other) == ["a1"]


async def test_leases_are_renewed_while_a_writer_works(redis_url: str) -> None:
    """A turn that takes longer than a lease is not handed out twice; Redis's clock tells the time."""
    first, second = (RedisQueue(RedisClient(redis_url), lease_ms=600) for _ in range(2))
    await first.put(turn("t1"))
    assert await claimed(first) == ["t1"]
    await asyncio.sleep(1.5)
    assert await claimed(second) == []
    await first.close()  # as good as dead
    async with asyncio.timeout(120):
        while await claimed(second) != ["t1"]:
            await asyncio.sleep(0.05)
    await second.close()


async def test_nothing_is_left_behind(queue: RedisQueue, redis_server: RedisServer, clock: Clock) -> None:
    """When every turn is through, Redis holds its counter and no more: it does not grow with the years."""
    for n in range(6):
        await queue.put(turn(f"t{n}", f"user{n % 2}"))
    assert await claimed(queue) == ["t0", "t1"]
    await queue.retry("t0", "ValueError", 10)
    await queue.dead_letter("t1", "ValueError")
    assert await queue.replay() == 1
    clock.now += 10
    while ids := await claimed(queue):
        await queue.settle(ids)
        await queue.ack(ids)
    with redis_server.client() as client:
        assert client.keys() == [f"{PREFIX}seq".encode()]


async def test_a_redis_that_loses_nothing_is_no_risk(queue: RedisQueue) -> None:
    """With its append-only file and without eviction `rememberd check` has nothing to say."""
    assert await queue.shared.risks() == []


async def test_a_missing_turn_stops_nobody(
    queue: RedisQueue, other: RedisQueue, redis_server: RedisServer, clock: Clock
) -> None:
    """Hashes deleted at random, as by eviction, of turns in every state: nothing fails, what is left is learned in
    order, and each missing turn is counted once."""
    draw = random.Random(15)
    counted = MISSING._value.get()
    users = [f"user-{n}" for n in range(12)]
    left = {user: [f"{user}-{n}" for n in range(4)] for user in users}
    for user in users:
        for name in left[user]:
            await queue.put(turn(name, user))
    first = [name for name in await claimed(queue, 100) if name.endswith("-0")]
    await queue.settle(first[:3])
    await queue.retry(first[3], "ValueError", 500)
    await queue.dead_letter(first[4], "ValueError")
    gone = draw.sample([name for names in left.values() for name in names], 20) + first[:6]
    with redis_server.client() as client:
        for name in set(gone):
            assert client.delete(f"{PREFIX}turn:{name}")
    assert {letter.turn_id for letter in await queue.dead()} == set(first[4:5]) - set(gone)
    assert await queue.replay() == 0
    learned: list[str] = []
    for _ in range(60):
        clock.now += LEASE_MS + 1
        names = await claimed(other, 100)
        learned += names
        await other.ack(names)
    for user in users:
        assert [n for n in learned if n.startswith(f"{user}-")] == [n for n in left[user] if n not in gone]
    assert MISSING._value.get() == counted + len(set(gone))
    assert (await other.stats()).depth == 0


async def test_a_missing_turn_stops_no_model(redis_url: str, redis_server: RedisServer, clock: Clock) -> None:
    """Nor in the queue of the turns that wait for a model: due ones, those that are read, and dead letters."""
    shared = RedisClient(redis_url, clock=clock)
    queue = RedisExtractionQueue(shared, idle_ms=0, lease_ms=LEASE_MS)
    for number in range(9):
        await queue.add(turn(f"t{number}", f"user-{number % 3}"))
    read = [each.id for each in await queue.claim()]
    gone = {read[0], "t1", "t4", "t7"}
    with redis_server.client() as client:
        for name in gone:
            assert client.delete(f"{PREFIX}reading:turn:{name}")
    learned: list[str] = []
    for _ in range(10):
        clock.now += LEASE_MS + 1
        names = [each.id for each in await queue.claim()]
        await queue.done(names)
        learned += names
    assert sorted(learned) == sorted({f"t{number}" for number in range(9)} - gone)
    clock.now += DONE_MS + 1
    with redis_server.client() as client:
        client.delete(f"{PREFIX}reading:turn:t8")
    await queue.add(turn("later"))
    assert [each.id for each in await queue.claim()] == ["later"]
    await queue.release()
    await shared.close()
