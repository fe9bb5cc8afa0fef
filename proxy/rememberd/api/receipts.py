"""`/v1/receipts`: the memories that an answer used, and those that were learned from it."""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rememberd.access.apps import app_of
from rememberd.api.dependencies import CallerResolver, read_anywhere
from rememberd.api.serializers import limit_from, memory_json, rfc3339
from rememberd.errors import RequestError
from rememberd.http.responses import json_response
from rememberd.memory.ids import episode_id
from rememberd.memory.recall.block import render, sides
from rememberd.ports import MemoryStore, ReceiptStore
from rememberd.types import Identity, Memory, Receipt, Space

_PAGE = 50
_PAUSES_S = (0.0, 0.06, 0.1, 0.3)
_MOST = 100  # receipts per request by their ids


class ReceiptApi:
    def __init__(self, caller: CallerResolver, receipts: ReceiptStore, store: MemoryStore) -> None:
        self.caller, self.receipts, self.store = caller, receipts, store

    async def page(self, request: Request) -> Response:
        """The newest receipts, or those in `ids` (separated by commas) that exist."""
        identity, asked = self.caller.identity(request), request.query_params
        space = identity.space
        if ids := asked.get("ids"):
            names = ids.split(",", _MOST)[:_MOST]
            receipts = [each for name in names if (each := await self.receipts.get(space, name))]
        else:
            receipts = await self.receipts.recent(space, limit_from(asked.get("limit"), _PAGE))
        memories = await self._memories(identity, receipts)
        return json_response(
            {"object": "list", "data": [_shown(each, identity.memories, memories) for each in receipts]}
        )

    async def read(self, request: Request) -> Response:
        identity = self.caller.identity(request)
        receipt = await self._found(identity.space, request.path_params["id"])
        if receipt is None:
            raise RequestError(404, "receipt_not_found", "you have no such receipt, or it has expired")
        memories = await self._memories(identity, [receipt])
        block = render([memories[each] for each in receipt.recalled if each in memories])
        return json_response(_shown(receipt, identity.memories, memories) | {"block": block})

    async def _found(self, space: Space, id: str) -> Receipt | None:
        """An answer may be complete a moment before its receipt is stored."""
        for pause in _PAUSES_S:
            await asyncio.sleep(pause)
            if (receipt := await self.receipts.get(space, id)) is not None:
                return receipt
        return None

    async def _memories(self, identity: Identity, receipts: list[Receipt]) -> dict[str, Memory]:
        """The memories in the receipts, without those of groups that the caller has left."""
        ids = {each for receipt in receipts for each in (*receipt.recalled, *receipt.written)}
        ids |= {episode_id(identity.memories, receipt.turn_id) for receipt in receipts if receipt.turn_id}
        return {memory.id: memory for memory in await read_anywhere(self.store, identity, list(ids))}


def _shown(receipt: Receipt, place: Space, memories: Mapping[str, Memory]) -> dict[str, Any]:
    reasons = dict(zip(receipt.recalled, receipt.reasons, strict=False))
    exchange = memories.get(episode_id(place, receipt.turn_id)) if receipt.turn_id else None
    said, answer = sides(exchange) if exchange else (None, None)
    return {
        "id": receipt.id,
        "object": "receipt",
        "created_at": rfc3339(receipt.created_at),
        "model": receipt.model,
        "app": app_of(exchange.source.client) if exchange else None,
        "question": said,
        "answer": answer,
        "status": receipt.status,
        "tokens": receipt.tokens,
        "recall_ms": round(receipt.recall_ms, 1),
        "context_room": receipt.room,
        "recalled": [_memory(each, memories) | {"reason": reasons.get(each)} for each in receipt.recalled],
        "write": receipt.write,
        "written": [_memory(each, memories) for each in receipt.written],
    }


def _memory(id: str, memories: Mapping[str, Memory]) -> dict[str, Any]:
    """The memory; for a memory that was deleted later only its id, because receipts do not store texts."""
    return memory_json(memories[id]) if id in memories else {"id": id, "object": "memory", "deleted": True}
