"""Promise: in the translate lane a fault of the provider is a 5xx that SDKs try again, in every dialect; and what it
streams in any order arrives whole."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest

from rememberd.dialects.formats import sse
from rememberd.errors import RequestError, UpstreamUnavailable
from rememberd.types import CHAT, MESSAGES, RESPONSES, Deployment
from rememberd.upstream.translate.litellm_lane import LitellmLane
from tests.support.fake_model import Behaviour, FakeModel, chat_stream, event

OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
PAGE = {"body": b"<html>down</html>", "headers": {"Content-Type": "text/html"}}
WHOLE: dict[str, Callable[[], Behaviour]] = {
    "a page": lambda: Behaviour(**PAGE),  # type: ignore[arg-type]
    "a page with 503": lambda: Behaviour(status=503, **PAGE),  # type: ignore[arg-type]
    "overload": lambda: Behaviour(status=529, body=json.dumps(OVERLOADED).encode()),
    "another object": lambda: Behaviour(body=b'{"x":1}'),
    "a list": lambda: Behaviour(body=b"[]"),
    "nothing": lambda: Behaviour(body=b" "),
}
STREAMED: dict[str, Callable[[], Behaviour]] = {
    "overload first": lambda: Behaviour(stream=[event(OVERLOADED, "error")]),
    "an error first": lambda: Behaviour(stream=[event({"error": {"message": "Overloaded", "code": 503}})]),
    "half an event": lambda: Behaviour(stream=[b'event: message_start\ndata: {"type":"mess\n\n']),
    "a page": lambda: Behaviour(stream=[b"<html>x</html>\n\n"]),
    "nothing": lambda: Behaviour(stream=[b"\n"]),
    "cut": lambda: Behaviour(stream=[b"", b"x"], drop_after=0),
}


@pytest.fixture
async def upstream() -> AsyncIterator[FakeModel]:
    async with FakeModel() as upstream:
        yield upstream


def claude(upstream: FakeModel) -> Deployment:
    return Deployment("c", "anthropic", "claude-sonnet-4-5", frozenset(), f"{upstream.origin}/v1", "sk-ant")


def gpt(upstream: FakeModel) -> Deployment:
    return Deployment("g", "openai", "gpt-4o", frozenset({CHAT}), upstream.url, "sk-up")


async def outcome(deployment: Deployment, path: str, *, stream: bool) -> tuple[int, bytes]:
    """The status, and all that came; 599 for a stream that ends with an error."""
    said: dict[str, Any] = {"input": "Hi"} if path == RESPONSES else {"messages": [{"role": "user", "content": "Hi"}]}
    try:
        reply = await LitellmLane().send(deployment, path, orjson.dumps({"model": "x", "stream": stream, **said}), [])
    except UpstreamUnavailable as error:
        return error.status, str(error).encode()
    except RequestError as error:
        return error.status, error.message.encode()
    got = b""
    try:
        async for chunk in reply.chunks():
            got += chunk
    except UpstreamUnavailable as error:
        return 599, got + str(error).encode()
    return reply.status, got


async def test_a_fault_of_the_provider_is_never_the_clients(upstream: FakeModel) -> None:
    """Nor a good answer with nothing in it. No message names a class of a library."""
    wrong = []
    for stream, (name, fault) in [*((False, it) for it in WHOLE.items()), *((True, it) for it in STREAMED.items())]:
        for make, path in itertools.product((claude, gpt), (CHAT, RESPONSES, MESSAGES)):
            upstream._script.clear()
            upstream.script(fault(), fault())
            status, said = await outcome(make(upstream), path, stream=stream)
            if status < 500 or (status == 599 and path != RESPONSES) or b"litellm" in said or b"Exception" in said:
                wrong.append((name, stream, make.__name__, path, status, said[:200]))
    assert not wrong


async def test_parallel_tool_calls_in_any_order_keep_their_arguments(upstream: FakeModel) -> None:
    """The pieces of three calls, mixed in forty ways: each block of the Messages stream holds those of its call."""
    calls = [("call_a", "weather", '{"city":"Oslo"}'), ("call_b", "time", '{"zone":"CET"}'), ("call_c", "now", "{}")]
    for seed in range(40):
        chunks = _mixed(calls, random.Random(seed))
        upstream.script(Behaviour(stream=chunks))
        status, raw = await outcome(gpt(upstream), MESSAGES, stream=True)
        events = [orjson.loads(data) for data in sse.events(raw)]
        assert status == 200
        blocks: dict[int, list[Any]] = {}
        opened = None
        for each in events:
            match each["type"]:
                case "content_block_start":
                    assert opened is None
                    opened = each["index"]
                    blocks[opened] = [each["content_block"]["id"], each["content_block"]["name"], ""]
                case "content_block_delta":
                    assert each["index"] == opened
                    blocks[opened][2] += each["delta"]["partial_json"]
                case "content_block_stop":
                    opened = None
        assert sorted(map(tuple, blocks.values())) == sorted(calls), seed
        assert events[-2]["delta"]["stop_reason"] == "tool_use"


def _mixed(calls: list[tuple[str, str, str]], chance: random.Random) -> list[bytes]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}
    pieces: dict[int, list[dict[str, Any]]] = {}
    for index, (id, name, arguments) in enumerate(calls):
        first = {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}}
        cut = chance.randrange(len(arguments))
        parts = (arguments[:cut], arguments[cut:])
        pieces[index] = [first, *({"index": index, "function": {"arguments": part}} for part in parts)]
    order = [index for index, parts in pieces.items() for _ in parts]
    chance.shuffle(order)
    deltas = [{"tool_calls": [pieces[index].pop(0)]} for index in order]
    sent = [event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}) for delta in deltas]
    end = event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    return [chat_stream("gpt-4o", "")[0], *sent, end, b"data: [DONE]\n\n"]
