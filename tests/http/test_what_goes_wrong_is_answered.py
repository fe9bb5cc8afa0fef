"""Promise: what goes wrong on a chat path is answered in its dialect and counted with its status."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rememberd.access.audit_log import ENTRIES, AuditLog, AuditMiddleware
from rememberd.errors import RequestError, UpstreamUnavailable
from rememberd.http.app import REQUESTS, AnswerMiddleware, App
from rememberd.http.request import note
from rememberd.telemetry.logs import Text
from rememberd.telemetry.metrics import flush
from tests.support.loopback import serving
from tests.support.tables import each_row

PATH = "/v1/messages"
WORDS = "Kongsvinger"  # what no line of the log may quote
WHOLE = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]}


class Chat:
    """A handler that fails in the way that the body of the request names."""

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


class Broken:
    """ASGI middleware that fails before the app is called, or while its answer is sent, if the request says so."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        when = dict(scope["headers"]).get(b"x-fails", b"never").decode()

        async def watch(message: Message) -> None:
            if message["type"] == when:
                raise ValueError(WORDS)
            await send(message)

        if when == "before":
            raise ValueError(WORDS)
        await self.app(scope, receive, watch)
        if when == "after":
            raise ValueError(WORDS)


class BrokenLog(AuditLog):
    def record(self, entry: Mapping[str, Any]) -> None:
        raise ValueError(WORDS)


async def added(request: Request) -> Response:
    note(request.scope, whose="ada")
    return PlainTextResponse("added", 201)


def layered(tmp_path: Path) -> App:
    """As the product's: layers around the one that answers exceptions."""
    own = [
        Route("/v1/memories", added, methods=["POST"]),
        Route(PATH, Chat(), methods=["POST"]),
        Route("/{path:path}", elsewhere, methods=["GET", "POST"]),
    ]
    layers = [Middleware(AuditMiddleware, log=BrokenLog(tmp_path)), Middleware(Broken), Middleware(AnswerMiddleware)]
    return App(routes=own, middleware=layers)


@each_row(
    ("path", "said"),
    [
        (PATH, '{"type":"error","error":{"type":"api_error","message":"an internal error of the proxy'),
        ("/v1/chat/completions", '{"error":{"message":"an internal error of the proxy'),
        ("/v1/memories", '{"error":{"message":"an internal error of the proxy'),
        ("/signin/callback", "an internal error of the proxy; its log has the details"),
        ("/signin", "an internal error of the proxy; its log has the details"),
    ],
)
async def test_an_error_outside_of_the_handlers_is_answered_too(tmp_path: Path, path: str, said: str) -> None:
    """Of whatever layer: in the shape of the path, with the request's id, counted; a browser gets text. The server's
    log has the error with that id, in a line without its words."""
    lines = StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(Text())
    async with serving(layered(tmp_path)) as url, httpx.AsyncClient(base_url=url.removesuffix("/v1")) as asking:
        server = logging.getLogger("uvicorn.error")
        first = logging.StreamHandler(StringIO())  # the library's own formatter keeps the whole text in the record
        server.addHandler(first)
        server.addHandler(handler)
        server.setLevel(logging.ERROR)
        before = counted("other", 500)
        answer = await asking.post(path, content=b"", headers={"X-Fails": "before", "X-Request-Id": "mine-1"})
        assert (answer.status_code, answer.text[: len(said)]) == (500, said)
        assert answer.headers["x-request-id"] == "mine-1"
        assert counted("other", 500) == before + 1
        assert "[mine-1]" in lines.getvalue()
        assert "builtins.ValueError" in lines.getvalue()
        assert WORDS not in lines.getvalue() + answer.text
        for late in ("http.response.body", "after"):
            with suppress(httpx.RemoteProtocolError):  # cut, as nothing more can be said
                await asking.post(PATH, content=b"", headers={"X-Fails": late})
        assert counted("other", 500) == before + 1
        assert (await asking.post(PATH, content=b"bug")).json()["type"] == "error"
        server.removeHandler(handler)
        server.removeHandler(first)


async def test_what_was_done_is_told_whatever_becomes_of_the_audit_log(tmp_path: Path) -> None:
    """The entry that is lost is counted."""
    async with serving(layered(tmp_path)) as url, httpx.AsyncClient(base_url=url) as asking:
        before = ENTRIES.labels("lost")._value.get()
        answer = await asking.post("/memories", content=b"")
        assert (answer.status_code, answer.text) == (201, "added")
        assert ENTRIES.labels("lost")._value.get() == before + 1


async def test_an_answer_that_breaks_off_is_no_whole_one() -> None:
    """Once something was sent there is no room for an error: the connection is cut."""
    async with client() as asking:
        with pytest.raises(httpx.RemoteProtocolError):
            await asking.post(PATH, content=b"break")


async def test_all_else_goes_through_the_router() -> None:
    """Requests with another method or another path."""
    async with client() as asking:
        assert (await asking.get(PATH)).text == "GET elsewhere"
        assert (await asking.post(f"{PATH}/count_tokens")).text == "POST elsewhere"
