"""The ASGI application: starlette's, without the middleware that wraps every `send`."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Awaitable
from contextlib import suppress
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

_HANDLED = "rememberd.handled"  # in an ASGI scope: `AnswerMiddleware` has seen the exception

_answers = lru_cache(maxsize=1024)(REQUESTS.labels)  # the library's look-up of labels is slower than the increment


class App(Starlette):
    """Starlette's exception middleware and its search of the routes take a tenth of a chat's CPU time. This class
    uses `AnswerMiddleware` (which must be in the middleware list) and a table of those POST routes that have no path
    parameters and an ASGI app as their handler. Starlette's router finds all other routes.

    An error of the middleware around `AnswerMiddleware` is answered here, and raised again for the server's log."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        self.middleware_stack = self.middleware_stack or self.build_middleware_stack()
        try:
            await self.middleware_stack(scope, receive, send)
        except Exception as error:
            if scope["type"] == "http" and _HANDLED not in scope:
                with suppress(RuntimeError):  # the server's, if an answer has begun: the connection is cut
                    await (await EXCEPTION_HANDLERS[Exception](Request(scope), error))(scope, receive, send)
                    count(_answers("other", 500))
            raise

    def build_middleware_stack(self) -> ASGIApp:
        # Only the router's redirects need the public address. uvicorn would parse it for every chat.
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
    """ASGI middleware that turns exceptions into error responses and counts responses. Status 499 means that the
    client left before the status line was sent, as in nginx. With `access_log`, each response is also logged, with
    its route only: a path or a query may contain a user's words.

    An exception after the status line is raised again, so that the server closes the connection. An unexpected
    exception is always raised again, so that the server logs it."""

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
            scope[_HANDLED] = True
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
