"""Promise 1 in the other two dialects: bytes there and back where the provider speaks them, errors in their shape."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from rememberd.dialects.formats import sse
from tests.support.fake_model import Behaviour, FakeModel, anthropic_stream, responses_stream
from tests.support.proxy_server import Proxy
from tests.support.tables import each_row

TOOL = {"name": "ls", "description": "d", "input_schema": {"type": "object", "properties": {}}}
MARK = {"cache_control": {"type": "ephemeral"}}
MESSAGES = {
    "model": "open",
    "max_tokens": 32000,
    "system": [{"type": "text", "text": "You are a coder.", **MARK}],
    "messages": [{"role": "user", "content": [{"type": "text", "text": "Do I like kites?", **MARK}]}],
    "tools": [TOOL],
    "metadata": {"user_id": "user_0_session_0"},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "a_field_of_tomorrow": [1.0, None, "\u2028"],
}
RESPONSES = {
    "model": "open",
    "instructions": "Be brief.",
    "input": [{"role": "user", "content": [{"type": "input_text", "text": "Do I like kites?"}]}],
    "include": ["reasoning.encrypted_content"],
    "store": False,
    "prompt_cache_key": "c1",
    "a_field_of_tomorrow": [1.0, None, "\u2028"],
}
BODIES = {"/v1/messages": MESSAGES, "/v1/responses": RESPONSES}
WORDS = {"/v1/messages": ("messages", "text"), "/v1/responses": ("input", "input_text")}


@pytest.mark.parametrize("path", BODIES)
def test_with_memory_off_the_bytes_are_the_clients(proxy: Proxy, upstream: FakeModel, user: str, path: str) -> None:
    """All but the model's name; and the query the client sent."""
    raw = json.dumps(BODIES[path], ensure_ascii=False)[:-1] + ', "huge": 123456789012345678901234567890}'
    with proxy.client(user, **{"X-Memory": "off"}) as client:
        client.post(f"{path}?beta=true", content=raw.encode()).raise_for_status()
    assert upstream.chats[-1].raw == raw.replace('"open"', '"open-x"').encode()
    assert upstream.chats[-1].path == f"{path}?beta=true"


@pytest.mark.parametrize("path", BODIES)
def test_with_memory_on_only_the_newest_user_message_differs(
    proxy: Proxy, upstream: FakeModel, user: str, path: str
) -> None:
    """One more text block in it; the system blocks and their cache marks are as they were."""
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I like kites."})
        client.post(path, json=BODIES[path]).raise_for_status()
    got = upstream.chats[-1].json
    where, kind = WORDS[path]
    block = got[where][0]["content"].pop(0)
    assert got == BODIES[path] | {"model": "open-x"}
    assert block["type"] == kind
    assert "kites" in block["text"]


@pytest.mark.parametrize("path", BODIES)
def test_a_stream_comes_back_byte_for_byte(proxy: Proxy, upstream: FakeModel, user: str, path: str) -> None:
    """Unknown events, pings and comments included, however the reads are cut."""
    make = anthropic_stream if path.endswith("messages") else responses_stream
    whole = (
        b": a comment\n\nevent: ping\ndata: {}\n\n" + b"".join(make("m", "one two")) + b"event: later\ndata: 1\n\n"
    )
    upstream.script(Behaviour(stream=[whole[at : at + 37] for at in range(0, len(whole), 37)]))
    with proxy.client(user) as client:
        reply = client.post(path, json=BODIES[path] | {"stream": True})
    assert reply.content == whole
    assert reply.headers["X-Memory-Write"] == "on"


def test_anthropic_gets_its_own_headers(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """The operator's key as `x-api-key`, the version and betas the client asked for; nothing of who the client is."""
    sent = {"anthropic-version": "2024-01-01", "anthropic-beta": "b1", "x-api-key": "sk-webui"}
    with proxy.client(user, **sent) as client:
        client.post("/v1/messages", json=MESSAGES | {"model": "claude"}).raise_for_status()
        seen = {name.lower(): value for name, value in upstream.chats[-1].headers.items()}
        assert (seen["x-api-key"], seen["anthropic-version"], seen["anthropic-beta"]) == ("sk-up", "2024-01-01", "b1")
        assert not {"authorization", "x-memory-user"} & seen.keys()
        client.headers.pop("anthropic-version")
        client.post("/v1/messages", json=MESSAGES | {"model": "claude"}).raise_for_status()
    assert {name.lower(): v for name, v in upstream.chats[-1].headers.items()}["anthropic-version"] == "2023-06-01"


def test_tokens_are_counted_without_the_block(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """The client counts what it sends itself; where nobody else counts, the number is an estimate."""
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I like kites."})
        reply = client.post("/v1/messages/count_tokens?beta=true", json=MESSAGES | {"model": "claude"})
        estimated = client.post("/v1/messages/count_tokens", json=MESSAGES | {"model": "model-a"})
    assert reply.json() == {"input_tokens": 7}
    assert upstream.requests[-1].json == MESSAGES | {"model": "claude-x"}
    assert upstream.requests[-1].path == "/v1/messages/count_tokens?beta=true"
    assert (estimated.status_code, estimated.json()["input_tokens"] > 0) == (200, True)


def test_somebody_is_there(proxy: Proxy) -> None:
    """Claude Code asks `HEAD /` before its first request, without a key."""
    assert httpx.head(proxy.url).status_code == 200
    assert httpx.get(proxy.url).status_code == 200


@each_row(
    ("headers", "body", "status", "kind"),
    [
        ({"Authorization": "Bearer wrong"}, MESSAGES, 401, "authentication_error"),
        ({}, MESSAGES | {"model": "opne"}, 404, "not_found_error"),
        ({}, MESSAGES | {"model": 7}, 400, "invalid_request_error"),
        ({"X-Memory": "maybe"}, MESSAGES, 400, "invalid_request_error"),
        ({}, MESSAGES | {"model": "model-a", "api_base": "http://x"}, 400, "invalid_request_error"),
    ],
)
def test_our_own_errors_have_anthropics_shape(
    proxy: Proxy, headers: dict[str, str], body: dict[str, Any], status: int, kind: str
) -> None:
    """Its SDKs read type and message there."""
    with proxy.client(key="sk-alice") as client:
        reply = client.post("/v1/messages", json=body, headers=headers)
    assert (reply.status_code, reply.json()["type"], reply.json()["error"]["type"]) == (status, "error", kind)


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("status", [400, 429, 529])
def test_an_upstream_error_is_verbatim(proxy: Proxy, upstream: FakeModel, user: str, path: str, status: int) -> None:
    """Status, body and Retry-After; no turn is written."""
    body = b'{"type":"error","error": {"message": "as the provider said it", "odd":  1}}'
    upstream.script(Behaviour(status=status, body=body, headers={"Retry-After": "1"}))
    with proxy.client(user) as client:
        reply = client.post(path, json=BODIES[path])
    assert (reply.status_code, reply.content, reply.headers["Retry-After"]) == (status, body, "1")
    assert reply.headers["X-Memory-Write"] == "skipped"


@pytest.mark.parametrize("model", ["open", "model-a"])
@pytest.mark.parametrize("path", BODIES)
def test_a_stream_that_breaks_says_so_in_the_dialect(
    proxy: Proxy, upstream: FakeModel, user: str, path: str, model: str
) -> None:
    """As bytes and translated: an event of failure that the SDKs' types accept, and no clean-looking end."""
    upstream.script(Behaviour(answer="one two three", drop_after=3))
    plain = {"messages": MESSAGES["messages"], "max_tokens": 9} if path == "/v1/messages" else {"input": "Hi"}
    with proxy.client(user) as client:
        body = client.post(path, json=plain | {"model": model, "stream": True}).content
    events = [json.loads(event) for event in sse.events(body)]
    kind = "error" if path == "/v1/messages" else "response.failed"
    assert f"\nevent: {kind}\n".encode() in body
    assert events[-1]["type"] == kind
    assert not {"message_stop", "response.completed"} & {event["type"] for event in events}
    if path == "/v1/messages":
        assert events[-1]["error"]["type"] == "api_error"
    else:
        from openai.types.responses import ResponseStreamEvent

        TypeAdapter(ResponseStreamEvent).validate_python(events[-1])


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("status", [400, 401, 429, 503])
def test_a_translated_error_is_the_dialects(
    proxy: Proxy, upstream: FakeModel, user: str, path: str, status: int
) -> None:
    """The provider's words in the shape that the client reads."""
    upstream.script(Behaviour(status=status, headers={"Retry-After": "1"}))
    plain = {"messages": MESSAGES["messages"], "max_tokens": 9} if path == "/v1/messages" else {"input": "Hi"}
    with proxy.client(user) as client:
        reply = client.post(path, json=plain | {"model": "model-a"})
    assert (reply.status_code, reply.headers["Retry-After"]) == (status, "1")
    assert reply.json()["error"]["message"] == "scripted error"
    assert reply.json().get("type") == ("error" if path == "/v1/messages" else None)


def test_translated_answers_satisfy_the_sdks_own_types(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """Strictly: no field missing that the SDKs declare, none of another type; also with a tool call."""
    from anthropic.types import Message, RawMessageStreamEvent
    from openai.types.responses import Response, ResponseStreamEvent

    tools = [
        {"type": "function", "name": "ls", "description": "d", "parameters": TOOL["input_schema"], "strict": False}
    ]
    asked = {"model": "model-a", "input": "Hi", "instructions": "Be brief.", "tools": tools, "reasoning": None}
    said = {"model": "model-a", "max_tokens": 9, "messages": MESSAGES["messages"], "tools": [TOOL]}
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "ls", "arguments": "{}"}}
    head: dict[str, Any] = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunk = {
        **head,
        "choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": [call]}, "finish_reason": None}],
    }
    end = {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    calling = Behaviour(
        stream=[f"data: {json.dumps(each)}\n\n".encode() for each in (chunk, end)] + [b"data: [DONE]\n\n"]
    )
    lacks_responses = Behaviour(status=404)
    with proxy.client(user) as client:
        upstream.script(lacks_responses)
        Response.model_validate_json(client.post("/v1/responses", json=asked).content, strict=True)
        Message.model_validate_json(client.post("/v1/messages", json=said).content, strict=True)
        for script in ((), (calling,)):
            upstream.script(lacks_responses, *script)
            events = client.post("/v1/responses", json=asked | {"stream": True}).content
            for event in sse.events(events):
                TypeAdapter(ResponseStreamEvent).validate_json(event, strict=True)
            assert (b'"call_id":"call_1"' in events) == bool(script)
            upstream.script(*script)
            events = client.post("/v1/messages", json=said | {"stream": True}).content
            for event in sse.events(events):
                TypeAdapter(RawMessageStreamEvent).validate_json(event, strict=True)
            assert (b'"tool_use"' in events) == bool(script)
