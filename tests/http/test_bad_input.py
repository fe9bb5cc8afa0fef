"""A bad request gets a clear refusal that says what to do; never a 500."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.support.fake_model import FakeModel
from tests.support.proxy_server import Proxy, ask
from tests.support.tables import each_row


def error(reply: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = reply.json()["error"]
    assert set(found) == {"message", "type", "param", "code"}
    return found


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"x-api-key": "wrong"}, {"Authorization": "Basic eDp5"}]
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/memories", "/v1/memories/search"])
def test_a_bad_key_is_401(proxy: Proxy, headers: dict[str, str], path: str) -> None:
    """On every path that knows people."""
    reply = httpx.post(f"{proxy.url}{path}", json={"model": "model-a", "text": "x"}, headers=headers)
    assert reply.status_code == 401
    assert error(reply)["code"] == "invalid_api_key"


def test_either_key_header_will_do(proxy: Proxy) -> None:
    """SDKs of both kinds send their key in their own way."""
    for headers in ({"Authorization": "Bearer sk-alice"}, {"x-api-key": "sk-alice"}):
        assert httpx.get(f"{proxy.url}/v1/memories", headers=headers).status_code == 200


@each_row(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b'{"model": NaN}',
        '{"model": "model-a"}'.encode("utf-16"),
        b"\xff\xfe",
        b'{"a":' * 5000,
    ],
)
def test_bad_json_is_400(proxy: Proxy, raw: bytes) -> None:
    """The error says what is wrong."""
    with proxy.client(key="sk-alice") as client:
        reply = client.post("/v1/chat/completions", content=raw)
    assert reply.status_code == 400
    assert error(reply)["code"] == "invalid_json"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages"])
def test_half_an_emoji_is_no_fault(proxy: Proxy, path: str) -> None:
    """JavaScript clients cut texts in the middle of one; on every path, also where the request is translated."""
    said = b'[{"role": "user", "content": "My cat is called \\ud83d"}]'
    body = b'{"model": "model-a", "%b": %b}' % (b"input" if "responses" in path else b"messages", said)
    with proxy.client(key="sk-alice") as client:
        reply = client.post(path, content=body)
        assert reply.status_code == 200, reply.text


def test_an_unknown_model_is_404_and_names_the_near_ones(proxy: Proxy) -> None:
    """The error names similar names, so that a typing error is found at once."""
    with proxy.client(key="sk-alice") as client:
        reply = ask(client, "Hi", "modle-a")
    assert reply.status_code == 404
    assert error(reply)["code"] == "model_not_found"
    assert "model-a" in error(reply)["message"]


@each_row("model", [None, 7, "", [], {}])
def test_a_model_that_is_no_name_is_400(proxy: Proxy, model: Any) -> None:
    """Before anything is looked up."""
    with proxy.client(key="sk-alice") as client:
        reply = client.post("/v1/chat/completions", json={"model": model, "messages": []})
    assert reply.status_code == 400
    assert error(reply)["param"] == "model"


def test_a_body_over_the_limit_is_413(proxy: Proxy) -> None:
    """Whether its length is announced or not."""
    big = b" " * (33 * 2**20)
    with proxy.client(key="sk-alice") as client:
        assert client.post("/v1/chat/completions", content=big).status_code == 413
        assert client.post("/v1/chat/completions", content=iter([big])).status_code == 413


@each_row("value", ["maybe", "yes", "on, off", "true"])
def test_a_wrong_x_memory_is_400(proxy: Proxy, value: str) -> None:
    """An invalid value must not switch memory on for somebody who wanted it off."""
    with proxy.client(key="sk-alice", **{"X-Memory": value}) as client:
        reply = ask(client, "Hi")
    assert reply.status_code == 400
    assert error(reply)["param"] == "X-Memory"


@each_row("scope", ["a/b", "x" * 65, "ä", ".."])
def test_a_wrong_scope_is_400(proxy: Proxy, scope: str) -> None:
    """A scope is a plain name."""
    with proxy.client(key="sk-alice") as client:
        reply = client.get("/v1/memories", headers=[(b"X-Memory-Scope", scope.encode())])
    assert reply.status_code == 400


@pytest.mark.parametrize(
    "messages",
    [
        None,
        [],
        "text",
        7,
        {},
        [None],
        ["text"],
        [{}],
        [{"role": "user"}],
        [{"role": "user", "content": None}],
        [{"role": "user", "content": 7}],
        [{"role": "user", "content": [None, 7, {"type": "text"}, {"type": "text", "text": 7}]}],
        [{"role": 7, "content": "x"}],
        [{"role": "user", "content": "x", "name": 7}],
        [{"role": "user", "content": ""}],
        [{"role": "user", "content": "\x00\ud800"}],
        [{"role": "assistant", "content": "only"}],
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_malformed_messages_are_relayed_or_refused(proxy: Proxy, messages: Any, stream: bool) -> None:
    """What a message may look like is the provider's business."""
    body = {"model": "model-a", "messages": messages, "stream": stream}
    with proxy.client(key="sk-alice") as client:
        reply = client.post("/v1/chat/completions", content=json.dumps(body).encode())
    assert "X-Memory-Status" in reply.headers  # relayed; the fake provider may well choke on it
    assert reply.headers["X-Memory-Status"] in ("skipped", "miss", "hit")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/memories", {"GET", "POST", "DELETE"}),
        ("/v1/memories/x", {"GET", "PATCH", "DELETE"}),
        ("/v1/memories/x/history", {"GET"}),
        ("/v1/receipts", {"GET"}),
        ("/v1/chat/completions", {"POST"}),
        ("/v1/responses", {"POST"}),
        ("/v1/files", {"GET", "POST", "DELETE"}),
        ("/admin/keys", {"GET", "POST"}),
        ("/mcp", {"POST"}),
        ("/health/live", {"GET"}),
    ],
)
def test_a_wrong_method_is_405_in_the_dialects_shape(proxy: Proxy, path: str, allowed: set[str]) -> None:
    """Named as such, with all that the path does take."""
    reply = httpx.put(f"{proxy.url}{path}", json={})
    assert reply.status_code == 405
    assert error(reply)["code"] == "method_not_allowed"
    assert set(reply.headers["allow"].split(", ")) - {"HEAD"} == allowed


@each_row(
    ("method", "path"),
    [
        ("GET", "/v1/chat/completions"),
        ("GET", "/v1/messages"),
        ("POST", "/v1/memories/x"),
        ("POST", "/v1/receipts/x"),
    ],
)
def test_a_wrong_method_on_our_own_path_never_goes_to_a_provider(
    proxy: Proxy, upstream: FakeModel, method: str, path: str
) -> None:
    """What is no path of ours is forwarded; these are."""
    before = len(upstream.requests)
    with proxy.client(key="sk-alice") as client:
        reply = client.request(method, path, json={"model": "model-a"} if method == "POST" else None)
    assert reply.status_code == 405
    assert reply.headers["allow"]
    assert len(upstream.requests) == before


def test_an_unknown_path_is_404_in_the_dialects_shape(proxy: Proxy) -> None:
    """SDKs read the error object."""
    assert error(httpx.get(f"{proxy.url}/nothing"))["code"] == "not_found"
    with proxy.client(key="sk-alice") as client:
        assert error(client.get("/v1/nothing"))["code"] == "not_found"


@each_row(
    ("method", "path", "body", "param"),
    [
        ("POST", "/v1/memories", {}, "text"),
        ("POST", "/v1/memories", {"text": "  "}, "text"),
        ("POST", "/v1/memories", {"text": 7}, "text"),
        ("POST", "/v1/memories", {"text": "x" * 20_001}, "text"),
        ("POST", "/v1/memories", {"text": "x", "kind": "rumour"}, "kind"),
        ("POST", "/v1/memories", {"text": "x", "pinned": "yes"}, "pinned"),
        ("POST", "/v1/memories", {"text": "x", "expires_at": "soon"}, "expires_at"),
        ("POST", "/v1/memories", {"text": "x", "user": "bob"}, "user"),
        ("POST", "/v1/memories/search", {"query": ""}, "query"),
        ("POST", "/v1/memories/search", {"query": "x", "limit": 0}, "limit"),
        ("GET", "/v1/memories?limit=zero", None, "limit"),
        ("GET", "/v1/memories?kind=rumour", None, "kind"),
        ("GET", "/v1/memories?cursor=tampered", None, None),
        ("POST", "/v1/memories/import", None, None),
    ],
)
def test_a_bad_memory_call_is_400_and_names_the_field(
    proxy: Proxy, method: str, path: str, body: Any, param: str | None
) -> None:
    """The message says what would be right."""
    with proxy.client(key="sk-alice") as client:
        if path.endswith("import"):
            reply = client.post(path, content=b"not json\n")
        else:
            reply = client.request(method, path, json=body)
    assert reply.status_code == 400
    assert param is None or error(reply)["param"] == param


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/nothing", "/nothing"])
def test_a_refusal_names_the_request(proxy: Proxy, path: str) -> None:
    """By the client's own id or a new one, as an answer does: the proxy's log has the same."""
    for key, content in (("sk-wrong", b"{}"), ("sk-alice", b"{"), ("sk-alice", b'{"model": "no-such-model"}')):
        with proxy.client(key=key) as client:
            reply = client.post(path, content=content, headers={"X-Request-Id": "mine-7"})
            assert (reply.status_code >= 400, reply.headers["X-Request-Id"]) == (True, "mine-7")
            assert client.post(path, content=content).headers["X-Request-Id"].startswith("req_")


@each_row(
    ("field", "value"),
    [("query", None), ("query", ""), ("query", "  "), ("query", 4), ("limit", 0), ("limit", True), ("limit", 2.5)],
)
def test_a_search_says_which_field_is_wrong(proxy: Proxy, field: str, value: object) -> None:
    """By the name under which it was sent."""
    with proxy.client(key="sk-alice") as client:
        reply = client.post("/v1/memories/search", json={"query": "boats", field: value})
    assert (reply.status_code, error(reply)["param"]) == (400, field)
