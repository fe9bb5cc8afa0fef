"""The ASGI application: starlette's without the layers that it puts around every `send`."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable
from functools import lru_cache
from typing import cast

from prometheus_client import Counter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from rememberd.http.exception_handlers import EXCEPTION_HANDLERS
from rememberd.telemetry.metrics import count

log = logging.getLogger("rememberd.access")

REQUESTS = Counter("rememberd_requests", "Answers by route and status.", ["path", "status"])

_answers = lru_cache(maxsize=1024)(REQUESTS.labels)  # the library's own look-up takes longer than the counting


class App(Starlette):
    """Starlette's own layers for exceptions and its search of the routes take a tenth of a chat's CPU. Here the
    middleware must hold `AnswerMiddleware`, and a POST to a path without parameters, whose handler is an ASGI app, is
    found in a table; all else by starlette's router."""

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # type: ignore[override]
        """As starlette's, without a coroutine of its own."""
        scope["app"] = self
        self.middleware_stack = self.middleware_stack or self.build_middleware_stack()
        return self.middleware_stack(scope, receive, send)

    def build_middleware_stack(self) -> ASGIApp:
        # Only the router's redirects need the address by which clients came; uvicorn would read it for every chat.
        proxies = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
        router = cast(ASGIApp, ProxyHeadersMiddleware(self.router, proxies))  # type: ignore[arg-type]
        posts = [route for route in self.routes if isinstance(route, Route) and route.methods == {"POST"}]
        direct = {route.path: route for route in posts if route.app is route.endpoint and not route.param_convertors}

        def app(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            if scope["type"] == "http" and scope["method"] == "POST" and (route := direct.get(scope["path"])):
                scope["route"] = route
                return route.app(scope, receive, send)
            return router(scope, receive, send)

        stack: ASGIApp = app
        for middleware, args, kwargs in reversed(self.user_middleware):
            stack = middleware(stack, *args, **kwargs)
        return stack


class AnswerMiddleware:
    """ASGI middleware that answers exceptions as long as nothing was sent, and counts answers. 499 is a client that
    left before the status line, as in nginx. With `access_log` each answer is also logged, by its route: a path and
    its query may contain words of a person.

    What comes after the status line is raised again, so that the server cuts the connection; a defect of ours too,
    for the server's log."""

    def __init__(self, app: ASGIApp, access_log: bool = False) -> None:
        self.app, self.access_log = app, access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        status, began = 0, time.perf_counter()

        def watch(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            return send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:
            if status:
                raise
            kind = next(kind for kind in type(error).__mro__ if kind in EXCEPTION_HANDLERS)
            await (await EXCEPTION_HANDLERS[kind](Request(scope), error))(scope, receive, watch)
            if kind is Exception:
                raise
        finally:
            path, status = getattr(scope.get("route"), "path", "other"), status or 499
            count(_answers(path, status))
            if self.access_log:
                log.info("%s %s %d %.1f ms", scope["method"], path, status, (time.perf_counter() - began) * 1000)
