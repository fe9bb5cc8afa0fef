"""Promise: where several users share the key of a provider, nobody reaches what the provider keeps for that key."""

from __future__ import annotations

import http.client
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.fake_model import Behaviour, FakeModel
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import Proxy, entry
from tests.support.tables import each_row

STORED = (
    *("/v1/files", "/v1/files/file-1/content", "/v1/batches", "/v1/responses/resp_1", "/v1/conversations/c/items"),
    *("/v1/fine_tuning/jobs", "/v1/vector_stores", "/v1/chat/completions/chatcmpl-1", "/v1/messages/batches"),
    *("/v1/responses/resp_1/cancel", "/v1/assistants", "/v1/uploads", "/v1/containers", "/v1/load_lora_adapter"),
)


def raw_request(proxy: Proxy, method: str, path: str, body: bytes = b"", key: str = "sk-alice") -> int:
    """The status. The path goes out as it is written here; httpx would clean it first."""
    connection = http.client.HTTPConnection(urlsplit(proxy.url).netloc, timeout=120)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, body or None, headers)
        return connection.getresponse().status
    finally:
        connection.close()


@each_row("path", STORED)
def test_a_model_in_the_body_opens_no_stored_object(proxy: Proxy, upstream: FakeModel, path: str) -> None:
    """Whatever the method: a body with a model is a reason to ask a provider at stateless paths only."""
    seen = len(upstream.requests)
    body = json.dumps({"model": "model-a", "metadata": {}, "input_file_id": "file-1"}).encode()
    answers = {method: raw_request(proxy, method, path, body) for method in ("GET", "POST", "DELETE")}
    assert (answers, len(upstream.requests)) == ({"GET": 404, "POST": 404, "DELETE": 404}, seen)


def test_dot_segments_never_leave_the_api_base(proxy: Proxy, alone: Proxy, upstream: FakeModel) -> None:
    """However the dots are written, for one user and for many, with every method."""
    dots = ("..", ".", "%2e%2e", ".%2E", "%2e", "%252e%252e", "..;x", "%2e%2e%3bx", "..%2f..", "..%5c..", " ..")
    paths = [f"/v1/{dot}/{rest}" for dot, rest in itertools.product(dots, ("internal", "../internal"))]
    paths += [f"/v1/embeddings/{dot}" for dot in dots] + [f"/v1/embeddings/{dot}/files" for dot in dots]
    body = b'{"model":"model-a","input":"x"}'
    seen = len(upstream.requests)
    for at, method, path in itertools.product((proxy, alone), ("GET", "POST", "DELETE"), paths):
        path = path.replace(" ", "%20")
        assert raw_request(at, method, path, body if method == "POST" else b"") in (400, 404), (method, path)
    assert len(upstream.requests) == seen


def test_the_same_idempotency_key_of_two_users_is_two_keys(proxy: Proxy, upstream: FakeModel) -> None:
    """At a chat and elsewhere; a retry of the same user has the same one."""

    def sent(key: str, path: str, **headers: str) -> str:
        body = {"model": "model-a", "input": "x", "messages": [{"role": "user", "content": "hello"}]}
        with proxy.client(key=key, **{"Idempotency-Key": "order-1", **headers}) as client:
            assert client.post(path, json=body).status_code == 200
        return upstream.requests[-1].headers["idempotency-key"]

    for path in ("/v1/chat/completions", "/v1/embeddings"):
        keys = [sent("sk-alice", path), sent("sk-bob", path)]
        keys += [sent("sk-webui", path, **{"X-Memory-User": name}) for name in ("ann", "ben")]
        assert len(set(keys)) == 4
        assert "order-1" not in str(keys)
        assert sent("sk-alice", path) == keys[0]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    """One provider, one user."""
    others = [entry(name, f"hosted_vllm/{name}", upstream.url) for name in ("open", "m", "*")]
    with running_here(tmp_path_factory.mktemp("alone"), {}, others=others, keys=None) as proxy:
        yield proxy


def test_one_user_reaches_what_the_provider_stores(alone: Proxy, upstream: FakeModel) -> None:
    """Every method with the answer of the provider. A body of a GET goes nowhere."""
    for path in STORED:
        for method in ("GET", "POST", "DELETE"):
            upstream.script(*([Behaviour(body=b"{}")] if method != "GET" else []))
            assert raw_request(alone, method, path, b'{"model":"m"}', key="") == 200, (method, path)
            sent = upstream.requests[-1]
            assert (sent.method, sent.path, sent.raw) == (method, path, b'{"model":"m"}' if method == "POST" else b"")
    for path in ("/v1/chat/completions?limit=2", "/v1/models/ft:gpt-x"):
        method = "DELETE" if "models" in path else "GET"
        upstream.script(*([Behaviour(body=b"{}")] if method == "DELETE" else []))
        assert raw_request(alone, method, path, key="") == 200
        assert (upstream.requests[-1].method, upstream.requests[-1].path) == (method, path)


def test_a_model_is_described_by_its_provider(alone: Proxy, proxy: Proxy, upstream: FakeModel) -> None:
    """Unless `model_list` names the model, or the provider's key serves other people, too."""
    before = len(upstream.requests)
    with alone.client() as client:
        assert [client.get(f"/v1/models/{name}").status_code for name in ("large", "m")] == [200, 200]
    assert [each.path for each in upstream.requests[before:]] == ["/v1/models/large"]
    with proxy.client() as client:
        assert client.get("/v1/models/model-a").json()["owned_by"] == "rememberd"


def test_what_is_no_name_of_a_model_is_the_provider_s_matter(alone: Proxy, upstream: FakeModel) -> None:
    """The `model` of an agent of Anthropic's is an object."""
    body = b'{"model": {"id": "large", "effort": "low"}}'
    upstream.script(Behaviour(body=b"{}"))
    assert raw_request(alone, "POST", "/v1/agents/a-1", body, key="") == 200
    assert upstream.requests[-1].raw == body
    assert raw_request(alone, "POST", "/v1/embeddings", body, key="") == 400


def test_one_user_and_one_provider_reach_everything(alone: Proxy, upstream: FakeModel) -> None:
    """Lists, stored objects, and uploads as they are."""
    with alone.client() as client:
        assert client.get("/v1/files?limit=2").status_code == 200
        assert (upstream.requests[-1].method, upstream.requests[-1].path) == ("GET", "/v1/files?limit=2")
        assert client.get("/v1/files/a%2Fb%20c").status_code == 200
        assert upstream.requests[-1].path == "/v1/files/a%2Fb%20c"
        upstream.script(Behaviour(body=b'{"text":"hello"}'))
        reply = client.post("/v1/audio/transcriptions", files={"file": ("a.wav", b"RIFF\0")}, data={"model": "m"})
    assert reply.json() == {"text": "hello"}
    assert upstream.requests[-1].headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert b"RIFF\0" in upstream.requests[-1].raw


NEAR_MISSES = (
    *("/v1/chat/completions/", "/chat/completions", "/v1/v1/chat/completions", "/v1/v1/messages/", "/responses"),
    *("/v1//chat/completions", "/v1/Chat/Completions", "/v1/openai/v1/chat/completions", "/api/v1/responses"),
    *("/openai/deployments/x/chat/completions", "/v1/messages;x", "/v1/chat/completions%20", "/v1/%6dessages//"),
    *("/v1/v1/v1/messages", "//v1/chat/completions", "/v1/engines/x/chat/completions", "/v1/chat%5Ccompletions"),
)


@pytest.mark.parametrize("path", NEAR_MISSES)
def test_a_near_miss_of_a_chat_path_has_memory_or_says_what_to_write(
    proxy: Proxy, alone: Proxy, upstream: FakeModel, path: str
) -> None:
    """Never an answer without memory; for one user as well, whose other paths are all forwarded."""
    body = json.dumps({"model": "open", "input": "hello", "messages": [{"role": "user", "content": "hello"}]})
    for at in (proxy, alone):
        seen = len(upstream.requests)
        connection = http.client.HTTPConnection(urlsplit(at.url).netloc, timeout=120)
        headers = {"Authorization": "Bearer sk-alice", "Content-Type": "application/json"}
        connection.request("POST", path, body.replace('"m"', '"open"' if at is proxy else '"m"'), headers)
        reply = connection.getresponse()
        said = reply.read().decode()
        connection.close()
        if reply.status == 404:
            assert len(upstream.requests) == seen
            assert "/v1" in said
        else:
            assert (reply.status, reply.headers["X-Memory-Status"] is not None) == (200, True), said


def test_a_response_without_a_model_goes_to_the_only_provider(
    proxy: Proxy, alone: Proxy, upstream: FakeModel
) -> None:
    """Nothing is added to the body but what is recalled; the turn is remembered. Only one user may name a stored
    prompt."""
    for at, raw in ((proxy, b'{"input":"hello",  "n":1}'), (alone, b'{"prompt": {"id":"pmpt_1"},  "input":"hello"}')):
        upstream.script(Behaviour(body=b"{}"))
        with at.client(key="sk-alice", **{"X-Memory": "write"}) as client:  # other tests told something as alice
            reply = client.post("/v1/responses", content=raw, headers={"Content-Type": "application/json"})
            refused = client.post("/v1/chat/completions", json={"messages": []})
        assert (reply.status_code, upstream.requests[-1].raw) == (200, raw)
        assert reply.headers["X-Memory-Write"] == "on"
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "missing_model")


Requests = list[tuple[str, dict[str, Any]]]  # paths and bodies


def text(words: str) -> dict[str, Any]:
    return {"role": "user", "content": words}


def in_input(part: dict[str, Any]) -> dict[str, Any]:
    """A Responses request with this part beside the words."""
    return {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hello"}, part]}]}


def asking(path: str, usual: dict[str, Any], *members: dict[str, Any]) -> Requests:
    """A request for each of `members`, which come to the usual ones or replace them."""
    return [(path, usual | each) for each in members]


FILE = {"type": "file", "file_id": "file_1"}  # in Anthropic's dialect
# Members of a body that name what a provider has stored, by the path of the request.
REFERENCES: Requests = [
    *asking(
        "/v1/responses",
        {"input": "hello"},
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"conversation": {"id": "conv_1"}},
        {"prompt": {"id": "pmpt_1", "version": "2"}},
        {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
        {"tools": [{"type": "code_interpreter", "container": "cntr_1"}]},
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-1"]}}]},
        {"tools": [{"type": "shell", "environment": {"type": "container_reference", "container_id": "cntr_1"}}]},
        {"tools": [{"type": "image_generation", "input_image_mask": {"file_id": "file-1"}}]},
        in_input({"type": "input_file", "file_id": "file-1"}),
        in_input({"type": "input_image", "file_id": "file-1"}),
        in_input({"type": "input_image", "image_url": "gs://bucket/picture.png"}),
        {"input": [text("hello"), {"type": "item_reference", "id": "msg_1"}]},
        {"input": [text("hello"), {"id": "msg_1"}]},
        {"input": [text("hello"), {"type": "image_generation_call", "id": "ig_1", "status": "done", "result": None}]},
        {"input": [{"type": "function_call_output", "call_id": "c", "output": [{"file_id": "file-1"}]}]},
    ),
    *asking(
        "/v1/chat/completions",
        {"messages": [text("hello")]},
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
        {"messages": [text("hello"), {"role": "assistant", "audio": {"id": "audio_1"}}, text("again")]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "gs://b/a.png"}}]}]},
        {"container": "container_1"},
        {"cached_content": "cachedContents/1"},
    ),
    *asking(
        "/v1/messages",
        {"messages": [text("hello")], "max_tokens": 9},
        {"messages": [{"role": "user", "content": [{"type": "document", "source": FILE}]}]},
        {"messages": [{"role": "user", "content": [{"type": "container_upload", "file_id": "file_1"}]}]},
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "content": [{"source": FILE}]}]}]},
        {"container": {"id": "container_1"}},
        {"container": {"skills": [{"type": "custom", "skill_id": "skill_1"}]}},
    ),
    *asking("/v1/responses/input_tokens", {"input": "hello"}, {"previous_response_id": "resp_1"}),
]

# Bodies in which the same names mean something else, or nothing.
HARMLESS: Requests = [
    ("/v1/responses", {"input": "hello", "store": True, "metadata": {"file_id": "1", "conversation": "2"}}),
    ("/v1/responses", {"input": "hello", "previous_response_id": None, "conversation": None, "prompt": None}),
    ("/v1/responses", {"input": "hello", "tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}),
    (
        "/v1/responses",
        in_input({"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,YQ=="}),
    ),
    ("/v1/responses", {"input": [text("hello"), {"type": "reasoning", "id": "rs_1", "summary": []}, text("again")]}),
    (
        "/v1/chat/completions",
        {
            "messages": [text('{"file_id": "file-1"}')],
            "modalities": ["text", "audio"],
            "audio": {"voice": "alloy", "format": "wav"},
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "read", "parameters": {"properties": {"file_id": {"type": "string"}}}},
                }
            ],
        },
    ),
    (
        "/v1/messages",
        {
            "max_tokens": 9,
            "messages": [
                text("hello"),
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "t", "name": "read", "input": {"file_id": "7"}}],
                },
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "read"}]},
            ],
        },
    ),
]


def answers(proxy: Proxy, models: list[str], key: str, given: Requests) -> set[tuple[object, ...]]:
    """The status and the error code for each body of `given`, at each model."""
    found: set[tuple[object, ...]] = set()
    with proxy.client(key=key) as client:
        for (path, body), model in itertools.product(given, models):
            reply = client.post(path, json={"model": model, **body})
            error = reply.json().get("error") or {}
            says = "whole conversation" in str(error.get("message"))
            found.add((reply.status_code, says) if reply.status_code == 400 else (path, model, reply.status_code))
    return found


def test_a_body_that_names_stored_objects_is_refused_where_a_key_is_shared(proxy: Proxy, upstream: FakeModel) -> None:
    """Whichever way the provider is spoken to, as bytes or translated, and nothing is sent to it. The message says
    what to do."""
    seen = len(upstream.requests)
    assert answers(proxy, ["open", "claude", "model-a"], "sk-alice", REFERENCES) == {(400, True)}
    assert len(upstream.requests) == seen


def test_the_same_names_in_the_clients_own_data_pass(proxy: Proxy) -> None:
    """The arguments and schemas of its tools, its metadata, what is null; and `store` itself."""
    assert {each[-1] for each in answers(proxy, ["open"], "sk-alice", HARMLESS)} == {200}


def test_one_user_may_name_what_the_provider_stores(alone: Proxy, upstream: FakeModel) -> None:
    """The body reaches the provider as it was written."""
    with alone.client(key="sk-any", **{"X-Memory": "off"}) as client:
        for path, body in REFERENCES:
            if "input_tokens" in path:
                continue
            raw = json.dumps({"model": "m", **body}).encode()
            reply = client.post(path, content=raw, headers={"Content-Type": "application/json"})
            assert (reply.status_code, upstream.requests[-1].raw) == (200, raw)


def test_a_provider_key_of_ones_own_serves_one_user(tmp_path: Path, upstream: FakeModel) -> None:
    """What the message advises: a model with its own `api_key` that only this user's key may ask."""
    own = entry("own", "hosted_vllm/own", upstream.url)
    own["litellm_params"]["api_key"] = "sk-of-alice"
    others = [entry("shared", "hosted_vllm/shared", upstream.url), own]
    keys = [
        {"key": "sk-alice", "name": "alice", "user": "alice", "models": ["own", "shared"]},
        {"key": "sk-bob", "name": "bob", "user": "bob", "models": ["shared"]},
    ]
    body: Requests = [("/v1/responses", {"input": "hello", "previous_response_id": "resp_1"})]
    with running_here(tmp_path, {}, others=others, keys=keys) as proxy:
        assert answers(proxy, ["own"], "sk-alice", body) == {("/v1/responses", "own", 200)}
        assert answers(proxy, ["shared"], "sk-alice", body) == {(400, True)}
        assert answers(proxy, ["shared"], "sk-bob", body) == {(400, True)}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    """One provider, several users."""
    keys: list[dict[str, Any]] = [{"key": f"sk-{name}", "name": name, "user": name} for name in ("alice", "bob")]
    keys.append({"key": "sk-webui", "name": "webui", "trust_identity": True})
    with running_here(
        tmp_path_factory.mktemp("shared"), {}, others=[entry("m", "hosted_vllm/m", upstream.url)], keys=keys
    ) as proxy:
        yield proxy


CALLERS: list[dict[str, str]] = [
    {"key": "sk-bob"},
    {"key": "sk-webui", "X-Memory-User": "alice2"},
    {"key": "sk-webui"},
    {"key": "sk-alice", "X-Memory-Scope": "work"},
]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("memory", ["on", "off"])
def test_everybody_goes_on_from_their_own_responses_only(
    shared: Proxy, upstream: FakeModel, stream: bool, memory: str
) -> None:
    """In a body and in a path; a guess reaches nothing, and neither does another scope of the same user."""
    asked = {"model": "m", "input": "hello", "stream": stream}
    with shared.client(key="sk-alice", **{"X-Memory": memory}) as alice:
        made = alice.post("/v1/responses", json=asked)
        id = made.text.partition('"id": "')[2].partition('"')[0]
        assert (made.status_code, id.startswith("resp_")) == (200, True)
        goes_on: Requests = [
            ("/v1/responses", asked | {"previous_response_id": id}),
            ("/v1/responses/input_tokens", {"model": "m", "input": "x", "previous_response_id": id}),
        ]
        paths = [
            *(("GET", f"/v1/responses/{id}{rest}") for rest in ("", "/input_items", "?include[]=x")),
            *(("POST", f"/v1/responses/{id}/cancel"), ("DELETE", f"/v1/responses/{id}")),
        ]
        for caller in CALLERS:
            seen = len(upstream.requests)
            with shared.client(**caller) as other:
                statuses = {other.post(path, json=body).status_code for path, body in goes_on}
                statuses |= {other.request(method, path).status_code for method, path in paths}
            assert (statuses, len(upstream.requests)) == ({400, 404}, seen), caller
        for path, body in goes_on:
            assert alice.post(path, json=body).status_code == 200, path
            assert upstream.requests[-1].json["previous_response_id"] == id
        for method, path in paths:
            upstream.script(*([Behaviour(body=b"{}")] if method != "GET" else []))
            assert alice.request(method, path).status_code == 200, path
            assert (upstream.requests[-1].method, upstream.requests[-1].path) == (method, path)
        seen = len(upstream.requests)
        for path in ("/v1/responses/resp_0", f"/v1/responses/{id}x", f"/v1/responses/{id}%2f..", "/v1/responses/"):
            assert alice.get(path).status_code in (400, 404), path
        assert alice.post("/v1/responses", json=asked | {"previous_response_id": "resp_0"}).status_code == 400
        assert len(upstream.requests) == seen


def test_a_thread_of_ones_own_goes_on(shared: Proxy, upstream: FakeModel) -> None:
    """Anthropic keeps its messages: nobody else goes on from one, streamed or not."""
    said = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
    with shared.client(key="sk-alice") as alice, shared.client(key="sk-bob") as bob:
        for streamed in (False, True):
            made = alice.post("/v1/messages", json=said | {"stream": streamed, "thread": {"type": "create"}})
            found = re.search(r'"id": ?"(msg_\w+)"', made.raise_for_status().text)
            assert found
            seen = len(upstream.requests)
            own = {"thread": {"type": "continue", "previous_message_id": found[1]}}
            others = {"thread": {"type": "continue", "previous_message_id": "msg_of_nobody"}}
            odd = {"thread": {"type": "continue", "previous_message_id": found[1], "file_id": "file-1"}}
            diagnosed = {"diagnostics": {"previous_message_id": found[1]}}
            assert bob.post("/v1/messages", json=said | own).status_code == 400
            assert {
                alice.post("/v1/messages", json=said | each).status_code for each in (others, odd, diagnosed)
            } == {400}
            assert len(upstream.requests) == seen
            assert alice.post("/v1/messages", json=said | own).status_code == 200
            assert upstream.requests[-1].json["thread"] == own["thread"]


def test_a_conversation_of_ones_own_is_used(shared: Proxy, upstream: FakeModel) -> None:
    """Made, named in a request, read and deleted by its user only."""
    upstream.script(Behaviour(body=b'{"id": "conv_7", "object": "conversation"}'))
    with shared.client(key="sk-alice") as alice, shared.client(key="sk-bob") as bob:
        refused = alice.post("/v1/conversations", json={"items": [{"type": "item_reference", "file_id": "f"}]})
        assert refused.status_code == 404
        assert alice.post("/v1/conversations", json={"metadata": {}}).json()["id"] == "conv_7"
        for conversation in ("conv_7", {"id": "conv_7"}):
            body = {"model": "m", "input": "hello", "conversation": conversation}
            assert bob.post("/v1/responses", json=body).status_code == 400
            assert alice.post("/v1/responses", json=body).status_code == 200
        for method, path in (("GET", "conv_7/items"), ("GET", "conv_7"), ("DELETE", "conv_7")):
            assert bob.request(method, f"/v1/conversations/{path}").status_code == 404
            upstream.script(*([Behaviour(body=b"{}")] if method != "GET" else []))
            assert alice.request(method, f"/v1/conversations/{path}").status_code == 200
