"""Promise: `rememberd serve --upstream URL` needs no configuration: the client's own key goes to the provider, any
model can be asked for, and who has the same key has the same memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rememberd.access.client_keys import ClientKeys, load_secret
from rememberd.cli.serve import _by_prefix
from rememberd.errors import ConfigError
from rememberd.settings.schema import load
from rememberd.types import Deployment, Principal
from rememberd.upstream.catalog import Catalog
from rememberd.upstream.client_keys import model_list
from tests.support.fake_model import FakeModel
from tests.support.proxy_server import Proxy, ask, remembered, running


@pytest.fixture(scope="module")
def second() -> Iterator[FakeModel]:
    model = FakeModel(("llama-4",))
    asyncio.run(model.__aenter__())
    yield model
    asyncio.run(model.__aexit__())


@pytest.fixture(scope="module")
def open_proxy(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel, second: FakeModel) -> Iterator[Proxy]:
    options = ["--upstream", upstream.url, "--upstream", f"groq/={second.url}"]
    with running(tmp_path_factory.mktemp("own"), {}, options=options, keys=None, model_list=None) as proxy:
        yield proxy


def test_the_key_and_any_model_go_to_the_provider(open_proxy: Proxy, upstream: FakeModel, second: FakeModel) -> None:
    """By the beginning of the model's name; what is ours of it is cut off."""
    with open_proxy.client(key="sk-mine") as client:
        assert ask(client, "Hello", "any-model-at-all").status_code == 200
        sent = upstream.requests[-1]
        assert (sent.json["model"], sent.headers["Authorization"]) == ("any-model-at-all", "Bearer sk-mine")
        assert ask(client, "Hello", "groq/llama-4").status_code == 200
        sent = second.requests[-1]
        assert (sent.json["model"], sent.headers["Authorization"]) == ("llama-4", "Bearer sk-mine")
        names = [each["id"] for each in client.get("/v1/models").json()["data"]]
        assert {"model-a", "groq/llama-4"} <= set(names)
        assert second.requests[-1].headers["Authorization"] == "Bearer sk-mine"
    with httpx.Client(base_url=open_proxy.url, headers={"x-api-key": "sk-theirs"}) as client:
        assert ask(client, "Hello", "m").status_code == 200
    assert upstream.requests[-1].headers["Authorization"] == "Bearer sk-theirs"


def test_the_key_is_the_user_and_stands_nowhere(open_proxy: Proxy, upstream: FakeModel) -> None:
    """The same key, the same memory; another key sees nothing of it. No file and no log holds a key."""
    key, other = "sk-SECRET-of-ann", "sk-SECRET-of-ben"
    with open_proxy.client(key=key) as ann, open_proxy.client(key=other) as ben:
        assert ask(ann, "I live in Oslo.", "m").headers["X-Memory-Write"] == "on"
        remembered(ann, "I live in Oslo.", "fact")
        assert ask(ben, "Where do I live, do you know?", "m").headers["X-Memory-Status"] == "miss"
        assert "Oslo" not in upstream.requests[-1].raw.decode()
        assert ask(ann, "Where do I live, do you know?", "m").headers["X-Memory-Status"] == "hit"
    files = [path for path in open_proxy.data.rglob("*") if path.is_file()]
    assert not [path for path in files if b"SECRET" in path.read_bytes()]
    assert "SECRET" not in "".join(open_proxy.log)


def test_without_a_key_this_machine_is_one_user(open_proxy: Proxy, upstream: FakeModel) -> None:
    """Local model servers ask for no key, and no page of another site may use them."""
    with httpx.Client(base_url=open_proxy.url) as client:
        assert ask(client, "Hello", "m").status_code == 200
        assert "Authorization" not in upstream.requests[-1].headers
        refused = client.post("/v1/chat/completions", json={}, headers={"Origin": "https://elsewhere.example"})
    assert refused.status_code == 403


def test_the_hash_needs_the_secret_of_this_machine(tmp_path: Path) -> None:
    """Made once, readable by its owner only; another machine knows the same key by another name."""
    secret = load_secret(tmp_path / "a" / "secret")
    assert load_secret(tmp_path / "a" / "secret") == secret
    assert (tmp_path / "a" / "secret").stat().st_mode & 0o077 == 0
    names = [ClientKeys(each).principal("sk-1").user for each in (secret, load_secret(tmp_path / "b"))]
    assert len({*names, ClientKeys(secret).principal("sk-2").user}) == 3
    assert ClientKeys(secret).principal("sk-1").user == names[0]


def test_beginnings_and_addresses() -> None:
    """On the command line; Anthropic's own protocol at its address, its subscriptions' tokens as they are."""
    url = "https://api.example/v1?a=b"
    assert _by_prefix((url, f"claude-={url}", f"x/={url}")) == {"": url, "claude-": url, "x/": url}
    catalog = Catalog(model_list({"": "https://api.openai.com/v1", "claude-": "https://api.anthropic.com"}), {})

    def asked(model: str, key: str) -> Deployment:
        return catalog.targets(model, Principal("n", user="n", upstream_key=key))[0]

    assert asked("gpt-9", "k").api_key == "k"
    assert asked("gpt-9", "k").speaks == {"/chat/completions", "/responses"}
    claude = asked("claude-9", "sk-ant-api-1")
    assert (claude.provider, claude.upstream_model, claude.api_key) == ("anthropic", "claude-9", "sk-ant-api-1")
    subscribed = asked("claude-9", "sk-ant-oat01-1")
    assert (subscribed.api_key, subscribed.extra_headers) == (None, {"authorization": "Bearer sk-ant-oat01-1"})
    with pytest.raises(ConfigError, match="not an address"):
        model_list({"": "api.openai.com"})


@pytest.mark.parametrize(
    ("others", "named"),
    [
        ({"REMEMBERD_SERVER_HOST": "0.0.0.0"}, "upstreams_anywhere"),
        ({"REMEMBERD_ADMIN_KEY": "sk-admin"}, "admin_key"),
    ],
)
def test_what_does_not_go_together_stops_the_start(others: dict[str, Any], named: str) -> None:
    """Beyond this machine only if the operator says so; the operator's own keys never with everybody's."""
    environ = {"REMEMBERD_UPSTREAMS": '{"": "https://api.openai.com/v1"}'}
    assert load(None, environ).upstreams == {"": "https://api.openai.com/v1"}
    with pytest.raises(ConfigError, match=named):
        load(None, environ | others)
    open_to_all = {"REMEMBERD_SERVER_HOST": "0.0.0.0", "REMEMBERD_UPSTREAMS_ANYWHERE": "true"}
    assert load(None, environ | open_to_all).upstreams_anywhere
