"""`/v1/memories*`: users list, correct and delete their own memories."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rememberd.api.dependencies import CallerResolver, contributed
from rememberd.api.mcp.visible import Visible, visibility, visible_page
from rememberd.api.memory_filters import FILTERS, memory_filter, wants_past
from rememberd.api.memory_writes import MemoryWrites
from rememberd.api.serializers import (
    flag_from,
    limit_from,
    memory_from,
    memory_json,
    parts_json,
    refuse_unknown,
    text_from,
    time_from,
    unknown_memory,
)
from rememberd.errors import RequestError
from rememberd.http.request import note
from rememberd.http.responses import json_response
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.history import earlier_text
from rememberd.memory.learn.forget import forget, related
from rememberd.memory.learn.rules.extract import slot_of
from rememberd.memory.recall.recall import Recall
from rememberd.memory.safety.quarantine import injection_reason
from rememberd.telemetry.clock import wall_clock
from rememberd.types import NEVER, Identity, Kind, Memory, Space

_PAGE = 100
_ATTEMPTS = 3  # to edit a memory that the writer changes at the same time
_ALL = 10_000  # more than the store returns for any question
_ADD_FIELDS = frozenset({"text", "kind", "pinned", "private", "expires_at"})
_EDIT_FIELDS = frozenset({"text", "pinned", "private", "expires_at", "valid_to"})
_KINDS: dict[str, Kind] = {"fact": "fact", "episode": "episode"}


class Memories:
    def __init__(
        self,
        caller: CallerResolver,
        writes: MemoryWrites,
        recall: Recall,
        erase_user: Callable[[str], Awaitable[int]],
        redact_too: tuple[str, ...] = (),
    ) -> None:
        self.caller, self.writes, self.recall, self.erase_user = caller, writes, recall, erase_user
        self.store, self.embedder, self.block_cache = writes.store, writes.embedder, writes.block_cache
        self.redact_too = redact_too

    async def page(self, request: Request) -> Response:
        space, asked = self.caller.memories(request, reads=True), request.query_params
        limit = limit_from(asked.get("limit"), _PAGE)
        kind = asked.get("kind")
        if kind is not None and kind not in _KINDS:
            raise RequestError(400, "invalid_kind", "`kind` must be fact or episode", param="kind")
        past, wanted, meets = wants_past(asked), asked.get("q", "").casefold(), memory_filter(asked)
        only = _KINDS[kind] if kind else None

        def list_page(limit: int, cursor: str | None) -> Awaitable[tuple[list[Memory], str | None]]:
            return self.store.page(space, limit=limit, now=wall_clock(), cursor=cursor, kind=only, include_past=past)

        def holds(memory: Memory) -> bool:
            return wanted in memory.text.casefold() and meets(memory)

        cursor, visible = asked.get("cursor") or None, visibility(request)
        if visible or wanted or not FILTERS.isdisjoint(asked):
            shown = visible or (lambda memory: True)
            found, cursor = await visible_page(list_page, lambda each: shown(each) and holds(each), limit, cursor)
        else:
            found, cursor = await list_page(limit, cursor)
        note(request.scope, count=len(found))
        return json_response({"object": "list", "data": [memory_json(m) for m in found], "next_cursor": cursor})

    async def add(self, request: Request) -> Response:
        space, identity = self.caller.memories(request), self.caller.identity(request, counts=False)
        fields = await self.caller.fields(request)
        refuse_unknown(fields, _ADD_FIELDS)
        stated = await asyncio.to_thread(_stated, fields, identity, self.redact_too)
        memory = contributed(identity, stated)
        outcome = await self.writes.merge(space, [memory], memory.created_at)
        await self.block_cache.bump(space)
        kept = await self.store.get(space, [*outcome.added, *outcome.touched])
        if not kept:
            raise RequestError(409, "not_kept", "this memory could not be added; list the memories to see why")
        visible = visibility(request)
        # If the memory is already known and hidden from this model, the answer contains only what the model sent.
        told = kept[0] if visible is None or kept[0].valid_to == NEVER or visible(kept[0]) else memory
        return json_response(self.caller.told(request, memory_json(told)))

    async def search(self, request: Request) -> Response:
        space = self.caller.memories(request, reads=True)
        fields = await self.caller.fields(request)
        asked = fields.get("query")
        if not isinstance(asked, str) or not asked.strip():
            raise RequestError(400, "missing_query", "`query` must be a text that is not empty", param="query")
        query = await asyncio.to_thread(text_from, asked)
        limit = limit_from(fields.get("limit"), 10)
        visible, meets = visibility(request), memory_filter(fields)
        found = await self.recall.search(
            space, query, now=wall_clock(), limit=_ALL if visible or fields.keys() & FILTERS else limit
        )
        shown = [each for each in found if (not visible or visible(each.memory)) and meets(each.memory)][:limit]
        note(request.scope, count=len(shown))
        data = [memory_json(memory, score.cosine) | {"parts": parts_json(score)} for memory, score in shown]
        return json_response({"object": "list", "data": data})

    async def read(self, request: Request) -> Response:
        return json_response(memory_json(await self._one(request, self.caller.memories(request, reads=True))))

    async def edit(self, request: Request) -> Response:
        space = self.caller.memories(request)
        fields = await self.caller.fields(request)
        refuse_unknown(fields, _EDIT_FIELDS)
        for _ in range(_ATTEMPTS):
            old, new = await self._edited(request, space, fields)
            if await self._put_edited(space, old, new):
                break
        else:
            raise RequestError(409, "changed_meanwhile", "this memory is being changed; send the edit again")
        if "valid_to" in fields and new.valid_to is not None:
            new = await self._reopened(space, new)
        if (new.text, new.private, new.expires_at) == (old.text, old.private, old.expires_at):
            await self.block_cache.bump(space)
        else:
            await self.block_cache.erase(space.user)
        return json_response(self.caller.told(request, memory_json(new)))

    async def _edited(self, request: Request, space: Space, fields: Mapping[str, Any]) -> tuple[Memory, Memory]:
        """The memory as it is and as it is to be."""
        now = wall_clock()  # before reading, so that a deletion from now on is later than this edit
        old = await self._one(request, space)
        self.caller.refuse_others(request, [old])
        text = await asyncio.to_thread(text_from, fields["text"], self.redact_too) if "text" in fields else old.text
        if visible := visibility(request):
            _refuse_to_models(visible, old, text)
        new = replace(
            old,
            text=text,
            pinned=flag_from(fields, "pinned") if "pinned" in fields else old.pinned,
            private=flag_from(fields, "private") if "private" in fields else old.private,
            expires_at=time_from(fields, "expires_at") if "expires_at" in fields else old.expires_at,
            valid_to=None if "valid_to" in fields and old.valid_to == NEVER else old.valid_to,  # out of quarantine
            updated_at=max(now, old.updated_at + 1),
            told=old.told if text == old.text else (),
        )
        _only_null(fields.get("valid_to"))
        await asyncio.to_thread(self.caller.refuse_to_members, request, old, new)
        return old, new

    async def _put_edited(self, space: Space, old: Memory, new: Memory) -> bool:
        """False if the writer has changed the memory since it was read as `old`."""
        written = [new]
        if new.text != old.text:
            written.append(await earlier_text(self.store, space, old, new.updated_at))
        if new.private != old.private:  # related memories would still reveal it
            others = await related(self.store, self.embedder, space, old, new.updated_at)
            written += [replace(each, private=new.private, updated_at=new.updated_at) for each in others]
        points = [await to_point(each, self.embedder) for each in written]
        # It may have been deleted after this edit read it, but with an earlier time than that of the edit.
        current = await self.store.get(space, [new.id])
        if not current:
            raise unknown_memory(new.id)
        if current != [old]:
            return False
        await self.store.put(space, points)
        ids = [each.id for each in written]
        await self.writes.undo_if_erased(space, ids, new.updated_at)
        if not await self.store.get(space, [new.id]):  # deleted meanwhile: delete its earlier text, too
            await self.store.delete(space, ids, at=0)
            raise unknown_memory(new.id)
        return True

    async def _reopened(self, space: Space, memory: Memory) -> Memory:
        """Make a past memory current, as if it were said again: the value that had replaced it becomes past."""
        said = replace(memory, valid_to=None, created_at=memory.updated_at + 1)
        await self.writes.merge(space, [said], said.created_at)
        kept = await self.store.get(space, [memory.id])
        if not kept or kept[0].valid_to is not None:
            raise RequestError(409, "not_reopened", "something that says the same holds, or this is an exchange")
        return kept[0]

    async def delete(self, request: Request) -> Response:
        space, memory_id = self.caller.memories(request), request.path_params["id"]
        if (visible := visibility(request)) and not visible(await self._one(request, space)):
            raise unknown_memory(memory_id)
        self.caller.refuse_others(request, await self.store.get(space, [memory_id]))
        gone = await forget(self.store, self.embedder, space, memory_id, wall_clock)
        if not gone:
            raise unknown_memory(memory_id)
        note(request.scope, count=len(gone))
        await self.block_cache.erase(space.user)  # also for a running tool loop
        return json_response({"object": "memory.deleted", "id": memory_id, "deleted": True})

    async def erase(self, request: Request) -> Response:
        erased = await self.erase_user(self.caller.space(request, whole_user=True).user)
        note(request.scope, count=erased)
        return json_response({"object": "user.erased", "deleted": erased})

    async def _one(self, request: Request, space: Space) -> Memory:
        memory_id = request.path_params["id"]
        found = await self.store.get(space, [memory_id])
        if not found:
            raise unknown_memory(memory_id)
        return found[0]


def _stated(fields: Mapping[str, Any], identity: Identity, redact_too: Collection[str]) -> Memory:
    """A memory that a user adds. A long text may take a tenth of a second."""
    memory = memory_from(fields, identity.memories, wall_clock(), redact_too, identity.contributor)
    return replace(memory, slot=slot_of(memory.text)) if memory.kind == "fact" else memory


def _refuse_to_models(visible: Visible, old: Memory, text: str) -> None:
    """Raises `RequestError` if a model may not change `old`, or if `text` is an order to other models."""
    if not visible(old):
        raise unknown_memory(old.id)
    if text != old.text and (reason := injection_reason(text)):
        message = f"a model cannot write this: it {reason}; the user can, on the memory page"
        raise RequestError(400, "reads_like_an_order", message, param="text")


def _only_null(valid_to: Any) -> None:
    if valid_to is not None:
        message = (
            "`valid_to` can only be set to null: a past memory holds again; to end one, delete it or say what holds"
        )
        raise RequestError(400, "invalid_memory", message, param="valid_to")
