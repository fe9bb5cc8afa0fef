"""Retry with a deadline; cancel a task until it has really ended."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from rememberd.errors import QueueUnavailable

T = TypeVar("T")

PATIENCE_S = 60.0  # longer than a failover of Redis

_AGAIN_S = 0.5

log = logging.getLogger("rememberd.queue")


async def retry_until(step: Callable[[], Awaitable[T]]) -> T:
    """Raises `QueueUnavailable` if `step` still does so after `PATIENCE_S`."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await step()
        except QueueUnavailable as error:
            if time.monotonic() > until:
                raise
            log.warning("the put of a turn is tried again: %s", error)
        await asyncio.sleep(1)


async def cancel_and_wait(task: asyncio.Task[Any]) -> None:
    """Cancels `task` until it has ended, and raises what it raised. A cancellation that meets a timeout inside a
    library (redis-py 8, reconnecting) can come out as the timeout, which the task then outlives."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_AGAIN_S)
    if not task.cancelled():
        task.result()
