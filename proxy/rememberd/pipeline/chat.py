"""The path of a chat request, top to bottom."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from secrets import token_hex
from typing import Any

from starlette.types import Receive, Scope, Send

from rememberd.access.apps import UNNAMED, app_of, client_name
from rememberd.access.auth import Auth
from rememberd.access.groups import Groups
from rememberd.access.idempotency import owned
from rememberd.access.identity import identify
from rememberd.access.object_owners import ObjectOwners
from rememberd.access.stored_objects import refuse_shared_objects
from rememberd.dialects import body as json_body
from rememberd.dialects.formats.raw_json import Edit
from rememberd.dialects.registry import CHAT_PATHS, Dialect
from rememberd.dialects.side_tasks import DOUBTFUL, ENOUGH, Pattern, program_odds
from rememberd.http.admission import WAITED_S
from rememberd.http.disconnect import CancelOnDisconnect, has_left
from rememberd.http.relay import OnEnd, OnFirst, Relay
from rememberd.http.request import ClientGone, header_values, offset_from, read_body, request_id, with_query
from rememberd.memory.recall.recall import Recalled
from rememberd.pipeline.block import BlockSource
from rememberd.pipeline.chat_request import (
    ChatRequest,
    RecallResult,
    UserTurn,
    attributes_of,
    context_used,
    fitting,
    mode_of,
    status_of,
    user_turn,
    write_of,
)
from rememberd.pipeline.continuity import Answered, send_on
from rememberd.pipeline.record import Exchange, Recorder, note_usage
from rememberd.pipeline.user_settings import UserSettings
from rememberd.telemetry import tracing
from rememberd.telemetry.clock import wall_clock
from rememberd.telemetry.metrics import count, counter
from rememberd.telemetry.timings import RequestTimings
from rememberd.telemetry.usage.meter import UsageMeter
from rememberd.types import RESPONSES, Deployment, Identity, Millis, Principal, Receipt
from rememberd.upstream.catalog import Catalog
from rememberd.upstream.failover import Failover

log = logging.getLogger("rememberd.chat")

_STATUSES = ("hit", "miss", "skipped", "off", "degraded", "no-identity")
STATUS = counter("rememberd_memory_status", "X-Memory-Status of the answers.", "status", *_STATUSES)
_answers = lru_cache(STATUS.labels)
_NOT_RECALLED = Recalled("miss")

_PATIENCE_S = 2.0  # a chat that waited longer before it began is not recalled for, so that the queue does not grow
_LARGE_BODY = 16 * 1024  # bytes; a larger body is parsed in a thread (a hostile one takes over 10 ms)
_LARGE_JSON = 1024 * 1024  # bytes; the same without memory: only JSON is parsed (0.4 ms), and a thread costs as much


@dataclass(eq=False, kw_only=True)
class Chat:
    """ASGI app for POST to each dialect's path. Raises `RequestError`, `UpstreamUnavailable`, `ClientGone`."""

    auth: Auth
    groups: Groups
    catalog: Catalog
    owners: ObjectOwners
    upstream: Failover
    blocks: BlockSource
    meter: UsageMeter
    recorder: Recorder
    user_settings: UserSettings
    placement: str
    side_tasks: Sequence[Pattern]
    max_body_bytes: int
    time_zone: str | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        clock = RequestTimings()
        dialect, headers = CHAT_PATHS[scope["path"]], header_values(scope)
        id = request_id(headers)
        # Before the body is read, so that nobody can fill this process's memory without a key.
        principal = self.auth.principal(headers, scope)
        raw = await read_body(receive, headers, self.max_body_bytes)
        at = wall_clock()
        # A request may have waited long in the socket of a busy process. If its client has left, the client may have
        # sent its next message to another process, and this older message must not get a later time.
        if has_left(scope):
            raise ClientGone
        clock.lap()  # read
        request = await self._parse(dialect, principal, headers, raw, id, at)
        if request.stored_objects:
            own = await self.owners.deployments_of(request.stored_objects, request.deployments, request.identity)
            request = replace(request, deployments=own)
        if request.user_turn is not None:
            request = await self.user_settings.applied(request, headers)
            if scope.get(WAITED_S, 0.0) > _PATIENCE_S:
                request = replace(request, late=True)
        clock.lap()  # understand
        with tracing.chat(request.model, request.deployments[0].provider, headers):
            await self._answer(request, clock, headers, scope, send)

    async def _answer(
        self, request: ChatRequest, clock: RequestTimings, headers: Mapping[str, str], scope: Scope, send: Send
    ) -> None:
        recall_result = None
        if request.user_turn is not None:
            with tracing.span("recall"):
                recall_result = await self.blocks.block(request)
        clock.lap()  # recall
        outgoing = self.upstream_body(request, recall_result)
        clock.lap()  # inject
        overhead = clock.leave(stages=request.user_turn is not None)
        forwarded = [*headers.items(), ("x-request-id", request.id)]
        if "idempotency-key" in headers:
            forwarded = owned(forwarded, request.principal, request.identity)
        if trace := tracing.traceparent():
            forwarded.append(("traceparent", trace))
        path = with_query(request.dialect.PATH, scope)
        with CancelOnDisconnect(scope):
            answered = await send_on(self.upstream, request.deployments, path, outgoing, forwarded)
            sent = recall_result and fitting(recall_result, request.room(answered.deployment))
            relay, file = self.relay(request, sent, answered, overhead, clock.first_byte)
            try:
                await relay.run(send)
            finally:
                file()
                self._count(request, sent, answered.deployment, relay)

    def _count(
        self, request: ChatRequest, recall_result: RecallResult | None, deployment: Deployment, relay: Relay
    ) -> None:
        if tokens := relay.tokens(len(request.raw)):
            user = request.identity.user if request.identity else request.principal.user or ""
            block = recall_result.recalled.tokens if recall_result else 0
            self.meter.note(request.principal, user, deployment, tokens, block)

    async def _parse(
        self, dialect: Dialect, principal: Principal, headers: Mapping[str, str], raw: bytes, id: str, at: Millis
    ) -> ChatRequest:
        if len(raw) <= _LARGE_BODY or (len(raw) <= _LARGE_JSON and mode_of(headers, principal.memory) == "off"):
            return self.parse_request(dialect, principal, headers, raw, id, at)
        return await asyncio.to_thread(self.parse_request, dialect, principal, headers, raw, id, at)

    def parse_request(
        self, dialect: Dialect, principal: Principal, headers: Mapping[str, str], raw: bytes, id: str, at: Millis
    ) -> ChatRequest:
        """Finds the user, the model's deployments, the user's message, and whether memory is used."""
        mode = mode_of(headers, principal.memory)
        body = json_body.parse(raw)
        deployments = self._deployments(dialect, principal, body)
        stored_objects = refuse_shared_objects(body, deployments, principal, self.auth, self.catalog)
        if not all(each.memory for each in deployments):
            mode = "off"  # also if memory is off only for a fallback of this model
        identity = identify(principal, headers, body, self.groups)
        turn = None
        if identity is not None and mode != "off":
            turn = self._user_turn(dialect, identity, headers, body)
        client = None if turn is None else client_name(headers)
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
            user_turn=turn,
            client=client,
            app=(client and app_of(client)) or UNNAMED,
            stored_objects=stored_objects,
            used=None if turn is None else context_used(raw, body, deployments, self.blocks.recall.budget_tokens),
        )

    def _deployments(self, dialect: Dialect, principal: Principal, body: dict[str, Any]) -> list[Deployment]:
        """The deployments of the requested model. A Responses request may name no model (a stored `prompt` contains
        it): then the only provider of that dialect, else the only one that may support it."""
        if dialect.PATH == RESPONSES and "model" not in body:
            only = self.catalog.sole_deployment(principal, lambda each: RESPONSES in each.speaks)
            only = only or self.catalog.sole_deployment(principal, lambda each: RESPONSES in each.may_speak)
            if only:
                return [only]
        return self.catalog.targets(json_body.model(body), principal)

    def _user_turn(
        self, dialect: Dialect, identity: Identity, headers: Mapping[str, str], body: dict[str, Any]
    ) -> UserTurn | None:
        odds = program_odds(headers, body, self.side_tasks)
        asked = None if odds >= ENOUGH else dialect.question(body)
        if asked is None:
            return None
        return user_turn(dialect, identity, asked._replace(doubtful=odds >= DOUBTFUL), body)

    def upstream_body(
        self, request: ChatRequest, recall_result: RecallResult | None
    ) -> Callable[[Deployment], bytes]:
        """Gives for each deployment the client's own bytes, with the deployment's model name and, on a hit, the block
        if the model's context has room for it."""
        raw, body, turn = request.raw, request.body, request.user_turn
        edits: list[Edit] = []
        if turn is not None and recall_result is not None and recall_result.recalled.block:
            edits = request.dialect.inject(raw, body, turn.asked, recall_result.recalled.block, self.placement)

        def outgoing(to: Deployment) -> bytes:
            fits = bool(edits) and fitting(recall_result, request.room(to)) is recall_result
            return json_body.outgoing(raw, body, to.upstream_model, edits if fits else ())

        return outgoing

    def relay(
        self,
        request: ChatRequest,
        recall_result: RecallResult | None,
        answered: Answered,
        overhead: float,
        on_first: OnFirst | None = None,
    ) -> tuple[Relay, Callable[[], None]]:
        """The response, and a function to call after its end."""
        dialect, (deployment, reply, left_out) = request.dialect, answered
        recalled = recall_result.recalled if recall_result else _NOT_RECALLED
        status, write = status_of(request, recall_result), write_of(request, reply)
        count(_answers(status))
        if tracing.enabled():
            tracing.annotate(attributes_of(request, deployment, reply, status, len(recalled.ids)))
        headers = [
            (b"x-request-id", request.id.encode()),
            (b"x-memory-status", status.encode()),
            (b"x-memory-count", b"%d" % len(recalled.ids)),
            (b"x-memory-tokens", b"%d" % recalled.tokens),
            (b"x-memory-recall-ms", b"%.1f" % recalled.ms),
            (b"x-memory-write", write.encode()),
            (b"x-proxy-overhead-ms", b"%.1f" % (overhead * 1000)),
        ]
        if recalled.by_words:
            headers.append((b"x-memory-recall", b"words"))
        if left_out:
            headers.append((b"x-history-left-out", ", ".join(left_out).encode()))
        if recalled.room is not None:
            headers.append((b"x-memory-room", b"%d" % recalled.room))
        user_turn = request.user_turn
        relay = partial(Relay, reply, headers, on_first=on_first, dialect=dialect)
        own = None
        if 200 <= reply.status < 300:
            threaded = "thread" in request.body
            own = self.owners.recorder(dialect.PATH, deployment, request.principal, request.identity, threaded)
        if user_turn is None or (recall_result is None and write != "on"):
            return relay(on_end=own), _nothing
        receipt = Receipt(
            id=f"rcpt_{token_hex(16)}",
            space=user_turn.space,
            created_at=request.at,
            status=status,
            model=deployment.model_name,
            turn_id=user_turn.turn_id,
            recalled=recalled.ids,
            reasons=recalled.reasons,
            room=recalled.room,
            tokens=recalled.tokens,
            recall_ms=recalled.ms,
            write="pending" if write == "on" else write,
        )
        headers.append((b"x-memory-receipt", receipt.id.encode()))
        exchange = Exchange(request, user_turn, recall_result, receipt)
        if receipt.write == "pending":
            learning = partial(self.recorder.enqueue_turn, exchange)
            return relay(on_end=_both(own, learning)), _nothing
        file = partial(self.recorder.file, exchange)
        return relay(on_end=_both(own, note_usage if tracing.enabled() else None)), file


def _both(first: OnEnd | None, second: OnEnd | None) -> OnEnd | None:
    if first is None or second is None:
        return first or second

    async def both(copy: bytes, whole: bool) -> None:
        await asyncio.gather(first(copy, whole), second(copy, whole))

    return both


def _nothing() -> None:
    """For an answer that has nothing to file."""
