"""From the end of an answer into the queue; by way of the spool while the queue is late or away."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from rememberd.errors import MemoryUnavailable
from rememberd.memory.retry import cancel_and_wait, retry_until
from rememberd.ports import Spool, TurnQueue
from rememberd.ports.queues import SpooledTurn
from rememberd.telemetry.metrics import counter
from rememberd.types import Turn

T = TypeVar("T")

_OUTCOMES = ("queued", "late", "lost", "dead", "erased")
TURNS = counter("rememberd_queue_puts", "Turns at the end of an answer.", "outcome", *_OUTCOMES)

_SPOOL_S = 5.0  # the longest that an answer waits for the spool's disk
_DRAIN_S = 3.0  # the supervisor kills a web process five seconds after its last stream
_RETRY_S = 1.0

log = logging.getLogger("rememberd.queue")


class Outbox:
    """Each turn is on a disk, the queue's or the spool's, when its `put` returns.

    While older turns wait in the spool, newer ones follow them there: nothing waits for a queue that is known to be
    late, and the order is kept. One task moves them into the queue. A turn may reach the queue twice (killed between
    the queue's answer and the clearing of the spool), which its id makes harmless."""

    def __init__(self, queue: TurnQueue, spool: Spool, deadline_ms: float) -> None:
        self.queue, self.spool, self.deadline_ms = queue, spool, deadline_ms
        self._draining: asyncio.Task[None] | None = None
        self._adopting: asyncio.Task[None] | None = None
        self._late: dict[str, asyncio.Task[None]] = {}  # puts under way of turns that are spooled too, by their id
        self._unsafe: set[asyncio.Task[None]] = set()  # turns that are on no disk

    @property
    def behind(self) -> bool:
        """Do turns wait in the spool?"""
        return self._draining is not None and not self._draining.done()

    def start(self) -> None:
        """Take over what processes that were killed have left in their spools."""
        self._adopting = asyncio.create_task(self._adopt())

    async def put(self, turn: Turn) -> None:
        """Returns after the deadline and the spool's at the latest. A turn that neither the queue nor the spool takes
        is retried in the background, and counted if it is lost."""
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
        """Wait a while for what is under way; what is still in the spool then stays there for the next start."""
        pending = {task for task in (self._draining, *self._unsafe) if task is not None and not task.done()}
        if pending:
            await asyncio.wait(pending, timeout=_DRAIN_S)
        if self._unsafe:
            TURNS.labels("lost").inc(len(self._unsafe))
            log.error(
                "neither the queue nor the spool took %d turns before the end: they are lost", len(self._unsafe)
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
        if error is not None and not isinstance(error, MemoryUnavailable):  # not even a dead letter
            TURNS.labels("lost").inc()
            log.error("a turn could not be kept: %s", type(error).__name__)

    async def _put(self, turn: Turn) -> None:
        try:
            kept = await self.queue.put(turn)
        except MemoryUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever makes the queue refuse this turn, it must not be lost
            await self.spool.dead_letter(turn, type(error).__name__)
            TURNS.labels("dead").inc()
            log.error("the queue refuses a turn (%s): `rememberd dead list` shows it", type(error).__name__)
        else:
            TURNS.labels("queued" if kept else "erased").inc()

    async def _append(self, turn: Turn, putting: asyncio.Task[None] | None) -> None:
        if (
            putting is not None
        ):  # before the turn can be read: an entry that nobody takes would stand for another turn
            self._late[turn.id] = putting
        try:
            await self.spool.append(turn)
        except MemoryUnavailable as error:
            self._late.pop(turn.id, None)
            log.error("a turn that the queue took too late could not be spooled either: %s", error)
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
        for spool in await _insist(self.spool.adopt):
            try:
                await self._drain(spool)
            finally:
                await spool.close()

    async def _drain(self, spool: Spool) -> None:
        """Until the spool is empty."""
        position = 0
        while True:
            found = await _insist(partial(spool.read, position))
            for batch in _one_of_each_user(found):
                late = self._late if spool is self.spool else {}
                await asyncio.gather(
                    *(
                        self._deliver(each.turn, late.pop(each.turn.id, None))
                        for each in batch
                        if each.turn is not None
                    )
                )
            if found:
                position = found[-1].end
            elif await _insist(partial(spool.clear, position)):
                return

    async def _deliver(self, turn: Turn, putting: asyncio.Task[None] | None) -> None:
        if putting is None or not await _succeeds(putting):
            await _insist(partial(self._put, turn))


def _one_of_each_user(found: Sequence[SpooledTurn]) -> Iterator[list[SpooledTurn]]:
    """In batches that can be put at once: the turns of one user must keep their order."""
    batch: list[SpooledTurn] = []
    users: set[str] = set()
    for each in found:
        user = each.turn.space.user if each.turn else ""
        if user in users:
            yield batch
            batch, users = [], set()
        batch.append(each)
        users.add(user)
    if batch:
        yield batch


async def _succeeds(putting: asyncio.Task[None]) -> bool:
    await asyncio.wait({putting})
    return putting.exception() is None


async def _insist(step: Callable[[], Awaitable[T]]) -> T:
    """`step` again and again until the part it needs is back."""
    while True:
        try:
            return await step()
        except MemoryUnavailable as error:
            log.warning("spooled turns wait for the queue: %s", error)
        await asyncio.sleep(_RETRY_S)
