"""A model server on a free loopback port that does what a test scripts and remembers what it was sent.

    async with FakeModel() as upstream:
        upstream.script(Behaviour(answer="Hello", delay=0.1))
        ...
        assert upstream.requests[0].json["messages"][-1]["content"] == "Hi"

It speaks OpenAI's chat completions, Responses, models and embeddings and Anthropic's messages, in an event loop and
a thread of its own, so that a blocked proxy cannot hide behind a blocked model.
"""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web


@dataclass
class Recorded:
    """One request as it arrived. `gone_at` is the `time.monotonic()` at which its client left too early, or None;
    `peer` is the same for two requests over one connection."""

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes
    peer: object = None
    at: float = field(default_factory=time.monotonic)
    gone_at: float | None = None
    done: bool = False

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


@dataclass
class Behaviour:
    """How to answer one request. All delays are in seconds.

    `answer`: a text, or a function of the parsed body; None echoes the newest user message.
    `stream`: these reads are sent as they are, one TCP write each, in place of a made-up stream.
    `body`: this body in place of a made-up one, whatever was asked.
    `drop_after`: cut the connection after so many writes of a stream (0: after the headers); -1: in mid-body.
    """

    answer: str | Callable[[Any], str] | None = None
    stream: Sequence[bytes] | None = None
    body: bytes | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    delay_headers: float = 0.0
    delay_first: float = 0.0
    delay_chunk: float = 0.0
    drop_after: int | None = None
    gzip: bool = False


class FakeModel:
    """`requests` grows with every request; scripted behaviours are used up in order, then `default` holds."""

    def __init__(
        self, models: Sequence[str] = ("fake-large", "fake-small"), default: Behaviour | None = None
    ) -> None:
        self.models = list(models)
        self.default = default or Behaviour()
        self.requests: list[Recorded] = []
        self._script: deque[Behaviour] = deque()
        self._ready = threading.Event()
        self._ids = itertools.count(1)

    @property
    def url(self) -> str:
        """The API base, with /v1."""
        return f"{self.origin}/v1"

    @property
    def chats(self) -> list[Recorded]:
        return [
            r
            for r in self.requests
            if r.path.partition("?")[0].endswith(("/chat/completions", "/responses", "/messages"))
        ]

    def script(self, *behaviours: Behaviour) -> None:
        self._script.extend(behaviours)

    async def __aenter__(self) -> Self:
        self._thread = threading.Thread(target=asyncio.run, args=(self._serve(),), daemon=True)
        self._thread.start()
        await asyncio.to_thread(self._ready.wait)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        await asyncio.to_thread(self._thread.join)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        peer = request.transport and request.transport.get_extra_info("peername")
        recorded = Recorded(request.method, request.path_qs, dict(request.headers), await request.read(), peer)
        self.requests.append(recorded)
        try:
            response = await self._respond(request, recorded)
        except (asyncio.CancelledError, ConnectionError):
            recorded.gone_at = time.monotonic()
            raise
        recorded.done = True
        return response

    async def _respond(self, request: web.Request, recorded: Recorded) -> web.StreamResponse:
        if request.method == "GET":
            return self._listing(request.path)
        behaviour = self._script.popleft() if self._script else self.default
        await asyncio.sleep(behaviour.delay_headers)
        no_json = request.content_type.startswith("multipart/") or not recorded.raw
        body = {} if no_json else recorded.json
        if behaviour.stream is not None or (body.get("stream") and behaviour.status == 200):
            return await self._stream(request, behaviour, self._events(request.path, body, behaviour))
        return await self._whole(request, behaviour, behaviour.body or self._body(request.path, body, behaviour))

    def _listing(self, path: str) -> web.Response:
        if path.endswith("/api/tags"):
            return web.json_response({"models": [{"name": name} for name in self.models]})
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "fake"} for name in self.models]
        return web.json_response({"object": "list", "data": data})

    async def _whole(self, request: web.Request, behaviour: Behaviour, body: bytes) -> web.StreamResponse:
        headers = {"Content-Type": "application/json", **behaviour.headers}
        if behaviour.gzip:
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        if behaviour.drop_after is None:
            await asyncio.sleep(behaviour.delay_first)
            return web.Response(status=behaviour.status, headers=headers, body=body)
        response = web.StreamResponse(status=behaviour.status, headers=headers)
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        return cut(request, response)

    async def _stream(self, request: web.Request, behaviour: Behaviour, reads: Sequence[bytes]) -> web.StreamResponse:
        headers = {"Content-Type": "text/event-stream", **behaviour.headers}
        if behaviour.gzip:
            reads, headers["Content-Encoding"] = halves(gzip.compress(b"".join(reads))), "gzip"
        response = web.StreamResponse(status=behaviour.status, headers=headers)
        response.enable_chunked_encoding()
        await response.prepare(request)
        await asyncio.sleep(behaviour.delay_first)
        async for number, read in paced(reads, behaviour.delay_chunk):
            if number == behaviour.drop_after:
                return cut(request, response)
            await response.write(read)
        if behaviour.drop_after is not None:
            return cut(request, response)
        await response.write_eof()
        return response

    def _events(self, path: str, body: Any, behaviour: Behaviour) -> Sequence[bytes]:
        if behaviour.stream is not None:
            return behaviour.stream
        answer = text_of(behaviour, body)
        if path.endswith("/messages"):
            return anthropic_stream(body["model"], answer)
        if path.endswith("/responses"):
            return responses_stream(body["model"], answer, next(self._ids))
        usage = (body.get("stream_options") or {}).get("include_usage")
        return chat_stream(body["model"], answer, next(self._ids), usage=bool(usage))

    def _body(self, path: str, body: Any, behaviour: Behaviour) -> bytes:
        if behaviour.status != 200:
            error = {"message": "scripted error", "type": "fake_error", "param": None, "code": "scripted"}
            return json.dumps({"error": error}).encode()
        if path.endswith("/embeddings"):
            return embeddings_body(body)
        if path.endswith("/count_tokens"):
            return b'{"input_tokens":7}'
        make = {"messages": anthropic_body, "responses": responses_body}.get(path.rpartition("/")[2], chat_body)
        return make(body["model"], text_of(behaviour, body), next(self._ids))


async def paced(reads: Sequence[bytes], delay: float) -> AsyncIterator[tuple[int, bytes]]:
    for number, read in enumerate(reads):
        # A pause, however short, lets each write leave as a packet of its own.
        await asyncio.sleep(delay if number else 0)
        yield number, read


def cut(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """End the connection in the middle of the body, as a crashed provider does."""
    if request.transport is not None:
        request.transport.close()
    return response


def halves(data: bytes) -> list[bytes]:
    return [data[: len(data) // 2], data[len(data) // 2 :]]


def text_of(behaviour: Behaviour, body: Any) -> str:
    if callable(behaviour.answer):
        return behaviour.answer(body)
    return newest_user_text(body) if behaviour.answer is None else behaviour.answer


def newest_user_text(body: Any) -> str:
    """The newest user message as text, its text parts joined by line ends; in any dialect."""
    messages = body["messages"] if "messages" in body else body["input"]
    if isinstance(messages, str):
        return messages
    content = next((m["content"] for m in reversed(messages) if m.get("role") == "user"), "")
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part.get("type") in ("text", "input_text"))


def event(data: Any, name: str | None = None) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def words(answer: str) -> list[str]:
    """The answer in pieces that join to it again."""
    return [piece for piece in answer.replace(" ", " \0").split("\0") if piece]


USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def chat_stream(model: str, answer: str, number: int = 1, *, usage: bool = False) -> list[bytes]:
    """OpenAI's chat completion chunks, one element an event, `[DONE]` last."""
    head = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": 1, "model": model}

    def chunk(delta: Any, finish: str | None = None) -> bytes:
        return event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    pieces = [chunk({"content": word}) for word in words(answer)]
    tail = [event({**head, "choices": [], "usage": USAGE})] if usage else []
    return [
        chunk({"role": "assistant", "content": ""}),
        *pieces,
        chunk({}, "stop"),
        *tail,
        b"data: [DONE]\n\n",
    ]


def chat_body(model: str, answer: str, number: int = 1) -> bytes:
    message = {"role": "assistant", "content": answer}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    head = {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1, "model": model}
    return json.dumps({**head, "choices": [choice], "usage": USAGE}).encode()


def responses_object(model: str, answer: str, number: int, status: str = "completed") -> dict[str, Any]:
    text = {"type": "output_text", "text": answer, "annotations": [], "logprobs": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": status, "content": [text]}
    head = {"id": f"resp_{number}", "object": "response", "created_at": 1, "model": model, "status": status}
    asked = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "error": None, "metadata": {}}
    read = {"cached_tokens": 0, "cache_write_tokens": 0}
    details = {"input_tokens_details": read, "output_tokens_details": {"reasoning_tokens": 0}}
    usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10, **details}
    return {**head, **asked, "output": [item] if answer else [], "usage": usage if answer else None}


def responses_body(model: str, answer: str, number: int = 1) -> bytes:
    return json.dumps(responses_object(model, answer, number)).encode()


def responses_stream(model: str, answer: str, number: int = 1) -> list[bytes]:
    """OpenAI's Responses events, one element an event."""
    begun = responses_object(model, "", number, "in_progress")
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    whole = responses_object(model, answer, number)
    item = whole["output"][0] if answer else {}
    deltas = [
        {"type": "response.output_text.delta", **where, "delta": word, "logprobs": []} for word in words(answer)
    ]
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        *deltas,
        {"type": "response.output_text.done", **where, "text": answer, "logprobs": []},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    return [event({**data, "sequence_number": at}, data["type"]) for at, data in enumerate(events)]


def embeddings_body(body: Any) -> bytes:
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    data = [{"object": "embedding", "index": i, "embedding": [0.6, 0.8]} for i in range(len(texts))]
    return json.dumps({"object": "list", "data": data, "model": body["model"], "usage": USAGE}).encode()


def anthropic_stream(model: str, answer: str) -> list[bytes]:
    """Anthropic's message events, one element an event."""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": []}
    usage = {"input_tokens": 7, "output_tokens": 3}
    block = {"type": "text", "text": ""}
    deltas = [{"type": "text_delta", "text": word} for word in words(answer)]
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**message, "stop_reason": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]
    return [event(data, data["type"]) for data in events]


def anthropic_body(model: str, answer: str, number: int = 1) -> bytes:
    message = {"id": f"msg_{number}", "type": "message", "role": "assistant", "model": model}
    content = [{"type": "text", "text": answer}]
    usage = {"input_tokens": 7, "output_tokens": 3}
    return json.dumps({**message, "content": content, "stop_reason": "end_turn", "usage": usage}).encode()
