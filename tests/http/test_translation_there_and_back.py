"""Promise: what both dialects of a pair can say is lost on neither way: a generated conversation goes to a provider
of another dialect, and its answer comes back, streamed or whole."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from rememberd.dialects.formats import sse
from rememberd.types import CHAT, MESSAGES, RESPONSES, Deployment
from rememberd.upstream.translate.litellm_lane import LitellmLane
from tests.support.fake_model import Behaviour, FakeModel, event
from tests.support.tables import each_row

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
URL = f"data:image/png;base64,{PIXEL}"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
PAIRS = [(CHAT, "claude"), (RESPONSES, "claude"), (RESPONSES, "gpt"), (MESSAGES, "gpt")]

# A conversation is a list of (role, parts); a part is ("text", text), ("image", url), ("call", id, name, arguments)
# or ("result", id, text). Neighbours of one role are one message.
Part = tuple[Any, ...]
Said = list[tuple[str, list[Part]]]


@pytest.fixture
async def upstream() -> AsyncIterator[FakeModel]:
    async with FakeModel() as upstream:
        yield upstream


def deployment(upstream: FakeModel, kind: str) -> Deployment:
    if kind == "claude":
        return Deployment("c", "anthropic", "claude-sonnet-4-5", frozenset(), f"{upstream.origin}/v1", "sk-ant")
    return Deployment("g", "openai", "gpt-4o", frozenset({CHAT}), upstream.url, "sk-up")


def conversation(chance: random.Random) -> Said:
    """It begins and ends with the user's words; between, answers and up to three calls at once with their results."""
    said: Said = [("system", [("text", f"Be brief. {chance.random()}")])]
    for number in range(chance.randint(1, 4)):
        asked: list[Part] = [("text", f'question {number} "ä" 🙂\n')]
        said.append(("user", asked + [("image", URL)] * chance.randint(0, 1)))
        answer: list[Part] = [("text", f"answer {number}")] * chance.randint(0, 1)
        calls: list[Part] = [
            ("call", f"call_{number}_{at}", "weather", {"city": f"Oslo {at}", "deep": {"list": [1, None, "x"]}})
            for at in range(chance.randint(0 if answer else 1, 3))
        ]
        said.append(("assistant", answer + calls))
        if calls:
            said.append(("tool", [("result", call[1], f"rain {call[1]}") for call in calls]))
    said.append(("user", [("text", "And now?")]))
    return said


def as_chat(said: Said) -> dict[str, Any]:
    messages: list[Any] = []
    for role, parts in said:
        if role == "tool":
            messages += [{"role": "tool", "tool_call_id": id, "content": text} for _, id, text in parts]
            continue
        content: list[Any] = []
        for part in parts:
            if part[0] == "text":
                content.append({"type": "text", "text": part[1]})
            elif part[0] == "image":
                content.append({"type": "image_url", "image_url": {"url": part[1]}})
        calls = [
            {"id": part[1], "type": "function", "function": {"name": part[2], "arguments": json.dumps(part[3])}}
            for part in parts
            if part[0] == "call"
        ]
        messages.append({"role": role, "content": content or None} | ({"tool_calls": calls} if calls else {}))
    return {
        "messages": messages,
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}],
    }


def as_responses(said: Said) -> dict[str, Any]:
    items: list[Any] = []
    for role, parts in said:
        kind = "output_text" if role == "assistant" else "input_text"
        content = [
            {"type": kind, "text": part[1]} if part[0] == "text" else {"type": "input_image", "image_url": part[1]}
            for part in parts
            if part[0] in ("text", "image")
        ]
        if content and role != "system":
            items.append({"type": "message", "role": role, "content": content})
        for part in parts:
            if part[0] == "call":
                made = {"call_id": part[1], "name": part[2], "arguments": json.dumps(part[3])}
                items.append({"type": "function_call", **made})
            elif part[0] == "result":
                items.append({"type": "function_call_output", "call_id": part[1], "output": part[2]})
    tools = [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}]
    return {"instructions": said[0][1][0][1], "input": items, "tools": tools}


def as_messages(said: Said) -> dict[str, Any]:
    def block(part: Part) -> Any:
        match part:
            case ("text", text):
                return {"type": "text", "text": text}
            case ("image", _):
                return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
            case ("call", id, name, arguments):
                return {"type": "tool_use", "id": id, "name": name, "input": arguments}
            case ("result", id, text):
                return {"type": "tool_result", "tool_use_id": id, "content": text}

    roles = {"tool": "user"}
    messages = [
        {"role": roles.get(role, role), "content": [block(part) for part in parts]} for role, parts in said[1:]
    ]
    tools = [{"name": "weather", "input_schema": SCHEMA}]
    return {"system": said[0][1][0][1], "messages": messages, "tools": tools, "max_tokens": 100}


def from_chat(body: Any) -> Said:
    found: Said = []
    for message in body["messages"]:
        if message["role"] == "tool":
            found.append(("tool", [("result", message["tool_call_id"], text(message["content"]))]))
            continue
        content = message.get("content")
        parts: list[Part] = []
        for part in content if isinstance(content, list) else [{"type": "text", "text": content}] if content else []:
            if part["type"] == "text":
                parts.append(("text", part["text"]))
            else:
                parts.append(("image", part["image_url"]["url"]))
        parts += [
            ("call", call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in message.get("tool_calls") or ()
        ]
        found.append((message["role"], parts))
    return merged(found)


def from_messages(body: Any) -> Said:
    system = body.get("system")
    found: Said = [("system", [("text", text(system))])] if system else []
    for message in body["messages"]:
        content = message["content"]
        for block in content if isinstance(content, list) else [{"type": "text", "text": content}]:
            match block["type"]:
                case "text":
                    found.append((message["role"], [("text", block["text"])]))
                case "image":
                    found.append((message["role"], [("image", f"data:image/png;base64,{block['source']['data']}")]))
                case "tool_use":
                    found.append((message["role"], [("call", block["id"], block["name"], block["input"])]))
                case "tool_result":
                    found.append(("tool", [("result", block["tool_use_id"], text(block["content"]))]))
    return merged(found)


def text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def merged(said: Said) -> Said:
    groups = itertools.groupby(said, key=lambda each: each[0])
    return [(role, [part for _, parts in group for part in parts]) for role, group in groups]


WRITE = {CHAT: as_chat, RESPONSES: as_responses, MESSAGES: as_messages}
READ = {"claude": from_messages, "gpt": from_chat}


async def exchange(upstream: FakeModel, path: str, kind: str, body: Any) -> bytes:
    reply = await LitellmLane().send(deployment(upstream, kind), path, orjson.dumps({"model": "x", **body}), [])
    raw = b"".join([chunk async for chunk in reply.chunks()])
    assert reply.status == 200, raw
    return raw


@each_row(("path", "kind"), PAIRS)
async def test_a_conversation_arrives_whole(upstream: FakeModel, path: str, kind: str) -> None:
    """Words, images, parallel calls with their ids and arguments, results, the system text, the tools."""
    for seed in range(15):
        said = conversation(random.Random(seed))
        await exchange(upstream, path, kind, WRITE[path](said))
        sent = upstream.requests[-1].json
        assert READ[kind](sent) == merged(said), seed
        tool = sent["tools"][0]
        assert (tool["function"]["parameters"] if kind == "gpt" else tool["input_schema"])["properties"]


ANSWERED: list[Part] = [
    ("text", 'I will look. "ä" 🙂'),
    ("call", "call_a", "weather", {"city": "Oslo"}),
    ("call", "call_b", "weather", {"city": "Bergen", "deep": [1, {"x": None}]}),
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("path", "kind"), PAIRS)
async def test_an_answer_comes_back_whole(upstream: FakeModel, path: str, kind: str, stream: bool) -> None:
    """Its words, its calls, why it stopped."""
    made = {"claude": claude_stream, "gpt": gpt_stream}[kind]() if stream else None
    whole = {"claude": claude_body, "gpt": gpt_body}[kind]()
    upstream.script(Behaviour(stream=made) if made else Behaviour(body=orjson.dumps(whole)))
    body = WRITE[path](conversation(random.Random(1))) | {"stream": stream}
    raw = await exchange(upstream, path, kind, body)
    assert {CHAT: chat_answer, RESPONSES: responses_answer, MESSAGES: messages_answer}[path](raw, stream) == ANSWERED


def claude_body() -> Any:
    blocks = as_messages([("system", [("text", "")]), ("assistant", ANSWERED)])["messages"][0]["content"]
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": blocks}
    return head | {"stop_reason": "tool_use", "usage": {"input_tokens": 7, "output_tokens": 3}}


def claude_stream() -> list[bytes]:
    body = claude_body()
    start = body | {"content": [], "stop_reason": None}
    events: list[Any] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(body["content"]):
        if block["type"] == "text":
            opened, deltas = block | {"text": ""}, [{"type": "text_delta", "text": block["text"]}]
        else:
            opened, written = block | {"input": {}}, json.dumps(block["input"])
            deltas = [{"type": "input_json_delta", "partial_json": half} for half in (written[:4], written[4:])]
        events.append({"type": "content_block_start", "index": index, "content_block": opened})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 3}})
    return [event(each, each["type"]) for each in [*events, {"type": "message_stop"}]]


def gpt_body() -> Any:
    message = as_chat([("assistant", ANSWERED)])["messages"][0]
    message["content"] = message["content"][0]["text"]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def gpt_stream() -> list[bytes]:
    message = gpt_body()["choices"][0]["message"]
    deltas: list[Any] = [{"role": "assistant", "content": message["content"]}]
    for index, call in enumerate(message["tool_calls"]):
        written = call["function"]["arguments"]
        named = {"name": call["function"]["name"], "arguments": written[:4]}
        deltas.append({"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": named}]})
        deltas.append({"tool_calls": [{"index": index, "function": {"arguments": written[4:]}}]})
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    chunks.append({"index": 0, "delta": {}, "finish_reason": "tool_calls"})
    return [*(event(head | {"choices": [chunk]}) for chunk in chunks), b"data: [DONE]\n\n"]


def events_of(raw: bytes) -> list[Any]:
    return [orjson.loads(data) for data in sse.events(raw) if data != b"[DONE]"]


def chat_answer(raw: bytes, stream: bool) -> list[Part]:
    if not stream:
        choice = orjson.loads(raw)["choices"][0]
        assert choice["finish_reason"] == "tool_calls"
        return from_chat({"messages": [choice["message"]]})[0][1]
    calls: dict[int, Any] = {}
    words = ""
    for chunk in events_of(raw):
        for choice in chunk["choices"]:
            words += choice["delta"].get("content") or ""
            for piece in choice["delta"].get("tool_calls") or ():
                call = calls.setdefault(piece["index"], {"id": piece.get("id"), "name": "", "arguments": ""})
                call["name"] += piece["function"].get("name") or ""
                call["arguments"] += piece["function"].get("arguments") or ""
    made = [("call", each["id"], each["name"], json.loads(each["arguments"])) for each in calls.values()]
    return [("text", words), *made]


def responses_answer(raw: bytes, stream: bool) -> list[Part]:
    response = events_of(raw)[-1]["response"] if stream else orjson.loads(raw)
    parts: list[Part] = []
    for item in response["output"]:
        if item["type"] == "message":
            parts.append(("text", "".join(part["text"] for part in item["content"])))
        elif item["type"] == "function_call":
            parts.append(("call", item["call_id"], item["name"], json.loads(item["arguments"])))
    return parts


def messages_answer(raw: bytes, stream: bool) -> list[Part]:
    if not stream:
        body = orjson.loads(raw)
        assert body["stop_reason"] == "tool_use"
        return from_messages({"messages": [body]})[0][1]
    blocks: dict[int, Any] = {}
    for each in events_of(raw):
        if each["type"] == "content_block_start":
            blocks[each["index"]] = dict(each["content_block"], written="")
        elif each["type"] == "content_block_delta":
            delta = each["delta"]
            blocks[each["index"]]["written"] += delta.get("text") or delta.get("partial_json") or ""
    return [
        ("text", block["written"])
        if block["type"] == "text"
        else ("call", block["id"], block["name"], json.loads(block["written"]))
        for block in blocks.values()
    ]
