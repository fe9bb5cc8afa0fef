"""Promise: a client that speaks Ollama's protocol alone has memory, with models of an Ollama and of any other
provider. The `ollama` library is the client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import ollama
import pytest

from tests.support.fake_model import Behaviour, FakeModel, event
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import Proxy, entry, eventually, memories, remembered

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
NDJSON = {"Content-Type": "application/x-ndjson"}


def line(content: str = "", *, done: bool = False, **message: Any) -> bytes:
    said = {"role": "assistant", "content": content} | message
    made = {"model": "llama3", "created_at": "2026-11-29T10:00:00.5Z", "message": said, "done": done}
    end = {"done_reason": "stop", "total_duration": 5, "prompt_eval_count": 7, "eval_count": 3} if done else {}
    return json.dumps(made | end, separators=(",", ":")).encode() + b"\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    """One user; `llama3:latest` is an Ollama's, `gpt` speaks OpenAI's chat, `claude` Anthropic's Messages."""
    others = [
        entry("llama3:latest", "ollama_chat/llama3", upstream.origin),
        entry("gpt", "openai/gpt-x", upstream.url),
        entry("claude", "anthropic/claude-sonnet-4-5", upstream.origin),
    ]
    with running_here(tmp_path_factory.mktemp("home"), {}, others=others, keys=None) as proxy:
        yield proxy


@pytest.fixture
def client(home: Proxy) -> Iterator[ollama.Client]:
    # The first translation imports litellm, which takes half a minute on a busy machine.
    client = ollama.Client(host=home.url, timeout=120)
    yield client
    client._client.close()


def test_what_is_told_to_one_model_is_known_to_the_next(
    home: Proxy, client: ollama.Client, upstream: FakeModel
) -> None:
    """From an Ollama to OpenAI's and Anthropic's protocol, in chats and in single prompts."""
    upstream.script(Behaviour(stream=[line("Nice."), line(done=True)], headers=NDJSON))
    parts = list(client.chat("llama3", [{"role": "user", "content": "I live in Oslo."}], stream=True))
    assert ("".join(part.message.content or "" for part in parts), parts[-1].done) == ("Nice.", True)
    assert upstream.requests[-1].path == "/api/chat"
    with httpx.Client(base_url=home.url, timeout=120) as reader:
        remembered(reader, "I live in Oslo.", "fact")
        eventually(lambda: any("Nice." in each["text"] for each in memories(reader, "episode")))
    asked = "Where do I live, do you remember?"
    for model in ("gpt", "claude"):
        answer = client.chat(model, [{"role": "user", "content": asked}])
        assert "I live in Oslo." in str(upstream.requests[-1].json)
        assert asked in (answer.message.content or "")
        assert (answer.model, answer.done, answer.prompt_eval_count) == (model, True, 7)
        said = "".join(part.response or "" for part in client.generate(model, asked, stream=True))
        assert "I live in Oslo." in str(upstream.requests[-1].json)
        assert said.endswith(asked)
    upstream.script(Behaviour(body=b'{"model":"llama3","response":"In Oslo.","done":true}'))
    assert client.generate("llama3", asked).response == "In Oslo."
    assert upstream.requests[-1].path == "/api/generate"
    assert "I live in Oslo." in upstream.requests[-1].json["prompt"]


def test_an_ollama_gets_and_gives_bytes(home: Proxy, upstream: FakeModel) -> None:
    """Options, tools, images, spaces and the lines of the stream pass unchanged; only the model's name is
    replaced."""
    lines = [
        line(thinking="Hm."),
        line(tool_calls=[{"function": {"name": "weather", "arguments": {}}}]),
        line(done=True),
    ]
    upstream.script(Behaviour(stream=[lines[0][:20], lines[0][20:] + lines[1], lines[2]], headers=NDJSON))
    raw = json.dumps(
        {
            "model": "llama3",
            "messages": [{"role": "user", "content": "What is this?", "images": [PIXEL]}],
            "tools": [TOOL],
            "options": {"num_ctx": 8192, "seed": 12345678901234567890123},
            "keep_alive": -1,
        },
        indent=1,
    ).encode()
    reply = httpx.post(f"{home.url}/api/chat", content=raw, headers={"X-Memory": "off"})
    assert (reply.content, reply.headers["content-type"]) == (b"".join(lines), NDJSON["Content-Type"])
    assert upstream.requests[-1].raw == raw
    assert reply.headers["X-Memory-Status"] == "off"


def test_other_models_get_tools_images_options_and_schemas(client: ollama.Client, upstream: FakeModel) -> None:
    """Tool calls are translated to OpenAI's format. Each result still belongs to its call, and the calls that come
    back have Ollama's format."""
    call = {"function": {"name": "weather", "arguments": {"city": "Oslo"}}}
    said: list[dict[str, Any]] = [
        {"role": "user", "content": "Where is this?", "images": [PIXEL]},
        {"role": "assistant", "content": "", "tool_calls": [call, call]},
        {"role": "tool", "tool_name": "weather", "content": "rain"},
        {"role": "tool", "tool_name": "weather", "content": "snow"},
    ]
    schema: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}}
    options: dict[str, Any] = {"temperature": 0.5, "num_predict": 50, "stop": ["END"], "num_ctx": 8192}
    piece = {"index": 0, "id": "call_9", "type": "function", "function": {"name": "weather", "arguments": '{"city":'}}
    rest = {"index": 0, "function": {"arguments": '"Bergen"}'}}
    chunks = [event({"choices": [{"index": 0, "delta": {"tool_calls": [each]}}]}) for each in (piece, rest)]
    upstream.script(Behaviour(stream=[*chunks, b"data: [DONE]\n\n"]))
    parts = list(client.chat("gpt", said, tools=[TOOL], format=schema, options=options, think="low", stream=True))
    calls = [each.function for part in parts for each in part.message.tool_calls or ()]
    assert [(each.name, each.arguments) for each in calls] == [("weather", {"city": "Bergen"})]
    sent = upstream.requests[-1].json
    image = sent["messages"][0]["content"][-1]["image_url"]["url"]
    assert image == f"data:image/png;base64,{PIXEL}"
    ids = [each["id"] for each in sent["messages"][1]["tool_calls"]]
    assert len(set(ids)) == 2
    assert [message["tool_call_id"] for message in sent["messages"][2:]] == ids
    assert sent["tools"][0]["function"]["name"] == "weather"
    assert (sent["temperature"], sent["max_tokens"], sent["stop"]) == (0.5, 50, ["END"])
    assert (sent["response_format"]["json_schema"]["schema"], sent["reasoning_effort"]) == (schema, "low")


def test_models_embeddings_and_the_rest(home: Proxy, client: ollama.Client, upstream: FakeModel) -> None:
    """What clients ask before and beside a chat."""
    assert [each.model for each in client.list().models] == ["llama3:latest", "gpt", "claude"]
    assert httpx.get(f"{home.url}/api/version").json()["version"]
    assert "tools" in (client.show("gpt").capabilities or ())
    upstream.script(Behaviour(body=b'{"details":{"family":"llama"},"model_info":{}}'))
    shown = client.show("llama3").details
    assert shown is not None
    assert shown.family == "llama"
    assert (upstream.requests[-1].path, upstream.requests[-1].json["model"]) == ("/api/show", "llama3")
    assert client.embed("gpt", ["a", "b"]).embeddings == [[0.6, 0.8]] * 2
    upstream.script(Behaviour(body=b'{"model":"llama3","embeddings":[[1.0]]}'))
    assert client.embed("llama3", "a").embeddings == [[1.0]]
    assert client.chat("gpt", []).done_reason == "load"
    upstream.script(Behaviour(body=b'{"status":"success"}'))
    assert client.pull("llama3").status == "success"
    assert upstream.requests[-1].path == "/api/pull"


def test_faults_have_ollamas_shape(client: ollama.Client, upstream: FakeModel) -> None:
    """A model that is not there, a refusal of the provider."""
    with pytest.raises(ollama.ResponseError, match="There is no model") as missing:
        client.chat("lama3", [{"role": "user", "content": "Hi"}])
    upstream.script(Behaviour(status=429))
    with pytest.raises(ollama.ResponseError, match="scripted error") as refused:
        client.chat("gpt", [{"role": "user", "content": "Hi"}])
    assert (missing.value.status_code, refused.value.status_code) == (404, 429)


def test_many_users_change_no_server(proxy: Proxy, upstream: FakeModel) -> None:
    """Where keys of several users come in, nobody pulls, copies or deletes models."""
    seen = len(upstream.requests)
    with proxy.client(key="sk-alice") as client:
        for method, path in (("POST", "/api/pull"), ("DELETE", "/api/delete"), ("POST", "/api/blobs/../x")):
            assert client.request(method, path, json={"model": "model-a"}).status_code == 404
        assert client.get("/api/tags").json()["models"][0]["name"] == "model-a"
    assert httpx.get(f"{proxy.url}/api/tags").status_code == 401
    assert len(upstream.requests) == seen
