"""The path of a chat request, top to bottom."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any, Literal
from uuid import uuid4

import orjson
from prometheus_client import Counter, Histogram
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from proxy.auth import Auth
from proxy.errors import QueueUnavailable, RequestError
from proxy.identity import identify
from proxy.memory.frozen import Frozen
from proxy.memory.ids import turn_id
from proxy.memory.recall import Recall, Recalled
from proxy.memory.receipts import Receipts
from proxy.ports import Reply, TurnQueue, Upstream
from proxy.relay import Relay, unless_gone
from proxy.requests import ClientGone, read_body
from proxy.types import Deployment, Identity, Millis, Receipt, Source, Space, Turn
from proxy.upstream.catalog import Catalog
from proxy.wire import body as json_body
from proxy.wire import chat as wire
from proxy.wire.sidetasks import is_side_task

log = logging.getLogger("rememberd.chat")

TURNS = Counter("rememberd_queue_puts", "Turns at the end of an answer: queued, late, lost, erased.", ["outcome"])
STATUS = Counter("rememberd_memory_status", "X-Memory-Status of the answers.", ["status"])
OVERHEAD = Histogram(
    "rememberd_overhead_seconds",
    "From a request's arrival until it went upstream.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.5, 1),
)

Mode = Literal["on", "read", "write", "off"]
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_LARGE_ANSWER = 256 * 1024  # bytes; parsing more than this (about 2 ms) belongs off the event loop


@dataclass(frozen=True, slots=True)
class Said:
    """What a known user said, where memory takes part."""

    identity: Identity
    asked: wire.Question
    turn_id: str

    @property
    def space(self) -> Space:
        return self.identity.space

    @property
    def key(self) -> str:
        text = "\0".join((self.identity.conversation or "", self.asked.text))
        return blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request as it was understood."""

    id: str
    at: Millis
    raw: bytes
    body: dict[str, Any]
    deployment: Deployment
    mode: Mode
    identity: Identity | None
    said: Said | None
    client: str | None


@dataclass(frozen=True, slots=True)
class Recollection:
    """What recall gave, and the version of the space it was made from: None when it need not be frozen (again)."""

    recalled: Recalled
    version: int | None = None


class Chat:
    """`POST /v1/chat/completions`: an ASGI app. Raises `RequestError`, `UpstreamUnavailable`, `ClientGone`."""

    def __init__(
        self,
        *,
        auth: Auth,
        catalog: Catalog,
        lanes: Mapping[str, Upstream],
        recall: Recall,
        frozen: Frozen,
        queue: TurnQueue,
        receipts: Receipts,
        placement: str,
        deadline_ms: int,
        max_body_bytes: int,
    ) -> None:
        self.auth, self.catalog, self.lanes = auth, catalog, lanes
        self.recall, self.frozen, self.queue, self.receipts = recall, frozen, queue, receipts
        self.placement, self.deadline_ms, self.max_body_bytes = placement, deadline_ms, max_body_bytes
        self._pending: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        request = Request(scope, receive)
        exchange = self.understand(request.headers, await read_body(request, self.max_body_bytes))
        recollection = await self.recollect(exchange)
        outgoing = self.outgoing(exchange, recollection)
        overhead = time.perf_counter() - began
        OVERHEAD.observe(overhead)
        headers = [*request.headers.items(), ("x-request-id", exchange.id)]
        lane = self.lanes[exchange.deployment.lane]
        reply = await unless_gone(receive, lane.send(exchange.deployment, "/chat/completions", outgoing, headers))
        if reply is None:
            raise ClientGone
        relay = self.relay(exchange, recollection, reply, overhead)
        await relay(scope, receive, send)

    def understand(self, headers: Mapping[str, str], raw: bytes) -> Exchange:
        """Who asks what of which model, and may memory take part."""
        principal = self.auth.principal(headers)
        mode = _mode(headers)
        body = json_body.parse(raw)
        deployment = self.catalog.resolve(_model(body))
        identity = identify(principal, headers, body)
        asked = None if is_side_task(headers, body) else wire.question(body)
        return Exchange(
            id=_request_id(headers),
            at=time.time_ns() // 1_000_000,
            raw=raw,
            body=body,
            deployment=deployment,
            mode=mode,
            identity=identity,
            said=None if identity is None or asked is None or mode == "off" else _said(identity, asked, body),
            client=headers.get("user-agent", "").partition(" ")[0][:64] or None,
        )

    async def recollect(self, exchange: Exchange) -> Recollection | None:
        """What goes into the block; None where memory takes no part. The same bytes throughout a user turn."""
        said = exchange.said
        if said is None or exchange.mode == "write":
            return None
        version, kept = self._kept(said)
        if kept is not None:
            return Recollection(kept)
        recalled = await self.recall.recall(
            said.space,
            said.asked.text,
            now=exchange.at,
            turn_id=said.turn_id,
            conversation=said.identity.conversation,
            previous=said.asked.previous,
        )
        return Recollection(recalled, None if recalled.status == "degraded" else version)

    def outgoing(self, exchange: Exchange, recollection: Recollection | None) -> bytes:
        """The client's own bytes, but for the model's name and, on a hit, the block."""
        model = exchange.deployment.upstream_model
        if exchange.said is None or recollection is None or not recollection.recalled.block:
            return json_body.rename_model(exchange.raw, exchange.body, model)
        body = wire.inject(exchange.body, exchange.said.asked, recollection.recalled.block, self.placement)
        return json_body.dump(body | {"model": model})

    def relay(self, exchange: Exchange, recollection: Recollection | None, reply: Reply, overhead: float) -> Relay:
        recalled = recollection.recalled if recollection else Recalled(status="miss")
        status, write = _status(exchange, recollection), _write(exchange, reply)
        STATUS.labels(status).inc()
        headers = {
            "X-Request-Id": exchange.id,
            "X-Memory-Status": status,
            "X-Memory-Count": str(len(recalled.ids)),
            "X-Memory-Tokens": str(recalled.tokens),
            "X-Memory-Recall-Ms": f"{recalled.ms:.1f}",
            "X-Memory-Write": write,
            "X-Proxy-Overhead-Ms": f"{overhead * 1000:.1f}",
        }
        said = exchange.said
        if said is None or (recollection is None and write != "on"):
            return Relay(reply, tuple(headers.items()))
        receipt = Receipt(
            id=f"rcpt_{uuid4().hex}",
            space=said.space,
            created_at=exchange.at,
            status=status,
            model=exchange.deployment.model_name,
            turn_id=said.turn_id,
            recalled=recalled.ids,
            tokens=recalled.tokens,
            recall_ms=recalled.ms,
            write="pending" if write == "on" else write,
        )
        on_end = partial(self.remember, exchange, said, recollection, receipt)
        headers["X-Memory-Receipt"] = receipt.id
        return Relay(reply, tuple(headers.items()), on_end=on_end, end=wire.END)

    async def remember(
        self,
        exchange: Exchange,
        said: Said,
        recollection: Recollection | None,
        receipt: Receipt,
        copy: bytes,
        whole: bool,
    ) -> None:
        """Queue the turn, file the receipt, freeze the block. The answer's last bytes wait for it until the
        deadline; what takes longer goes on behind them."""
        steps = [self.receipts.put(receipt)]
        if recollection is not None and recollection.version is not None:
            steps.append(self._freeze(said, recollection.recalled, recollection.version))
        if receipt.write == "pending":
            steps.append(self._enqueue(exchange, said, receipt, copy))
        task = asyncio.create_task(self._record(exchange.id, steps))
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        _, late = await asyncio.wait({task}, timeout=self.deadline_ms / 1000)
        if late:
            TURNS.labels("late").inc()

    async def drain(self) -> None:
        """Wait for what `remember` left behind."""
        if self._pending:
            await asyncio.wait(self._pending)

    async def _record(self, request_id: str, steps: list[Coroutine[Any, Any, bool]]) -> None:
        for outcome in await asyncio.gather(*steps, return_exceptions=True):
            if isinstance(outcome, QueueUnavailable):
                log.error("request %s: %s", request_id, outcome)
            elif isinstance(outcome, BaseException):
                raise outcome

    async def _enqueue(self, exchange: Exchange, said: Said, receipt: Receipt, copy: bytes) -> bool:
        read = partial(wire.answer, copy, streamed=not copy.lstrip().startswith(b"{"))
        turn = Turn(
            id=said.turn_id,
            space=said.space,
            created_at=exchange.at,
            user_text=said.asked.text,
            answer=await asyncio.to_thread(read) if len(copy) > _LARGE_ANSWER else read(),
            receipt=receipt.id,
            source=Source(said.identity.conversation, receipt.model, exchange.client),
            speaker=said.asked.speaker,
            recalled=receipt.recalled,
        )
        try:
            kept = await self.queue.put(turn)
        except QueueUnavailable:
            TURNS.labels("lost").inc()
            raise
        TURNS.labels("queued" if kept else "erased").inc()
        return kept

    async def _freeze(self, said: Said, recalled: Recalled, version: int) -> bool:
        value = {"status": recalled.status, "block": recalled.block, "ids": recalled.ids, "tokens": recalled.tokens}
        await self.frozen.freeze(said.space, said.key, version, orjson.dumps(value))
        return True

    def _kept(self, said: Said) -> tuple[int | None, Recalled | None]:
        """The space's version and the frozen block, if it still holds: always while the model is at work on the
        same message (a tool loop), else only if the memories have not changed since."""
        began = time.perf_counter()
        try:
            version = self.frozen.version(said.space)
            found = self.frozen.thawed(said.space, said.key)
        except QueueUnavailable as error:
            log.warning("no frozen blocks: %s", error)
            return None, None
        if found is None or not (said.asked.continues or found[0] == version):
            return version, None
        fields = orjson.loads(found[1])
        return version, Recalled(**fields | {"ids": tuple(fields["ids"])}, ms=(time.perf_counter() - began) * 1000)


def _said(identity: Identity, asked: wire.Question, body: dict[str, Any]) -> Said:
    return Said(identity, asked, turn_id(identity.space, identity.conversation, wire.prefix(body, asked)))


def _mode(headers: Mapping[str, str]) -> Mode:
    match headers.get("x-memory", "on").strip().lower():
        case "on" | "read" | "write" | "off" as mode:
            return mode
        case other:
            message = f"X-Memory must be on, read, write or off, not {other!r}"
            raise RequestError(400, "invalid_memory_mode", message, param="X-Memory")


def _model(body: Mapping[str, Any]) -> str:
    model = body.get("model")
    if not isinstance(model, str) or not model:
        message = "`model` must name a model; GET /v1/models lists them"
        raise RequestError(400, "missing_model", message, param="model")
    return model


def _request_id(headers: Mapping[str, str]) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else f"req_{uuid4().hex}"


def _status(exchange: Exchange, recollection: Recollection | None) -> str:
    if recollection is not None:
        return recollection.recalled.status
    if exchange.mode in ("off", "write"):
        return "off"
    return "no-identity" if exchange.identity is None else "skipped"


def _write(exchange: Exchange, reply: Reply) -> str:
    """`on` promises a queued turn: an upstream error is no exchange, and the client will ask again."""
    if exchange.mode in ("off", "read") or exchange.identity is None:
        return "off"
    return "on" if exchange.said is not None and 200 <= reply.status < 300 else "skipped"
