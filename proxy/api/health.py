"""`/health/live`, `/health/ready`, `/metrics`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.api.memories import json_response
from proxy.auth import Auth
from proxy.errors import Unavailable
from proxy.metrics import exposition

_PATIENCE_SECONDS = 2.0

Check = Callable[[], Awaitable[object]]


class Health:
    """`checks` are the parts without which memory does not work; each raises `Unavailable` when it does not."""

    def __init__(self, auth: Auth, checks: Mapping[str, Check]) -> None:
        self.auth, self.checks = auth, checks

    def routes(self) -> list[Route]:
        return [
            Route("/health/live", self.live, methods=["GET"]),
            Route("/health/ready", self.ready, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
        ]

    async def live(self, request: Request) -> Response:
        return json_response({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        results = await asyncio.gather(*(_tried(check) for check in self.checks.values()))
        parts = dict(zip(self.checks, results, strict=True))
        ok = all(result == "ok" for result in results)
        return json_response({"status": "ok" if ok else "unavailable", "parts": parts}, 200 if ok else 503)

    async def metrics(self, request: Request) -> Response:
        self.auth.admin(request.headers)
        return Response(await asyncio.to_thread(exposition), media_type=CONTENT_TYPE_LATEST)


async def _tried(check: Check) -> str:
    try:
        await asyncio.wait_for(check(), _PATIENCE_SECONDS)
    except Unavailable as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {_PATIENCE_SECONDS:.0f} s"
    return "ok"
