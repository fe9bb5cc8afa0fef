"""Prometheus: one view over all processes of this host, and a count of every answer."""

from __future__ import annotations

import os
from collections.abc import Awaitable
from functools import lru_cache

from prometheus_client import REGISTRY, CollectorRegistry, Counter, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS = Counter("rememberd_requests", "Answers by route and status.", ["path", "status"])

_answers = lru_cache(maxsize=1024)(REQUESTS.labels)  # the library's own search takes longer than the counting

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"  # the library's own variable; `serve` sets it for its children


def exposition() -> bytes:
    """Of all processes of this host when `serve` made a directory for it, else of this one."""
    if DIRECTORY not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


class CountAnswers:
    """ASGI middleware; 499 is a client that left before the status line, as nginx writes it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        status = 499

        def watch(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            return send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            route = scope.get("route")
            _answers(getattr(route, "path", "other"), status).inc()
