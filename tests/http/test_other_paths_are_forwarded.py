"""Embeddings, completions and whatever else a provider has: there and back, without memory."""

from __future__ import annotations

from pathlib import Path

from tests.support.fake_model import Behaviour, FakeModel
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import Proxy, entry


def test_embeddings_go_to_the_models_provider(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """With its own name for the model and none of memory's headers; the SDK reads the answer."""
    import openai

    with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key="sk-alice", max_retries=0) as sdk:
        answer = sdk.embeddings.with_raw_response.create(model="open", input=["a", "b"], encoding_format="float")
    assert [each.embedding for each in answer.parse().data] == [[0.6, 0.8]] * 2
    assert (upstream.requests[-1].path, upstream.requests[-1].json["model"]) == ("/v1/embeddings", "open-x")
    assert answer.headers["X-Request-Id"]
    assert not [name for name in answer.headers if name.lower().startswith("x-memory")]


def test_the_bytes_are_the_clients(proxy: Proxy, upstream: FakeModel) -> None:
    """Unknown paths, fields and queries; a stream comes back as it was."""
    stream = [b'data: {"choices":[{"text":"a"}]}\n\n', b"data: [DONE]\n\n"]
    upstream.script(Behaviour(stream=stream))
    raw = b'{"model": "model-a",  "prompt":"I live in Oslo", "stream":true, "twice":1, "twice":2}'
    with proxy.client(key="sk-alice") as client:
        reply = client.post("/v1/completions?a=b%20c", content=raw, headers={"Content-Type": "application/json"})
    assert reply.content == b"".join(stream)
    assert (upstream.requests[-1].path, upstream.requests[-1].raw) == ("/v1/completions?a=b%20c", raw)
    assert upstream.requests[-1].headers["Authorization"] == "Bearer sk-up"


def test_a_model_that_is_not_there_is_404(proxy: Proxy) -> None:
    """As everywhere, with near names."""
    with proxy.client(key="sk-alice") as client:
        assert "model-a" in client.post("/v1/embeddings", json={"model": "modle-a"}).json()["error"]["message"]


def test_what_only_litellm_can_reach_has_chats_alone(tmp_path: Path) -> None:
    """Whose protocol we do not speak cannot be sent files or embeddings as they are."""
    model = entry("gemini", "gemini/gemini-x", "http://127.0.0.1:9")
    with running_here(tmp_path, {}, others=[model], keys=None) as proxy, proxy.client() as client:
        for missing in (
            client.post("/v1/embeddings", json={"model": "gemini", "input": "x"}),
            client.get("/v1/files"),
        ):
            assert (missing.status_code, missing.json()["error"]["code"]) == (404, "unsupported_endpoint")


def test_anthropic_has_more_than_messages(tmp_path: Path, upstream: FakeModel) -> None:
    """Batches, files and skills, as its SDK asks for them: bytes as they are, with the operator's key."""
    model = entry("claude", "anthropic/claude-x", upstream.origin)
    seen = len(upstream.requests)
    asked = [
        *(("POST", f"/v1/messages/batches{end}") for end in ("", "/b/cancel")),
        *(("GET", f"/v1/{path}") for path in ("messages/batches", "messages/batches/b/results", "files?limit=2")),
        *(("GET", f"/v1/{path}") for path in ("files/f/content", "skills/s/versions?beta=true")),
        *(("DELETE", f"/v1/{path}") for path in ("messages/batches/b", "files/f", "skills/s")),
    ]
    with running_here(tmp_path, {}, others=[model], keys=None) as proxy, proxy.client() as client:
        for method, path in asked:
            content = b'{"requests":[]}' if method == "POST" else None
            if method != "GET":
                upstream.script(Behaviour(body=b'{"id":"b"}'))
            headers = {"content-type": "application/json", "anthropic-beta": "a,b"}
            assert client.request(method, path, content=content, headers=headers).status_code == 200, path
    sent = upstream.requests[seen:]
    assert [(each.method, each.path) for each in sent] == asked
    assert {each.headers["x-api-key"] for each in sent} == {"sk-up"}
    assert {each.headers["anthropic-beta"] for each in sent} == {"a,b"}


def test_what_a_provider_stores_is_not_shown_to_many_users(proxy: Proxy, upstream: FakeModel) -> None:
    """Files and stored answers lie under the operator's key: with several users they cannot be told apart."""
    seen = len(upstream.requests)
    with proxy.client(key="sk-alice") as client:
        for path in ("/v1/files", "/v1/responses/resp_1", "/v1/conversations/conv_1/items"):
            assert client.get(path).status_code == 404
    assert len(upstream.requests) == seen
