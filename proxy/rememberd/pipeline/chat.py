"""The path of a chat request, top to bottom."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from secrets import token_hex
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from rememberd.access.auth import Auth
from rememberd.access.idempotency import owned
from rememberd.access.identity import identify
from rememberd.access.stored_objects import refuse_shared_objects
from rememberd.dialects import body as json_body
from rememberd.dialects.formats.raw_json import Edit
from rememberd.dialects.registry import CHAT_PATHS, Dialect
from rememberd.dialects.side_tasks import Pattern, is_side_task
from rememberd.errors import QueueUnavailable
from rememberd.http.relay import OnFirst, Relay, cancel_on_disconnect
from rememberd.http.request import header_values, read_body, request_id, with_query
from rememberd.memory.learn.build_memories import redacted
from rememberd.memory.learn.carry_out import Done
from rememberd.memory.learn.memory_commands import MemoryCommand, memory_command
from rememberd.memory.recall.recall import Recall, Recalled
from rememberd.pipeline.chat_request import (
    ChatRequest,
    RecallResult,
    UserTurn,
    attributes_of,
    mode_of,
    offset_from,
    status_of,
    user_turn,
    write_of,
)
from rememberd.pipeline.commands import run_command, with_note
from rememberd.pipeline.outbox import Outbox
from rememberd.ports import BlockCache, PauseStore, ReceiptStore
from rememberd.telemetry import tracing
from rememberd.telemetry.metrics import counter
from rememberd.telemetry.timings import RequestTimings, remembering
from rememberd.telemetry.usage import usage
from rememberd.types import RESPONSES, Deployment, Identity, Millis, Principal, Receipt, Source, Turn
from rememberd.upstream.catalog import Catalog
from rememberd.upstream.failover import Failover, UpstreamResponse

log = logging.getLogger("rememberd.chat")

_STATUSES = ("hit", "miss", "skipped", "off", "degraded", "no-identity")
STATUS = counter("rememberd_memory_status", "X-Memory-Status of the answers.", "status", *_STATUSES)
_answers = lru_cache(STATUS.labels)

_FRESH_MS = 600_000  # memories expire, and "yesterday" moves on, without the space changing
_DRAIN_S = 1.0  # for receipts and blocks; what the outbox waits for comes on top
_LARGE_BODY = 64 * 1024  # bytes; understanding more (up to 50 ms if it is hostile) belongs off the event loop
_LARGE_JSON = 1024 * 1024  # bytes; without memory the parser alone reads it (0.4 ms), and a thread costs as much
_LARGE_ANSWER = 256 * 1024  # bytes; so does parsing more than this (about 2 ms)
_LONG_TURN = 1_000  # characters; and redacting more (2 ms; ten times the text may take 50)


class Chat:
    """POST to the path of any dialect: an ASGI app. Raises `RequestError`, `UpstreamUnavailable`, `ClientGone`."""

    def __init__(
        self,
        *,
        auth: Auth,
        catalog: Catalog,
        upstream: Failover,
        recall: Recall,
        block_cache: BlockCache,
        outbox: Outbox,
        receipts: ReceiptStore,
        pauses: PauseStore,
        placement: str,
        side_tasks: Sequence[Pattern],
        deadline_ms: int,
        max_body_bytes: int,
        redact_too: Collection[str],
        time_zone: str | None,
    ) -> None:
        self.auth, self.catalog, self.upstream = auth, catalog, upstream
        self.recall, self.block_cache, self.outbox, self.receipts = recall, block_cache, outbox, receipts
        self.pauses, self.time_zone = pauses, time_zone
        self.placement, self.side_tasks = placement, side_tasks
        self.deadline_ms, self.max_body_bytes, self.redact_too = deadline_ms, max_body_bytes, redact_too
        self._pending: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        clock = RequestTimings()
        dialect, headers = CHAT_PATHS[scope["path"]], header_values(scope)
        id = request_id(headers)
        principal = self.auth.principal(
            headers
        )  # before the body: nobody fills the memory of this process without a key
        raw = await read_body(receive, headers, self.max_body_bytes)
        clock.lap("read")
        request = await self._parse(dialect, principal, headers, raw, id)
        request = await self._unless_paused(request)
        clock.lap("understand")
        with tracing.chat(request.model, request.deployments[0].provider, headers):
            await self._answer(request, clock, headers, scope, receive, send)

    async def _answer(
        self,
        request: ChatRequest,
        clock: RequestTimings,
        headers: Mapping[str, str],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        with tracing.span("recall"):
            recall_result = await self.recall_memories(request)
        clock.lap("recall")
        outgoing = self.upstream_body(request, recall_result)
        clock.lap("inject")
        overhead = clock.leave(stages=request.user_turn is not None)
        forwarded = [*owned(headers.items(), request.principal, request.identity), ("x-request-id", request.id)]
        if trace := tracing.traceparent():
            forwarded.append(("traceparent", trace))
        path = with_query(request.dialect.PATH, scope)

        async def answer() -> None:
            answered = await self.upstream.send(request.deployments, path, outgoing, forwarded)
            relay, behind = self.relay(request, recall_result, answered, overhead, clock.first_byte)
            try:
                await relay.run(send)
            finally:
                if behind is not None:
                    self._start(behind)

        await cancel_on_disconnect(receive, answer())

    async def _parse(
        self, dialect: Dialect, principal: Principal, headers: Mapping[str, str], raw: bytes, id: str
    ) -> ChatRequest:
        if len(raw) <= _LARGE_BODY or (len(raw) <= _LARGE_JSON and mode_of(headers) == "off"):
            return self.parse_request(dialect, principal, headers, raw, id)
        return await asyncio.to_thread(self.parse_request, dialect, principal, headers, raw, id)

    async def _unless_paused(self, request: ChatRequest) -> ChatRequest:
        """A pause is `X-Memory: off` for every request of the space."""
        if request.user_turn is None:
            return request
        try:
            paused = await self.pauses.paused(request.user_turn.space)
        except QueueUnavailable as error:  # then nothing can be learned either: pauses are kept where turns wait
            log.warning("no pauses: %s", error)
            return request
        return replace(request, mode="off", user_turn=None) if paused else request

    def parse_request(
        self, dialect: Dialect, principal: Principal, headers: Mapping[str, str], raw: bytes, id: str
    ) -> ChatRequest:
        """Who asks what of which model, and may memory take part."""
        mode = mode_of(headers)
        body = json_body.parse(raw)
        deployments = self._deployments(dialect, principal, body)
        refuse_shared_objects(body, deployments, principal, self.auth, self.catalog)
        if not all(each.memory for each in deployments):
            mode = "off"  # also where only a fallback of this model is to know nothing
        identity = identify(principal, headers, body)
        at = time.time_ns() // 1_000_000
        return ChatRequest(
            id=id,
            at=at,
            offset=offset_from(headers, self.time_zone, at),
            dialect=dialect,
            raw=raw,
            body=body,
            deployments=deployments,
            principal=principal,
            mode=mode,
            identity=identity,
            user_turn=None
            if identity is None or mode == "off"
            else self._user_turn(dialect, identity, headers, body),
            client=headers.get("user-agent", "").partition(" ")[0][:64] or None,
        )

    def _deployments(self, dialect: Dialect, principal: Principal, body: dict[str, Any]) -> list[Deployment]:
        """Those of the model. A Responses request may name none (a stored `prompt` holds it): then the only provider
        of that dialect is asked."""
        unnamed = dialect.PATH == RESPONSES and "model" not in body
        if unnamed and (only := self.catalog.sole_deployment(principal, lambda each: RESPONSES in each.speaks)):
            return [only]
        return self.catalog.targets(json_body.model(body), principal)

    def _user_turn(
        self, dialect: Dialect, identity: Identity, headers: Mapping[str, str], body: dict[str, Any]
    ) -> UserTurn | None:
        asked = None if is_side_task(headers, body, self.side_tasks) else dialect.question(body)
        return None if asked is None else user_turn(dialect, identity, asked, body)

    async def recall_memories(self, request: ChatRequest) -> RecallResult | None:
        """What goes into the block; None where memory takes no part. The same bytes throughout a user turn."""
        user_turn = request.user_turn
        if user_turn is None or request.mode == "write":
            return None
        cached = await self._cached_block(user_turn, request)
        if isinstance(cached, RecallResult):
            return cached
        version, replaces = cached
        command = self._command(request, user_turn)
        if command is not None:
            done = await self._carried_out(command, request, user_turn)
            if command.kind != "remember":  # what the wish names is not recalled beside it
                return await self._with_version(with_note(Recalled("hit"), done.note), done.gone, user_turn, request)
        recalled = await self.recall.recall(
            user_turn.space,
            user_turn.asked.text,
            now=request.at,
            turn_id=user_turn.turn_id,
            conversation=user_turn.identity.conversation,
            previous=user_turn.asked.previous,
            private=request.local,
            offset=request.offset,
        )
        if command is not None:
            recalled = with_note(recalled, done.note)
        return RecallResult(recalled, None if recalled.status == "degraded" else version, replaces)

    def _command(self, request: ChatRequest, user_turn: UserTurn) -> MemoryCommand | None:
        """What the user asks of the memory, other than to be shown it. A step of a tool loop asks nothing anew."""
        if request.mode != "on" or user_turn.asked.continues:
            return None
        command = memory_command(user_turn.asked.text, user_turn.asked.previous)
        return None if command is None or command.kind == "show" else command

    async def _carried_out(self, command: MemoryCommand, request: ChatRequest, user_turn: UserTurn) -> Done:
        return await run_command(
            command,
            self.recall.store,
            self.recall.embedder,
            self.block_cache,
            user_turn.space,
            request.at,
            deadline_ms=self.deadline_ms,
            shown=lambda memory: request.local or not self.recall.privacy.keeps(user_turn.space, memory),
        )

    async def _with_version(
        self, recalled: Recalled, forgotten: tuple[str, ...], user_turn: UserTurn, request: ChatRequest
    ) -> RecallResult:
        """To be cached for the steps of a tool loop, under the version that the deletion has left."""
        cached = await self._cached_block(user_turn, request)
        version = None if isinstance(cached, RecallResult) else cached[0]
        return RecallResult(recalled, version, forgotten=forgotten)

    def upstream_body(
        self, request: ChatRequest, recall_result: RecallResult | None
    ) -> Callable[[Deployment], bytes]:
        """For each deployment the client's own bytes, but for the model's name and, on a hit, the block."""
        raw, body, turn = request.raw, request.body, request.user_turn
        edits: list[Edit] = []
        if turn is not None and recall_result is not None and recall_result.recalled.block:
            edits = request.dialect.inject(raw, body, turn.asked, recall_result.recalled.block, self.placement)
        return lambda to: json_body.outgoing(raw, body, to.upstream_model, edits)

    def relay(
        self,
        request: ChatRequest,
        recall_result: RecallResult | None,
        answered: UpstreamResponse,
        overhead: float,
        on_first: OnFirst | None = None,
    ) -> tuple[Relay, Coroutine[Any, Any, None] | None]:
        """The way back, and what is to be done once it is over."""
        dialect, (deployment, reply) = request.dialect, answered
        recalled = recall_result.recalled if recall_result else Recalled(status="miss")
        status, write = status_of(request, recall_result), write_of(request, reply)
        _answers(status).inc()
        if tracing.enabled():
            tracing.annotate(attributes_of(request, deployment, reply, status, len(recalled.ids)))
        headers = {
            "X-Request-Id": request.id,
            "X-Memory-Status": status,
            "X-Memory-Count": str(len(recalled.ids)),
            "X-Memory-Tokens": str(recalled.tokens),
            "X-Memory-Recall-Ms": f"{recalled.ms:.1f}",
            "X-Memory-Write": write,
            "X-Proxy-Overhead-Ms": f"{overhead * 1000:.1f}",
        }
        if recalled.by_words:
            headers["X-Memory-Recall"] = "words"
        user_turn = request.user_turn
        relay = partial(Relay, reply, on_first=on_first, dialect=dialect)
        if user_turn is None or (recall_result is None and write != "on"):
            return relay(tuple(headers.items())), None
        receipt = Receipt(
            id=f"rcpt_{token_hex(16)}",
            space=user_turn.space,
            created_at=request.at,
            status=status,
            model=deployment.model_name,
            turn_id=user_turn.turn_id,
            recalled=recalled.ids,
            reasons=recalled.reasons,
            tokens=recalled.tokens,
            recall_ms=recalled.ms,
            write="pending" if write == "on" else write,
        )
        headers["X-Memory-Receipt"] = receipt.id
        if receipt.write == "pending":
            learning = partial(self.enqueue_turn, request, user_turn, recall_result, receipt)
            return relay(tuple(headers.items()), on_end=learning), None
        behind = self._file(self._steps(request, user_turn, recall_result, receipt))
        return relay(tuple(headers.items()), on_end=_note_usage if tracing.enabled() else None), behind

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
        await _note_usage(copy, whole)
        filing = self._start(self._record(self._steps(request, user_turn, recall_result, receipt)))
        turn = await self._redacted_turn(request, user_turn, receipt, copy)
        if recall_result is not None and recall_result.forgotten:
            turn = replace(turn, forgotten=recall_result.forgotten)
        await self.outbox.put(turn)
        left = self.deadline_ms / 1000 - (time.perf_counter() - began)
        await asyncio.wait({filing}, timeout=0 if self.outbox.behind else max(0.0, left))
        remembering.observe(time.perf_counter() - began)

    def _steps(
        self, request: ChatRequest, user_turn: UserTurn, recall_result: RecallResult | None, receipt: Receipt
    ) -> list[Coroutine[Any, Any, bool]]:
        """What is kept of every chat: the block, and the receipt."""
        steps = [self.receipts.put(receipt)]
        if recall_result is not None and recall_result.version is not None:
            steps.insert(0, self._cache_block(request, user_turn, recall_result, recall_result.version))
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

    async def _redacted_turn(self, request: ChatRequest, user_turn: UserTurn, receipt: Receipt, copy: bytes) -> Turn:
        """Without secrets: what is put stands in the files of the queue until it was learned, and some time after."""
        read = partial(request.dialect.answer, copy, streamed=not copy.lstrip().startswith(b"{"))
        turn = Turn(
            id=user_turn.turn_id,
            space=user_turn.space,
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
        )
        if len(turn.user_text) + len(turn.answer) > _LONG_TURN:
            return await asyncio.to_thread(redacted, turn, self.redact_too)
        return redacted(turn, self.redact_too)

    async def _cache_block(
        self, request: ChatRequest, user_turn: UserTurn, recall_result: RecallResult, version: int
    ) -> bool:
        key, value = user_turn.key(local=request.local), orjson.dumps([request.at, recall_result.recalled])
        await self.block_cache.put(
            user_turn.space, key, version, value, at=request.at, replaces=recall_result.replaces
        )
        return True

    async def _cached_block(
        self, user_turn: UserTurn, request: ChatRequest
    ) -> RecallResult | tuple[int | None, Millis]:
        """The cached block, if it still holds: always while the model is at work on the same message (a tool loop),
        else only for a while and if the memories have not changed since; never once a memory in it has expired.

        If it does not: the space's version, and when the block was made that is out of date (0: there is none)."""
        began = time.perf_counter()
        try:
            version, found = await self.block_cache.get(user_turn.space, user_turn.key(local=request.local))
        except QueueUnavailable as error:
            log.warning("no cached blocks: %s", error)
            return None, 0
        if found is None:
            return version, 0
        at, fields = orjson.loads(found[1])
        recalled = Recalled(**fields | {name: tuple(fields.get(name, ())) for name in ("ids", "reasons")})
        fresh = found[0] == version and request.at - at <= _FRESH_MS
        expired = recalled.until is not None and recalled.until <= request.at
        if expired or not (fresh or user_turn.asked.continues):
            return version, at
        return RecallResult(replace(recalled, ms=(time.perf_counter() - began) * 1000))


async def _note_usage(copy: bytes, _whole: bool) -> None:
    if tracing.enabled():
        tracing.annotate(usage(copy))
