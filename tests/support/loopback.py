"""A minimal proxy on a loopback port: the relay and the byte lane, nothing else of the product around them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from rememberd.dialects import chat
from rememberd.dialects.registry import Dialect
from rememberd.errors import UpstreamUnavailable, openai_body
from rememberd.http.connection_limits import ConnectionLimits, limited_protocol
from rememberd.http.disconnect import cancel_on_disconnect
from rememberd.http.relay import OnEnd, Relay
from rememberd.ports import Upstream
from rememberd.types import Deployment

PATH = "/chat/completions"
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def bytes_deployment(api_base: str, **changes: Any) -> Deployment:
    return Deployment("fake-large", "openai", "fake-large", frozenset({PATH}), api_base, "sk-upstream", **changes)


def proxy_app(
    upstream: Upstream, deployment: Deployment, on_end: OnEnd | None = None, dialect: Dialect = chat
) -> Starlette:
    """Every POST goes to `deployment` as it is; the added header is X-Memory-Status."""

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        sent = upstream.send(deployment, PATH, await request.body(), request.headers.items())
        reply = await cancel_on_disconnect(scope, sent)
        if reply is not None:
            await Relay(reply, [(b"x-memory-status", b"off")], on_end=on_end, dialect=dialect)(scope, receive, send)

    async def unavailable(request: Request, error: Exception) -> Response:
        assert isinstance(error, UpstreamUnavailable)
        return JSONResponse(openai_body(error.status, "upstream_error", str(error)), error.status)

    app = Starlette(exception_handlers={UpstreamUnavailable: unavailable})
    app.mount("/", endpoint)
    return app


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[str]:
    """The address, with /v1, of `app` under uvicorn in this event loop."""
    listener = socket.create_server(("127.0.0.1", 0))
    protocol = limited_protocol(ConnectionLimits(1000, 60, 60))
    config = uvicorn.Config(
        app,
        interface="asgi3",
        http=protocol,
        lifespan="off",
        log_level="critical",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        await task
