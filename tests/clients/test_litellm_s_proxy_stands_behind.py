"""The configurations of `deploy/litellm/` as they are: LiteLLM's own proxy behind rememberd, which passes keys on.

LiteLLM keeps virtual keys and budgets in PostgreSQL, by a client (Prisma) that loads its engine from the network. A
test cannot count on that, so the master key stands for a virtual key: without a database LiteLLM takes no other."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from loadtests.peers.started import LITELLM_STARTS_WITHIN_S
from loadtests.servers import free_port, wait_for
from tests.support.fake_model import FakeModel
from tests.support.proxy_server import Proxy, ask, eventually, remembered, running

pytestmark = pytest.mark.clients

DEPLOY = Path(__file__).parents[2] / "deploy" / "litellm"
KEY, PROVIDERS_KEY = "sk-of-litellm", "sk-of-the-provider"


@contextmanager
def litellm_running(folder: Path, command: str, provider: FakeModel) -> Iterator[int]:
    """With our configuration; the port."""
    port = free_port()
    argv = [command, "--config", str(DEPLOY / "litellm.yaml"), "--host", "127.0.0.1", "--port", str(port)]
    settings = {
        "LITELLM_MASTER_KEY": KEY,
        "OPENAI_API_KEY": PROVIDERS_KEY,
        "OPENAI_API_BASE": provider.url,
        "ANTHROPIC_API_KEY": PROVIDERS_KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_MODE": "PRODUCTION",
    }
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, cwd=folder, env=kept | settings)
    try:
        wait_for(port, process, LITELLM_STARTS_WITHIN_S)
        yield port
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, litellm_command: str, upstream: FakeModel) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("litellm")
    ours = yaml.safe_load((DEPLOY / "rememberd.yaml").read_text())
    with litellm_running(folder, litellm_command, upstream) as port:
        at = ours["upstreams"][""].replace("http://litellm:4000", f"http://127.0.0.1:{port}")
        with running(folder / "proxy", {}, keys=None, model_list=None, upstreams={"": at}) as proxy:
            yield proxy


def test_a_chat_goes_through_both_with_its_memory(proxy: Proxy, upstream: FakeModel) -> None:
    """LiteLLM takes the client's key, and the provider gets LiteLLM's; streamed too. Its models are listed."""
    with proxy.client(key=KEY) as client:
        # LiteLLM's first answers come late, and a list of models does not wait for them.
        eventually(lambda: {"gpt-4o", "claude"} <= {each["id"] for each in client.get("/v1/models").json()["data"]})
        ask(client, "I live in Kiruna.", "gpt-4o").raise_for_status()
        remembered(client, "Kiruna")
        for stream in (False, True):
            answer = ask(client, "Where do I live?", "gpt-4o", stream=stream)
            assert answer.headers["x-memory-status"] == "hit"
            assert ("data: [DONE]" in answer.text) == stream
            sent = upstream.chats[-1]
            assert "Kiruna" in sent.json["messages"][-1]["content"]
            assert (sent.json["model"], sent.headers["Authorization"]) == ("gpt-4o", f"Bearer {PROVIDERS_KEY}")


def test_what_litellm_refuses_is_refused_in_its_words(proxy: Proxy, upstream: FakeModel) -> None:
    """A request with an unknown key, such as one over its budget, or for an unknown model reaches no provider."""
    before = len(upstream.chats)
    with proxy.client(key="sk-of-nobody") as client:
        answer = ask(client, "Where do I live?", "gpt-4o")
        assert 400 <= answer.status_code < 500
        assert "error" in answer.json()
        assert answer.headers["x-memory-status"] != "hit"
    with proxy.client(key=KEY) as client:
        assert 400 <= ask(client, "Hello", "no-such-model").status_code < 500
    assert len(upstream.chats) == before
