"""Through the whole product, memory on: streams byte for byte, and a client that leaves frees the model at once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import httpx
import pytest

from tests.http.test_relay_bytes import CORPUS
from tests.support.fake_model import Behaviour, FakeModel, Recorded, halves
from tests.support.proxy_server import PATIENCE, Proxy, eventually, remembered

SILENCE = 60.0  # seconds; far longer than the upstream may stay busy, on any machine


def body(text: str, *, stream: bool) -> dict[str, object]:
    return {"model": "model-a", "stream": stream, "messages": [{"role": "user", "content": text}]}


@pytest.mark.parametrize("name", CORPUS)
def test_a_stream_is_byte_equal_with_memory_on(proxy: Proxy, upstream: FakeModel, user: str, name: str) -> None:
    """A hit changes the prompt, never the answer; and the user's words are remembered whatever the answer was."""
    upstream.script(Behaviour(stream=halves(CORPUS[name])))
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I like tea."})
        reply = client.post("/v1/chat/completions", json=body("Do I like tea?", stream=True))
        assert reply.headers["X-Memory-Status"] == "hit"
        assert reply.content == CORPUS[name]
        remembered(client, "Do I like tea?", "episode")


WINDOWS: dict[str, tuple[Behaviour, bool, Callable[[httpx.Response], object] | None]] = {
    "before the headers, streamed": (Behaviour(delay_headers=SILENCE), True, None),
    "before the headers, whole": (Behaviour(delay_headers=SILENCE), False, None),
    "before the first token": (Behaviour(delay_first=SILENCE), True, lambda reply: reply.status_code),
    "in mid-stream": (
        Behaviour(answer="one two three " * 50, delay_chunk=SILENCE / 100),
        True,
        lambda reply: next(reply.iter_raw()),
    ),
}


@pytest.mark.parametrize("window", WINDOWS)
def test_a_client_that_leaves_frees_the_model_at_once(
    proxy: Proxy, upstream: FakeModel, user: str, window: str
) -> None:
    """In every window; tokens nobody reads cost money."""
    behaviour, streamed, until = WINDOWS[window]
    upstream.script(behaviour)
    text = f"Hi, {window}"

    def arrived() -> Recorded | None:
        return next((r for r in reversed(upstream.chats) if text.encode() in r.raw), None)

    with proxy.client(user) as client:
        try:
            patience = 1.0 if until is None else PATIENCE
            sent = client.stream("POST", "/v1/chat/completions", json=body(text, stream=streamed), timeout=patience)
            with sent as reply:
                assert until is not None
                until(reply)
        except httpx.ReadTimeout:
            assert until is None
    left = time.monotonic()
    recorded = eventually(arrived)
    assert recorded is not None
    gone = eventually(lambda: recorded.gone_at)
    assert gone is not None
    assert gone - left < SILENCE / 4


def test_what_was_said_before_a_stop_is_remembered(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """Pressing stop in mid-answer does not unsay the question."""
    upstream.script(Behaviour(answer="a very long answer", delay_chunk=0.3))
    with proxy.client(user) as client:
        with client.stream("POST", "/v1/chat/completions", json=body("I live in Bodø.", stream=True)) as reply:
            next(reply.iter_raw())
        remembered(client, "Bodø", "fact")


def test_an_upstream_that_breaks_off_is_said_in_the_stream(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """An error event, and no clean-looking end."""
    upstream.script(Behaviour(answer="cut in the middle", drop_after=2))
    with proxy.client(user) as client:
        reply = client.post("/v1/chat/completions", json=body("Hi", stream=True))
    last = [line for line in reply.text.splitlines() if line.startswith("data: ")][-1]
    assert json.loads(last.removeprefix("data: "))["error"]["type"] == "upstream_error"
    assert "[DONE]" not in reply.text
