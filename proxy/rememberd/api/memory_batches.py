"""Many memories at once: delete them after showing which ones, restore deleted ones, pin them or mark them private,
move them to another scope."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rememberd.access.groups import may_change
from rememberd.api.dependencies import CallerResolver, contributed, until_checked
from rememberd.api.memory_writes import MemoryWrites
from rememberd.api.serializers import memory_from, memory_json, text_from
from rememberd.errors import RequestError
from rememberd.http.request import note
from rememberd.http.responses import json_response
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.history import version_ids
from rememberd.memory.ids import episode_id, fact_id
from rememberd.memory.learn.forget import going, related
from rememberd.telemetry.clock import wall_clock
from rememberd.types import Identity, Memory, Millis, Space

_MARKS = {"pinned", "private"}
_MOST = 500  # memories a call
_LONGEST = 10_000_000  # characters; an exchange may be long, and what was deleted comes back whole


@dataclass(eq=False)
class MemoryBatches:
    caller: CallerResolver
    writes: MemoryWrites
    redact_too: tuple[str, ...] = ()

    async def delete(self, request: Request) -> Response:
        """With `dry_run` the answer shows what would be deleted. The answer is sufficient to restore the memories. A
        key that may not read gets ids only."""
        space, fields = self.caller.memories(request), await self.caller.fields(request)
        memories = await self._going(request, space, fields)
        if fields.get("dry_run") is not True:
            ids = [each.id for each in memories]
            await self.writes.store.delete(space, ids, at=wall_clock())
            await self.writes.block_cache.erase(space.user)  # also for a tool loop that is under way
            note(request.scope, count=len(ids))
        asked = set(fields["ids"])
        data = [self.caller.told(request, _whole_json(each) | {"asked": each.id in asked}) for each in memories]
        return json_response({"object": "memories.deleted", "dry_run": fields.get("dry_run") is True, "data": data})

    async def restore(self, request: Request) -> Response:
        """Restores memories that were deleted here, from the answer of the deletion, under their own ids."""
        space, fields, now = self.caller.memories(request), await self.caller.fields(request), wall_clock()
        identity = self.caller.identity(request, counts=False)
        given = fields.get("memories")
        if not isinstance(given, list) or not given or not all(isinstance(each, dict) for each in given):
            raise _bad("memories", "must be the memories that a deletion answered")
        deleted = await self.writes.store.deleted_at(space, [str(each.get("id")) for each in given])
        ours = [each for each in given if str(each.get("id")) in deleted]
        restored = await asyncio.to_thread(lambda: [self._restored(each, space, now) for each in ours])
        memories = [contributed(identity, each) for each in restored]
        await self._put(identity, memories, now)
        note(request.scope, count=len(memories))
        return json_response({"object": "memories.restored", "restored": len(memories)})

    async def edit(self, request: Request) -> Response:
        """Pins, unpins, marks private or not. What says the same as a memory that becomes private is marked, too. To
        undo it, send as `changes` the `id` and the `before` of each memory in the answer."""
        space, now = self.caller.memories(request), wall_clock()
        changes = _changes(await self.caller.fields(request))
        old = {each.id: each for each in await self.writes.store.get(space, list(changes))}
        for memory in [
            each for each in old.values() if changes[each.id].get("private", each.private) != each.private
        ]:
            for other in await related(self.writes.store, self.writes.embedder, space, memory, now):
                if other.id not in changes:
                    changes[other.id], old[other.id] = {"private": not memory.private}, other
        self.caller.refuse_others(request, old.values())
        new = [replace(each, **changes[each.id], updated_at=max(now, each.updated_at + 1)) for each in old.values()]
        for each in new:
            self.caller.refuse_to_members(request, old[each.id], each)
        await self._put_edited(space, new, now)
        note(request.scope, count=len(new))
        before = {id: {name: getattr(each, name) for name in changes[id]} for id, each in old.items()}
        data = [self.caller.told(request, memory_json(each) | {"before": before[each.id]}) for each in new]
        return json_response({"object": "memories.edited", "data": data})

    async def _put_edited(self, space: Space, memories: Sequence[Memory], began: Millis) -> None:
        """One that is deleted meanwhile stays deleted."""
        store = self.writes.store
        points = {each.id: await to_point(each, self.writes.embedder) for each in memories}
        here = await store.get(space, list(points))
        await store.put(space, [points[each.id] for each in here])
        for user in {each.contributor for each in here}:
            await self.writes.undo_if_erased(space, [each.id for each in here], began, user)
        left = {each.id for each in await store.get(space, list(points))}
        if gone := [each.id for each in here if each.id not in left]:
            await store.delete(space, gone, at=0)
        await self.writes.block_cache.erase(space.user)

    async def move(self, request: Request) -> Response:
        """Exchanges that say the same are moved, too: otherwise the memory could still be found in the old scope."""
        space, fields, now = self.caller.memories(request), await self.caller.fields(request), wall_clock()
        mover = self.caller.of_scope(request, str(fields.get("scope") or ""))
        target = mover.memories
        if target == space:
            raise _bad("scope", "must be another scope than the one in which the memories are")
        memories = await self._going(request, space, fields)
        new_ids = _ids_in(target, memories, mover.contributor)
        moved = {each.id: replace(contributed(mover, each), id=new_ids[each.id], updated_at=now) for each in memories}
        await self._put(mover, list(moved.values()), now)
        await self.writes.store.delete(space, list(moved), at=wall_clock())
        await self.writes.block_cache.erase(space.user)
        note(request.scope, count=len(moved))
        ids = {old: new.id for old, new in moved.items()}
        return json_response({"object": "memories.moved", "scope": target.scope, "ids": ids})

    async def _going(self, request: Request, space: Space, fields: dict[str, Any]) -> list[Memory]:
        ids = fields.get("ids")
        if not isinstance(ids, list) or not 0 < len(ids) <= _MOST or not all(isinstance(each, str) for each in ids):
            raise _bad("ids", f"must be a list of 1 to {_MOST} ids of memories")
        found: dict[str, Memory] = {}
        for each in ids:
            if each not in found:
                memories = await going(self.writes.store, self.writes.embedder, space, each, wall_clock())
                found |= {memory.id: memory for memory in memories}
        self.caller.refuse_others(request, [found[each] for each in ids if each in found])
        return list(found.values())

    def _restored(self, given: dict[str, Any], space: Space, now: Millis) -> Memory:
        stated = memory_from(given | {"text": "-"}, space, now, self.redact_too)
        text = text_from(given.get("text"), self.redact_too, longest=_LONGEST)
        slot, speaker = given.get("slot"), given.get("speaker")
        return replace(
            stated,
            id=str(given["id"]),
            text=text,
            slot=slot if isinstance(slot, str) else None,
            speaker=speaker if isinstance(speaker, str) else None,
            updated_at=now,  # later than its tombstone
        )

    async def _put(self, identity: Identity, memories: list[Memory], now: Millis) -> None:
        """Raises `RequestError` 403 if a memory would replace one of another member that the caller may not
        change."""
        space = identity.memories
        known = await self.writes.store.get(space, [each.id for each in memories]) if identity.group else []
        others = {each.id: each.text for each in known if not may_change(identity, each)}
        if any(others.get(each.id, each.text) != each.text for each in memories):
            raise RequestError(403, "not_yours", f"another member of {identity.scope} has contributed one of these")
        memories = [each for each in memories if each.id not in others]  # the group knows the others
        if memories:
            memories = await asyncio.to_thread(lambda: [until_checked(identity, each) for each in memories])
            await self.writes.store.put(space, [await to_point(each, self.writes.embedder) for each in memories])
            for user in {each.contributor for each in memories}:
                await self.writes.undo_if_erased(space, [each.id for each in memories], now, user)
        await self.writes.block_cache.bump(space)


def _changes(fields: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The requested marks of each memory, by its id. Raises `RequestError` 400."""
    given = fields.get("changes")
    if not isinstance(given, list) or not 0 < len(given) <= _MOST or not all(map(_is_change, given)):
        message = f"must be a list of 1 to {_MOST} objects with an `id`, and `pinned` or `private` as true or false"
        raise _bad("changes", message)
    return {each["id"]: {name: value for name, value in each.items() if name != "id"} for each in given}


def _is_change(given: Any) -> bool:
    if not isinstance(given, dict) or not isinstance(given.get("id"), str):
        return False
    marks = given.keys() - {"id"}
    return bool(marks) and marks <= _MARKS and all(isinstance(given[name], bool) for name in marks)


def _whole_json(memory: Memory) -> dict[str, Any]:
    return memory_json(memory) | {"speaker": memory.speaker}


def _ids_in(space: Space, memories: Sequence[Memory], contributor: str | None) -> dict[str, str]:
    """The new id of each memory, by its old id: the id that it would have if it had been said in `space`. Its earlier
    texts move with it."""
    ids: dict[str, str] = {}
    for each in memories:
        turn = each.evidence.turn_id if each.evidence else None
        if each.kind == "fact":
            new = fact_id(space, each.text, contributor=contributor)
        else:
            new = episode_id(space, turn or each.text, contributor=None if turn else contributor)
        ids.setdefault(each.id, new)
        ids |= dict(zip(version_ids(each.id), version_ids(ids[each.id]), strict=True))
    return ids


def _bad(param: str, message: str) -> RequestError:
    return RequestError(400, "invalid_batch", f"`{param}` {message}", param=param)
