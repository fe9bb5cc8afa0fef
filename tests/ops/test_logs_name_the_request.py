"""What the log says: which request it is about, as JSON if asked for, and nobody's words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fake_model import FakeModel
from tests.support.proxy_server import Proxy, ask, eventually, remembered, running

GONE = "http://127.0.0.1:1/v1"  # nobody listens there
SERVER = {"port": 0, "log_format": "json", "access_log": True}


@pytest.fixture(scope="module")
def logging_proxy(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    models = {"model-a": upstream.url, "gone": GONE}
    with running(tmp_path_factory.mktemp("logs"), models, server=SERVER) as proxy:
        yield proxy


def lines(proxy: Proxy, request: str) -> list[dict[str, str]]:
    return [line for line in map(json.loads, list(proxy.log)) if line.get("request") == request]


def test_every_line_is_json_and_says_which_request(logging_proxy: Proxy, user: str) -> None:
    """The id that the client sent, or got back, finds the lines about its request."""
    with logging_proxy.client(user) as client:
        own = ask(client, "Hello there.").headers["x-request-id"]
        gone = client.post(
            "/v1/chat/completions",
            json={"model": "gone", "messages": [{"role": "user", "content": "Hello?"}]},
            headers={"X-Request-Id": "mine-1"},
        )
        assert gone.status_code == 502
        client.get("/v1/memories", headers={"X-Request-Id": "mine-2"}, params={"q": "aubergines"})
    (answered,) = eventually(lambda: lines(logging_proxy, own))
    assert answered["message"].startswith("POST /v1/chat/completions 200 ")
    assert {"time", "level", "logger"} <= answered.keys()
    messages = [line["message"] for line in eventually(lambda: lines(logging_proxy, "mine-1"))]
    assert any(message.startswith("POST /v1/chat/completions 502 ") for message in messages)
    (listed,) = eventually(lambda: lines(logging_proxy, "mine-2"))
    assert listed["message"].startswith("GET /v1/memories 200 ")


def test_no_words_of_anybody_are_logged(logging_proxy: Proxy, user: str) -> None:
    """Not in a chat that works, nor in one that fails, nor when a body is broken or a search is made."""
    with logging_proxy.client(user) as client:
        ask(client, "I live in Kongsvinger.")
        remembered(client, "Kongsvinger", "fact")
        ask(client, "Is Kongsvinger far?", "gone")
        client.post("/v1/chat/completions", content=b'{"messages": "Kongsvinger')
        client.get("/v1/memories", params={"q": "Kongsvinger"})
        last = ask(client, "Thanks.").headers["x-request-id"]
    eventually(lambda: lines(logging_proxy, last))
    text = "".join(logging_proxy.log)
    assert "Kongsvinger" not in text
    assert user not in text


@pytest.mark.slow
def test_the_usual_log_is_for_people(upstream: FakeModel, tmp_path: Path) -> None:
    """A request's id stands at the end of its lines; an answer that went well makes none."""
    with running(tmp_path, {"gone": GONE, "model-a": upstream.url}, keys=None) as plain, plain.client() as client:
        request = ask(client, "Hello?", "gone").headers["x-request-id"]
        fine = ask(client, "Hello?").headers["x-request-id"]
        line = eventually(lambda: next((line for line in plain.log if request in line and "refusals" in line), ""))
    assert "WARNING rememberd.refusals: no answer: 127.0.0.1 " in line
    assert line.endswith(f"[{request}]\n")
    assert fine not in "".join(plain.log)
