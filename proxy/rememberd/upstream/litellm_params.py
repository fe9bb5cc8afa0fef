"""Applies `litellm_params` on the byte lane: defaults for the body and the check of certificates.

As in LiteLLM, a parameter is a default: the client's value takes precedence.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from rememberd.errors import ConfigError
from rememberd.types import CHAT, MESSAGES, RESPONSES, Deployment

EXTRA_BODY, SSL_VERIFY = "extra_body", "ssl_verify"

_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")  # a request may have only one of them
# Parameter -> field of the body, for each dialect.
_FIELDS: Mapping[str, Mapping[str, str]] = {
    CHAT: {
        name: name
        for name in (
            *("frequency_penalty", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens", "metadata"),
            *("min_p", "modalities", "n", "parallel_tool_calls", "presence_penalty", "prompt_cache_key"),
            *("reasoning_effort", "repetition_penalty", "response_format", "safety_identifier", "seed"),
            *("service_tier", "stop", "store", "stream_options", "temperature", "thinking", "tool_choice", "tools"),
            *("top_k", "top_logprobs", "top_p", "user", "verbosity", "web_search_options"),
        )
    },
    RESPONSES: {
        "max_tokens": "max_output_tokens",
        "max_completion_tokens": "max_output_tokens",
        **{
            name: name
            for name in (
                *("max_output_tokens", "metadata", "parallel_tool_calls", "prompt_cache_key", "safety_identifier"),
                *("service_tier", "store", "temperature", "top_logprobs", "top_p", "truncation", "user"),
            )
        },
    },
    MESSAGES: {name: name for name in ("max_tokens", "service_tier", "temperature", "thinking", "top_k", "top_p")},
}
_APPLIED = {EXTRA_BODY, SSL_VERIFY}.union(*_FIELDS.values())


def without_effect(params: Iterable[str], speaks: frozenset[str]) -> list[str]:
    """The parameters without effect for a provider that gets bytes in the dialects `speaks`."""
    return sorted(name for name in params if speaks and name not in _APPLIED)


def with_defaults(body: bytes, path: str, params: Mapping[str, Any]) -> bytes:
    """`body`, a JSON object, with the missing defaults appended; its own bytes stay."""
    fields = _FIELDS.get(path.partition("?")[0])
    if fields is None:
        return body
    defaults = {fields[name]: value for name, value in params.items() if name in fields} | (
        params.get(EXTRA_BODY) or {}
    )
    if not defaults or not isinstance(asked := orjson.loads(body), dict):
        return body
    limited = any(name in asked for name in _LIMITS)
    missing = {
        name: value
        for name, value in defaults.items()
        if name not in asked and not (limited and name in _LIMITS) and value is not None
    }
    if not missing:
        return body
    head = body.rstrip()[:-1].rstrip()
    return head + (b"," if asked else b"") + orjson.dumps(missing)[1:]


def checks_certificates(deployment: Deployment) -> bool | str:
    """True, False, or a file of trusted authorities."""
    return _ssl_verify(deployment.params.get(SSL_VERIFY, True))


def validate(params: Mapping[str, Any]) -> None:
    """Raises `ConfigError`."""
    extra = params.get(EXTRA_BODY)
    if extra is not None and not isinstance(extra, Mapping):
        raise ConfigError(f"{EXTRA_BODY}: {extra!r} is not a table of fields")
    verify = _ssl_verify(params.get(SSL_VERIFY, True))
    if isinstance(verify, str) and not Path(verify).exists():
        raise ConfigError(f"{SSL_VERIFY}: there is no file {verify}; write true, false or the path of a CA bundle")


def _ssl_verify(value: Any) -> bool | str:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value if isinstance(value, str) else value is not False
