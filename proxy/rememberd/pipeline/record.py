"""Stores the results of a chat after its answer: the turn for the writer, the receipt and the block."""

import asyncio
import logging
import time
from collections.abc import Collection, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from rememberd.errors import QueueUnavailable
from rememberd.memory.ids import found_id
from rememberd.memory.learn.build_memories import redacted
from rememberd.memory.learn.wishes.group_wishes import GroupWish
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

_DRAIN_S = 1.0  # for receipts and blocks; the outbox has its own limit
_LARGE_ANSWER = 256 * 1024  # bytes; a larger answer (over 2 ms) is parsed in a thread
_LONG_TURN = 1_000  # characters; a longer turn (over 2 ms; ten times the text may take 50) is redacted in a thread


class Exchange(NamedTuple):
    """A chat whose answer was sent."""

    request: ChatRequest
    user_turn: UserTurn
    recall_result: RecallResult | None
    receipt: Receipt


class Recorder:
    """Stores the turn, the receipt and the block. The answer's last bytes are sent after the turn is on a disk; they
    wait at most `deadline_ms` for the rest."""

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

    async def enqueue_turn(self, exchange: Exchange, copy: bytes, whole: bool) -> None:
        """Put the turn on a disk, store the receipt, cache the block. Returns when the turn is on a disk. Waits for
        the others until the deadline, but not while the queue is known to be late."""
        began = time.perf_counter()
        await note_usage(copy, whole)
        filing = self._start(self._record(self._steps(exchange)))
        for turn in await self._redacted_turns(exchange, copy):
            await self.outbox.put(turn)
        left = self.deadline_ms / 1000 - (time.perf_counter() - began)
        await asyncio.wait({filing}, timeout=0 if self.outbox.behind else max(0.0, left))
        observe(remembering, time.perf_counter() - began)

    def file(self, exchange: Exchange) -> None:
        """Store the receipt and the block of an answer that is not learned from, in the background."""
        self._start(self._file(self._steps(exchange)))

    def _steps(self, exchange: Exchange) -> list[Coroutine[Any, Any, bool]]:
        """What is stored for every chat: the block and the receipt."""
        request, user_turn, recall_result, receipt = exchange
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
        """Wait for running work, but at most `_DRAIN_S` if the queue is unavailable."""
        if self._pending:
            await asyncio.wait(self._pending, timeout=_DRAIN_S)
        await self.outbox.close()

    async def _file(self, steps: list[Coroutine[Any, Any, bool]]) -> None:
        """Run the steps in turn. Nobody waits for them, and running them at the same time would need three tasks."""
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

    async def _redacted_turns(self, exchange: Exchange, copy: bytes) -> list[Turn]:
        """The turn, and a second one for the part that is for a group. Secrets are removed, because the files of the
        queue keep a turn until it is learned and for some time after."""
        request, user_turn, recall_result, receipt = exchange
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
            # An answer may repeat a group's memories. Do not store it: the user may leave the group later.
            answer = "" if recall_result.recalled.groups else turn.answer
            turn = replace(turn, forgotten=recall_result.forgotten, answer=answer)
        turns = [turn] if user_turn.group_wish is None else _shared(turn, user_turn.group_wish)
        if len(turn.user_text) + len(turn.answer) > _LONG_TURN:
            return await asyncio.to_thread(lambda: [redacted(each, self.redact_too) for each in turns])
        return [redacted(each, self.redact_too) for each in turns]


def _shared(turn: Turn, wish: GroupWish) -> list[Turn]:
    """The user's own turn, and the group's turn with only the sentence that the user asked to share."""
    if wish.group is None:
        return [turn]
    shared = replace(
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
    return [replace(turn, user_text=wish.rest, answer=""), shared]  # the answer repeats the shared sentence


async def note_usage(copy: bytes, _whole: bool) -> None:
    """Add the answer's usage to its span."""
    if tracing.enabled():
        tracing.annotate(attributes(copy))
