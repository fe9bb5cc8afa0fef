"""`/health/live`, `/health/ready`, `/metrics`."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, Gauge
from starlette.requests import Request
from starlette.responses import Response

from rememberd.access.auth import Auth
from rememberd.errors import MemoryUnavailable, QueueUnavailable
from rememberd.http.responses import json_response
from rememberd.ports import TurnQueue
from rememberd.telemetry.exposition import exposition
from rememberd.telemetry.metrics import flush

log = logging.getLogger("rememberd.health")

_PATIENCE_SECONDS = 2.0

_LATEST: Final = "mostrecent"  # all web processes read the same queue, so the newest value is right
DEPTH = Gauge("rememberd_queue_depth", "Turns waiting to be remembered.", multiprocess_mode=_LATEST)
AGE = Gauge("rememberd_queue_age_seconds", "Age of the oldest of them.", multiprocess_mode=_LATEST)
DEAD = Gauge("rememberd_dead_letters", "Turns given up; `rememberd check` says why.", multiprocess_mode=_LATEST)

Check = Callable[[], Awaitable[object]]


class Health:
    """`checks` test the parts that memory needs; each raises `MemoryUnavailable` if its part does not work. `alive`
    returns False if this process is stuck."""

    def __init__(
        self, auth: Auth, queue: TurnQueue, checks: Mapping[str, Check], alive: Callable[[], bool] = lambda: True
    ) -> None:
        self.auth, self.queue, self.checks, self.alive = auth, queue, checks, alive
        self._reasons: dict[str, str] = {}  # part -> why its last check failed

    async def live(self, request: Request) -> Response:
        return json_response({"status": "ok"}) if self.alive() else json_response({"status": "stuck"}, 503)

    async def ready(self, request: Request) -> Response:
        results = await asyncio.gather(*(self._tried(*each) for each in self.checks.items()))
        parts = dict(zip(self.checks, results, strict=True))
        ok = all(result == "ok" for result in results)
        return json_response({"status": "ok" if ok else "unavailable", "parts": parts}, 200 if ok else 503)

    async def metrics(self, request: Request) -> Response:
        self.auth.metrics(request.headers)
        try:
            stats = await self.queue.stats()
        except QueueUnavailable as error:
            log.warning("queue metrics were not updated: %s", error)
        else:
            DEPTH.set(stats.depth)
            AGE.set(stats.oldest_age_ms / 1000)
            DEAD.set(stats.dead)
        flush()
        return Response(await asyncio.to_thread(exposition), media_type=CONTENT_TYPE_LATEST)

    async def _tried(self, part: str, check: Check) -> str:
        """Only the log has the reason, because anybody may call this path and the reason may contain an address. A
        reason is logged again only when it changes."""
        reason = ""
        try:
            await asyncio.wait_for(check(), _PATIENCE_SECONDS)
        except MemoryUnavailable as error:
            reason = str(error)
        except TimeoutError:
            reason = f"no answer within {_PATIENCE_SECONDS:.0f} s"
        if reason and self._reasons.get(part) != reason:
            log.warning("not ready: %s: %s", part, reason)
        self._reasons[part] = reason
        return "unavailable: see the log of the proxy" if reason else "ok"
