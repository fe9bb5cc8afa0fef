"""Promise: an upstream gets the operator's key and harmless headers; nobody else gets that key."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rememberd.errors import UpstreamUnavailable
from rememberd.http.response_headers import response_headers
from rememberd.types import Deployment
from rememberd.upstream.byte_lane import ByteLane
from rememberd.upstream.headers import answer_headers, client_headers, passes
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


PASSING = """
accept accept-language anthropic-beta anthropic-dangerous-direct-browser-access anthropic-version
baggage content-type editor-version helicone-cache-enabled http-referer idempotency-key
if-none-match openai-beta openai-intent openrouter-cache originator priority-processing session-id
session_id traceparent tracestate user-agent version x-app x-claude-code-session-id
x-client-request-id x-codex-beta-features x-codex-turn-state x-conversation-id x-grok-conv-id
x-initiator x-openrouter-title x-request-id x-session-affinity x-stainless-lang
x-stainless-retry-count x-title x-vscode-user-agent-library-version
"""
STAYING = """
accept-encoding access-control-request-method api-key authorization cf-connecting-ip cf-ray
connection content-encoding content-length cookie cookie2 dnt expect fastly-client-ip forwarded from
host http2-settings keep-alive ocp-apim-subscription-api-key openai-organization openai-project
origin proxy-authorization proxy-connection referer remote-user sec-fetch-site sec-websocket-key
tailscale-user-login te trailer transfer-encoding true-client-ip upgrade via x-amz-security-token
x-amzn-oidc-identity x-api-key x-auth-request-email x-auth-token x-authenticated-user x-client-ip
x-email x-envoy-external-address x-forwarded-for x-forwarded-host x-forwarded-user x-goog-api-key
x-goog-authenticated-user-email x-memory x-memory-scope x-memory-user x-ms-client-principal-name
x-openwebui-user-email x-openwebui-user-jwt x-original-forwarded-for x-real-ip x-remote-user x-user
x-user-email x-user-id x-webauth-user chatgpt-account-id x-csrf-token x-jwt-assertion x-vault-token
"""


def test_only_what_is_about_connection_credentials_cookies_or_person_stays() -> None:
    """What a provider or an SDK brings passes, whatever its name; what names the user or their way in does not."""
    assert [name for name in PASSING.split() if not passes(name)] == []
    assert [name for name in STAYING.split() if passes(name)] == []


@given(st.from_regex(r"(?:x-)?(?:codex|stainless|session|anthropic|openai|acme)-[a-z]{3,9}", fullmatch=True))
def test_names_that_nobody_knows_yet_pass(name: str) -> None:
    """A new flag of an SDK works on the day it comes, unless it is called what credentials and persons are."""
    told = re.search(
        r"token|secret|password|jwt|assertion|signature|credential|user|email|role|group|project|organi", name
    )
    assert passes(name) or told


def test_several_lines_of_one_header_are_one_list() -> None:
    """Beta flags come on lines of their own; of what has one value the last counts; what the client's Connection
    names is of the connection."""
    lines = [("anthropic-beta", "a"), ("Anthropic-Beta", "b, c"), ("X-Hop", "1"), ("Connection", "keep-alive, X-Hop")]
    lines += [("x-request-id", "theirs"), ("x-request-id", "ours"), ("traceparent", "1"), ("traceparent", "2")]
    assert client_headers(lines) == {"anthropic-beta": "a, b, c", "x-request-id": "ours", "traceparent": "2"}


def test_a_translated_answer_keeps_the_providers_limits() -> None:
    """Request id, rate limits and retries hold whatever the dialect; the rest is about bytes that the client never
    gets."""
    kept = [
        "request-id",
        "x-request-id",
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "x-ratelimit-limit-tokens",
    ]
    kept += ["anthropic-ratelimit-requests-remaining", "ratelimit-reset"]
    others = ["content-length", "content-type", "content-encoding", "set-cookie", "server", "openai-organization"]
    assert [name for name, _ in answer_headers({name.title(): "1" for name in kept + others})] == kept
    assert answer_headers({"request-id": "r"}) == [("request-id", "r"), ("x-request-id", "r")]


def test_the_providers_request_id_has_a_name_of_its_own() -> None:
    """The provider's headers stand beside ours. A provider cannot decide which web pages may read the answer (CORS),
    nor how the web server in front of us behaves."""
    upstream = [("X-Request-Id", "theirs"), ("x-ratelimit-remaining", "0"), ("Access-Control-Allow-Origin", "*")]
    upstream += [("X-Accel-Redirect", "/etc/passwd"), ("Content-Type", "application/json")]
    found = dict(response_headers(upstream, [(b"x-request-id", b"ours")], streamed=False))
    assert (found[b"x-request-id"], found[b"x-upstream-request-id"]) == (b"ours", b"theirs")
    assert found[b"x-ratelimit-remaining"] == b"0"
    assert not {b"access-control-allow-origin", b"x-accel-redirect"} & found.keys()


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
