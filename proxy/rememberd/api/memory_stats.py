"""Preview of recall, history of a memory, statistics, and the user's settings: pause and time zone."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rememberd.api.dependencies import CallerResolver, read_anywhere
from rememberd.api.mcp.visible import Visible, visibility
from rememberd.api.serializers import flag_from, limit_from, memory_json, parts_json, rfc3339, unknown_memory
from rememberd.errors import RequestError
from rememberd.http.request import offset_from
from rememberd.http.responses import json_response
from rememberd.memory.embedding.suggestion import suggested_model
from rememberd.memory.explain import Score
from rememberd.memory.history import history
from rememberd.memory.recall.block import line_cost
from rememberd.memory.recall.dates import offset_of
from rememberd.memory.recall.recall import Recall
from rememberd.ports import MemoryStore, Preferences, PreferenceStore, ReceiptStore
from rememberd.telemetry.clock import wall_clock
from rememberd.types import EVERY_SCOPE, Identity, Memory, Millis, Receipt, Space

_NEAR = 20  # the most candidates that are read for `left_out`
_LEFT_OUT = 5
_RECEIPTS = 500  # the newest answers that the statistics cover


@dataclass(eq=False)
class MemoryStats:
    caller: CallerResolver
    store: MemoryStore
    recall: Recall
    receipts: ReceiptStore
    preferences: PreferenceStore
    time_zone: str | None

    async def preview(self, request: Request) -> Response:
        """The memories that a chat with this message would recall now, and near ones that are left out. With a remote
        `model`, the memories that it must not get are listed as `withheld`. Stores nothing."""
        identity, now = self.caller.identity(request), wall_clock()
        space = identity.memories
        fields = await self.caller.fields(request)
        text = fields.get("text")
        if not isinstance(text, str) or not text.strip():
            raise RequestError(400, "missing_text", "`text` must be the message to recall for", param="text")
        local, chosen = self._is_local(request, fields), await self.preferences.of(identity.space)
        recall = partial(
            self.recall.recall,
            space,
            text,
            now=now,
            turn_id=None,
            conversation=None,
            offset=offset_from(request.headers, chosen.time_zone or self.time_zone, now),
            groups=identity.looks_into,
        )
        recalled = whole = await recall()
        if not local:
            recalled = await recall(private=False)
        near = await self.recall.search(space, text, now=now, limit=limit_from(fields.get("limit"), _NEAR))
        scores = {memory.id: score for memory, score in near}
        withheld = await read_anywhere(self.store, identity, [each for each in whole.ids if each not in recalled.ids])
        kept = [each for each in withheld if self.recall.privacy.keeps(space, each)]
        apart = {*recalled.ids, *(each.id for each in kept)}
        outside = [memory for memory, _ in near if memory.id not in apart]
        reasons = dict(zip((*whole.ids, *recalled.ids), (*whole.reasons, *recalled.reasons), strict=False))
        inside = await read_anywhere(self.store, identity, recalled.ids)
        return json_response(
            {
                "object": "memory.preview",
                "status": recalled.status,
                "local": local,
                "block": recalled.block,
                "tokens": recalled.tokens,
                "recall_ms": round(recalled.ms, 1),
                "memories": [_scored(memory, scores) | {"reason": reasons.get(memory.id)} for memory in inside],
                "withheld": [_scored(memory, scores) | {"reason": reasons.get(memory.id)} for memory in kept],
                "left_out": [_scored(memory, scores) for memory in outside[: fields.get("limit") or _LEFT_OUT]],
            }
        )

    def _is_local(self, request: Request, fields: Mapping[str, Any]) -> bool:
        """True if this model is on the operator's own machines, and without a model, because nothing is sent."""
        model = fields.get("model")
        return not isinstance(model, str) or self.caller.is_local(request, model)

    async def history(self, request: Request) -> Response:
        space, memory_id = self.caller.memories(request, reads=True), request.path_params["id"]
        found = await self.store.get(space, [memory_id])
        if not found:
            raise unknown_memory(memory_id)
        past = await history(self.store, space, found[0], wall_clock())
        return json_response({"object": "list", "data": [memory_json(memory) for memory in past]})

    async def stats(self, request: Request) -> Response:
        """A model that asks by MCP gets only the counts of the memories that it may see."""
        identity, now = self.caller.identity(request), wall_clock()
        space = identity.memories
        if visible := visibility(request):
            return json_response(await self._visible_stats(space, visible, now))
        facts = await self.store.count(space, now=now, kind="fact")
        episodes = await self.store.count(space, now=now, kind="episode")
        everything = await self.store.count(space, now=now, include_past=True)
        return json_response(
            {
                "object": "memory.stats",
                "facts": facts,
                "episodes": episodes,
                "past": everything - facts - episodes,
                "paused": (await self.preferences.of(identity.space)).paused,
                "suggested_model": await suggested_model(self.store, self.recall.embedder, [space], now),
                "answers": _usage(await self.receipts.recent(identity.space, _RECEIPTS)),
            }
        )

    async def _visible_stats(self, space: Space, visible: Visible, now: Millis) -> dict[str, Any]:
        memories = await self.store.all(space, now=now, include_past=True)
        counts = Counter(_counted_as(memory, now) for memory in memories if visible(memory))
        return {"object": "memory.stats", **{name: counts[name] for name in ("facts", "episodes", "past")}}

    async def settings(self, request: Request) -> Response:
        identity = self.caller.identity(request)
        return json_response(_settings(identity, await self.preferences.of(identity.space)))

    async def set(self, request: Request) -> Response:
        """Changes the settings that the body names; all of them or none."""
        identity, own_scope_only = self.caller.identity(request), self.caller.principal(request).scopes is not None
        space = identity.space
        fields = await self.caller.fields(request)
        if not fields or fields.keys() - {"paused", "time_zone"}:
            message = 'send {"paused": true}, {"time_zone": "Europe/Oslo"}, or both'
            raise RequestError(400, "invalid_settings", message, param="paused")
        meant = space if own_scope_only else Space(space.user, EVERY_SCOPE)
        paused, zone = "paused" in fields and flag_from(fields, "paused"), _zone_from(fields)
        if "paused" in fields:
            await (self.preferences.pause(meant) if paused else self.preferences.resume(meant))
        if "time_zone" in fields:
            await self.preferences.set_time_zone(meant, zone)
        return json_response(_settings(identity, await self.preferences.of(space)))


def _counted_as(memory: Memory, now: Millis) -> str:
    ends = [time for time in (memory.valid_to, memory.expires_at) if time is not None]
    return "past" if ends and min(ends) <= now else f"{memory.kind}s"


def _scored(memory: Memory, scores: Mapping[str, Score]) -> dict[str, Any]:
    """`score` is the cosine; null for a memory that no search found, such as a pinned one."""
    score = scores.get(memory.id)
    found = {"score": score and round(score.cosine, 4), "parts": parts_json(score) if score else None}
    return memory_json(memory) | found | {"tokens": line_cost(memory)}


def _usage(receipts: list[Receipt]) -> dict[str, Any]:
    """Statistics of the newest `_RECEIPTS` answers. `pending` counts those that the writer has not processed yet."""
    return {
        "count": len(receipts),
        "since": rfc3339(receipts[-1].created_at) if receipts else None,
        "hits": sum(each.status == "hit" for each in receipts),
        "tokens": sum(each.tokens for each in receipts),
        "pending": sum(each.write == "pending" for each in receipts),
    }


def _zone_from(fields: Mapping[str, Any]) -> str | None:
    """None resets the time zone. Raises `RequestError` for a name that is not a time zone's."""
    zone = fields.get("time_zone")
    if zone is None or zone == "":
        return None
    try:
        if not isinstance(zone, str):
            raise ValueError("not a text")
        offset_of(zone, wall_clock())
    except ValueError as error:
        message = "`time_zone` must be the IANA name of a time zone, such as Europe/Oslo, or null for the default"
        raise RequestError(400, "invalid_timezone", message, param="time_zone") from error
    return zone


def _settings(identity: Identity, preferences: Preferences) -> dict[str, Any]:
    groups = [{"name": name, "role": role} for name, role in sorted(identity.roles.items())]
    return {"object": "memory.settings", **preferences._asdict(), "groups": groups}
