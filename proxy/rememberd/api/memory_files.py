"""`/v1/memories/import*` and `/v1/memories/export`, in every format. An import can be previewed, and undone as a
whole."""

import asyncio
import io
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from rememberd import __version__
from rememberd.access.groups import may_change
from rememberd.api.dependencies import CallerResolver, contributed
from rememberd.api.import_preview import foresee_batch
from rememberd.api.import_turns import enqueue_import
from rememberd.api.import_undo import record, undo
from rememberd.api.imported_lines import Batch, numbered_lines, read_lines
from rememberd.api.memory_tool import change, lines, read
from rememberd.api.memory_tool_commands import Files, ToolError
from rememberd.api.memory_writes import MemoryWrites
from rememberd.api.serializers import memory_json, rfc3339, switch_from
from rememberd.errors import RequestError
from rememberd.http.request import note
from rememberd.http.responses import json_response
from rememberd.memory.ids import imported_id
from rememberd.memory.importers import mem_bundle, pam
from rememberd.memory.importers.files import FORMATS, opened
from rememberd.memory.importers.records import BadFile
from rememberd.ports import ReceiptStore, ToolFileStore
from rememberd.telemetry.clock import wall_clock
from rememberd.types import Identity, Memory, Millis, Space, Turn

_PAGE = 100
_NAME = 80  # characters of an uploaded file's name, from its end
_IMPORT_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_EXPORTS = ("ndjson", "pam", "mem")


@dataclass(eq=False)
class MemoryFiles:
    caller: CallerResolver
    writes: MemoryWrites
    receipts: ReceiptStore
    tool_files: ToolFileStore
    redact_too: tuple[str, ...] = ()

    async def read(self, request: Request) -> Response:
        """Another tool's file as lines that `import_` takes; the last one is `{"read": {"format", "unreadable",
        "error"}}`. Writes nothing."""
        self.caller.identity(request)
        wanted = request.query_params.get("format", "auto")
        if wanted not in FORMATS:
            raise _bad_format(FORMATS)
        raw = await self.caller.body(request)
        name = Path(request.query_params.get("name", "")).name[-_NAME:]
        lines = iterate_in_threadpool(_lines_of(raw, name, wanted))
        return StreamingResponse(lines, media_type="application/x-ndjson")

    async def import_(self, request: Request) -> Response:
        """A line is a memory; or, with `user`, a turn of a conversation, from which the writer learns as usual. With
        `dry_run` nothing is written and the answer says what would be; with `import_id` it can be undone."""
        space, now = self.caller.memories(request), wall_clock()
        identity = self.caller.identity(request, counts=False)
        raw = await self.caller.body(request)
        errors: list[dict[str, Any]] = []
        turns: list[Turn] = []
        foreseen: list[dict[str, Any]] = []
        added: list[str] = []
        merged = files = 0
        dry_run = switch_from(request.query_params.get("dry_run"), "dry_run")
        entries, import_id = numbered_lines(raw), _import_id(request)
        while batch := await asyncio.to_thread(
            read_lines, entries, space, now, self.redact_too, identity.contributor
        ):
            errors += batch.errors
            batch.memories[:] = [(id, contributed(identity, each)) for id, each in batch.memories]
            batch.turns[:] = [_of_member(each, identity) for each in batch.turns]
            turns += batch.turns
            known = await self._known(space, [id for id, _ in batch.memories])
            if dry_run:
                foreseen += await foresee_batch(self.writes, self.receipts, space, batch, known, now)
                continue
            new = [each for id, each in batch.memories if id not in known]
            outcome = await self.writes.merge(space, new, now)
            added += outcome.added
            merged += len(batch.memories) - len(outcome.added)
            files += await self._import_files(identity.space, batch, now, errors)
        if dry_run:
            return json_response({"object": "memories.import_preview", "data": foreseen, "errors": errors})
        if errors and not len(added) + merged + len(turns) + files:
            others = f"; {len(errors) - 1} more lines are refused, too" if errors[1:] else ""
            raise RequestError(400, "invalid_import", f"line {errors[0]['line']}: {errors[0]['message']}{others}")
        note(request.scope, count=len(added) + merged + len(turns))
        await self.writes.block_cache.bump(space)
        taken = await enqueue_import(turns, self.writes.queue, self.receipts, self.redact_too)
        if import_id is not None:
            await record(self.receipts, identity.space, import_id, [*added, *taken.queued], now)
        return json_response(
            {"object": "memories.imported", "added": len(added), "merged": merged, "turns": taken, "errors": errors}
        )

    async def undo(self, request: Request) -> Response:
        """Deletes everything that the import added, and makes current again what it had replaced."""
        space, import_id = self.caller.memories(request), request.path_params["id"]
        identity = self.caller.identity(request, counts=False)
        undone = await undo(
            self.writes.store,
            self.writes.embedder,
            self.receipts,
            space,
            identity.space,
            import_id,
            wall_clock(),
            partial(may_change, identity),
        )
        if undone is None:
            raise RequestError(
                404, "import_not_found", f"you have no import {import_id[:64]!r}, or it is too long ago"
            )
        await self.writes.block_cache.erase(space.user)
        note(request.scope, count=undone.deleted)
        return json_response({"object": "import.undone", "id": import_id, **undone._asdict()})

    async def export(self, request: Request) -> Response:
        space, form = self.caller.memories(request, reads=True), request.query_params.get("format", "ndjson")
        if form not in _EXPORTS:
            raise _bad_format(_EXPORTS)
        pages = self.writes.store.pages(space, now=wall_clock(), limit=_PAGE, include_past=True)
        first = await anext(pages)  # now, so that a store that does not answer changes the status
        if form == "ndjson":
            files = await read(self.tool_files, self.caller.identity(request, counts=False).space)
            return StreamingResponse(_ndjson(request, first, pages, files), media_type="application/x-ndjson")
        memories = [memory_json(each) for each in first]
        async for page in pages:
            memories += [memory_json(each) for each in page]
        note(request.scope, count=len(memories))
        at = rfc3339(wall_clock()) or ""
        if form == "pam":
            return Response(pam.document(memories, space.user, at, __version__), media_type="application/json")
        return Response(mem_bundle.archive(memories, at, __version__), media_type="application/zip")

    async def _import_files(self, space: Space, batch: Batch, began: Millis, errors: list[dict[str, Any]]) -> int:
        """Adds the files whose path is not used yet. Returns how many files were read."""

        def add(files: Files) -> str:
            files |= {path: text for path, text in batch.files.items() if path not in files}
            return ""

        try:
            await change(self.tool_files, space, began, add, self.redact_too)
        except ToolError as error:
            errors.append({"line": 0, "message": str(error)})
        return len(batch.files)

    async def _known(self, space: Space, ids: list[str]) -> set[str]:
        """The ids of memories that are here or were deleted here. Such a line is of the user's own export, and
        changes nothing."""
        named = [each for each in ids if each]
        here = {each.id for each in await self.writes.store.get(space, named)}
        return here | set(await self.writes.store.deleted_at(space, named))


def _of_member(turn: Turn, identity: Identity) -> Turn:
    """In a group the turn gets an id of its own: another member may have imported the same exchange."""
    if identity.group is None:
        return turn
    own = imported_id(identity.space, turn.source.conversation, turn.id)
    return replace(turn, id=own, receipt=f"imp_{own}", contributor=identity.user)


def _lines_of(raw: bytes, name: str, wanted: str) -> Iterator[bytes]:
    told: dict[str, Any] = {"format": wanted, "unreadable": [], "error": None}
    try:
        with opened(io.BytesIO(raw), wanted, name) as exports:
            for export in exports:
                for line in export.lines():
                    yield orjson.dumps(line) + b"\n"
                told["format"] = export.format
                told["unreadable"] += export.unreadable
    except BadFile as error:
        told["error"] = str(error)
    yield orjson.dumps({"read": told}) + b"\n"


async def _ndjson(
    request: Request, page: list[Memory], pages: AsyncIterator[list[Memory]], files: Files
) -> AsyncIterator[bytes]:
    count = 0
    while True:
        count += len(page)
        note(request.scope, count=count)
        for memory in page:
            yield orjson.dumps(memory_json(memory)) + b"\n"
        try:
            page = await anext(pages)
        except StopAsyncIteration:
            break
    for file in lines(files):
        yield orjson.dumps(file) + b"\n"


def _bad_format(known: Sequence[str]) -> RequestError:
    return RequestError(400, "invalid_format", f"`format` must be one of {', '.join(known)}", param="format")


def _import_id(request: Request) -> str | None:
    given = request.query_params.get("import_id")
    if given is not None and not _IMPORT_ID.fullmatch(given):
        message = "`import_id` must be 1 to 64 letters, digits and dashes"
        raise RequestError(400, "invalid_import", message, param="import_id")
    return given
