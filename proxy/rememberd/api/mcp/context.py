"""How a request by MCP asks our own HTTP API."""

from dataclasses import dataclass
from typing import Any

import orjson
from mcp.server.context import ServerRequestContext
from starlette.requests import Request

from rememberd.api.mcp.internal_client import ASKING, Answer, McpContext, call

Context = ServerRequestContext[Any, Request]


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A call of the HTTP API."""

    method: str
    path: str
    body: dict[str, Any] | None = None


async def ask(context: Context, asked: ApiCall) -> Answer:
    assert context.request is not None  # over HTTP there always is one
    body = b"" if asked.body is None else orjson.dumps(asked.body)
    return await call(context.request, asked.method, asked.path, body)


async def read(context: Context, path: str) -> Any:
    """The JSON at `path`. Raises `ValueError` with the API's own words, or if the user has paused the memory."""
    if asking(context).paused:
        raise ValueError("the user has paused the memory")
    answer = await ask(context, ApiCall("GET", path))
    if answer.status >= 400:
        raise ValueError(answer.message)
    return answer.json


def asking(context: Context) -> McpContext:
    assert context.request is not None  # over HTTP there always is one
    found: McpContext = context.request.scope[ASKING]
    return found
