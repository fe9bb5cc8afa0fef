"""The translate lane: providers with a protocol of their own, through litellm, in OpenAI's format on our side."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import orjson
from prometheus_client import Counter

from proxy.errors import RequestError, UpstreamUnavailable, openai_body
from proxy.ports import Reply
from proxy.types import Deployment

log = logging.getLogger("rememberd.translate")
_failures = Counter("rememberd_translate_failures", "Requests or answers that litellm could not translate.")

# What a client may ask for. litellm takes far more by name (an address, a key, an answer to pretend), so nothing
# that is not listed here reaches it. Source: OpenAI's reference of POST /v1/chat/completions; and two of the
# providers' own that clients send in the same place.
_PARAMETERS = frozenset(
    (
        *("messages", "stream", "stream_options", "n", "stop", "seed", "max_tokens", "max_completion_tokens"),
        *("temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs"),
        *("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "response_format"),
        *("reasoning_effort", "modalities", "audio", "prediction", "web_search_options"),
        *("thinking", "top_k"),
    )
)
# What clients of OpenAI send as a matter of course and no other provider has a use for.
_DROPPED = frozenset(
    (
        *("model", "metadata", "moderation", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"),
        *("service_tier", "store", "user", "verbosity"),
    )
)
_KEPT_HEADERS = ("retry-after", "request-id", "x-request-id")


class Translate:
    """`Upstream` over litellm, which is imported at the first request (seconds of CPU, some 170 MB)."""

    def __init__(self) -> None:
        self._litellm: Any = None

    async def send(self, deployment: Deployment, path: str, body: bytes, headers: Sequence[tuple[str, str]]) -> Reply:
        """The client's headers stay here. Raises `RequestError` for what cannot be translated."""
        if path != "/chat/completions":
            message = f"{deployment.model_name} answers POST /v1/chat/completions only"
            raise RequestError(400, "unsupported_endpoint", message, param="model")
        asked = _parameters(orjson.loads(body))
        if self._litellm is None:
            self._litellm = await asyncio.to_thread(load_litellm)
        try:
            answer = await self._litellm.acompletion(**_arguments(deployment, asked))
            if asked.get("stream"):
                return await _begin(answer, deployment.model_name)
        # litellm raises its own errors, the providers' SDKs' and, on odd input, any other; _failed counts and logs.
        except Exception as error:  # noqa: BLE001
            return _failed(error, deployment)
        return _Whole(200, [], _dump(answer, deployment.model_name))

    async def close(self) -> None:
        """Nothing: litellm keeps its connections for the life of the process."""


def load_litellm() -> Any:
    """litellm, kept from fetching its price list, reading a `.env` in the working directory, and calling home."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    litellm: Any = importlib.import_module("litellm")
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    return litellm


def _parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    if unknown := sorted(body.keys() - _PARAMETERS - _DROPPED):
        message = f"Unknown parameter: {unknown[0]!r}. This model's provider is translated to, so only parameters of "
        raise RequestError(
            400, "unknown_parameter", message + "OpenAI's chat completions can pass.", param=unknown[0]
        )
    messages = body.get("messages")
    if not isinstance(messages, list) or not all(isinstance(m, dict) and "role" in m for m in messages):
        raise RequestError(
            400, "invalid_messages", "messages must be a list of objects with a role", param="messages"
        )
    return {name: value for name, value in body.items() if name in _PARAMETERS and value is not None}


def _arguments(deployment: Deployment, asked: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **deployment.params,
        **asked,
        "model": f"{deployment.provider}/{deployment.upstream_model}",
        "api_base": deployment.api_base,
        "api_key": deployment.api_key,
        "timeout": deployment.timeout,
        "extra_headers": dict(deployment.extra_headers),
        "max_retries": 0,
        # litellm's MCP gateway looks at every request with tools: it needs a package of its own, and clients could
        # reach servers with it. (Seen in 1.106.2; there is no public name for this switch.)
        "_skip_mcp_handler": True,
    }


def _dump(answer: Any, model: str) -> bytes:
    """litellm's object in OpenAI's shape: under the name that was asked for, with the nulls that clients look for."""
    data: dict[str, Any] = answer.model_dump(exclude_none=True)
    data["model"] = model
    for choice in data["choices"]:
        choice.setdefault("finish_reason", None)
        if "message" in choice:
            choice["message"].setdefault("content", None)
    if "usage" in data and data["object"] == "chat.completion.chunk":
        data["choices"] = []
    return orjson.dumps(data)


class _Whole:
    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = [*headers, ("content-type", "application/json"), ("content-length", str(len(body)))]
        self._body = body

    async def chunks(self) -> AsyncIterator[bytes]:
        yield self._body

    async def close(self) -> None:
        pass


async def _begin(answer: Any, model: str) -> _Stream:
    """Some providers are called at the first read only; an error of theirs must come before our headers."""
    chunks = aiter(answer)
    return _Stream(chunks, await anext(chunks, None), model)


class _Stream:
    def __init__(self, answer: AsyncIterator[Any], first: Any, model: str) -> None:
        self.status = 200
        self.headers = [("content-type", "text/event-stream; charset=utf-8")]
        self._answer, self._first, self._model = answer, first, model

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            if self._first is not None:
                yield self._event(self._first)
            async for chunk in self._answer:
                yield self._event(chunk)
        except Exception as error:  # as in send; here the relay says it in the stream
            _failures.inc()
            log.warning("a stream broke off in mid-answer (%s)", type(error).__name__)
            raise _broken(error, _message(error)) from error
        yield b"data: [DONE]\n\n"

    def _event(self, chunk: Any) -> bytes:
        return b"data: " + _dump(chunk, self._model) + b"\n\n"

    async def close(self) -> None:
        """litellm's own `aclose` leaves the connection open; only a read that is cancelled lets go of it."""
        while not isinstance(await self._cancelled_read(), BaseException):
            pass

    async def _cancelled_read(self) -> Any:
        """What the read came to: a chunk if one had arrived already, else the error it ended with."""
        read = asyncio.ensure_future(anext(self._answer))
        await asyncio.sleep(0)  # a task cancelled before it began would not reach the connection
        read.cancel()
        return (await asyncio.gather(read, return_exceptions=True))[0]


def _failed(error: Exception, deployment: Deployment) -> Reply:
    """The provider's own answer, if there was one. Raises what our side has to say otherwise."""
    import httpx  # comes with litellm, and as late

    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, httpx.HTTPStatusError):
            return _refusal(cause.response)
    if any(type(cause).__name__ == "UnsupportedParamsError" for cause in causes):
        raise RequestError(400, "unsupported_parameter", _message(error).partition(" To drop these")[0]) from error
    if any(isinstance(cause, httpx.TransportError | OSError) for cause in causes):
        where = f"{deployment.provider} ({deployment.model_name})"
        raise _broken(error, f"{where} is out of reach or did not answer in time") from error
    if missing := [str(cause.name or cause) for cause in causes if isinstance(cause, ImportError)]:
        raise UpstreamUnavailable(
            f"{deployment.provider} needs a package that is not installed: {missing[-1]}"
        ) from error
    status = getattr(error, "status_code", 500)
    if 400 <= status < 500:
        return _Whole(status, [], orjson.dumps(openai_body(status, "upstream_error", _message(error))))
    _failures.inc()
    names = " < ".join(type(cause).__name__ for cause in causes)  # the texts may quote the conversation
    log.warning("litellm could not handle a request to %s: %s", deployment.provider, names)
    if deployment.api_key is None:
        raise UpstreamUnavailable(f"{deployment.provider} could not be asked; its api_key is missing") from error
    message = f"This cannot be translated for {deployment.provider}: check the shape of messages and tools."
    raise RequestError(400, "untranslatable", message) from error


def _refusal(response: Any) -> Reply:
    """What the provider said, word for word where it has the shape that clients of OpenAI read."""
    status, text = response.status_code, response.text
    try:
        readable = "error" in orjson.loads(text)
    except (ValueError, TypeError):
        readable = False
    body = text.encode() if readable else orjson.dumps(openai_body(status, "upstream_error", text[:1000]))
    return _Whole(status, [(n, v) for n, v in response.headers.items() if n in _KEPT_HEADERS], body)


def _broken(error: Exception, message: str) -> UpstreamUnavailable:
    late = any(isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__ for cause in _causes(error))
    return UpstreamUnavailable(message, timeout=late)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """litellm wraps what happened three or four deep."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _message(error: Exception) -> str:
    return str(getattr(error, "message", error)).split("\n", 1)[0][:1000]
