"""Previews an import line by line, before anything is written."""

import asyncio
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from rememberd.api.import_turns import DONE
from rememberd.api.imported_lines import Batch
from rememberd.api.memory_writes import MemoryWrites
from rememberd.api.serializers import rfc3339
from rememberd.memory.learn.reconcile import foresee
from rememberd.memory.learn.rules.extract import Rules
from rememberd.memory.learn.wishes.memory_commands import memory_command
from rememberd.memory.safety.redact import redact
from rememberd.ports import ReceiptStore
from rememberd.types import NEVER, Memory, Millis, Space, Turn


async def foresee_batch(
    writes: MemoryWrites, receipts: ReceiptStore, space: Space, batch: Batch, known: Collection[str], now: Millis
) -> list[dict[str, Any]]:
    """For each line its number, its text and its `outcome`: "add"; "replace", with the memories that it would end;
    "merge" for a known memory; "quarantine"; "exchange", with the facts that the rules find in it; "skip". Lines are
    compared with each other only for equality."""
    found: list[dict[str, Any]] = []
    seen = set[str]()
    for number, (id, memory) in zip(batch.memory_lines, batch.memories, strict=True):
        repeated = id in known or memory.id in seen
        told = {"outcome": "merge"} if repeated else await _of_memory(writes, space, memory, now)
        found.append({"line": number, "text": memory.text, "created_at": rfc3339(memory.created_at), **told})
        seen.add(memory.id)
    for number, turn in zip(batch.turn_lines, batch.turns, strict=True):
        text = (await asyncio.to_thread(redact, turn.user_text)).text
        told = await _of_turn(receipts, turn, text)
        found.append({"line": number, "text": text, "created_at": rfc3339(turn.created_at), **told})
    return sorted(found, key=lambda each: each["line"])


async def _of_memory(writes: MemoryWrites, space: Space, memory: Memory, now: Millis) -> dict[str, Any]:
    settled = await foresee(writes.store, writes.embedder, space, memory, now)
    if settled is None:
        return {"outcome": "skip"}
    if memory.valid_to == NEVER:
        return {"outcome": "quarantine"}
    ends = [each.text for each in settled.closed]
    return {"outcome": "replace" if ends else "add" if settled.added else "merge", "ends": ends}


async def _of_turn(receipts: ReceiptStore, turn: Turn, said: str) -> dict[str, Any]:
    before = await receipts.get(turn.owner, turn.receipt)
    if before is not None and before.write in DONE:
        return {"outcome": "merge"}
    command = memory_command(said)
    if command is not None and command.sure and command.kind != "remember":
        return {"outcome": "skip"}
    facts = await Rules().facts(replace(turn, user_text=said))
    return {"outcome": "exchange", "facts": [fact.text for fact in facts]}
