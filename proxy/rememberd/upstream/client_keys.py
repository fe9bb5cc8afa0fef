"""Providers that get the client's own key: their entries of a `model_list`, and the key on its way. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from rememberd.errors import ConfigError
from rememberd.types import Deployment

_OAUTH = "sk-ant-oat"  # a token of Anthropic's subscriptions, which is no API key


def model_list(upstreams: Mapping[str, str]) -> list[dict[str, Any]]:
    """Entries for API bases by the beginning of a model's name, "" for all others. A beginning that ends in a slash
    is ours and is cut off: `{"groq/": URL}` asks for `llama-4` there when the client asks for `groq/llama-4`.

    Raises `ConfigError` for what is no address."""
    return [_entry(prefix, base) for prefix, base in upstreams.items()]


def with_client_key(deployment: Deployment, key: str) -> Deployment:
    """`deployment` as its provider is asked with the client's `key`."""
    if deployment.provider == "anthropic" and key.startswith(_OAUTH):
        return replace(deployment, extra_headers={**deployment.extra_headers, "authorization": f"Bearer {key}"})
    return replace(deployment, api_key=key)


def _entry(prefix: str, base: str) -> dict[str, Any]:
    host = urlsplit(base).hostname
    if urlsplit(base).scheme not in ("http", "https") or not host:
        raise ConfigError(f"upstreams: {base!r} is no address: write it as https://api.example/v1")
    provider = "anthropic" if host.endswith("anthropic.com") else "openai"
    kept = "" if prefix.endswith("/") else prefix
    entry: dict[str, Any] = {
        "model_name": f"{prefix}*",
        "litellm_params": {"model": f"{provider}/{kept}*", "api_base": base},
    }
    if host == "api.openai.com":
        entry["model_info"] = {"supported_endpoints": ["/v1/chat/completions", "/v1/responses"]}
    return entry
