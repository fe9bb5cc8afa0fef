"""Providers that get the client's own key: their entries of a `model_list`, and their deployments. No I/O."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from rememberd.errors import ConfigError
from rememberd.types import Deployment

_OAUTH = "sk-ant-oat"  # begins a token of Anthropic's subscriptions, which is not an API key


def model_list(upstreams: Mapping[str, str]) -> list[dict[str, Any]]:
    """Entries for API bases by the prefix of a model's name, "" for all other models. A prefix that ends in a slash
    is removed: with `{"groq/": URL}`, `groq/llama-4` is requested as `llama-4` at URL.

    Raises `ConfigError` for an invalid address."""
    return [_entry(prefix, base) for prefix, base in upstreams.items()]


def with_client_key(deployment: Deployment, key: str) -> Deployment:
    """`deployment` with the client's `key`."""
    if deployment.provider == "anthropic" and key.startswith(_OAUTH):
        return replace(deployment, extra_headers={**deployment.extra_headers, "authorization": f"Bearer {key}"})
    return replace(deployment, api_key=key)


def _entry(prefix: str, base: str) -> dict[str, Any]:
    host = urlsplit(base).hostname
    if urlsplit(base).scheme not in ("http", "https") or not host:
        raise ConfigError(f"upstreams: {base!r} is not an address: write it as https://api.example/v1")
    provider = "anthropic" if host.endswith("anthropic.com") else "openai"
    kept = "" if prefix.endswith("/") else prefix
    entry: dict[str, Any] = {
        "model_name": f"{prefix}*",
        "litellm_params": {"model": f"{provider}/{kept}*", "api_base": base},
    }
    if host == "api.openai.com":
        entry["model_info"] = {"supported_endpoints": ["/v1/chat/completions", "/v1/responses"]}
    return entry
