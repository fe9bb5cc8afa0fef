"""Provides the memory block of a chat: from the cache within a user turn, else by recall or by a memory command."""

import logging
import time
from dataclasses import replace

import orjson

from rememberd.access.groups import may_write
from rememberd.errors import QueueUnavailable
from rememberd.memory.learn.carry_out import Done, Reach
from rememberd.memory.learn.wishes.memory_commands import MemoryCommand, memory_command
from rememberd.memory.recall.recall import Recall, Recalled
from rememberd.pipeline.chat_request import CachePlace, ChatRequest, RecallResult, UserTurn, fitting
from rememberd.pipeline.commands import group_note, readers_note, run_command, with_note
from rememberd.ports import BlockCache

log = logging.getLogger("rememberd.chat")

_FRESH_MS = 600_000  # limited, because memories expire and "yesterday" changes while the stored memories do not


class BlockSource:
    """Makes the block of a request within `deadline_ms` and caches it for the later steps of the user turn."""

    def __init__(self, recall: Recall, cache: BlockCache, deadline_ms: int) -> None:
        self.recall, self.cache, self.deadline_ms = recall, cache, deadline_ms

    async def block(self, request: ChatRequest) -> RecallResult | None:
        """The block and its memories; None if this request does not use memory. The bytes stay the same within a user
        turn, unless the model's context has no more room for them."""
        if request.user_turn is None or request.mode == "write":
            return None
        room = request.room(request.deployments[0])
        if room is not None and room >= self.recall.budget_tokens:
            room = None
        return fitting(await self._block(request, request.user_turn, room), room)

    async def _block(self, request: ChatRequest, user_turn: UserTurn, room: int | None) -> RecallResult:
        place = await self._place(user_turn, request)
        cached = await self._cached_block(user_turn, request, place, room)
        if isinstance(cached, RecallResult):
            return cached
        command = self._command(request, user_turn)
        if command is not None:
            done = await self._carried_out(command, request, user_turn)
            if not command.sure and not done.gone:
                command = None
            elif command.kind != "remember":  # do not recall what the user asked to forget
                return await self._with_version(with_note(Recalled("hit"), done.note), done.gone, user_turn, request)
        recalled = await self.recall.recall(
            user_turn.identity.memories,
            user_turn.asked.text,
            now=request.at,
            turn_id=user_turn.turn_id,
            conversation=user_turn.identity.conversation,
            previous=user_turn.asked.previous,
            private=request.local,
            offset=request.offset,
            groups=user_turn.identity.looks_into,
            room=room,
            late=request.late,
        )
        recalled = replace(recalled, room=room)
        if user_turn.group_wish is not None and request.mode == "on":
            recalled = with_note(recalled, group_note(user_turn.group_wish, user_turn.identity.looks_into))
        elif command is not None:
            recalled = with_note(recalled, done.note)
        return RecallResult(recalled, None if recalled.status == "degraded" else cached)

    def _command(self, request: ChatRequest, user_turn: UserTurn) -> MemoryCommand | None:
        """The user's command to the memory, except "show". A later step of a tool loop gives no new command."""
        if request.mode != "on" or user_turn.asked.continues or user_turn.group_wish is not None:
            return None
        command = memory_command(user_turn.asked.text, user_turn.asked.previous)
        if command is None or command.kind == "show":
            return None
        return command

    async def _carried_out(self, command: MemoryCommand, request: ChatRequest, user_turn: UserTurn) -> Done:
        identity = user_turn.identity
        if not may_write(identity):
            return Done((), readers_note(identity.scope))
        reach = Reach(identity.user, identity.memories, identity.contributes_to)
        return await run_command(
            command,
            self.recall.store,
            self.recall.embedder,
            self.cache,
            reach,
            request.at,
            deadline_ms=self.deadline_ms,
            shown=lambda memory: request.local or not self.recall.privacy.keeps(reach.place(memory), memory),
            earlier=user_turn.earlier,
            offset=request.offset,
        )

    async def _with_version(
        self, recalled: Recalled, forgotten: tuple[str, ...], user_turn: UserTurn, request: ChatRequest
    ) -> RecallResult:
        """To be cached for the steps of a tool loop, under the version after the deletion."""
        cached = await self._cached_block(user_turn, request, await self._place(user_turn, request))
        return RecallResult(recalled, None if isinstance(cached, RecallResult) else cached, forgotten)

    async def _place(self, user_turn: UserTurn, request: ChatRequest) -> CachePlace | None:
        """Where the block is cached. It changes when a group's memory is deleted, so that a running tool loop does
        not continue with that memory."""
        try:
            shared = user_turn.identity.shared
            versions = await self.cache.versions(shared) if shared else []
        except QueueUnavailable as error:
            log.warning("no cached blocks: %s", error)
            return None
        deletions = " ".join(str(floor) for _, floor in versions)
        key = user_turn.key(local=request.local, deletions=deletions)
        return CachePlace(key, [version for version, _ in versions])

    async def _cached_block(
        self, user_turn: UserTurn, request: ChatRequest, place: CachePlace | None, room: int | None = None
    ) -> RecallResult | CachePlace | None:
        """The cached block, if it is still valid. In a tool loop on the same message it is valid; else only for
        `_FRESH_MS`, if neither the memories nor the time zone have changed and a block cut to its room would get no
        more room now. It is never valid if one of its memories has expired or it needs more than `room`.

        If it is not valid: where to cache the next block; None if nothing can be cached."""
        began = time.perf_counter()
        if place is None:
            return None
        try:
            version, found = await self.cache.get(user_turn.space, place.key)
        except QueueUnavailable as error:
            log.warning("no cached blocks: %s", error)
            return None
        if found is None:
            return place._replace(version=version)
        at, shared, offset, fields = orjson.loads(found[1])
        recalled = Recalled(**fields | {name: tuple(fields.get(name, ())) for name in ("ids", "reasons", "groups")})
        fresh = (found[0], shared, offset) == (version, place.shared, request.offset) and request.at - at <= _FRESH_MS
        fresh &= recalled.room is None or room is not None
        expired = recalled.until is not None and recalled.until <= request.at
        too_long = room is not None and recalled.tokens > room
        if expired or too_long or not (fresh or user_turn.asked.continues):
            return place._replace(version=version, replaces=at)
        return RecallResult(replace(recalled, ms=(time.perf_counter() - began) * 1000))

    async def keep(self, request: ChatRequest, user_turn: UserTurn, recalled: Recalled, place: CachePlace) -> bool:
        value = orjson.dumps([request.at, place.shared, request.offset, recalled])
        await self.cache.put(user_turn.space, place.key, place.version, value, at=request.at, replaces=place.replaces)
        return True
