"""Promise: a `model_list` that LiteLLM reads leads each model name to the same provider and model here."""

from __future__ import annotations

from typing import Any

import pytest

from rememberd.errors import ConfigError, RequestError
from rememberd.types import CHAT, COUNT_TOKENS, MESSAGES, RESPONSES
from rememberd.upstream import ollama
from rememberd.upstream.catalog import Catalog, defaults, expand_wildcard
from tests.support.fake_model import FakeModel
from tests.support.raw_server import Visit, saying
from tests.support.tables import each_row

KEYS = {"OPENAI_API_KEY": "sk-openai", "ANTHROPIC_API_KEY": "sk-ant", "GROQ_API_KEY": "gsk"}


def entry(name: str, model: str, **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, **params}}


def catalog(*entries: dict[str, Any], environ: dict[str, str] | None = None) -> Catalog:
    return Catalog(entries, KEYS if environ is None else environ)


@each_row(
    ("model", "provider", "upstream_model", "lane", "api_base", "api_key"),
    [
        ("openai/gpt-4o", "openai", "gpt-4o", "bytes", "https://api.openai.com/v1", "sk-openai"),
        ("gpt-4o", "openai", "gpt-4o", "bytes", "https://api.openai.com/v1", "sk-openai"),
        ("o3-mini", "openai", "o3-mini", "bytes", "https://api.openai.com/v1", "sk-openai"),
        ("groq/llama-3", "groq", "llama-3", "bytes", "https://api.groq.com/openai/v1", "gsk"),
        ("openrouter/meta/llama", "openrouter", "meta/llama", "bytes", "https://openrouter.ai/api/v1", None),
        ("ollama/llama3:8b", "ollama", "llama3:8b", "bytes", "http://127.0.0.1:11434/v1", None),
        ("ollama_chat/llama3", "ollama_chat", "llama3", "bytes", "http://127.0.0.1:11434/v1", None),
        ("anthropic/claude-x", "anthropic", "claude-x", "translate", "https://api.anthropic.com/v1", "sk-ant"),
        ("claude-x", "anthropic", "claude-x", "translate", "https://api.anthropic.com/v1", "sk-ant"),
        ("gemini/gemini-x", "gemini", "gemini-x", "translate", None, None),
        ("bedrock/anthropic.claude", "bedrock", "anthropic.claude", "translate", None, None),
        ("new_provider/x", "new_provider", "x", "translate", None, None),
    ],
)
def test_the_prefix_picks_provider_and_lane(
    model: str, provider: str, upstream_model: str, lane: str, api_base: str | None, api_key: str | None
) -> None:
    """OpenAI-compatible providers get bytes, all others translation; the key comes from the usual variable."""
    found = catalog(entry("m", model)).resolve("m")
    assert (found.model_name, found.provider, found.upstream_model) == ("m", provider, upstream_model)
    assert (found.lane(CHAT), found.api_base, found.api_key) == (lane, api_base, api_key)


@each_row(
    ("model", "params", "spoken"),
    [
        ("openai/gpt-4o", {}, {CHAT, RESPONSES}),
        ("openai/m", {"api_base": "http://box/v1"}, {CHAT}),
        ("anthropic/claude-x", {}, {MESSAGES, COUNT_TOKENS}),
        ("anthropic/claude-x", {"api_base": "http://box"}, {MESSAGES, COUNT_TOKENS}),
        ("hosted_vllm/m", {"api_base": "http://box/v1"}, {CHAT, RESPONSES, MESSAGES, COUNT_TOKENS}),
        ("ollama/m", {}, {CHAT, RESPONSES, MESSAGES}),
        ("openrouter/m", {}, {CHAT, RESPONSES, MESSAGES}),
        ("mistral/m", {}, {CHAT}),
        ("gemini/m", {}, set()),
    ],
)
def test_each_dialect_goes_as_bytes_where_the_provider_speaks_it(
    model: str, params: dict[str, str], spoken: set[str]
) -> None:
    """What it does not speak is translated; paths that are no dialect's own are bytes wherever any dialect is."""
    found = catalog(entry("m", model, **params)).resolve("m")
    assert {path for path in (CHAT, RESPONSES, MESSAGES, COUNT_TOKENS) if found.lane(path) == "bytes"} == spoken
    assert found.lane("/embeddings") == ("bytes" if spoken else "translate")
    assert found.lane(f"{MESSAGES}?beta=true") == found.lane(MESSAGES)


def test_the_operator_can_say_what_a_provider_speaks() -> None:
    """In LiteLLM's own `model_info.supported_endpoints`. What else LiteLLM lists there is passed over; a list with no
    dialect of ours says nothing about them."""
    told = entry("m", "openai/m", api_base="http://box/v1")
    told["model_info"] = {"supported_endpoints": ["/v1/chat/completions", "/v1/messages"], "mode": "chat"}
    found = catalog(told).resolve("m")
    assert found.speaks == {CHAT, MESSAGES}
    assert not found.params
    for listed in (["/v1/embeddings"], ["/v1/realtime", "/vertex_ai/live"], [], None, "/v1/responses", [1, {}], 7):
        told["model_info"] = {"supported_endpoints": listed}
        assert catalog(told).resolve("m").speaks == {CHAT}
    told["model_info"] = {"supported_endpoints": ["/v1/batch", "/v1/responses"]}
    assert catalog(told).resolve("m").speaks == {RESPONSES}


@each_row(
    ("model", "given", "base", "added"),
    [
        ("openai/m", "http://box/v1/chat/completions", "http://box/v1", {CHAT}),
        ("openai/m", "http://box/v1/chat/completions/?api-version=7", "http://box/v1?api-version=7", {CHAT}),
        ("openai/m", "http://box/v1/responses", "http://box/v1", {RESPONSES}),
        ("openai/m", "http://box/v1/embeddings", "http://box/v1", {CHAT}),
        ("openai/m", "http://box/v1?key=a/b", "http://box/v1?key=a/b", {CHAT}),
        ("openai/m", "unix:///run/model.sock", "unix:///run/model.sock", {CHAT}),
        ("openai/m", "unix:///run/model.sock:/api/v3", "unix:///run/model.sock:/api/v3", {CHAT}),
        ("anthropic/m", "https://box/v1/messages", "https://box/v1", {MESSAGES}),
        ("anthropic/m", "https://box?beta=1", "https://box/v1?beta=1", {MESSAGES, COUNT_TOKENS}),
        ("ollama/m", "http://box:11434/", "http://box:11434/v1", {CHAT, RESPONSES, MESSAGES}),
        ("azure/m", "https://a.example/openai/deployments/m/chat/completions", None, set()),
    ],
)
def test_an_address_may_be_as_the_documentation_has_it(
    model: str, given: str, base: str | None, added: set[str]
) -> None:
    """With a query, with the path of an endpoint, as a Unix socket. One of a protocol that is LiteLLM's to speak
    stays as it is."""
    found = catalog(entry("m", model, api_base=given)).resolve("m")
    assert found.api_base == (base or given)
    assert found.speaks == added


@pytest.mark.parametrize("name", ["m", "*", "openai/*"])
@pytest.mark.parametrize("base", ["box:8000/v1", "127.0.0.1:8000", "ftp://box/v1", "box", "unix:relative.sock"])
def test_an_address_without_a_scheme_stops_the_start(name: str, base: str) -> None:
    """The message says what to write, and does not repeat what may hold a password."""
    with pytest.raises(ConfigError, match=r"api_base is not an address.*write http://HOST") as raised:
        catalog(entry(name, "openai/m" if name == "m" else "openai/*", api_base=base))
    assert base not in str(raised.value).replace("http://HOST", "")


def test_an_address_of_the_environment_is_looked_at_too() -> None:
    """OPENAI_BASE_URL without a scheme would be found out with the first chat."""
    with pytest.raises(ConfigError, match="not an address"):
        catalog(entry("openai/*", "openai/*"), environ={**KEYS, "OPENAI_BASE_URL": "localhost:8000"})


def test_what_has_no_effect_is_named() -> None:
    """Each parameter with its models; what is applied, to bytes or by LiteLLM, is not."""
    models = catalog(
        entry("a", "groq/a", rpm=3, drop_params=True, temperature=0.2, extra_body={"x": 1}, ssl_verify=False),
        entry("b", "groq/b", rpm=3),
        entry("c", "gemini/c", drop_params=True, vertex_project="p"),
        entry("*", "*", weight=2),
    )
    assert models.ignored() == "litellm_params without effect here: drop_params (a); rpm (a, b); weight (*)"
    assert catalog(entry("a", "groq/a", temperature=0.2, max_tokens=7)).ignored() == ""


@pytest.mark.parametrize("wrong", [{"extra_body": "x"}, {"ssl_verify": "/no/such/file.pem"}])
def test_a_wrong_parameter_stops_the_start(wrong: dict[str, Any]) -> None:
    """It would fail with the first chat otherwise."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        catalog(entry("m", "groq/a", **wrong))


@each_row(
    ("wildcard", "target", "names", "listed"),
    [
        ("openai/*", "*", ["gpt-4o", "o3"], ["openai/gpt-4o", "openai/o3"]),
        ("*", "*", ["gpt-4o"], ["gpt-4o"]),
        ("claude-*", "claude-*", ["claude-sonnet", "other"], ["claude-sonnet"]),
        ("team/claude-*", "claude-*", ["claude-sonnet"], ["team/claude-sonnet"]),
        ("llama-*", "meta/llama-*-chat", ["meta/llama-3-chat", "meta/llama-4"], ["llama-3"]),
        ("*-latest", "*-2026", ["a-2026", "b-2025"], ["a-latest"]),
        ("*", "gpt-4o", ["gpt-4o", "o3"], []),
    ],
)
def test_a_wildcard_lists_names_that_lead_somewhere(
    wildcard: str, target: str, names: list[str], listed: list[str]
) -> None:
    """Asked for by a name that is listed, the provider is asked for one of its own."""
    assert expand_wildcard(wildcard, target, names) == listed
    models = catalog(entry(wildcard, f"groq/{target}"))
    assert {models.resolve(name).upstream_model for name in listed} <= set(names)


def test_parameters_are_read_as_litellm_does() -> None:
    """Address, key, timeout and headers are ours to use, the router's settings are dropped, the rest is kept."""
    params = {
        "api_base": "http://box:8000/v1/",
        "api_key": "os.environ/BOX_KEY",
        "timeout": "30",
        "organization": "org",
        "extra_headers": {"x-team": "os.environ/TEAM"},
        "rpm": 10,
        "drop_params": True,
    }
    found = catalog(entry("m", "openai/m", **params), environ={"BOX_KEY": "sk-box", "TEAM": "t"}).resolve("m")
    assert (found.api_base, found.api_key, found.timeout) == ("http://box:8000/v1", "sk-box", 30.0)
    assert found.extra_headers == {"x-team": "t", "OpenAI-Organization": "org"}
    assert found.params == {"drop_params": True}
    assert "sk-box" not in repr(found)


def test_a_provider_can_be_named_apart() -> None:
    """`custom_llm_provider` wins over the model's own look."""
    found = catalog(entry("m", "org/some-model", custom_llm_provider="hosted_vllm", api_base="http://v/v1")).resolve(
        "m"
    )
    assert (found.provider, found.upstream_model, found.lane(CHAT)) == ("hosted_vllm", "org/some-model", "bytes")


def test_an_address_makes_an_unknown_model_openai_compatible() -> None:
    """A name without a known prefix, and with an api_base, is asked there under its whole name."""
    found = catalog(entry("m", "org/some-model", api_base="http://box/v1")).resolve("m")
    assert (found.upstream_model, found.lane(CHAT), found.api_base) == ("org/some-model", "bytes", "http://box/v1")


def test_a_key_from_the_environment_stays_with_its_provider() -> None:
    """OPENAI_API_KEY is not sent to an address that the entry names itself."""
    assert catalog(entry("m", "openai/m", api_base="http://elsewhere/v1")).resolve("m").api_key is None


def test_the_environment_can_move_openai() -> None:
    """OPENAI_BASE_URL is the address that the environment's own key is for."""
    found = catalog(entry("m", "openai/m"), environ={**KEYS, "OPENAI_BASE_URL": "http://gateway/v1"}).resolve("m")
    assert (found.api_base, found.api_key) == ("http://gateway/v1", "sk-openai")


def test_entries_of_one_name_take_turns() -> None:
    """Two deployments of one model share its requests, behind an exact name and behind a wildcard."""
    models = catalog(
        entry("m", "groq/a"),
        entry("m", "groq/b"),
        entry("x/*", "groq/*", timeout=1),
        entry("x/*", "openai/*", timeout=2),
    )
    assert [models.resolve("m").upstream_model for _ in range(4)] == ["a", "b", "a", "b"]
    assert [models.resolve("x/y").provider for _ in range(4)] == ["groq", "openai", "groq", "openai"]


@each_row(
    ("pattern", "target", "asked", "provider", "upstream_model"),
    [
        ("*", "*", "openai/gpt-4o", "openai", "gpt-4o"),
        ("*", "*", "gpt-4o", "openai", "gpt-4o"),
        ("*", "openai/*", "anything", "openai", "anything"),
        ("*", "openai/gpt-4o", "anything", "openai", "gpt-4o"),
        ("groq/*", "groq/*", "groq/llama", "groq", "llama"),
        ("team/*", "openrouter/meta/*", "team/llama-3", "openrouter", "meta/llama-3"),
        ("openai/*", "openai/*", "gpt-4o", "openai", "gpt-4o"),
        ("a/*/b/*", "groq/*-*", "a/x/b/y", "groq", "x-y"),
        ("a/*/b/*", "groq/*", "a/x/b/y", "a", "x/b/y"),
    ],
)
def test_wildcards_fill_in(pattern: str, target: str, asked: str, provider: str, upstream_model: str) -> None:
    """What the star stood for takes the star's place in the model."""
    found = catalog(entry(pattern, target)).resolve(asked)
    assert (found.model_name, found.provider, found.upstream_model) == (asked, provider, upstream_model)


def test_the_closest_entry_wins() -> None:
    """An exact name before a wildcard, a longer wildcard before a shorter one, whatever the order of the list."""
    models = catalog(entry("*", "groq/*"), entry("gpt-*", "openrouter/gpt-*"), entry("gpt-4o", "openai/gpt-4o"))
    assert [models.resolve(name).provider for name in ("gpt-4o", "gpt-5", "llama")] == [
        "openai",
        "openrouter",
        "groq",
    ]


@pytest.mark.parametrize("asked", ["gpt4o", "nothing like it", ""])
def test_an_unknown_model_is_a_404_that_helps(asked: str) -> None:
    """The error names near models and where all are listed."""
    models = catalog(entry("gpt-4o", "openai/gpt-4o"), entry("fast", "groq/llama"))
    with pytest.raises(RequestError) as raised:
        models.resolve(asked)
    assert (raised.value.status, raised.value.code, raised.value.param) == (404, "model_not_found", "model")
    assert ("Did you mean gpt-4o?" in raised.value.message) is (asked == "gpt4o")


def test_a_wildcard_does_not_vouch_for_a_name_that_leads_nowhere() -> None:
    """`*` to `*` answers 404 for a name without a provider."""
    with pytest.raises(RequestError, match="no model 'llama'"):
        catalog(entry("*", "*")).resolve("llama")


@each_row(
    ("wrong", "named"),
    [
        ({"model_name": "m"}, "litellm_params"),
        ({"litellm_params": {"model": "gpt-4o"}}, "model_name"),
        ("gpt-4o", "model_name"),
        (entry("m", "llama"), "PROVIDER/llama"),
        (entry("m", "hosted_vllm/llama"), "api_base"),
        (entry("m", "openai/x", timeout="soon"), "timeout"),
        (entry("m", "openai/x", api_base="os.environ/NOT_THERE"), "NOT_THERE"),
    ],
)
def test_a_wrong_entry_stops_at_start(wrong: Any, named: str) -> None:
    """The message names the entry and what to write."""
    with pytest.raises(ConfigError, match=named):
        catalog(wrong)


def test_a_key_that_is_not_there_does_not_stop_the_others() -> None:
    """A list pasted from elsewhere works for the providers whose keys are here."""
    models = catalog(entry("a", "xai/grok", api_key="os.environ/XAI_API_KEY"), entry("b", "groq/llama"))
    assert (models.resolve("a").api_key, models.resolve("b").api_key) == (None, "gsk")


def test_without_a_list_the_keys_decide() -> None:
    """Each provider with a key works by prefix and, for the known families, by bare name; Ollama's models by name."""
    models = Catalog(defaults(KEYS, ["llama3:8b"]), KEYS)
    assert models.names() == ["llama3:8b"]
    assert models.wildcards() == ["openai/*", "anthropic/*", "groq/*"]
    asked = ["gpt-4o", "openai/gpt-4o", "claude-x", "groq/llama", "llama3:8b"]
    assert [models.resolve(name).provider for name in asked] == [
        "openai",
        "openai",
        "anthropic",
        "groq",
        "ollama_chat",
    ]
    with pytest.raises(RequestError):
        models.resolve("gemini-x")


def test_without_a_list_or_a_key_there_is_nothing() -> None:
    """No provider is guessed; an address alone is enough for a local server."""
    assert defaults({}, []) == []
    local = {"OPENAI_BASE_URL": "http://127.0.0.1:8000/v1"}
    assert Catalog(defaults(local, []), local).resolve("gpt-local").api_base == "http://127.0.0.1:8000/v1"


@each_row(
    ("environ", "address"),
    [
        ({}, "http://127.0.0.1:11434"),
        ({"OLLAMA_HOST": "0.0.0.0"}, "http://127.0.0.1:11434"),
        ({"OLLAMA_HOST": "0.0.0.0:1234"}, "http://127.0.0.1:1234"),
        ({"OLLAMA_HOST": "box"}, "http://box:11434"),
        ({"OLLAMA_HOST": "https://box.example.org/"}, "https://box.example.org"),
        ({"OLLAMA_HOST": "box", "OLLAMA_API_BASE": "http://other:1"}, "http://other:1"),
    ],
)
def test_ollama_is_looked_for_where_its_own_client_would(environ: dict[str, str], address: str) -> None:
    """OLLAMA_HOST in each of its forms, and LiteLLM's variable before it."""
    assert ollama.base(environ) == address


async def test_a_running_ollama_lists_its_models() -> None:
    """Its tags become model names; where nothing runs, or something else does, there are none."""
    async with FakeModel(models=["llama3:8b", "qwen3"]) as running:
        assert await ollama.models(running.origin) == ["llama3:8b", "qwen3"]
    assert await ollama.models(running.origin) == []

    async def something_else(visit: Visit) -> None:
        await visit.request()
        await visit.say([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"])

    async with saying(something_else) as server:
        assert await ollama.models(server.url) == []
