"""Background tasks that run as long as the process."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from rememberd.telemetry.metrics import counter

TASKS = (
    "apps",
    "audit_log",
    "extraction",
    "groups",
    "housekeeping",
    "key_watcher",
    "leases",
    "moving",
    "reembedding",
    "reindexing",
    "reload",
    "removals",
    "topics",
    "usage",
)
FAILURES = counter(
    "rememberd_background_failures", "Background tasks that an error ended; each was started again.", "task", *TASKS
)
AGAIN_S, LATEST_S = 1.0, 60.0
_CANCEL_AGAIN_S = 0.5

log = logging.getLogger("rememberd.background")


async def keep_running(task: str, work: Callable[[], Awaitable[None]], *, again_s: float = AGAIN_S) -> None:
    """Run `work`, one of `TASKS`, until it returns. If an error ends it, the error is logged and counted, and the
    work is started again after `again_s` seconds; the delay doubles each time, up to `LATEST_S`. A task must not end
    unnoticed: for example, a revoked key would stay valid."""
    while True:
        try:
            return await work()
        except Exception:  # an unexpected error: the next run may succeed
            FAILURES.labels(task).inc()
            log.exception("the background task %s failed and is started again", task)
        await asyncio.sleep(again_s)
        again_s = min(2 * again_s, LATEST_S)


@asynccontextmanager
async def running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs `work` as a task until the block ends."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await cancel_and_wait(task)


async def cancel_and_wait(task: asyncio.Task[Any]) -> None:
    """Cancels `task` until it has ended, and raises its exception. If a cancellation meets a timeout inside a library
    (redis-py 8, reconnecting), the library may raise the timeout instead, and the task goes on."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCEL_AGAIN_S)
    if not task.cancelled():
        task.result()
