"""What must not be lost while a part is away is tried again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from proxy.errors import QueueUnavailable

T = TypeVar("T")

PATIENCE_S = 60.0  # outlasts a failover; the answer left long ago (the deadline), only memory is spent

log = logging.getLogger("rememberd.queue")


async def patiently(step: Callable[[], Awaitable[T]]) -> T:
    """Raises `QueueUnavailable` once the patience is at its end."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await step()
        except QueueUnavailable as error:
            if time.monotonic() > until:
                raise
            log.warning("the put of a turn is tried again: %s", error)
        await asyncio.sleep(1)
