"""The chat paths, ahead of the router.

What starlette has in between (a search of the routes, three more coroutines around every `send`) took a tenth of a
request's CPU."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, ExceptionHandler, Message, Receive, Scope, Send


class ChatFirstRouter(Starlette):
    """Starlette, but POST to the route of an endpoint in `first` goes straight there, through the same middleware and
    with the same answers to exceptions."""

    def __init__(self, first: ASGIApp, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._first = first

    def build_middleware_stack(self) -> ASGIApp:
        others = super().build_middleware_stack()
        routes = [route for route in self.routes if isinstance(route, Route) and route.endpoint is self._first]
        route_at = {route.path: route for route in routes}
        first: ASGIApp = ExceptionMiddleware(self._first, self.exception_handlers)
        for middleware, args, kwargs in reversed(self.user_middleware):
            first = middleware(first, *args, **kwargs)

        def front(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in route_at:
                scope["route"] = route_at[scope["path"]]
                return first(scope, receive, send)
            return others(scope, receive, send)

        return front


class ExceptionMiddleware:
    """`app` with its exceptions answered by `handlers`, as long as nothing was sent. What is nobody's fault but ours
    goes on to the server as well, which logs it."""

    def __init__(self, app: ASGIApp, handlers: Mapping[Any, ExceptionHandler]) -> None:
        self.app, self.handlers = app, handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        def watch(message: Message) -> Awaitable[None]:
            nonlocal started
            started = True
            return send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:
            kind = next(kind for kind in type(error).__mro__ if kind in self.handlers)
            if started:
                raise
            response = await self.handlers[kind](Request(scope), error)  # type: ignore[arg-type, misc]
            await response(scope, receive, send)
            if kind is Exception:
                raise
