"""What one process has leased in Redis. Leases are short and renewed while the process lives, so those of a dead
process are free soon."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from uuid import uuid4

from rememberd.errors import QueueUnavailable
from rememberd.telemetry.background import cancel_and_wait, keep_running
from rememberd.types import Millis

log = logging.getLogger("rememberd.queue")


class Leases:
    """The script behind `run` has an operation `renew` with the owner, the lease in ms and the ids that are held."""

    def __init__(self, run: Callable[..., Awaitable[Any]], lease_ms: Millis) -> None:
        self.owner, self.lease_ms = uuid4().hex, lease_ms
        self.held: set[str] = set()
        self._run = run
        self._renewing: asyncio.Task[None] | None = None

    def hold(self, ids: Iterable[str]) -> None:
        self.held.update(ids)
        if self._renewing is None:
            self._renewing = asyncio.create_task(keep_running("leases", self._renew))

    def let_go(self, ids: Iterable[str]) -> None:
        """Stop renewing these leases."""
        self.held.difference_update(ids)

    async def close(self) -> None:
        if self._renewing is not None:
            await cancel_and_wait(self._renewing)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self.lease_ms / 3000)
            try:
                await self._run("renew", self.owner, self.lease_ms, *self.held)
            except QueueUnavailable as error:
                log.warning("leases may end early, and their turns may be processed twice: %s", error)
