"""`GET /v1/receipts/{id}`: why an answer knew what it knew, and what was learned from it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from proxy.api.caller import Caller
from proxy.api.memories import json_response
from proxy.api.shapes import memory_json, rfc3339
from proxy.errors import RequestError
from proxy.memory.receipts import Receipts
from proxy.ports import MemoryStore
from proxy.types import Receipt, Space


class ReceiptApi:
    def __init__(self, caller: Caller, receipts: Receipts, store: MemoryStore) -> None:
        self.caller, self.receipts, self.store = caller, receipts, store

    def routes(self) -> list[Route]:
        return [Route("/v1/receipts/{id}", self.read, methods=["GET"])]

    async def read(self, request: Request) -> Response:
        space = self.caller.space(request)
        receipt = self.receipts.get(space, request.path_params["id"])
        if receipt is None:
            raise RequestError(404, "receipt_not_found", "you have no such receipt, or it has expired")
        return json_response(await self._shown(space, receipt))

    async def _shown(self, space: Space, receipt: Receipt) -> dict[str, Any]:
        return {
            "id": receipt.id,
            "object": "receipt",
            "created_at": rfc3339(receipt.created_at),
            "model": receipt.model,
            "status": receipt.status,
            "tokens": receipt.tokens,
            "recall_ms": round(receipt.recall_ms, 1),
            "recalled": await self._memories(space, receipt.recalled),
            "write": receipt.write,
            "written": await self._memories(space, receipt.written),
        }

    async def _memories(self, space: Space, ids: tuple[str, ...]) -> list[dict[str, Any]]:
        """Those deleted since show as an id alone: the receipt does not keep what was to be forgotten."""
        found = {memory.id: memory_json(memory) for memory in await self.store.get(space, ids)}
        return [found.get(each, {"id": each, "object": "memory", "deleted": True}) for each in ids]
