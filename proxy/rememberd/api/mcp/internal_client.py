"""A call of our own HTTP API from within a request, as the same caller."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.types import Message

from rememberd.http.request import NOTED
from rememberd.types import MemoryMode

_OF_THE_BODY = frozenset((b"content-length", b"content-type", b"content-encoding", b"transfer-encoding", b"accept"))


ASKING = "rememberd.mcp"  # in an ASGI scope


@dataclass(frozen=True, slots=True)
class McpContext:
    """What a model may have: nothing while its user has paused the memory, no more than is `allowed` to the app, and
    no text that is `withheld`, because nobody can tell whether a model that asks by MCP runs on the operator's
    machines."""

    paused: bool
    allowed: MemoryMode
    withheld: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    text: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.text)

    @property
    def message(self) -> str:
        """Of an error."""
        return str(self.json["error"]["message"])


async def call(request: Request, method: str, path: str, body: bytes) -> Answer:
    """What the app answers to `method path` with the headers of `request`: identity, key and origin are theirs."""
    plain, _, query = path.partition("?")
    headers = [(name, value) for name, value in request.scope["headers"] if name not in _OF_THE_BODY]
    scope = {
        **request.scope,
        "method": method,
        "path": plain,
        "raw_path": plain.encode(),
        "query_string": query.encode(),
        "headers": [*headers, (b"content-type", b"application/json")],
    }
    for name in ("endpoint", "path_params", "route", NOTED):
        scope.pop(name, None)
    received = [{"type": "http.request", "body": body}]
    status, chunks = 0, list[bytes]()

    async def receive() -> Message:
        return received.pop() if received else await asyncio.Future()

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        chunks.append(message.get("body", b""))

    await request.app(scope, receive, send)
    return Answer(status, b"".join(chunks).decode())
