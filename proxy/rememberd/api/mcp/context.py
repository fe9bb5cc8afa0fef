"""Calls our own HTTP API for a request by MCP."""

from dataclasses import dataclass
from typing import Any

import orjson
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS
from starlette.requests import Request

from rememberd.api.mcp.internal_client import ASKING, Answer, McpContext, call, count_refused

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


def refused(reason: str, message: str, *, code: int = INVALID_PARAMS, data: Any = None) -> MCPError:
    """The protocol's error for what the client got wrong."""
    count_refused(reason)
    return MCPError(code, message, data)


def asking(context: Context) -> McpContext:
    assert context.request is not None  # over HTTP there always is one
    found: McpContext = context.request.scope[ASKING]
    return found
