"""Calls our own HTTP API from within a request, as the same caller."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.types import Message

from rememberd.http.request import NOTED
from rememberd.telemetry.metrics import counter
from rememberd.types import MemoryMode

log = logging.getLogger("rememberd.mcp")

REFUSED = counter(
    "rememberd_mcp_refused",
    "Requests of MCP clients that asked for what there is not, or wrongly.",
    "reason",
    *("arguments", "paused", "prompt", "resource", "tool"),
)

_OF_THE_BODY = frozenset((b"content-length", b"content-type", b"content-encoding", b"transfer-encoding", b"accept"))


ASKING = "rememberd.mcp"  # in an ASGI scope


@dataclass(frozen=True, slots=True)
class McpContext:
    """What a model may get: nothing if its user has `paused` the memory, no more than the app is `allowed`, and no
    text that is `withheld`, because it is unknown whether a model that uses MCP runs on the operator's machines."""

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
        """The message of an error."""
        return str(self.json["error"]["message"])


def count_refused(reason: str) -> None:
    """Log a client's mistake as information, without its words."""
    REFUSED.labels(reason).inc()
    log.info("an MCP client's request was refused: %s", reason)


async def call(request: Request, method: str, path: str, body: bytes) -> Answer:
    """What the app answers to `method path` with the headers of `request`: identity, key and origin are theirs. A
    defect of ours is an answer, too."""
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

    try:
        await request.app(scope, receive, send)
    except Exception:  # the app raises again what it has answered with 500, for the server's log
        if not status:
            raise
        log.exception("an error of the proxy in a call by MCP")
    return Answer(status, b"".join(chunks).decode())
