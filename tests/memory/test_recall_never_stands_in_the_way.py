"""Recall fails open: a store or embedder that is down, hung or broken costs at most the deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
from prometheus_client import REGISTRY

from rememberd.errors import StoreUnavailable
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.recall.recall import Recall, Recalled
from rememberd.memory.recall.retrieve import Wanted, retrieve
from rememberd.memory.retry import PAUSE_S, Breaker
from rememberd.search_results import Candidates, Query
from rememberd.telemetry import metrics
from rememberd.telemetry.logs import Text
from rememberd.types import Memory, Millis, Space
from tests.support.fakes import EmbedderFake, MemoryStoreFake

ME = Space("ada")
NOW = 1_700_000_000_000


class Hung(MemoryStoreFake):
    """A store whose searches wait for `answers`, and count."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()
        self.searches = 0

    async def search_all(self, queries: Sequence[Query], *, now: Millis) -> Candidates:
        self.searches += 1
        await self.answers.wait()
        return await super().search_all(queries, now=now)


QUOTED = "a defect that quotes: my password is hunter2"  # not on the line that raises: a log shows that line


class Broken(MemoryStoreFake):
    async def get(self, space: Space, ids: object) -> list[Memory]:
        raise ZeroDivisionError(QUOTED)


async def ask(recall: Recall) -> Recalled:
    return await recall.recall(ME, "Where do I live?", now=NOW, turn_id=None, conversation=None)


async def tell(store: MemoryStoreFake, text: str) -> None:
    memory = Memory("m", text, "fact", NOW, NOW, NOW)
    await store.put(ME, [await to_point(memory, EmbedderFake())])


def degraded() -> float:
    metrics.flush()
    return REGISTRY.get_sample_value("rememberd_recall_total", {"status": "degraded"}) or 0.0


async def test_a_store_that_is_down_degrades() -> None:
    """No exception, status degraded, and a counter moves."""
    store, before = MemoryStoreFake(), degraded()
    store.down = True
    assert (await ask(Recall(store, EmbedderFake()))).status == "degraded"
    await asyncio.sleep(0)  # counted while the request is away
    assert degraded() == before + 1


async def test_an_embedder_that_is_down_degrades() -> None:
    """Without vectors there is no memory, and still an answer."""
    embedder = EmbedderFake()
    embedder.down = True
    assert (await ask(Recall(MemoryStoreFake(), embedder))).status == "degraded"


async def test_a_hung_store_costs_the_deadline() -> None:
    """The deadline bounds the whole call."""
    recalled = await asyncio.wait_for(ask(Recall(Hung(), EmbedderFake(), deadline_ms=30)), 120)
    assert recalled.status == "degraded"
    assert recalled.ms >= 29


async def test_a_defect_degrades_and_its_words_stay_out_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """A bug in recall costs no answer, and the log names it without quoting anybody."""
    store = Broken()
    await tell(store, "I live in Oslo.")
    assert (await ask(Recall(store, EmbedderFake()))).status == "degraded"
    logged = "\n".join(Text().formatException(each.exc_info) for each in caplog.records if each.exc_info)
    assert "ZeroDivisionError" in logged
    assert "hunter2" not in logged


async def test_after_three_failures_the_store_is_left_alone_then_probed_once() -> None:
    """Three in a row open the breaker; after the pause it is probed once, and nobody waits for that; a success
    closes it."""
    store = Hung()
    await tell(store, "I live in Oslo.")
    recall = Recall(store, EmbedderFake(), deadline_ms=10)
    clock = Clock()
    recall.breaker = Breaker(clock)
    for _ in range(5):
        await ask(recall)
    assert store.searches == 3
    clock.now += PAUSE_S
    recall.deadline_ms = 30_000
    assert [(await asyncio.wait_for(ask(recall), 120)).status for _ in range(3)] == ["degraded"] * 3
    await asyncio.sleep(0.01)
    assert store.searches == 4
    store.answers.set()
    while not recall.breaker.closed:
        await asyncio.sleep(0.001)
    assert [(await ask(recall)).status for _ in range(3)] == ["hit"] * 3


async def test_a_crowd_is_let_in_as_far_as_it_can_be_served() -> None:
    """Of many at a time some come in time, however many there are; nobody else is searched for, and a metric says why
    they have no memory. When the crowd has gone, everybody is served."""

    class Slow(MemoryStoreFake):
        """A store that searches for one after the other, and refuses none."""

        turn, searches = asyncio.Lock(), 0

        async def search_all(self, queries: Sequence[Query], *, now: Millis) -> Candidates:
            async with self.turn:
                self.searches += 1
                await asyncio.sleep(0.02)
            return await super().search_all(queries, now=now)

    store, before = Slow(), _crowded()
    await tell(store, "I live in Oslo.")
    recall = Recall(store, EmbedderFake(), deadline_ms=500)
    for _ in range(8):
        found = await asyncio.gather(*(ask(recall) for _ in range(300)))
        let_in = store.searches
    assert sum(each.status == "hit" for each in found) >= 3
    assert recall.crowd.limit < 100  # 250 at first; 25 can be served
    assert _crowded() - before > 8 * 50
    assert let_in < 8 * 100
    assert [(await ask(recall)).status for _ in range(3)] == ["hit"] * 3


async def test_a_chat_that_waited_long_does_not_wait_for_a_recall() -> None:
    """Under overload chats queue before they begin: without a bound, memory for each would make the queue longer and
    longer. The next chat that comes in time has memory."""
    store, before = MemoryStoreFake(), _crowded()
    await tell(store, "I live in Oslo.")
    recall = Recall(store, EmbedderFake())
    late = await recall.recall(ME, "Where do I live?", now=NOW, turn_id=None, conversation=None, late=True)
    assert late.status == "degraded"
    assert _crowded() == before + 1
    assert (await ask(recall)).status == "hit"


def _crowded() -> float:
    return REGISTRY.get_sample_value("rememberd_recalls_crowded_total") or 0.0


async def test_a_question_that_comes_too_late_is_not_searched() -> None:
    """Its asker has gone on without memory; the work would make those behind it late, too."""
    store = Hung()
    store.answers.set()
    vector = await EmbedderFake().dense("Where do I live?")
    wanted = Wanted("Where do I live?", (), NOW, None, None, True, (), 600, until=time.monotonic() - 0.001)
    with pytest.raises(StoreUnavailable, match="its deadline has passed"):
        await retrieve(store, ME, vector, EmbedderFake().query("live"), wanted)
    assert store.searches == 0
    await retrieve(store, ME, vector, EmbedderFake().query("live"), wanted._replace(until=time.monotonic() + 60))
    assert store.searches == 1


async def test_a_client_that_leaves_is_no_failure_of_the_store() -> None:
    """Cancelled recalls do not open the breaker."""
    recall = Recall(Hung(), EmbedderFake(), deadline_ms=10_000)
    for _ in range(5):
        asking = asyncio.create_task(ask(recall))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert recall.breaker.closed


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now
