"""Promise 1: with memory off the upstream gets the client's JSON; with it on only the newest user message differs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.fake_model import Behaviour, FakeModel
from tests.support.proxy_server import Proxy, ask

ODD = {
    "model": "model-a",
    "messages": [
        {"role": "system", "content": "Be brief.", "cache_control": {"type": "ephemeral"}},
        {"role": "user", "content": "earlier", "name": "ada"},
        {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": []},
        {"role": "tool", "tool_call_id": "x", "content": [{"type": "text", "text": "ünïcode"}]},
        {"role": "user", "content": "Do I like kites?"},
    ],
    "temperature": 1.0,
    "seed": 2**62,
    "logit_bias": {"50256": -100},
    "a_field_of_tomorrow": {"nested": [1, 2.5, None, True, "\u2028"]},
}


def sent(upstream: FakeModel) -> Any:
    return upstream.chats[-1].json


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_with_memory_off_the_bytes_are_the_clients(
    proxy: Proxy, upstream: FakeModel, user: str, separators: tuple[str, str], ascii_only: bool
) -> None:
    """Spaces, escapes, long numbers and duplicate keys included."""
    raw = json.dumps(ODD, separators=separators, ensure_ascii=ascii_only)
    raw = raw[:-1] + ', "huge": 123456789012345678901234567890, "twice": 1, "twice": 2}'
    with proxy.client(user, **{"X-Memory": "off"}) as client:
        client.post("/v1/chat/completions", content=raw.encode()).raise_for_status()
    assert upstream.chats[-1].raw == raw.encode()


def test_with_memory_on_only_the_newest_user_message_differs(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """The system prompt and the history are what the provider's prompt cache keys on."""
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I like kites."})
        client.post("/v1/chat/completions", json=ODD).raise_for_status()
    got = sent(upstream)
    newest = got["messages"].pop()
    assert got == ODD | {"messages": ODD["messages"][:-1]}  # type: ignore[index]
    assert newest["role"] == "user"
    assert newest["content"].endswith("</memory>\n\nDo I like kites?")


def test_half_an_emoji_is_relayed(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """JavaScript clients cut strings between surrogates; the model may see that, we must not choke on it."""
    with proxy.client(user) as client:
        raw = b'{"model": "model-a", "messages": [{"role": "user", "content": "cut \\ud83d"}]}'
        reply = client.post("/v1/chat/completions", content=raw)
    assert reply.status_code == 200
    assert upstream.chats[-1].raw == raw


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503, 529])
def test_an_upstream_error_is_verbatim(proxy: Proxy, upstream: FakeModel, user: str, status: int) -> None:
    """Status, body and Retry-After: the client's own back-off depends on them. No turn is written."""
    body = b'{"error": {"message": "as the provider said it", "odd":  1}}'
    upstream.script(
        Behaviour(status=status, body=body, headers={"Retry-After": "7", "x-ratelimit-limit-requests": "5"})
    )
    with proxy.client(user) as client:
        reply = ask(client, "I live in Oslo.")
    assert (reply.status_code, reply.content) == (status, body)
    assert reply.headers["Retry-After"] == "7"
    assert reply.headers["x-ratelimit-limit-requests"] == "5"
    assert reply.headers["X-Memory-Write"] == "skipped"


def test_only_harmless_headers_go_upstream(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """Neither our key nor who the user is; the provider gets its own key and an uncompressed stream is asked for."""
    with proxy.client(user, **{"X-OpenWebUI-User-Email": "ada@example.com", "Cookie": "a=b"}) as client:
        ask(client, "Hi")
    headers = {name.lower(): value for name, value in upstream.chats[-1].headers.items()}
    assert headers["authorization"] == "Bearer sk-up"
    assert headers["accept-encoding"] == "identity"
    assert headers["x-request-id"]
    assert not {"cookie", "x-memory-user", "x-openwebui-user-email", "x-api-key"} & set(headers)


def test_a_request_id_goes_through_to_upstream_and_back(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """One id in the client's log, ours and the provider's."""
    with proxy.client(user, **{"X-Request-Id": "trace-42"}) as client:
        reply = ask(client, "Hi")
    assert reply.headers["X-Request-Id"] == "trace-42"
    headers = {name.lower(): value for name, value in upstream.chats[-1].headers.items()}
    assert headers["x-request-id"] == "trace-42"
