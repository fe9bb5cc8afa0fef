"""Within a turn the block stays the same, until one of its memories is deleted, edited, hidden or expires."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.support.fake_model import FakeModel, newest_user_text
from tests.support.proxy_server import Proxy, eventually

SAID = {"role": "user", "content": "Which city do I live in?"}
CALL = {"id": "c", "type": "function", "function": {"name": "ls", "arguments": "{}"}}
LOOP = [
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c", "content": ""},
]


def _in(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


CHANGES: dict[str, Callable[[httpx.Client, str], httpx.Response]] = {
    "deleted": lambda client, url: client.delete(url),
    "edited": lambda client, url: client.patch(url, json={"text": "I live in Bergen."}),
    "made private": lambda client, url: client.patch(url, json={"private": True}),
    "expired": lambda client, url: client.patch(url, json={"expires_at": _in(-1)}),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("behind", [[], LOOP], ids=["asked again", "in a tool loop"])
def test_a_memory_that_was_changed_leaves_the_block(
    proxy: Proxy, upstream: FakeModel, user: str, change: str, behind: list[Any]
) -> None:
    """At the next request already; and what is recalled anew stays until the end of the loop."""
    with proxy.client(user) as client:
        added = client.post("/v1/memories", json={"text": "I live in Oslo."}).raise_for_status().json()
        assert "Oslo" in _block(client, upstream, [])
        assert "Oslo" in _block(client, upstream, behind)
        CHANGES[change](client, f"/v1/memories/{added['id']}").raise_for_status()
        first = _block(client, upstream, behind)
        assert "Oslo" not in first
        assert ("Bergen" in first) == (change == "edited")
        client.post("/v1/memories", json={"text": "I live near the city park."}).raise_for_status()
        assert _block(client, upstream, LOOP) == first or not first


@pytest.mark.parametrize("behind", [[], LOOP], ids=["asked again", "in a tool loop"])
def test_a_memory_that_expires_leaves_the_block(
    proxy: Proxy, upstream: FakeModel, user: str, behind: list[Any]
) -> None:
    """The block goes when a memory expires, although nothing has changed in the store."""
    with proxy.client(user) as client:
        memory = {"text": "I live in Oslo.", "expires_at": _in(4)}
        client.post("/v1/memories", json=memory).raise_for_status()
        assert "Oslo" in _block(client, upstream, [])
        time.sleep(4)  # an expiry is a point in time
        eventually(lambda: "Oslo" not in _block(client, upstream, behind), seconds=10)


def _block(client: httpx.Client, upstream: FakeModel, behind: list[Any]) -> str:
    """What the model gets before the question; nothing is learned from it."""
    body = {"model": "model-a", "messages": [SAID, *behind]}
    client.post("/v1/chat/completions", json=body, headers={"X-Memory": "read"}).raise_for_status()
    block, end, _ = newest_user_text(upstream.chats[-1].json).rpartition("</memory>")
    return block + end
