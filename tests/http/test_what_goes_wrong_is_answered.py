"""Promise: what goes wrong on a chat path is answered in its dialect and counted with its status."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from rememberd.errors import RequestError, UpstreamUnavailable
from rememberd.http.app import REQUESTS, AnswerMiddleware, App
from rememberd.telemetry.metrics import flush
from tests.support.loopback import serving
from tests.support.tables import each_row

PATH = "/v1/messages"
WHOLE = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]}


class Chat:
    """Does what the body of the request says."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match (await receive())["body"]:
            case b"refuse":
                raise RequestError(429, "slow_down", "wait", retry_after=7)
            case b"unavailable":
                raise UpstreamUnavailable("nobody there", timeout=True)
            case b"bug":
                raise ZeroDivisionError
            case b"break":
                await send(WHOLE)
                await send({"type": "http.response.body", "body": b"he", "more_body": True})
                raise UpstreamUnavailable("broke off")
            case _:
                await send(WHOLE)
                await send({"type": "http.response.body", "body": b"hello"})


async def elsewhere(request: Request) -> Response:
    return PlainTextResponse(f"{request.method} elsewhere")


@asynccontextmanager
async def client() -> AsyncIterator[httpx.AsyncClient]:
    chat = Chat()
    routes = [Route(PATH, chat, methods=["POST"]), Route("/{path:path}", elsewhere, methods=["GET", "POST"])]
    app = App(routes=routes, middleware=[Middleware(AnswerMiddleware)])
    async with serving(app) as url, httpx.AsyncClient(base_url=url.removesuffix("/v1")) as client:
        yield client


def counted(path: str, status: int) -> float:
    flush()
    return REQUESTS.labels(path, str(status))._value.get()  # type: ignore[no-any-return]


@each_row(
    ("body", "status", "said"),
    [
        (b"refuse", 429, "rate_limit_error"),
        (b"unavailable", 504, "nobody there"),
        (b"bug", 500, "an internal error of the proxy"),
        (b"", 200, "hello"),
    ],
)
async def test_what_goes_wrong_is_answered_and_counted(body: bytes, status: int, said: str) -> None:
    """In the dialect of the path, as on every other one."""
    async with client() as asking:
        before = counted(PATH, status)
        answer = await asking.post(PATH, content=body)
        assert (answer.status_code, said in answer.text) == (status, True)
        assert answer.headers.get("Retry-After") == ("7" if body == b"refuse" else None)
        assert counted(PATH, status) == before + 1


async def test_an_answer_that_breaks_off_is_no_whole_one() -> None:
    """Once something was sent there is no room for an error: the connection is cut."""
    async with client() as asking:
        with pytest.raises(httpx.RemoteProtocolError):
            await asking.post(PATH, content=b"break")


async def test_all_else_goes_through_the_router() -> None:
    """Another method, another path."""
    async with client() as asking:
        assert (await asking.get(PATH)).text == "GET elsewhere"
        assert (await asking.post(f"{PATH}/count_tokens")).text == "POST elsewhere"
