"""Imported exchanges go through the queue as chats do. Each has a receipt that says what was learned from it."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from rememberd.api.memory_writes import user_erased
from rememberd.memory.learn.build_memories import redacted
from rememberd.memory.learn.wishes.memory_commands import memory_command
from rememberd.ports import ReceiptStore, TurnQueue
from rememberd.types import Receipt, Turn

DONE = ("written", "nothing", "forgotten")  # outcomes of a turn that is completely processed


@dataclass(frozen=True, slots=True)
class ImportResult:
    """Ids of receipts, in order. `queued`: new turns. `known`: imported before. `skipped`: commands to the memory."""

    queued: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


async def enqueue_import(
    turns: Sequence[Turn], queue: TurnQueue, receipts: ReceiptStore, redact_too: Collection[str] = ()
) -> ImportResult:
    """Queue the turns in order, so that a later statement replaces an earlier one. After a failure, call it again to
    continue. Secrets are removed before.

    Raises `QueueUnavailable`, and `RequestError` 409 if the user is erased meanwhile."""
    taken = ImportResult()
    for turn in turns:
        command = await asyncio.to_thread(memory_command, turn.user_text)
        if command is not None and command.kind != "remember":
            taken.skipped.append(turn.receipt)
            continue
        before = await receipts.get(turn.owner, turn.receipt)
        if before is not None and before.write in DONE:
            taken.known.append(turn.receipt)
            continue
        # Store the receipt first, because the writer may process the turn at once.
        clean = await asyncio.to_thread(redacted, turn, redact_too)
        if not (await receipts.put(_receipt(turn)) and await queue.put(clean)):
            raise user_erased()
        taken.queued.append(turn.receipt)
    return taken


def _receipt(turn: Turn) -> Receipt:
    return Receipt(
        id=turn.receipt,
        space=turn.owner,
        created_at=turn.began,
        status="off",
        model=turn.source.model or "import",
        turn_id=turn.id,
        write="pending",
    )
