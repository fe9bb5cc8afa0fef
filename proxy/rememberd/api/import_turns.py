"""Imported exchanges go through the queue as chats do. Each has a receipt that says what was learned from it."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from rememberd.errors import RequestError
from rememberd.memory.learn.build_memories import redacted
from rememberd.memory.learn.memory_commands import memory_command
from rememberd.ports import ReceiptStore, TurnQueue
from rememberd.types import Receipt, Turn

DONE = ("written", "nothing", "forgotten")  # what the writer has made of a turn, when nothing is left to do


@dataclass(frozen=True, slots=True)
class ImportResult:
    """`queued`: ids of receipts, in order. `known`: imported before. `skipped`: the user asked the memory for
    something there."""

    queued: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


async def enqueue_import(
    turns: Sequence[Turn], queue: TurnQueue, receipts: ReceiptStore, redact_too: Collection[str] = ()
) -> ImportResult:
    """Queue the turns one after the other, so that a later statement counts more. Called again after a failure, it
    continues. No secret reaches the queue.

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
        # The receipt first: the writer may be done with the turn before we are.
        clean = await asyncio.to_thread(redacted, turn, redact_too)
        if not (await receipts.put(_receipt(turn)) and await queue.put(clean)):
            raise RequestError(
                409, "user_erased", "everything was erased meanwhile, this too; send it again to keep it"
            )
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
        recalled=(),
        tokens=0,
        recall_ms=0.0,
        write="pending",
    )
