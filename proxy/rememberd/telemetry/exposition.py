"""Prometheus metrics: one view of all processes of this host, and a counter of all answers."""

import logging
import os
import time
from collections.abc import Awaitable
from functools import lru_cache

from prometheus_client import REGISTRY, CollectorRegistry, Counter, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("rememberd.access")

REQUESTS = Counter("rememberd_requests", "Answers by route and status.", ["path", "status"])

_answers = lru_cache(maxsize=1024)(REQUESTS.labels)  # the library's own look-up takes longer than the counting

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"  # the library's own variable; `serve` sets it for its children


def exposition() -> bytes:
    """The metrics of all processes of this host if `serve` made a directory for them, otherwise of this process."""
    if DIRECTORY not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


class MetricsMiddleware:
    """ASGI middleware that counts answers. 499 is a client that left before the status line, as in nginx. With
    `access_log` each answer is also logged, by its route: a path and its query may contain words of a person."""

    def __init__(self, app: ASGIApp, access_log: bool = False) -> None:
        self.app, self.access_log = app, access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        status, began = 499, time.perf_counter()

        def watch(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            return send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception:
            status = 500 if status == 499 else status  # answered outside of this middleware
            raise
        finally:
            path = getattr(scope.get("route"), "path", "other")
            _answers(path, status).inc()
            if self.access_log:
                log.info("%s %s %d %.1f ms", scope["method"], path, status, (time.perf_counter() - began) * 1000)
