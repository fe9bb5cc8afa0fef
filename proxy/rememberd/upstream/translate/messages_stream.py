"""Writes litellm's stream of chat chunks as the events of Anthropic's Messages."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import orjson

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}


async def message_events(chunks: AsyncIterator[Any], model: str) -> AsyncIterator[bytes]:
    """`model` is the name that the client requested."""
    writer = _Writer(model)
    yield writer.start()
    async for chunk in chunks:
        for event in writer.take(chunk):
            yield event
    for event in writer.finish():
        yield event


@dataclass
class _Call:
    id: str
    name: str
    arguments: str = ""


class _Writer:
    """One content block is open at a time, as in Anthropic's own streams. The pieces of parallel tool calls may be
    mixed: those of the first call are written as they arrive, the others are collected until the end."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._index, self._open = -1, ""
        self._calls: dict[int, _Call] = {}
        self._live: int | None = None  # the tool call that is written as it arrives
        self._stop_reason: str | None = None
        self._usage: dict[str, int] = {"input_tokens": 0, "output_tokens": 0}

    def start(self) -> bytes:
        message = {"id": f"msg_{token_hex(12)}", "type": "message", "role": "assistant", "model": self._model}
        rest: dict[str, Any] = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": self._usage}
        return _event("message_start", message=message | rest)

    def take(self, chunk: Any) -> Iterator[bytes]:
        if usage := getattr(chunk, "usage", None):
            self._usage = _usage(usage)
        for choice in chunk.choices[:1]:
            delta = choice.delta
            yield from self._thinking(delta)
            if delta.content:
                yield from self._block("text", {"type": "text", "text": ""})
                yield self._delta({"type": "text_delta", "text": delta.content})
            for call in delta.tool_calls or ():
                yield from self._call(call)
            self._stop_reason = choice.finish_reason or self._stop_reason

    def finish(self) -> Iterator[bytes]:
        yield from self._close()
        for index, call in self._calls.items():
            if index != self._live:
                yield from self._tool_block(call)
                if call.arguments:
                    yield self._delta({"type": "input_json_delta", "partial_json": call.arguments})
                yield from self._close()
        reason = _STOP_REASONS.get(self._stop_reason or "stop", "end_turn")
        delta = {"stop_reason": "tool_use" if self._calls and reason == "end_turn" else reason, "stop_sequence": None}
        yield _event("message_delta", delta=delta, usage=self._usage)
        yield _event("message_stop")

    def _thinking(self, delta: Any) -> Iterator[bytes]:
        blocks = getattr(delta, "thinking_blocks", None) or ()
        text = getattr(delta, "reasoning_content", None) or "".join(block.get("thinking") or "" for block in blocks)
        if text:
            yield from self._block("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            yield self._delta({"type": "thinking_delta", "thinking": text})
        for block in blocks:
            if block.get("signature") and self._open == "thinking":
                yield self._delta({"type": "signature_delta", "signature": block["signature"]})
            if block.get("type") == "redacted_thinking":
                yield from self._close()
                yield from self._block("redacted", {"type": "redacted_thinking", "data": block.get("data", "")})
                yield from self._close()

    def _call(self, piece: Any) -> Iterator[bytes]:
        call = self._calls.get(piece.index)
        if call is None:
            call = self._calls[piece.index] = _Call(piece.id or f"toolu_{token_hex(12)}", piece.function.name or "")
            if self._live is None:
                self._live = piece.index
                yield from self._tool_block(call)
        arguments = piece.function.arguments or ""
        if self._live == piece.index and self._open == "tool":
            if arguments:
                yield self._delta({"type": "input_json_delta", "partial_json": arguments})
        else:
            call.arguments += arguments

    def _tool_block(self, call: _Call) -> Iterator[bytes]:
        yield from self._close()
        yield from self._block("tool", {"type": "tool_use", "id": call.id, "name": call.name, "input": {}})

    def _block(self, kind: str, block: dict[str, Any]) -> Iterator[bytes]:
        """Open `block`, unless a block of its kind is already open."""
        if self._open == kind:
            return
        yield from self._close()
        self._index, self._open = self._index + 1, kind
        yield _event("content_block_start", index=self._index, content_block=block)

    def _delta(self, delta: dict[str, Any]) -> bytes:
        return _event("content_block_delta", index=self._index, delta=delta)

    def _close(self) -> Iterator[bytes]:
        if self._open:
            self._open = ""
            yield _event("content_block_stop", index=self._index)


def _usage(usage: Any) -> dict[str, int]:
    """Anthropic does not include cached tokens in `input_tokens`; OpenAI does."""
    cached = getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", None) or 0
    found = {
        "input_tokens": max((usage.prompt_tokens or 0) - cached, 0),
        "output_tokens": usage.completion_tokens or 0,
    }
    return found | ({"cache_read_input_tokens": cached} if cached else {})


def _event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: ".encode() + orjson.dumps({"type": kind, **fields}) + b"\n\n"
