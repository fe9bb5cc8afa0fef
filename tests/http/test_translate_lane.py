"""Promise: a provider with its own protocol looks like OpenAI's API, and a client can steer nothing but the chat."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest

from rememberd.dialects.formats import sse
from rememberd.errors import RequestError, UpstreamUnavailable
from rememberd.ports import Reply
from rememberd.types import Deployment
from rememberd.upstream.translate import litellm_lane
from rememberd.upstream.translate.litellm_lane import LitellmLane
from tests.support.fake_model import Behaviour, FakeModel, anthropic_stream
from tests.support.loopback import PATH, proxy_app, serving
from tests.support.tables import each_row

OVERLOADED = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
MESSAGES = [{"role": "user", "content": "one two three"}]


@pytest.fixture
async def upstream() -> AsyncIterator[FakeModel]:
    async with FakeModel() as upstream:
        yield upstream


def claude(upstream: FakeModel, **changes: Any) -> Deployment:
    return Deployment("my-claude", "anthropic", "claude-x", frozenset(), upstream.origin, "sk-ant", **changes)


async def ask(deployment: Deployment, **body: Any) -> Reply:
    wire = orjson.dumps({"model": "claude-x", "messages": MESSAGES, **body})
    return await LitellmLane().send(deployment, PATH, wire, [("authorization", "Bearer sk-client")])


async def read(reply: Reply) -> bytes:
    return b"".join([chunk async for chunk in reply.chunks()])


def chunks(raw: bytes) -> list[Any]:
    *events, last = sse.events(raw)
    assert last == b"[DONE]"
    return [orjson.loads(event) for event in events]


async def test_a_whole_answer_has_openais_shape(upstream: FakeModel) -> None:
    """The model is named as the client asked for it; the provider got its own name for it and the operator's key."""
    reply = await ask(claude(upstream, extra_headers={"x-team": "t"}))
    answer = orjson.loads(await read(reply))
    assert (reply.status, answer["object"], answer["model"]) == (200, "chat.completion", "my-claude")
    assert answer["choices"][0]["message"]["content"] == "one two three"
    assert answer["choices"][0]["finish_reason"] == "stop"
    (sent,) = upstream.requests
    assert (sent.path, sent.json["model"]) == ("/v1/messages", "claude-x")
    assert (sent.headers["x-api-key"], sent.headers["x-team"]) == ("sk-ant", "t")
    assert "sk-client" not in str(sent.headers)


async def test_a_stream_has_openais_shape(upstream: FakeModel) -> None:
    """Chunks with deltas, a finish reason, [DONE]; usage only if it was asked for, in a chunk without choices."""
    plain = chunks(await read(await ask(claude(upstream), stream=True)))
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in plain) == "one two three"
    assert [c["choices"][0]["finish_reason"] for c in plain][-1] == "stop"
    assert {c["model"] for c in plain} == {"my-claude"}
    assert not any("usage" in c for c in plain)
    counted = chunks(await read(await ask(claude(upstream), stream=True, stream_options={"include_usage": True})))
    assert (counted[-1]["choices"], counted[-1]["usage"]["total_tokens"]) == ([], 10)


@pytest.mark.parametrize("stream", [True, False])
async def test_the_providers_limits_and_its_id_come_back(upstream: FakeModel, stream: bool) -> None:
    """Also with an error. The proxy gives `x-request-id` as X-Upstream-Request-Id; what is about bytes stays away."""
    limits = {"anthropic-ratelimit-requests-remaining": "7", "retry-after": "3", "request-id": "req_1"}
    upstream.script(Behaviour(headers=limits | {"Server": "s"}), Behaviour(status=429, headers=limits))
    async with serving(proxy_app(LitellmLane(), claude(upstream))) as url, httpx.AsyncClient(timeout=60) as client:
        for status in (200, 429):
            reply = await client.post(url + "/chat/completions", json={"messages": MESSAGES, "stream": stream})
            assert reply.status_code == status
            assert limits.items() <= dict(reply.headers).items()
            assert (reply.headers["x-upstream-request-id"], reply.headers.get("server")) == ("req_1", "uvicorn")


async def test_an_answer_may_end_in_several_reads(upstream: FakeModel) -> None:
    """Anthropic gives the reason of the end in one event and the end in another, which may come in a later packet."""
    upstream.script(Behaviour(answer="one", delay_chunk=0.1))
    raw = await read(await ask(claude(upstream), stream=True))
    assert chunks(raw)[-1]["choices"][0]["finish_reason"] == "stop"


async def test_a_ping_passes_where_the_provider_sends_what_makes_no_event(
    upstream: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between events, and the answer is the same; from a provider that sends nothing, and in a whole answer, none."""
    monkeypatch.setattr(litellm_lane, "PING_S", 0.05)
    start, *rest = anthropic_stream("claude-x", "one two three")
    ping = b'event: ping\ndata: {"type": "ping"}\n\n'
    upstream.script(Behaviour(stream=[start, rest[0], ping, ping, *rest[1:]], delay_chunk=0.2))
    raw = await read(await ask(claude(upstream), stream=True))
    assert b"\n\n: ping\n\n" in raw
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks(raw)) == "one two three"
    upstream.script(Behaviour(delay_headers=0.3), Behaviour(stream=[start, b"".join(rest)], delay_chunk=0.3))
    assert b": ping" not in await read(await ask(claude(upstream)))
    assert (await read(await ask(claude(upstream), stream=True))).count(b": ping") <= 1


async def test_tool_calls_come_back_as_openais(upstream: FakeModel) -> None:
    """Anthropic's tool use blocks become tool calls, their arguments in pieces."""
    block = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
    pieces = [{"type": "input_json_delta", "partial_json": piece} for piece in ('{"city":', '"Oslo"}')]
    start, _, *_, stop = anthropic_stream("claude-x", "")
    events: list[dict[str, Any]] = [
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": piece} for piece in pieces),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 3}},
    ]
    wire = [f"event: {e['type']}\ndata: ".encode() + orjson.dumps(e) + b"\n\n" for e in events]
    upstream.script(Behaviour(stream=[start, *wire, stop]))
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    got = chunks(await read(await ask(claude(upstream), stream=True, tools=[tool])))
    calls = [call for c in got for call in c["choices"][0]["delta"].get("tool_calls", [])]
    assert calls[0]["function"]["name"] == "weather"
    assert "".join(call["function"]["arguments"] for call in calls) == '{"city":"Oslo"}'
    assert upstream.requests[0].json["tools"][0]["name"] == "weather"


@pytest.mark.parametrize(
    "name",
    [
        *("api_base", "base_url", "api_key", "mock_response", "fallbacks", "model_list", "custom_llm_provider"),
        *("extra_headers", "headers", "extra_body", "num_retries", "timeout", "client", "callbacks", "drop_params"),
        *("allowed_openai_params", "litellm_params", "proxy_server_request", "something_new"),
    ],
)
async def test_a_client_cannot_steer_litellm(upstream: FakeModel, name: str) -> None:
    """A parameter that OpenAI's API does not have is refused by name, and nothing is sent anywhere."""
    with pytest.raises(RequestError) as raised:
        await ask(claude(upstream), **{name: upstream.url})
    assert (raised.value.status, raised.value.param) == (400, name)
    assert upstream.requests == []


async def test_what_only_openai_has_a_use_for_is_dropped(upstream: FakeModel) -> None:
    """Fields that clients send as a matter of course do no harm."""
    usual = {"store": True, "metadata": {"a": "b"}, "user": "ann", "prompt_cache_key": "k", "service_tier": "auto"}
    assert (await ask(claude(upstream), **usual)).status == 200
    assert not {"store", "prompt_cache_key", "service_tier"} & upstream.requests[0].json.keys()
    assert "ann" not in str(upstream.requests[0].json)


async def test_a_parameter_the_provider_lacks_is_named(upstream: FakeModel) -> None:
    """400 with its name; with `drop_params` in the deployment it is left out."""
    with pytest.raises(RequestError, match="logprobs") as raised:
        await ask(claude(upstream), logprobs=True)
    assert raised.value.status == 400
    assert (await ask(claude(upstream, params={"drop_params": True}), logprobs=True)).status == 200


@each_row(
    "wrong",
    [{"messages": "Hi"}, {"messages": [1]}, {"messages": [{"role": "user", "content": 5}]}, {"messages": []}],
)
async def test_messages_that_are_none_are_the_clients_fault(upstream: FakeModel, wrong: dict[str, Any]) -> None:
    """The answer is 400, never a crash."""
    try:
        status = (await ask(claude(upstream), **wrong)).status
    except RequestError as error:
        status = error.status
    assert status == 400


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("status", [400, 401, 429, 500, 529])
async def test_an_error_of_the_provider_is_the_clients(upstream: FakeModel, stream: bool, status: int) -> None:
    """Its status, its own JSON, and when to come back."""
    upstream.script(Behaviour(status=status, body=OVERLOADED, headers={"Retry-After": "7"}))
    reply = await ask(claude(upstream), stream=stream)
    assert (reply.status, await read(reply)) == (status, OVERLOADED)
    assert ("retry-after", "7") in reply.headers
    assert len(upstream.requests) == 1  # no retry of litellm's own


async def test_an_error_that_is_no_json_is_wrapped(upstream: FakeModel) -> None:
    """A gateway's HTML becomes the text of an error that clients can read."""
    upstream.script(Behaviour(status=502, body=b"<h1>Bad gateway</h1>"))
    reply = await ask(claude(upstream))
    assert (reply.status, orjson.loads(await read(reply))["error"]["message"]) == (502, "<h1>Bad gateway</h1>")


async def test_nothing_is_written_to_the_output(
    upstream: FakeModel, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """litellm's own log lines would, at the level of ours, fill a pipe that nobody reads, and stop the proxy."""
    await ask(claude(upstream))
    with caplog.at_level(logging.INFO):
        capfd.readouterr()
        await ask(claude(upstream))
    assert "LiteLLM" not in "".join(capfd.readouterr()) + caplog.text


async def test_a_missing_key_is_the_operators_fault() -> None:
    """The client is told that the provider could not be asked, and why."""
    with pytest.raises(UpstreamUnavailable, match=r"gemini.*api_key"):
        await ask(Deployment("m", "gemini", "m"))


async def test_a_provider_out_of_reach_is_a_502(upstream: FakeModel) -> None:
    """Nobody listens; and one that does not answer in time is a 504."""
    gone = Deployment("m", "anthropic", "m", frozenset(), "http://127.0.0.1:9", "sk-ant")
    with pytest.raises(UpstreamUnavailable) as refused:
        await ask(gone)
    upstream.script(Behaviour(delay_headers=60))
    with pytest.raises(UpstreamUnavailable) as late:
        await ask(claude(upstream, timeout=0.2))
    assert (refused.value.status, late.value.status) == (502, 504)
    assert "sk-ant" not in str(refused.value) + str(late.value)


@pytest.mark.parametrize(
    "broken",
    [
        Behaviour(drop_after=4),
        Behaviour(stream=[*anthropic_stream("m", "one two")[:4], b"event: error\ndata: " + OVERLOADED + b"\n\n"]),
    ],
    ids=["a lost connection", "an error event"],
)
async def test_a_stream_that_breaks_says_so(upstream: FakeModel, broken: Behaviour) -> None:
    """The words so far, then an error; never [DONE]."""
    upstream.script(broken)
    got = bytearray()
    with pytest.raises(UpstreamUnavailable):
        await drain(await ask(claude(upstream), stream=True), got)
    assert b"one" in got
    assert b"[DONE]" not in got


async def drain(reply: Reply, into: bytearray) -> None:
    async for chunk in reply.chunks():
        into += chunk


@each_row(
    ("window", "stream"),
    [
        (Behaviour(delay_headers=60), True),
        (Behaviour(delay_headers=60), False),
        (Behaviour(delay_first=60), True),
        (Behaviour(delay_chunk=60), True),
        (Behaviour(delay_chunk=0.01, answer="on and on " * 5000), True),
    ],
)
async def test_when_the_client_leaves_the_provider_is_let_go(
    upstream: FakeModel, window: Behaviour, stream: bool
) -> None:
    """At once, in every window, through the relay."""
    upstream.script(window)
    body = orjson.dumps({"messages": MESSAGES, "stream": stream})
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with serving(proxy_app(LitellmLane(), claude(upstream))) as url:
        host, port = url.split("/")[2].split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(head + body)
        async with asyncio.timeout(120):
            while not upstream.requests:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.3)
            left = time.monotonic()
            writer.close()
            while (gone := upstream.requests[0].gone_at) is None:
                await asyncio.sleep(0.01)
    assert gone - left < 15  # the answer would take a minute or more


async def test_a_reply_that_is_closed_lets_the_provider_go(upstream: FakeModel) -> None:
    """The same if the client leaves between two reads, for example a slow client that had stopped the relay."""
    upstream.script(Behaviour(delay_chunk=0.2, answer="on and on " * 1000))
    reply = await ask(claude(upstream), stream=True)
    assert b"on " in await anext(reply.chunks())
    left = time.monotonic()
    await reply.close()
    async with asyncio.timeout(120):
        while (gone := upstream.requests[0].gone_at) is None:
            await asyncio.sleep(0.01)
    assert gone - left < 15  # the answer would take a minute or more


async def test_an_answer_read_whole_leaves_nothing_behind(
    upstream: FakeModel, caplog: pytest.LogCaptureFixture
) -> None:
    """Clients hang up at the end: closing is cut short then, and no read of litellm's ends unheard in the log."""
    reply = await ask(claude(upstream), stream=True)
    assert b"[DONE]" in await read(reply)
    closing = asyncio.create_task(reply.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    await asyncio.sleep(0.1)
    del closing
    gc.collect()
    assert "never retrieved" not in caplog.text
