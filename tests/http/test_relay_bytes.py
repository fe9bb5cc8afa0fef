"""Promise: the client gets the upstream's status and bytes, whatever they are and however the network cuts them."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from rememberd.upstream.byte_lane import ByteLane
from tests.support.fake_model import Behaviour, FakeModel, chat_stream
from tests.support.loopback import bytes_deployment, proxy_app, serving
from tests.support.tables import each_row

HEAD = b'"id":"c1","object":"chat.completion.chunk","created":1,"model":"m"'
BODY = {"model": "fake-large", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}


def chunk(rest: bytes) -> bytes:
    return b"data: {" + HEAD + b',"choices":[' + rest + b"]}\n\n"


DONE = b"data: [DONE]\n\n"
CORPUS = {
    "two choices": chunk(b'{"index":0,"delta":{"role":"assistant","content":"a"}}')
    + chunk(b'{"index":1,"delta":{"role":"assistant","content":"b"}}')
    + DONE,
    "parallel tool calls": chunk(
        b'{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t0","type":"function","function":{"name":"f","arguments":""}},'
        b'{"index":1,"id":"t1","type":"function","function":{"name":"g","arguments":"{"}}]}}'
    )
    + chunk(b'{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"}"}}]}}')
    + chunk(b'{"index":0,"delta":{},"finish_reason":"tool_calls"}')
    + DONE,
    "refusal": chunk(b'{"index":0,"delta":{"refusal":"I cannot"}}') + DONE,
    "logprobs": chunk(b'{"index":0,"delta":{"content":"a"},"logprobs":{"content":[{"token":"a","logprob":-0.1}]}}')
    + DONE,
    "reasoning": chunk(b'{"index":0,"delta":{"reasoning":"hm","reasoning_content":"hm"}}') + DONE,
    "usage": b"data: {" + HEAD + b',"choices":[],"usage":{"prompt_tokens":1,"total_tokens":2}}\n\n' + DONE,
    "comments": b": PROCESSING\n\n" + chunk(b'{"index":0,"delta":{"content":"a"}}') + b":\n\n" + DONE,
    "line ends of both kinds": chunk(b'{"index":0,"delta":{"content":"a"}}').replace(b"\n", b"\r\n")
    + b"data: [DONE]\r\n\r\n",
    "no end": chunk(b'{"index":0,"delta":{"content":"a"}}'),
    "error in the middle": chunk(b'{"index":0,"delta":{"content":"a"}}')
    + b'data: {"error":{"message":"overloaded","code":529}}\n\n',
    "unknown fields": b'event: odd\nid: 3\nretry: 10\ndata: {"new":{"deep":[1,null]},"choices":[]}\n\n' + DONE,
    "not JSON": b"data: hello\n\ndata: \xff\xfe\n\ndata:\n\n" + DONE,
    "the marker in the answer": chunk(b'{"index":0,"delta":{"content":"data: [DONE]\\n\\n"}}') + DONE,
    "something after the end": DONE + b": and one more thing\n\n",
    "nothing": b"",
}


@pytest.fixture
async def upstream() -> AsyncIterator[FakeModel]:
    async with FakeModel() as upstream:
        yield upstream


@pytest.fixture
async def proxy(upstream: FakeModel) -> AsyncIterator[str]:
    lane = ByteLane()
    async with serving(proxy_app(lane, bytes_deployment(upstream.url))) as url:
        yield url + "/chat/completions"
    await lane.close()


async def fetch(url: str, **kwargs: Any) -> tuple[aiohttp.ClientResponse, bytes]:
    arguments: dict[str, Any] = {"json": BODY, **kwargs}
    async with aiohttp.ClientSession(auto_decompress=False) as session, session.post(url, **arguments) as response:
        return response, await response.read()


@each_row("name", CORPUS)
async def test_a_stream_arrives_byte_for_byte(upstream: FakeModel, proxy: str, name: str) -> None:
    """Every kind of stream, cut into reads of 7 bytes."""
    stream = CORPUS[name]
    upstream.script(Behaviour(stream=[stream[i : i + 7] for i in range(0, len(stream), 7)]))
    response, body = await fetch(proxy)
    assert body == stream
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.headers["X-Accel-Buffering"] == "no"


async def test_a_stream_may_be_cut_anywhere(upstream: FakeModel, proxy: str) -> None:
    """One stream, cut in two at every place from before its last event on, and in single bytes."""
    stream = b"".join(chat_stream("m", "yes"))
    cuts = range(stream.index(DONE) - 4, len(stream))
    for reads in [[stream[:cut], stream[cut:]] for cut in cuts] + [[stream[i : i + 1] for i in range(len(stream))]]:
        upstream.script(Behaviour(stream=reads))
        assert (await fetch(proxy))[1] == stream


async def test_a_large_stream_arrives_whole(upstream: FakeModel, proxy: str) -> None:
    """20 MB, more than is kept for memory, with no event lost or moved."""
    reads = [b"data: %d %s\n\n" % (i, b"x" * 100_000) for i in range(200)]
    upstream.script(Behaviour(stream=[*reads, DONE]))
    assert (await fetch(proxy))[1] == b"".join(reads) + DONE


@pytest.mark.parametrize("size", [1, 1000, 3_000_000])
async def test_a_whole_answer_arrives_byte_for_byte(upstream: FakeModel, proxy: str, size: int) -> None:
    """A body that was not streamed keeps its bytes, its white space and its length."""
    body = b'{ "odd" : "' + b"x" * size + b'",\n\t"n": 1.0 }\n'
    upstream.script(Behaviour(body=body, headers={"openai-processing-ms": "7"}))
    response, received = await fetch(proxy, json={**BODY, "stream": False})
    assert received == body
    assert response.headers["Content-Length"] == str(len(body))
    assert response.headers["openai-processing-ms"] == "7"


@each_row("status", [400, 401, 404, 429, 500, 503, 529])
async def test_an_error_of_the_upstream_is_the_clients(upstream: FakeModel, proxy: str, status: int) -> None:
    """Status, body, Retry-After and rate limit headers pass as they are; cookies and connection headers do not."""
    headers = {"Retry-After": "17", "x-ratelimit-remaining": "0", "Set-Cookie": "a=b", "Keep-Alive": "timeout=5"}
    upstream.script(Behaviour(status=status, body=b'{"error": {"odd":1}}', headers=headers))
    response, body = await fetch(proxy)
    assert (response.status, body) == (status, b'{"error": {"odd":1}}')
    assert response.headers["Retry-After"] == "17"
    assert response.headers["x-ratelimit-remaining"] == "0"
    assert "Set-Cookie" not in response.headers
    assert "Keep-Alive" not in response.headers


async def test_a_header_beyond_latin_letters_costs_no_answer(upstream: FakeModel, proxy: str) -> None:
    """Its bytes arrive as they were sent."""
    upstream.script(Behaviour(headers={"X-City": "Zürich, Łódź"}))
    response, _ = await fetch(proxy)
    assert response.status == 200
    assert (b"x-city", "Zürich, Łódź".encode()) in response.raw_headers


async def test_our_header_replaces_one_of_the_same_name(upstream: FakeModel, proxy: str) -> None:
    """What the proxy says about memory cannot be said by an upstream."""
    upstream.script(Behaviour(headers={"x-memory-status": "hit"}))
    response, _ = await fetch(proxy)
    assert response.headers.getall("X-Memory-Status") == ["off"]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_compressed_answer_stays_compressed(upstream: FakeModel, proxy: str, stream: bool) -> None:
    """An upstream that compresses in spite of the request is relayed with its encoding."""
    upstream.script(Behaviour(gzip=True, answer="packed"))
    response, body = await fetch(proxy, json={**BODY, "stream": stream}, headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert b"packed" in gzip.decompress(body)


async def test_the_request_arrives_byte_for_byte(upstream: FakeModel, proxy: str) -> None:
    """What the client wrote is what the upstream reads."""
    sent = b'{ "messages":[{"role":"user","content":"\\u00e9 \xc3\xa9"}],\r\n "model":"m", "odd":1e3 }'
    await fetch(proxy, json=None, data=sent)
    assert upstream.requests[0].raw == sent
