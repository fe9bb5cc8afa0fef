"""Promise: an upstream gets the operator's key and harmless headers; nobody else gets that key."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rememberd.errors import UpstreamUnavailable
from rememberd.types import Deployment
from rememberd.upstream.byte_lane import ByteLane
from tests.support.fake_model import Behaviour, FakeModel
from tests.support.loopback import PATH, bytes_deployment

BODY = b'{"model":"m","messages":[{"role":"user","content":"Hi"}]}'


@pytest.fixture
async def upstream() -> AsyncIterator[FakeModel]:
    async with FakeModel() as upstream:
        yield upstream


@pytest.fixture
async def lane() -> AsyncIterator[ByteLane]:
    lane = ByteLane()
    yield lane
    await lane.close()


async def headers_seen(
    lane: ByteLane, upstream: FakeModel, deployment: Deployment, client: list[tuple[str, str]]
) -> dict[str, str]:
    reply = await lane.send(deployment, PATH, BODY, client)
    async for _ in reply.chunks():
        pass
    return {name.lower(): value for name, value in upstream.requests[-1].headers.items()}


async def test_who_the_client_is_stays_here(lane: ByteLane, upstream: FakeModel) -> None:
    """The client's key, its cookies, its user's name and address are not for the provider."""
    private = {
        "Authorization": "Bearer sk-client",
        "x-api-key": "sk-client",
        "Cookie": "session=1",
        "X-Memory-User": "ann",
        "X-OpenWebUI-User-Email": "ann@example.org",
        "X-OpenWebUI-User-Jwt": "eyJ",
        "X-Forwarded-For": "192.0.2.7",
        "Host": "proxy.example.org",
        "Accept-Encoding": "gzip, br",
        "OpenAI-Organization": "org-client",
    }
    seen = await headers_seen(lane, upstream, bytes_deployment(upstream.url), list(private.items()))
    assert not set(private.values()) & set(seen.values())
    assert seen["authorization"] == "Bearer sk-upstream"
    assert seen["accept-encoding"] == "identity"


async def test_harmless_headers_pass(lane: ByteLane, upstream: FakeModel) -> None:
    """What providers and their dashboards read: the client's product, tracing, beta flags, retries."""
    harmless = {
        "user-agent": "OpenAI/Python 2.0",
        "x-stainless-retry-count": "1",
        "openai-beta": "assistants=v2",
        "traceparent": "00-1-2-01",
        "idempotency-key": "k1",
        "http-referer": "https://example.org",
        "x-title": "An app",
        "accept": "text/event-stream",
        "x-request-id": "r1",
    }
    seen = await headers_seen(lane, upstream, bytes_deployment(upstream.url), list(harmless.items()))
    assert seen.items() >= harmless.items()


async def test_the_operator_has_the_last_word(lane: ByteLane, upstream: FakeModel) -> None:
    """`extra_headers` of a deployment win over the client's and over ours."""
    deployment = bytes_deployment(upstream.url, extra_headers={"X-Title": "Ours", "Authorization": "Basic abc"})
    seen = await headers_seen(lane, upstream, deployment, [("x-title", "Theirs")])
    assert (seen["x-title"], seen["authorization"]) == ("Ours", "Basic abc")


async def test_a_deployment_without_a_key_sends_none(lane: ByteLane, upstream: FakeModel) -> None:
    """A local model is asked without credentials, not with the client's."""
    deployment = Deployment("m", "ollama", "m", frozenset({PATH}), upstream.url)
    seen = await headers_seen(lane, upstream, deployment, [("authorization", "Bearer sk-client")])
    assert "authorization" not in seen


async def test_a_redirect_is_not_followed(lane: ByteLane, upstream: FakeModel) -> None:
    """Neither the key nor the conversation goes to an address that the operator did not write."""
    async with FakeModel() as elsewhere:
        upstream.script(Behaviour(status=307, headers={"Location": elsewhere.url + PATH}))
        with pytest.raises(UpstreamUnavailable, match="api_base"):
            await lane.send(bytes_deployment(upstream.url), PATH, BODY, [])
        assert elsewhere.requests == []


async def test_cookies_are_not_kept(lane: ByteLane, upstream: FakeModel) -> None:
    """A cookie that one user's answer sets is not sent with the next user's request."""
    upstream.script(Behaviour(headers={"Set-Cookie": "who=ann; Path=/"}))
    await headers_seen(lane, upstream, bytes_deployment(upstream.url), [])
    assert "cookie" not in await headers_seen(lane, upstream, bytes_deployment(upstream.url), [])


async def test_connections_are_kept_alive(lane: ByteLane, upstream: FakeModel) -> None:
    """Answers that were read to their end leave a connection that the next request uses."""
    reached = set()
    for _ in range(3):
        await headers_seen(lane, upstream, bytes_deployment(upstream.url), [])
        reached.add(upstream.requests[-1].peer)
    assert len(reached) == 1
