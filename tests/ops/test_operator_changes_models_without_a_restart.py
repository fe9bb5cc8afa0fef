"""SIGHUP puts other models, aliases and keys in force; a key sees only its own models; a bad file changes nothing."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.fake_model import Behaviour, FakeModel
from tests.support.proxy_server import Proxy, ask, entry, eventually, running

KEYS = [
    {"name": "one", "key": "sk-one", "user": "ann", "models": ["small", "team/*"]},
    {"name": "all", "key": "sk-all", "user": "ann"},
]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    others = [entry("team/*", "openai/*", upstream.url), entry("dead", "openai/dead", "http://127.0.0.1:9/v1")]
    with running(
        tmp_path_factory.mktemp("own"),
        {"small": upstream.url, "large": upstream.url},
        others=others,
        keys=KEYS,
        router_settings={"model_group_alias": {"best": "large"}, "fallbacks": [{"dead": ["small"]}]},
    ) as proxy:
        yield proxy


def config(proxy: Proxy) -> Path:
    return proxy.data.parent / "rememberd.yaml"


def reload(proxy: Proxy, said: str) -> None:
    """SIGHUP, and wait until the log says what came of it."""
    seen = len(proxy.log)
    os.kill(proxy.process.pid, signal.SIGHUP)
    eventually(lambda: any(said in line for line in proxy.log[seen:]))


def test_a_key_sees_and_reaches_only_its_models(own: Proxy, upstream: FakeModel) -> None:
    """Listed for both SDKs, wildcards filled with what the provider lists; others are 403."""
    import anthropic
    import openai

    with openai.OpenAI(base_url=f"{own.url}/v1", api_key="sk-one", max_retries=0) as sdk:
        assert [model.id for model in sdk.models.list()] == ["small", "team/model-a", "team/model-b"]
        assert sdk.models.retrieve("team/anything").id == "team/anything"
        with pytest.raises(openai.PermissionDeniedError, match="GET /v1/models"):
            sdk.models.retrieve("large")
        with pytest.raises(openai.PermissionDeniedError):
            sdk.chat.completions.create(model="large", messages=[{"role": "user", "content": "Hi"}])
        with pytest.raises(openai.PermissionDeniedError):
            sdk.embeddings.create(model="large", input="Hi")
    with anthropic.Anthropic(base_url=own.url, api_key="sk-all", max_retries=0) as other:
        listed = [model.id for model in other.models.list()]
        assert listed == ["small", "large", "dead", "best", "team/model-a", "team/model-b"]


def test_a_pasted_litellm_config_brings_its_aliases_and_fallbacks(own: Proxy, upstream: FakeModel) -> None:
    """`router_settings.model_group_alias` and `fallbacks` mean here what they mean there; streams too."""
    with own.client(key="sk-all") as client:
        assert ask(client, "Hi", "best").status_code == 200
        assert upstream.chats[-1].json["model"] == "large"
        assert ask(client, "Hi", "dead", stream=True).content.endswith(b"data: [DONE]\n\n")
        assert upstream.chats[-1].json["model"] == "small"
        body = {"model": "dead", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
        assert client.post("/v1/messages", json=body).json()["content"][0]["text"].endswith("Hi")


def test_a_fallback_does_not_show(own: Proxy, upstream: FakeModel) -> None:
    """The receipt names the model that answered."""
    with own.client(key="sk-all") as client:
        reply = ask(client, "Hi there", "dead")
        receipt = client.get(f"/v1/receipts/{reply.headers['X-Memory-Receipt']}").json()
    assert (reply.status_code, receipt["model"]) == (200, "small")


def test_a_reload_changes_models_and_keys(own: Proxy, upstream: FakeModel) -> None:
    """Without a restart: an alias that moves everyone, a key that is new, one that is gone; a bad file is refused."""
    before = config(own).read_text()
    changed: dict[str, Any] = json.loads(before)
    changed["aliases"] = {"best": "small"}
    changed["keys"] = [KEYS[1], {"name": "new", "key": "sk-new", "user": "bob"}]
    pids = own.pids("web")
    try:
        config(own).write_text(json.dumps(changed))
        reload(own, "read again")
        with own.client(key="sk-new") as client:
            assert ask(client, "Hi", "best").status_code == 200
            assert upstream.chats[-1].json["model"] == "small"
        with own.client(key="sk-one") as client:
            assert ask(client, "Hi", "small").status_code == 401
        config(own).write_text(json.dumps(changed | {"aliases": {"best": "nothing like it"}}))
        reload(own, "nothing like it")
        config(own).write_text("keys: [")
        reload(own, "not YAML")
        with own.client(key="sk-new") as client:
            assert ask(client, "Hi", "best").status_code == 200
    finally:
        config(own).write_text(before)
        reload(own, "read again")
    assert own.pids("web") == pids


def test_a_stream_that_runs_outlives_a_reload(own: Proxy, upstream: FakeModel) -> None:
    """Requests under way end as they began."""
    upstream.script(Behaviour(answer="a b c d e f", delay_chunk=0.1))
    body = {"model": "large", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    with own.client(key="sk-all") as client, client.stream("POST", "/v1/chat/completions", json=body) as reply:
        chunks = reply.iter_bytes()
        first = next(chunks)
        reload(own, "read again")
        assert (first + b"".join(chunks)).endswith(b"data: [DONE]\n\n")


def test_without_a_model_nothing_is_forwarded_where_providers_differ(own: Proxy, upstream: FakeModel) -> None:
    """Without a model, nobody can know which provider is meant."""
    seen = len(upstream.requests)
    reply = httpx.get(f"{own.url}/v1/files", headers={"Authorization": "Bearer sk-all"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")
    assert len(upstream.requests) == seen
