"""Translates requests for litellm and litellm's answers back, for each dialect of a client."""

import importlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from rememberd.errors import RequestError, anthropic_body, openai_body
from rememberd.types import CHAT, MESSAGES, RESPONSES
from rememberd.upstream.translate.chat_request import for_openai
from rememberd.upstream.translate.messages_stream import message_events

Json = dict[str, Any]

_MAX_TOKENS = 4096  # for a Messages request without the field, which Anthropic itself would refuse

# The parameters that a client may set. litellm accepts many more (an address, a key, a mock answer), so only these
# are passed on. Sources: OpenAI's and Anthropic's API references, and two parameters of other providers that clients
# of OpenAI's chat also send.
_CHAT_PARAMETERS = frozenset(
    (
        *("messages", "stream", "stream_options", "n", "stop", "seed", "max_tokens", "max_completion_tokens"),
        *("temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs"),
        *("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "response_format"),
        *("reasoning_effort", "modalities", "audio", "prediction", "web_search_options"),
        *("thinking", "top_k"),
    )
)
_RESPONSES_PARAMETERS = frozenset(
    (
        *("input", "instructions", "stream", "max_output_tokens", "temperature", "top_p", "text", "reasoning"),
        *("tools", "tool_choice", "parallel_tool_calls"),
    )
)
_MESSAGES_PARAMETERS = frozenset(
    (
        *("messages", "system", "stream", "max_tokens", "temperature", "top_p", "top_k", "stop_sequences"),
        *("tools", "tool_choice", "thinking", "output_config"),
    )
)
# Parameters that clients usually send and other providers do not support.
_DROPPED = frozenset(
    (
        *("model", "metadata", "moderation", "prompt_cache_key", "prompt_cache_retention", "safety_identifier"),
        *("service_tier", "store", "user", "verbosity", "include", "truncation", "max_tool_calls", "top_logprobs"),
        *("stream_options", "client_metadata", "context_management", "speed"),
    )
)


class Translation(NamedTuple):
    """`conversation` is the name of the parameter with the messages. `call` calls litellm. `whole` and `events` write
    its answer in the dialect, under the client's name for the model. `error` makes the dialect's error object."""

    parameters: frozenset[str]
    conversation: str
    call: Callable[[Any, Json, Json], Any]
    whole: Callable[[Any, str], bytes]
    events: Callable[[AsyncIterator[Any], str], AsyncIterator[bytes]]
    error: Callable[[int, str], Json]

    def asked(self, body: Mapping[str, Any]) -> Json:
        """The parameters of the client's body for litellm. Raises `RequestError` 400 for an unknown parameter."""
        if unknown := sorted(body.keys() - self.parameters - _DROPPED):
            message = f"Unknown parameter: {unknown[0]!r}. It cannot be translated for this model's provider."
            raise RequestError(400, "unknown_parameter", message, param=unknown[0])
        if not _is_conversation(body.get(self.conversation), self.conversation):
            message = f"{self.conversation} must be a list of objects, messages with a role"
            raise RequestError(400, f"invalid_{self.conversation}", message, param=self.conversation)
        return {name: value for name, value in body.items() if name in self.parameters and value is not None}


def _is_conversation(value: Any, name: str) -> bool:
    if name == "input":
        return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, dict) for item in value))
    return isinstance(value, list) and all(isinstance(message, dict) and "role" in message for message in value)


def _call_chat(litellm: Any, asked: Json, deployment: Json) -> Any:
    return litellm.acompletion(**deployment, **_adapted(asked, deployment["model"]))


# litellm's public `anthropic_messages` and `aresponses` need its MCP package if a request has tools, and look for its
# proxy's router (seen in 1.110.2). So this module calls the pure translation functions inside them directly.


async def _call_messages(litellm: Any, asked: Json, deployment: Json) -> Any:
    module: Any = importlib.import_module("litellm.llms.anthropic.messages.adapters.transformation")
    adapter, model = module.AnthropicAdapter(), deployment["model"]
    body = {"max_tokens": _MAX_TOKENS, **asked, "model": model}
    request, names = adapter.translate_completion_input_params_with_tool_mapping(body)
    request = _adapted(request, model)
    if not asked.get("stream"):
        answer = await litellm.acompletion(**{**request, **deployment})
        return adapter.translate_completion_output_params(answer, names)
    streamed = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = await litellm.acompletion(**{**request, **streamed, **deployment})
    return _Named(chunks, names)


class _Named:
    """Chunks of a chat with the client's names of those tools whose names were too long for it."""

    def __init__(self, chunks: AsyncIterator[Any], names: Mapping[str, str]) -> None:
        self.chunks, self.names = aiter(chunks), names

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        chunk = await anext(self.chunks)
        for choice in chunk.choices:
            for call in choice.delta.tool_calls or ():
                if call.function.name in self.names:
                    call.function.name = self.names[call.function.name]
        return chunk


def _call_responses(litellm: Any, asked: Json, deployment: Json) -> Any:
    module: Any = importlib.import_module("litellm.responses.litellm_completion_transformation.handler")

    class Handler(module.LiteLLMCompletionTransformationHandler):  # type: ignore[misc]
        async def async_response_api_handler(self, *args: Any, litellm_completion_request: Json, **rest: Any) -> Any:
            request = _adapted(litellm_completion_request, deployment["model"])
            return await super().async_response_api_handler(*args, litellm_completion_request=request, **rest)

    handler = Handler()
    request = {name: value for name, value in asked.items() if name not in ("input", "stream")}
    return handler.response_api_handler(
        input=asked["input"],
        stream=asked.get("stream", False),
        responses_api_request=request,
        _is_async=True,
        **deployment,
    )


def _adapted(request: Json, model: str) -> Json:
    return for_openai(request) if model.startswith("openai/") else request


def _chat(answer: Any, model: str) -> bytes:
    """litellm's object in OpenAI's format, with the requested model name and the nulls that clients expect."""
    data: Json = answer.model_dump(exclude_none=True)
    data["model"] = model
    for choice in data["choices"]:
        choice.setdefault("finish_reason", None)
        if "message" in choice:
            choice["message"].setdefault("content", None)
    if "usage" in data and data["object"] == "chat.completion.chunk":
        data["choices"] = []
    return orjson.dumps(data)


async def _chat_events(chunks: AsyncIterator[Any], model: str) -> AsyncIterator[bytes]:
    """All events get the id of the first chunk: some providers' chunks have different ids."""
    id = None
    async for chunk in chunks:
        id = id or chunk.id
        chunk.id = id
        yield b"data: " + _chat(chunk, model) + b"\n\n"
    yield b"data: [DONE]\n\n"


def _message(answer: Any, model: str) -> bytes:
    data = {name: value for name, value in answer.items() if name != "stop_details"}
    return orjson.dumps(data | {"model": model})


def _response(answer: Any, model: str) -> bytes:
    return orjson.dumps(_completed(answer.model_dump(mode="json", exclude_none=True), model))


async def _response_events(chunks: AsyncIterator[Any], model: str) -> AsyncIterator[bytes]:
    numbers, tools = itertools.count(), dict[str, str]()
    async for chunk in chunks:
        data = _numbered(chunk.model_dump(mode="json", exclude_none=True), numbers, tools)
        if "response" in data:
            data["response"] = _completed(data["response"], model)
        yield f"event: {data['type']}\ndata: ".encode() + orjson.dumps(data) + b"\n\n"


def _numbered(event: Json, numbers: Iterator[int], tools: dict[str, str]) -> Json:
    """Adds fields that the SDKs' types require and litellm omits. `tools` has the called tools' names by item id."""
    match event["type"]:
        case "response.output_text.delta" | "response.output_text.done":
            event.setdefault("logprobs", [])
        case "response.output_item.added":
            tools[event["item"].get("id", "")] = event["item"].get("name", "")
        case "response.function_call_arguments.done":
            event.setdefault("name", tools.get(event["item_id"], ""))
    return event | {"sequence_number": next(numbers)}


def _completed(response: Json, model: str) -> Json:
    """Adds fields that the SDKs' types require and litellm omits."""
    if usage := response.get("usage"):
        usage["input_tokens_details"] = {
            "cached_tokens": 0,
            "cache_write_tokens": 0,
            **(usage.get("input_tokens_details") or {}),
        }
        usage["output_tokens_details"] = {"reasoning_tokens": 0, **(usage.get("output_tokens_details") or {})}
    return response | {"model": model}


def _openai_error(status: int, message: str) -> Json:
    return openai_body(status, "upstream_error", message)


TRANSLATIONS = {
    CHAT: Translation(_CHAT_PARAMETERS, "messages", _call_chat, _chat, _chat_events, _openai_error),
    RESPONSES: Translation(
        _RESPONSES_PARAMETERS, "input", _call_responses, _response, _response_events, _openai_error
    ),
    MESSAGES: Translation(_MESSAGES_PARAMETERS, "messages", _call_messages, _message, message_events, anthropic_body),
}
