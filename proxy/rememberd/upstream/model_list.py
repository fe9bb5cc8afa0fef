"""Reads an entry of LiteLLM's `model_list` and makes a deployment from its parameters."""

import re
from collections.abc import Mapping
from typing import Any

from rememberd.errors import ConfigError
from rememberd.types import DIALECT_PATHS, Deployment
from rememberd.upstream.http_client import address
from rememberd.upstream.litellm_params import validate, without_effect
from rememberd.upstream.providers import (
    OPENAI_COMPATIBLE,
    TRANSLATED,
    default_base,
    default_key,
    infer,
    may_speak,
    speaks,
)

Params = Mapping[str, Any]

_REFERENCE = "os.environ/"
_ENDPOINTS = "supported_endpoints"  # LiteLLM keeps them in model_info
_LIMIT = "max_input_tokens"  # LiteLLM's too
_LOCAL, _MEMORY = "local", "memory"  # our own additions to model_info
_INFO = (_ENDPOINTS, _LIMIT, _LOCAL, _MEMORY)
_READ_HERE = {"model", "api_base", "base_url", "api_key", "timeout", "extra_headers", "organization", *_INFO}
_OF_THE_ROUTER = {"max_retries", "num_retries", "order", "rpm", "stream_timeout", "tags", "tpm", "weight"}
_TAKEN = _READ_HERE | _OF_THE_ROUTER | {"custom_llm_provider"}
# Some providers document the address of one endpoint instead of the API's.
_ENDPOINT = re.compile(r"/(?:(?:chat/)?completions|responses|messages(?:/count_tokens)?|embeddings|models)$")


class UnknownProviderError(ConfigError):
    """Not an error for a wildcard: the name in the request contains the provider."""


def read_entry(entry: Mapping[str, Any], where: str, environ: Mapping[str, str]) -> tuple[str, Params]:
    """The name and the parameters of an entry, with references to the environment replaced."""
    name = entry.get("model_name") if isinstance(entry, Mapping) else None
    params = entry.get("litellm_params") if name else None
    if not isinstance(name, str) or not isinstance(params, Mapping) or not isinstance(params.get("model"), str):
        raise ConfigError(f"{where}: an entry needs model_name and litellm_params with a model")
    info = entry.get("model_info")
    info = info if isinstance(info, Mapping) else {}
    described = {key: value for key in _INFO if (value := info.get(key, entry.get(key))) is not None}
    given = {key: _value(key, value, f"{where} ({name})", environ) for key, value in params.items()}
    return name, given | described


def _value(key: str, value: Any, where: str, environ: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {k: _value(k, v, where, environ) for k, v in value.items()}
    if not isinstance(value, str) or not value.startswith(_REFERENCE):
        return value
    variable = value.removeprefix(_REFERENCE)
    # A copied list may name many keys that are not set; a model without its key answers 401.
    if variable not in environ and key != "api_key":
        raise ConfigError(f"{where}: {key}: the environment variable {variable} is not set")
    return environ.get(variable)


def deployment(name: str, params: Params, environ: Mapping[str, str]) -> Deployment:
    """The deployment that `litellm_params` describe. Raises `ConfigError`."""
    given = params.get("api_base") or params.get("base_url")
    provider, model = _provider(params["model"], given, params.get("custom_llm_provider"))
    base = given or default_base(provider, environ)
    usual = speaks(provider, elsewhere=bool(given))
    listed = _endpoints(params.get(_ENDPOINTS), given if usual else None)
    spoken = listed or usual
    validate(params)
    if spoken and not base:
        raise ConfigError(f"{provider}/{model}: api_base is missing")
    key = params.get("api_key") or (None if given else default_key(provider, environ))
    headers = dict(params.get("extra_headers") or {})
    if params.get("organization"):
        headers["OpenAI-Organization"] = params["organization"]
    return Deployment(
        model_name=name,
        provider=provider,
        upstream_model=model,
        speaks=spoken,
        api_base=_base(provider, base, bytes_known=bool(spoken)),
        api_key=key,
        timeout=_seconds(params.get("timeout")),
        extra_headers=headers,
        params={key: value for key, value in params.items() if key not in _TAKEN},
        local=_switch(params, _LOCAL, default=False),
        memory=_switch(params, _MEMORY, default=True),
        may_speak=may_speak(provider) - spoken if given and not listed else frozenset(),
        max_input_tokens=_tokens(params.get(_LIMIT)),
    )


def ignored_params(params: Params, found: Deployment | None) -> list[str]:
    """The names of the parameters without effect. `found` is None if a wildcard does not name the provider."""
    others = without_effect(found.params, found.speaks) if found is not None else []
    return [*(name for name in params if name in _OF_THE_ROUTER), *others]


def _provider(model: str, api_base: str | None, named: str | None) -> tuple[str, str]:
    """The provider and its own name for the model."""
    if named:
        return named, model.removeprefix(f"{named}/")
    prefix, slash, rest = model.partition("/")
    if slash and (prefix in OPENAI_COMPATIBLE or prefix in TRANSLATED):
        return prefix, rest
    if family := infer(model):
        return family, model
    if api_base:
        return "openai", model
    if slash:
        return prefix, rest  # a provider that LiteLLM may know
    raise UnknownProviderError(f'which provider has {model!r}? Write "PROVIDER/{model}", or give its api_base')


def _base(provider: str, base: str | None, *, bytes_known: bool) -> str | None:
    """The API base, to which paths are appended: the address of an endpoint is cut to that of its API. Raises
    `ConfigError` for an invalid address."""
    if base is None:
        return None
    path, mark, query = base.partition("?")
    path = path.rstrip("/")
    if bytes_known:
        path = _ENDPOINT.sub("", path)
    versioned = provider == "anthropic" or provider.startswith("ollama")
    if versioned and not (path.endswith("/v1") or path.startswith("unix:")):
        path += "/v1"
    try:
        address(path)
    except ValueError as error:
        raise ConfigError(f"api_base {error}; write http://HOST:PORT/v1, https://HOST/v1 or unix:///SOCKET") from None
    return path + mark + query


def _endpoints(listed: Any, base: str | None) -> frozenset[str] | None:
    """Our dialects in LiteLLM's `supported_endpoints`, and the one whose endpoint `api_base` names; None if there are
    none."""
    paths = [str(path).removeprefix("/v1") for path in listed] if isinstance(listed, list) else []
    named = _ENDPOINT.search((base or "").partition("?")[0].rstrip("/"))
    return frozenset(path for path in (*paths, named[0] if named else "") if path in DIALECT_PATHS) or None


def _switch(params: Params, name: str, *, default: bool) -> bool:
    """YAML reads a bare `off` as false."""
    value = params.get(name, default)
    if value not in (True, False, "on", "off"):
        raise ConfigError(f"{name}: {value!r} is neither on nor off")
    return value in (True, "on")


def _tokens(value: Any) -> int | None:
    if value is None or (type(value) is int and value > 0):
        return value
    raise ConfigError(f"{_LIMIT}: {value!r} is not a number of tokens")


def _seconds(value: Any) -> float:
    try:
        return 600.0 if value is None else float(value)
    except (TypeError, ValueError):
        raise ConfigError(f"timeout: {value!r} is not a number of seconds") from None
