"""A conversation begun with one model goes on with another, in the same dialect or translated: what only the old one
can read is left out, words, tool calls and pictures stay, and whoever accepts the client's bytes gets just these."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from aiohttp import web

from rememberd.dialects.formats.portable import portable, portable_id, without_earlier_pictures
from rememberd.pipeline.continuity import Answered, send_on
from rememberd.types import CHAT, COUNT_TOKENS, MESSAGES, RESPONSES, Deployment
from rememberd.upstream.byte_lane import ByteLane
from rememberd.upstream.failover import Failover
from rememberd.upstream.translate.litellm_lane import LitellmLane
from tests.support.fake_model import Behaviour, FakeModel, Recorded
from tests.support.proxy_server import Proxy
from tests.support.tables import each_row

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
URL = f"data:image/png;base64,{PIXEL}"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
THINKS = {"thinking": {"type": "enabled", "budget_tokens": 1024}}

GEMINI_ANYBODY = base64.b64encode(b"skip_thought_signature_validator").decode()
GEMINI_ANSWER = {
    "candidates": [{"content": {"parts": [{"text": "Yes."}], "role": "model"}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
}

# Who wrote the history: how its tool calls are numbered.
IDS: Mapping[str, Callable[[int], str]] = {
    "openai": lambda n: f"call_{n:024d}",
    "anthropic": lambda n: f"toolu_{n:020d}",
    "mistral": lambda n: f"{n:09d}",
    "kimi": lambda n: f"functions.weather:{n}",
    "gemini": lambda n: f"call_{n}__thought__{'Q' * 80}",
    "long": lambda n: f"call_{n}|fc_{'a' * 60}",
}


@dataclass
class Kind:
    """A provider: what it speaks, and what it says against a body (None: nothing). The rules are those of the
    providers' documentation, as strict as any is known to be."""

    name: str
    speaks: frozenset[str]
    objects: Callable[[Any], str | None]
    sees: bool = True


def against_messages(body: Any, own: str) -> str | None:
    for message in body["messages"]:
        blocks = message["content"] if isinstance(message["content"], list) else []
        if message["content"] in ([], ""):
            return "messages: content must be non-empty"
        for block in blocks:
            signed = str(block.get("signature", block.get("data", "")))
            if block["type"] in ("thinking", "redacted_thinking") and not signed.startswith(own):
                return "messages: Invalid `signature` in `thinking` block"
            if block["type"].endswith("_tool_result") and own not in json.dumps(block):
                return "messages: Invalid `encrypted_content`"
            if any(own not in cited.get("encrypted_index", own) for cited in block.get("citations") or ()):
                return "messages: Invalid `encrypted_index`"
            for id in (block.get("id"), block.get("tool_use_id")):
                if id and not re.fullmatch(r"[a-zA-Z0-9_-]+", id):
                    return "messages: tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'"
    return loops_without_thought(body)


def loops_without_thought(body: Any) -> str | None:
    newest = body["messages"][-1]["content"]
    if "thinking" not in body or not any(each["type"] == "tool_result" for each in newest if isinstance(each, dict)):
        return None
    first = body["messages"][-2]["content"][0]["type"]
    return None if "thinking" in first else f"Expected `thinking` or `redacted_thinking`, but found `{first}`"


def against_chat(body: Any, id_form: str) -> str | None:
    known = {"role", "content", "name", "tool_calls", "tool_call_id"}
    for message in body["messages"]:
        if strange := set(message) - known:
            return f"property {strange} is unsupported"
        ids = [call["id"] for call in message.get("tool_calls") or ()] + [message.get("tool_call_id", "a" * 9)]
        if not all(re.fullmatch(id_form, id) for id in ids):
            return f"a tool call's id must match {id_form}"
        if any(set(call) - {"id", "type", "function"} for call in message.get("tool_calls") or ()):
            return "extra fields are not permitted"
        content = message.get("content")
        if isinstance(content, list) and {part["type"] for part in content} - {"text", "image_url"}:
            return "unknown part"
    return None


def against_responses(body: Any, own: str) -> str | None:
    if "previous_response_id" in body and own not in body["previous_response_id"]:
        return "Previous response not found"
    calls = {item["call_id"] for item in body["input"] if item.get("type") == "function_call"}
    for item in body["input"]:
        kind = item.get("type", "message")
        if kind in ("reasoning", "compaction") and own not in item.get("encrypted_content", own):
            return "The encrypted content could not be verified"
        if kind == "item_reference" or own not in item.get("id", own):
            return "Item with id not found"
        if kind == "function_call_output" and item["call_id"] not in calls:
            return "No tool call found for function call output"
        if len(item.get("call_id", "")) > 64:
            return "string too long"
    return None


def against_gemini(body: Any) -> str | None:
    """Gemini 3 wants its signature at the first call of each step of the newest turn; it documents one that anybody
    may send for calls of other models."""
    calls: list[Any] = []
    for content in body["contents"]:
        if any("text" in part for part in content["parts"]) and content["role"] == "user":
            calls = []
        found = [part for part in content["parts"] if "functionCall" in part or "function_call" in part]
        calls += found[:1]
        for part in content["parts"]:
            signature = part.get("thoughtSignature", GEMINI_ANYBODY)
            if signature != GEMINI_ANYBODY and not signature.startswith("gemini"):
                return "Corrupted thought signature"
    unsigned = any("thoughtSignature" not in part for part in calls)
    return "Function call is missing a thought_signature" if unsigned else None


def blind(body: Any) -> str | None:
    return "this model takes no images" if PIXEL in json.dumps(body["messages"]) else against_chat(body, ".+")


BOTH = frozenset((MESSAGES, COUNT_TOKENS))
KINDS = [
    Kind("anthropic", BOTH, lambda body: against_messages(body, "anthropic")),
    Kind("openai", frozenset((CHAT,)), lambda body: against_chat(body, ".{1,40}")),
    Kind("mistral", frozenset((CHAT,)), lambda body: against_chat(body, "[a-zA-Z0-9]{9}")),
    Kind("responses", frozenset((RESPONSES,)), lambda body: against_responses(body, "openai")),
    Kind("gemini", frozenset(), against_gemini),
    Kind("blind", frozenset((CHAT,)), blind, sees=False),
]


class Strict(FakeModel):
    """A model server that refuses what `kind` objects to."""

    kind: Kind

    async def _respond(self, request: web.Request, recorded: Recorded) -> web.StreamResponse:
        if complaint := self.kind.objects(recorded.json):
            body = json.dumps({"error": {"message": complaint, "type": "invalid_request_error"}}).encode()
            self.script(Behaviour(status=400, body=body))
        elif self.kind.name == "gemini":
            self.script(Behaviour(body=json.dumps(GEMINI_ANSWER).encode()))
        return await super()._respond(request, recorded)


@pytest.fixture
async def strict() -> AsyncIterator[Strict]:
    async with Strict() as strict:
        yield strict


@pytest.fixture
async def failover() -> AsyncIterator[Failover]:
    byte_lane = ByteLane()
    yield Failover({"bytes": byte_lane, "translate": LitellmLane()})
    await byte_lane.close()


def deployment(upstream: FakeModel, kind: Kind) -> Deployment:
    if kind.name == "gemini":
        return Deployment("m", "gemini", "gemini-3-pro-preview", kind.speaks, upstream.origin, "sk-up")
    provider = "anthropic" if kind.name == "anthropic" else "openai"
    base = f"{upstream.origin}/v1" if provider == "anthropic" else upstream.url
    return Deployment("m", provider, "m-1", kind.speaks, base, "sk-up")


def chat_history(chance: random.Random, writer: str) -> Any:
    """By several kinds of writers: what each adds to its answers."""
    added: list[dict[str, Any]] = [
        {"reasoning_content": "hm"},
        {"reasoning": "hm", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]},
        {"thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": writer}], "reasoning_content": "hm"},
        {"annotations": [], "audio": None},
        {},
    ]
    messages: list[Any] = [{"role": "system", "content": "Be brief."}]
    for number in range(chance.randint(1, 3)):
        picture = [{"type": "image_url", "image_url": {"url": URL}}] * chance.randint(0, 1)
        messages.append({"role": "user", "content": [{"type": "text", "text": f"question {number}"}, *picture]})
        call = {"name": "weather", "arguments": json.dumps({"city": f"Oslo {number}"})}
        made = {"id": IDS[writer](number), "type": "function", "function": call}
        if writer == "gemini":
            made["extra_content"] = {"google": {"thought_signature": "sig"}}
        answer = {"role": "assistant", "content": f"answer {number}", "tool_calls": [made]}
        messages.append(answer | chance.choice(added))
        messages.append({"role": "tool", "tool_call_id": made["id"], "content": f"rain {number}"})
    if chance.random() < 0.6:
        messages.append({"role": "assistant", "content": "so"} | chance.choice(added))
        messages.append({"role": "user", "content": "And?"})
    tool = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
    return {"messages": messages, "tools": [tool]}


def messages_history(chance: random.Random, writer: str) -> Any:
    thoughts: list[list[Any]] = [
        [{"type": "thinking", "thinking": "hm", "signature": f"{writer} signed"}],
        [{"type": "redacted_thinking", "data": f"{writer} hid"}],
        [{"type": "thinking", "thinking": "hm", "signature": ""}] if writer != "anthropic" else [],
    ]
    server = [
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_1",
            "content": [{"type": "web_search_result", "url": "https://x.y", "encrypted_content": f"{writer} hid"}],
        },
    ]
    cited = [{"type": "web_search_result_location", "url": "https://x.y", "encrypted_index": f"{writer} hid"}]
    messages: list[Any] = []
    for number in range(chance.randint(1, 3)):
        source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
        picture = [{"type": "image", "source": source}] * chance.randint(0, 1)
        messages.append({"role": "user", "content": [{"type": "text", "text": f"question {number}"}, *picture]})
        said = {"type": "text", "text": f"answer {number}"} | ({"citations": cited} if chance.random() < 0.3 else {})
        call = {"type": "tool_use", "id": IDS[writer](number), "name": "weather", "input": {"city": f"Oslo {number}"}}
        thought = chance.choice(thoughts) or thoughts[0]
        found = server if chance.random() < 0.3 else []
        messages.append({"role": "assistant", "content": [*thought, *found, said, call]})
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": f"rain {number}"}
        messages.append({"role": "user", "content": [result]})
    if chance.random() < 0.6:
        only = [*thoughts[0], *([{"type": "text", "text": "so"}] * chance.randint(0, 1))]
        messages += [{"role": "assistant", "content": only}, {"role": "user", "content": "And?"}]
    tools = [{"name": "weather", "input_schema": SCHEMA}]
    thinks = THINKS if chance.random() < 0.7 else {}
    return {"messages": messages, "tools": tools, "max_tokens": 2048} | thinks


def responses_history(chance: random.Random, writer: str) -> Any:
    items: list[Any] = []
    turns = chance.randint(1, 3)
    for number in range(turns):
        picture = [{"type": "input_image", "image_url": URL}] * chance.randint(0, 1)
        asked = [{"type": "input_text", "text": f"question {number}"}, *picture]
        items.append({"type": "message", "role": "user", "content": asked})
        reasoning = {"type": "reasoning", "id": f"rs_{writer}", "summary": [], "encrypted_content": f"{writer} hid"}
        text = {"type": "output_text", "text": f"answer {number}", "annotations": [], "logprobs": []}
        message = {"id": f"msg_{writer}", "status": "completed", "role": "assistant", "content": [text]}
        items += [reasoning, {"type": "message", **message}]
        call = {
            "call_id": IDS[writer](number),
            "name": "weather",
            "arguments": json.dumps({"city": f"Oslo {number}"}),
        }
        items.append({"type": "function_call", "id": f"fc_{writer}", "status": "completed", **call})
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": f"rain {number}"}
        items.append(output)
    body: dict[str, Any] = {"tools": [{"type": "function", "name": "weather", "parameters": SCHEMA, "strict": False}]}
    items.append({"role": "user", "content": "And?"})
    return body | {"input": items}


HISTORIES = {CHAT: chat_history, MESSAGES: messages_history, RESPONSES: responses_history}
PAIRS = [(path, kind) for path in HISTORIES for kind in KINDS if kind.name != "responses" or path == RESPONSES]


def words(body: Any) -> set[str]:
    """All words, tool calls and results of a conversation, wherever the dialect has them."""
    return set(re.findall(r"(?:question|answer|rain|Oslo) \d", json.dumps(body)))


async def goes_on(failover: Failover, upstream: Strict, kind: Kind, path: str, body: Any) -> Answered:
    upstream.kind = kind
    raw = orjson.dumps({"model": "m", **body})
    return await send_on(failover, [deployment(upstream, kind)], path, lambda _: raw, [])


@each_row(("path", "kind"), PAIRS)
async def test_no_history_of_another_model_ends_in_an_error(
    failover: Failover, strict: Strict, path: str, kind: Kind
) -> None:
    """Conversations of any model, with signed thoughts, encrypted reasoning, results of the model's own tools and ids
    of its own form, in the middle of a tool loop or after it. No word, call or result is lost, and a picture only
    where the provider accepts none."""
    misses = []
    for seed in range(12):
        chance = random.Random(seed)
        writer = list(IDS)[seed % len(IDS)]
        body = HISTORIES[path](chance, writer)
        answered = await goes_on(failover, strict, kind, path, body)
        answer = b"".join([chunk async for chunk in answered.reply.chunks()])
        sent = strict.requests[-1].json
        if answered.reply.status != 200 or words(sent) != words(body):
            misses.append(f"{writer} {seed}: {answered.reply.status} {answer[:300]!r} {words(body) - words(sent)}")
        elif kind.sees and json.dumps(body).count(PIXEL) != json.dumps(sent).count(PIXEL):
            misses.append(f"{writer} {seed}: a picture is lost")
    assert not misses, "\n".join(misses)


OWN = [(MESSAGES, KINDS[0], "anthropic"), (RESPONSES, KINDS[3], "openai"), (CHAT, KINDS[1], "openai")]


@each_row(("path", "kind", "writer"), OWN)
async def test_the_model_that_wrote_it_gets_the_clients_bytes(
    failover: Failover, strict: Strict, path: str, kind: Kind, writer: str
) -> None:
    """The provider is asked once, and nothing is left out."""
    for seed in range(12):
        body = HISTORIES[path](random.Random(seed), writer)
        if path == CHAT:
            body["messages"] = [portable(CHAT, {"messages": [each]})["messages"][0] for each in body["messages"]]
        elif path == MESSAGES and 'signature": ""' in json.dumps(body):
            continue
        seen = len(strict.requests)
        answered = await goes_on(failover, strict, kind, path, body)
        await answered.reply.close()
        assert (answered.reply.status, answered.left_out) == (200, ()), seed
        assert [each.raw for each in strict.requests[seen:]] == [orjson.dumps({"model": "m", **body})]


async def test_what_stays_refused_is_the_first_refusal(failover: Failover, strict: Strict) -> None:
    """The client gets the refusal as the provider wrote it. A history without anything that only its writer could
    read is not sent again."""
    kind = Kind("angry", frozenset((CHAT,)), lambda body: f"no {len(body['messages'][-1])}")
    said = {"role": "user", "content": "Hi"}
    for extra, requests in ((said, 1), (said | {"reasoning_content": "hm"}, 2)):
        seen = len(strict.requests)
        answered = await goes_on(failover, strict, kind, CHAT, {"messages": [extra]})
        answer = b"".join([chunk async for chunk in answered.reply.chunks()])
        assert (answered.reply.status, orjson.loads(answer)["error"]["message"]) == (400, f"no {len(extra)}")
        assert len(strict.requests) - seen == requests


@each_row("reference", ["previous_response_id", "conversation", "item_reference"])
async def test_an_answer_without_its_history_is_none(failover: Failover, strict: Strict, reference: str) -> None:
    """What another provider keeps of the conversation is not in the request. The refusal goes to the client, which
    can then send the whole conversation; the provider is asked once."""
    strict.kind = Kind("responses", frozenset((RESPONSES,)), lambda _: "not found")
    called = {"type": "function_call_output", "call_id": "call_of_another", "output": "rain"}
    body: dict[str, Any] = {"input": [called, {"role": "user", "content": "And?"}]}
    if reference == "item_reference":
        body["input"].insert(0, {"type": "item_reference", "id": "fc_1"})
    else:
        body[reference] = "resp_1"
    raw, seen = orjson.dumps({"model": "m", **body}), len(strict.requests)
    answered = await send_on(failover, [deployment(strict, strict.kind)], RESPONSES, lambda _: raw, [])
    answer = b"".join([chunk async for chunk in answered.reply.chunks()])
    assert (answered.reply.status, orjson.loads(answer)["error"]["message"]) == (400, "not found")
    assert [each.raw for each in strict.requests[seen:]] == [raw]


async def test_odd_histories_change_nothing() -> None:
    """Whatever JSON stands where the conversation should be."""
    odd: list[Any] = [None, 1, "x", [], [1], [[]], {}, [{}], [{"content": 1}], [{"content": [None, {}]}]]
    for path in (CHAT, MESSAGES, RESPONSES, "/api/chat", "/embeddings"):
        for said in odd:
            for name in ("messages", "input"):
                body = {name: said}
                assert set(portable(path, body)) <= {name}
                assert set(without_earlier_pictures(path, body)) == {name}


def test_an_id_is_any_providers_and_stays_the_same() -> None:
    """Each result still has the id of its call."""
    ids = [portable_id(make(number)) for make in IDS.values() for number in range(50)]
    assert all(re.fullmatch("[a-zA-Z0-9]{9}", id) for id in ids)
    assert len(set(ids)) == len(ids)
    assert portable_id("call_1") == portable_id("call_1")


def test_a_client_is_told_and_the_memory_stays(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """Through the proxy: the block is in the second request too, and a header says what was left out."""
    thought = {"type": "thinking", "thinking": "hm", "signature": "foreign"}
    messages = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": [thought, {"type": "text", "text": "Hello!"}]},
        {"role": "user", "content": "Which fruit am I allergic to?"},
    ]
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I am allergic to kiwi fruit."}).raise_for_status()
        upstream.script(Behaviour(status=400))
        body = {"model": "claude", "max_tokens": 50, "messages": messages}
        answered = client.post("/v1/messages", json=body).raise_for_status()
    first, second = (each.json["messages"] for each in upstream.chats[-2:])
    assert first[1]["content"][0] == thought
    assert second[1]["content"] == [{"type": "text", "text": "Hello!"}]
    assert second[2] == first[2]
    assert "kiwi" in json.dumps(second[2])
    assert answered.headers["X-History-Left-Out"] == "signed"
    assert answered.headers["X-Memory-Count"] == "1"
