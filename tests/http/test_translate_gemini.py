"""A chat client asks Gemini: its protocol goes out, OpenAI's comes back, and what was said stays whole."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from rememberd.dialects.formats import sse
from rememberd.upstream.model_list import deployment
from rememberd.upstream.translate.litellm_lane import LitellmLane

ASKED = {
    "model": "gemini",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "<memory>\n- I live in Oslo.\n</memory>\n\nWhere do I live?"},
    ],
    "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}],
}


@asynccontextmanager
async def gemini(received: list[Any]) -> AsyncIterator[str]:
    """The address of a model that answers "In Oslo." in Google's protocol."""

    async def answer(request: web.Request) -> web.Response:
        received.append((request.path, await request.json()))
        candidate = {"content": {"parts": [{"text": "In Oslo."}], "role": "model"}, "finishReason": "STOP"}
        usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}
        said = {"candidates": [candidate], "usageMetadata": usage}
        if "stream" not in request.path:
            return web.json_response(said)
        return web.Response(text=f"data: {json.dumps(said)}\r\n\r\n", content_type="text/event-stream")

    app = web.Application()
    app.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chat_client_asks_gemini(stream: bool) -> None:
    """The system prompt, the block, the question and the tools arrive; the answer comes back in chunks or whole."""
    received: list[Any] = []
    async with gemini(received) as base:
        params = {"model": "gemini/gemini-2.5-flash", "api_base": base, "api_key": "k"}
        body = json.dumps(ASKED | {"stream": stream}).encode()
        reply = await LitellmLane().send(deployment("gemini", params, {}), "/chat/completions", body, [])
        raw = b"".join([chunk async for chunk in reply.chunks()])
    [(path, sent)] = received
    assert path.endswith(":streamGenerateContent" if stream else ":generateContent")
    assert sent["contents"][0]["parts"][0]["text"] == ASKED["messages"][1]["content"]  # type: ignore[index]
    assert sent["system_instruction"]["parts"][0]["text"] == "Be brief."
    assert sent["tools"][0]["function_declarations"][0]["name"] == "look"
    events = [json.loads(event) for event in sse.events(raw) if event != b"[DONE]"] if stream else [json.loads(raw)]
    part = "delta" if stream else "message"
    said = "".join(event["choices"][0][part].get("content") or "" for event in events)
    assert (reply.status, said) == (200, "In Oslo.")
    assert len({event["id"] for event in events}) == 1
    assert not stream or raw.endswith(b"data: [DONE]\n\n")
