"""`/v1/memories/files`: stores the files of Anthropic's memory tool."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import orjson
from starlette.requests import Request
from starlette.responses import Response

from rememberd.api.dependencies import CallerResolver
from rememberd.api.memory_tool_commands import Files, ToolError, check, run
from rememberd.errors import RequestError
from rememberd.http.request import note
from rememberd.http.responses import json_response
from rememberd.memory.safety.redact import redact
from rememberd.ports import PreferenceStore, ToolFileStore
from rememberd.telemetry.clock import wall_clock
from rememberd.types import Millis, Space

_TRIES = 50  # of a change while others change the files, too


@dataclass(eq=False)
class MemoryTool:
    caller: CallerResolver
    files: ToolFileStore
    preferences: PreferenceStore
    redact_too: tuple[str, ...] = ()

    async def run(self, request: Request) -> Response:
        """The body is the `input` of the model's `tool_use`; `content` and `is_error` are for its `tool_result`."""
        space, began = self.caller.space(request), wall_clock()
        given = await self.caller.fields(request)
        if (await self.preferences.of(space)).paused:
            return _result("Error: the user has paused the memory: continue without it", is_error=True)
        try:
            return _result(await change(self.files, space, began, lambda files: run(files, given), self.redact_too))
        except ToolError as error:
            return _result(str(error), is_error=True)

    async def list(self, request: Request) -> Response:
        files = await read(self.files, self.caller.space(request))
        note(request.scope, count=len(files))
        return json_response({"object": "list", "data": [*lines(files)]})


async def read(store: ToolFileStore, space: Space) -> Files:
    """Raises `QueueUnavailable`."""
    _, body = await store.get(space)
    return _parsed(body)


async def change(
    store: ToolFileStore, space: Space, began: Millis, work: Callable[[Files], str], redact_too: Collection[str] = ()
) -> str:
    """Apply `work` to the files, store them without secrets, and return its result. `work` is called again if
    somebody else changes a file of this space meanwhile. Raises `ToolError`; `RequestError` 409 if the user was
    erased since `began`; `QueueUnavailable`."""
    for _ in range(_TRIES):
        version, body = await store.get(space)
        before = _parsed(body)
        after = dict(before)
        said = work(after)
        if after == before:
            return said
        check(after)
        new = {path: text for path, text in after.items() if before.get(path) != text}
        after |= await asyncio.to_thread(_redacted, new, redact_too)
        if await store.put(space, version, orjson.dumps(after), at=began):
            return said
    raise RequestError(409, "files_changed", "the user was erased, or others changed the files: send it again")


def lines(files: Files) -> Iterable[dict[str, str]]:
    """The files in the format of lists and exports."""
    return ({"object": "memory.file", "path": path, "text": text} for path, text in sorted(files.items()))


def _redacted(files: Files, redact_too: Collection[str]) -> Files:
    return {path: redact(text, redact_too).text for path, text in files.items()}


def _parsed(body: bytes) -> Files:
    return dict(orjson.loads(body)) if body else {}


def _result(content: str, *, is_error: bool = False) -> Response:
    return json_response({"object": "memory.tool_result", "content": content, "is_error": is_error})
