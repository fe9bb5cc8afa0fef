"""What answers by the name of `openai` at an operator's address gets Responses requests as they are; if it has no
such path, as a chat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.fake_model import Behaviour, FakeModel
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import Proxy, entry

ASKED: dict[str, Any] = {"model": "box", "input": "hello"}
ODD = {"access_programs": {"a": 1}, "text": {"verbosity": "low"}}


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    others = [entry("box", "openai/box", upstream.url), entry("*", "openai/*", upstream.url)]
    with running_here(tmp_path_factory.mktemp("box"), {}, others=others, keys=None) as proxy:
        body = {"model": "box", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}
        with proxy.client() as client:  # the first translation imports litellm, which may take long
            client.post("/v1/messages", json=body, timeout=180).raise_for_status()
        yield proxy


@pytest.mark.parametrize("body", [ASKED | ODD, ODD | {"input": "hello"}, ODD | {"prompt": {"id": "p"}}])
def test_a_server_that_has_it_gets_the_clients_bytes(box: Proxy, upstream: FakeModel, body: dict[str, Any]) -> None:
    """Also fields that only this server knows, and requests without a model."""
    upstream.script(Behaviour(body=b'{"id": "resp_1", "object": "response"}'))
    with box.client(**{"X-Memory": "off"}) as client:
        reply = client.post("/v1/responses", json=body)
    assert (reply.status_code, reply.json()["id"]) == (200, "resp_1")
    assert (upstream.requests[-1].path, upstream.requests[-1].json) == ("/v1/responses", body)


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_server_that_lacks_it_gets_a_chat(box: Proxy, upstream: FakeModel, status: int) -> None:
    """A request that cannot be expressed as a chat gets the server's own answer."""
    lacking = Behaviour(status=status, body=b'{"detail": "no such path"}')
    with box.client() as client:
        upstream.script(lacking, Behaviour(answer="hello there"))
        reply = client.post("/v1/responses", json=ASKED)
        assert (reply.status_code, upstream.requests[-1].path) == (200, "/v1/chat/completions")
        assert reply.json()["output"][-1]["content"][0]["text"] == "hello there"
        upstream.script(lacking)
        reply = client.post("/v1/responses", json=ASKED | {"background": True})
        assert (reply.status_code, reply.json()) == (status, {"detail": "no such path"})
