"""Puts turns into the queue at the end of an answer, or into the spool while the queue is late or unavailable."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from rememberd.errors import MemoryUnavailable
from rememberd.memory.retry import retry_until
from rememberd.ports import Spool, TurnQueue
from rememberd.ports.queues import SpooledTurn
from rememberd.telemetry.background import cancel_and_wait
from rememberd.telemetry.metrics import counter
from rememberd.types import Turn

T = TypeVar("T")

_OUTCOMES = ("queued", "late", "lost", "dead", "erased")
TURNS = counter("rememberd_queue_puts", "Turns at the end of an answer.", "outcome", *_OUTCOMES)

_SPOOL_S = 5.0  # an answer waits at most this long for the spool's disk
DRAIN_S = 3.0  # below five: the supervisor kills a web process five seconds after its last stream
RETRY_S = 1.0

log = logging.getLogger("rememberd.queue")


class Outbox:
    """When `put` returns, the turn is on a disk: the queue's or the spool's.

    While older turns are in the spool, newer ones are spooled too. So the order is kept, and no answer waits for a
    queue that is known to be late. One task moves the turns into the queue. After a kill, a turn may reach the queue
    twice; its id makes this harmless."""

    def __init__(
        self,
        queue: TurnQueue,
        spool: Spool,
        deadline_ms: float,
        *,
        drain_s: float = DRAIN_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self.queue, self.spool, self.deadline_ms = queue, spool, deadline_ms
        self._drain_s, self._retry_s = drain_s, retry_s
        self._draining: asyncio.Task[None] | None = None
        self._adopting: asyncio.Task[None] | None = None
        self._late: dict[str, asyncio.Task[None]] = {}  # running puts of turns that are also spooled, by turn id
        self._unsafe: set[asyncio.Task[None]] = set()  # the tasks of turns that are on no disk yet

    @property
    def behind(self) -> bool:
        """True while turns are in the spool."""
        return self._draining is not None and not self._draining.done()

    def start(self) -> None:
        """Take over the spools of killed processes."""
        self._adopting = asyncio.create_task(self._adopt())

    async def put(self, turn: Turn) -> None:
        """Returns at the latest after the queue's deadline plus the spool's. A turn that neither of them accepts is
        retried in the background, and counted if it is lost."""
        putting = None
        if not self.behind:
            putting = self._hold(self._put(turn))
            await asyncio.wait({putting}, timeout=self.deadline_ms / 1000)
            if putting.done() and not isinstance(putting.exception(), MemoryUnavailable):
                return putting.result()
        TURNS.labels("late").inc()
        spooling = self._hold(self._append(turn, putting))
        await asyncio.wait({spooling}, timeout=_SPOOL_S)
        return None

    async def close(self) -> None:
        """Wait `drain_s` for running puts. Turns that are still in the spool stay there until the next start."""
        pending = {task for task in (self._draining, *self._unsafe) if task is not None and not task.done()}
        if pending:
            await asyncio.wait(pending, timeout=self._drain_s)
        if self._unsafe:
            TURNS.labels("lost").inc(len(self._unsafe))
            log.error(
                "%d turns are lost: neither the queue nor the spool accepted them before shutdown", len(self._unsafe)
            )
        for task in (self._adopting, self._draining):
            if task is not None:
                await cancel_and_wait(task)
        await self.spool.close()

    def _hold(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._unsafe.add(task)
        task.add_done_callback(self._end)
        return task

    def _end(self, task: asyncio.Task[None]) -> None:
        self._unsafe.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, MemoryUnavailable):  # not even a dead letter was written
            TURNS.labels("lost").inc()
            log.error("a turn is lost: %s", type(error).__name__)

    async def _put(self, turn: Turn) -> None:
        try:
            kept = await self.queue.put(turn)
        except MemoryUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - a turn must not be lost for any error of the queue
            await self.spool.dead_letter(turn, type(error).__name__)
            TURNS.labels("dead").inc()
            log.error("the queue rejects a turn (%s): `rememberd dead list` shows it", type(error).__name__)
        else:
            TURNS.labels("queued" if kept else "erased").inc()

    async def _append(self, turn: Turn, putting: asyncio.Task[None] | None) -> None:
        if putting is not None:  # before `_drain` can read the turn, which removes the entry
            self._late[turn.id] = putting
        try:
            await self.spool.append(turn)
        except MemoryUnavailable as error:
            self._late.pop(turn.id, None)
            log.error("a turn could not be spooled while the queue is late; it is retried: %s", error)
            self._hold(self._retry(turn, putting))
            return
        if putting is not None:
            self._unsafe.discard(putting)
        if not self.behind:
            self._draining = asyncio.create_task(self._drain(self.spool))

    async def _retry(self, turn: Turn, putting: asyncio.Task[None] | None) -> None:
        if putting is not None and await _succeeds(putting):
            return
        try:
            await retry_until(partial(self._put, turn))
        except MemoryUnavailable as error:
            TURNS.labels("lost").inc()
            log.error("a turn is lost: %s", error)

    async def _adopt(self) -> None:
        for spool in await self._until_available(self.spool.adopt):
            try:
                await self._drain(spool)
            finally:
                await spool.close()

    async def _drain(self, spool: Spool) -> None:
        """Move turns into the queue until the spool is empty."""
        position, late = 0, self._late if spool is self.spool else {}
        while True:
            spooled = await self._until_available(partial(spool.read, position))
            for batch in _one_of_each_user(spooled):
                await asyncio.gather(*(self._deliver(turn, late.pop(turn.id, None)) for turn in batch))
            if spooled:
                position = spooled[-1].end
            elif await self._until_available(partial(spool.clear, position)):
                return

    async def _deliver(self, turn: Turn, putting: asyncio.Task[None] | None) -> None:
        if putting is None or not await _succeeds(putting):
            await self._until_available(partial(self._put, turn))

    async def _until_available(self, step: Callable[[], Awaitable[T]]) -> T:
        """Retry `step` until the queue or the spool is available again."""
        while True:
            try:
                return await step()
            except MemoryUnavailable as error:
                log.warning("spooled turns wait for the queue: %s", error)
            await asyncio.sleep(self._retry_s)


def _one_of_each_user(spooled: Sequence[SpooledTurn]) -> Iterator[list[Turn]]:
    """Batches of turns that can be put at the same time: the turns of one user must keep their order."""
    batch: dict[str, Turn] = {}
    for turn in (each.turn for each in spooled if each.turn is not None):
        if turn.space.user in batch:
            yield list(batch.values())
            batch = {}
        batch[turn.space.user] = turn
    yield list(batch.values())


async def _succeeds(putting: asyncio.Task[None]) -> bool:
    await asyncio.wait({putting})
    return putting.exception() is None
