"""What is kept of a chat once its answer is over: the turn for the writer, the receipt, the block."""

import asyncio
import logging
import time
from collections.abc import Collection, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

from rememberd.errors import QueueUnavailable
from rememberd.memory.ids import found_id
from rememberd.memory.learn.build_memories import redacted
from rememberd.memory.learn.group_wishes import GroupWish
from rememberd.pipeline.block import BlockSource
from rememberd.pipeline.chat_request import ChatRequest, RecallResult, UserTurn
from rememberd.pipeline.outbox import Outbox
from rememberd.ports import ReceiptStore
from rememberd.telemetry import tracing
from rememberd.telemetry.metrics import observe
from rememberd.telemetry.timings import remembering
from rememberd.telemetry.usage.answers import attributes
from rememberd.types import Receipt, Source, Space, Turn

log = logging.getLogger("rememberd.chat")

_DRAIN_S = 1.0  # for receipts and blocks; what the outbox waits for comes on top
_LARGE_ANSWER = 256 * 1024  # bytes; parsing more than this (about 2 ms) belongs off the event loop
_LONG_TURN = 1_000  # characters; so does redacting more (2 ms; ten times the text may take 50)


class Recorder:
    """Keeps what follows from an answer. The answer's last bytes wait at most `deadline_ms`, except for the turn
    itself, which is on a disk before they leave."""

    def __init__(
        self,
        outbox: Outbox,
        receipts: ReceiptStore,
        blocks: BlockSource,
        deadline_ms: int,
        redact_too: Collection[str],
    ) -> None:
        self.outbox, self.receipts, self.blocks = outbox, receipts, blocks
        self.deadline_ms, self.redact_too = deadline_ms, redact_too
        self._pending: set[asyncio.Task[None]] = set()

    async def enqueue_turn(
        self,
        request: ChatRequest,
        user_turn: UserTurn,
        recall_result: RecallResult | None,
        receipt: Receipt,
        copy: bytes,
        whole: bool,
    ) -> None:
        """Put the turn on a disk, file the receipt, cache the block. The answer's last bytes wait for the turn; for
        the others until the deadline, and not at all while the queue is known to be late."""
        began = time.perf_counter()
        await note_usage(copy, whole)
        filing = self._start(self._record(self._steps(request, user_turn, recall_result, receipt)))
        for turn in await self._redacted_turns(request, user_turn, recall_result, receipt, copy):
            await self.outbox.put(turn)
        left = self.deadline_ms / 1000 - (time.perf_counter() - began)
        await asyncio.wait({filing}, timeout=0 if self.outbox.behind else max(0.0, left))
        observe(remembering, time.perf_counter() - began)

    def file(
        self, request: ChatRequest, user_turn: UserTurn, recall_result: RecallResult | None, receipt: Receipt
    ) -> None:
        """The receipt and the block of an answer that nobody learns from; nobody waits for them."""
        self._start(self._file(self._steps(request, user_turn, recall_result, receipt)))

    def _steps(
        self, request: ChatRequest, user_turn: UserTurn, recall_result: RecallResult | None, receipt: Receipt
    ) -> list[Coroutine[Any, Any, bool]]:
        """What is kept of every chat: the block, and the receipt."""
        steps = [self.receipts.put(receipt)]
        if recall_result is not None and recall_result.place is not None:
            steps.insert(0, self.blocks.keep(request, user_turn, recall_result.recalled, recall_result.place))
        return steps

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        return task

    async def drain(self) -> None:
        """Wait for what answers left behind, but not for ever for a queue that is away."""
        if self._pending:
            await asyncio.wait(self._pending, timeout=_DRAIN_S)
        await self.outbox.close()

    async def _file(self, steps: list[Coroutine[Any, Any, bool]]) -> None:
        """One after the other: nobody waits for them, and at the same time they would be three tasks."""
        for step in steps:
            try:
                await step
            except QueueUnavailable as error:
                log.error("%s", error)

    async def _record(self, steps: list[Coroutine[Any, Any, bool]]) -> None:
        outcomes = await asyncio.gather(*steps, return_exceptions=True)
        for reason in {str(outcome) for outcome in outcomes if isinstance(outcome, QueueUnavailable)}:
            log.error("%s", reason)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, QueueUnavailable):
                raise outcome

    async def _redacted_turns(
        self,
        request: ChatRequest,
        user_turn: UserTurn,
        recall_result: RecallResult | None,
        receipt: Receipt,
        copy: bytes,
    ) -> list[Turn]:
        """The turn; and what of it is for a group. Without secrets: what is put stands in the files of the queue
        until it was learned, and some time after."""
        read = partial(request.dialect.answer, copy, streamed=not copy.lstrip().startswith(b"{"))
        turn = Turn(
            id=user_turn.turn_id,
            space=user_turn.identity.memories,
            created_at=request.at,
            user_text=user_turn.asked.text,
            answer=await asyncio.to_thread(read) if len(copy) > _LARGE_ANSWER else read(),
            receipt=receipt.id,
            source=Source(user_turn.identity.conversation, receipt.model, request.client),
            speaker=user_turn.asked.speaker,
            recalled=receipt.recalled,
            earlier=user_turn.earlier,
            continues=user_turn.asked.continues,
            trace=tracing.traceparent(),
            contributor=user_turn.identity.contributor,
            groups=user_turn.identity.contributes_to,
            doubtful=user_turn.asked.doubtful,
        )
        if recall_result is not None:
            # An answer may repeat what a group knows; the user's own memories must not, once they leave the group.
            answer = "" if recall_result.recalled.groups else turn.answer
            turn = replace(turn, forgotten=recall_result.forgotten, answer=answer)
        turns = [turn] if user_turn.group_wish is None else _shared(turn, user_turn.group_wish)
        if len(turn.user_text) + len(turn.answer) > _LONG_TURN:
            return await asyncio.to_thread(lambda: [redacted(each, self.redact_too) for each in turns])
        return [redacted(each, self.redact_too) for each in turns]


def _shared(turn: Turn, wish: GroupWish) -> list[Turn]:
    """What the user keeps, and what goes to the group: only the sentence of the wish."""
    if wish.group is None:
        return [turn]
    told = replace(
        turn,
        id=found_id(f"{turn.id} @{wish.group}"),
        space=Space.of_group(wish.group),
        contributor=turn.space.user,
        user_text=wish.said,
        answer="",
        receipt="",
        recalled=(),
        earlier=(),
        groups=(),
    )
    return [replace(turn, user_text=wish.rest, answer=""), told]  # the answer repeats what the group was told


async def note_usage(copy: bytes, _whole: bool) -> None:
    """Add the answer's usage to its span."""
    if tracing.enabled():
        tracing.annotate(attributes(copy))
