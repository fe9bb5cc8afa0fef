"""Translates Ollama's requests into OpenAI's chat completions, and the answers back. No I/O."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

Json = dict[str, Any]

_IMAGES = {"iVBOR": "image/png", "R0lG": "image/gif", "UklG": "image/webp"}  # beginning of the base64 -> type
_OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "stop": "stop",
    "num_predict": "max_tokens",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
}


def chat_request(path: str, body: Mapping[str, Any], model: str) -> Json:
    """The chat completion request for `body`, which was sent to `path`. Options that OpenAI's protocol does not have
    (`num_ctx`, `keep_alive`, `context` …) are left out."""
    messages = body.get("messages") if path == "/api/chat" else _as_messages(body)
    asked: Json = {"model": model, "messages": _messages(messages if isinstance(messages, list) else [])}
    if streams(body):
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
    if tools := body.get("tools"):
        asked["tools"] = tools
    if wanted := _response_format(body.get("format")):
        asked["response_format"] = wanted
    if think := body.get("think"):
        asked["reasoning_effort"] = think if isinstance(think, str) else "medium"
    options = body.get("options")
    given = options if isinstance(options, Mapping) else {}
    asked |= {name: given[option] for option, name in _OPTIONS.items() if given.get(option) is not None}
    if isinstance(limit := asked.get("max_tokens"), int | float) and limit <= 0:
        del asked["max_tokens"]  # -1: no limit
    return asked


def streams(body: Mapping[str, Any]) -> bool:
    """Ollama streams unless `stream` is false."""
    return body.get("stream") is not False


def is_empty(path: str, body: Mapping[str, Any]) -> bool:
    """True if the client only wants to load the model."""
    return not body.get("messages" if path == "/api/chat" else "prompt")


def _as_messages(body: Mapping[str, Any]) -> list[Json]:
    asked: Json = {"role": "user", "content": body.get("prompt") or "", "images": body.get("images")}
    system = body.get("system")
    return [{"role": "system", "content": system}, asked] if system else [asked]


def _messages(given: Sequence[Any]) -> list[Any]:
    """Ollama's tool calls have no ids; results follow their calls in the same order."""
    made: list[Any] = []
    waiting: list[str] = []
    for number, message in enumerate(given):
        if not isinstance(message, Mapping):
            made.append(message)
        elif message.get("role") == "tool":
            id = message.get("tool_call_id") or (waiting.pop(0) if waiting else f"call_{number}")
            made.append({"role": "tool", "tool_call_id": id, "content": message.get("content") or ""})
        else:
            calls = [_call(each, f"call_{number}_{at}") for at, each in enumerate(message.get("tool_calls") or ())]
            waiting += [call["id"] for call in calls]
            content = _content(message.get("content") or "", message.get("images"))
            made.append({"role": message.get("role"), "content": content} | ({"tool_calls": calls} if calls else {}))
    return made


def _call(call: Mapping[str, Any], id: str) -> Json:
    function = call.get("function") or {}
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments or {}).decode()
    return {
        "id": call.get("id") or id,
        "type": "function",
        "function": {"name": function.get("name"), "arguments": text},
    }


def _content(text: Any, images: Any) -> Any:
    if not isinstance(images, list) or not images:
        return text
    parts: list[Json] = [{"type": "text", "text": text}] if text else []
    return [*parts, *({"type": "image_url", "image_url": {"url": _data_url(str(image))}} for image in images)]


def _data_url(image: str) -> str:
    kind = next((kind for start, kind in _IMAGES.items() if image.startswith(start)), "image/jpeg")
    return f"data:{kind};base64,{image}"


def _response_format(wanted: Any) -> Json | None:
    if wanted == "json":
        return {"type": "json_object"}
    if isinstance(wanted, Mapping):
        return {"type": "json_schema", "json_schema": {"name": "answer", "schema": wanted}}
    return None


@dataclass
class Answer:
    """Writes an answer in Ollama's protocol, with the client's name for the model."""

    path: str
    model: str
    _calls: dict[int, Json] = field(default_factory=dict)
    _usage: Json = field(default_factory=dict)
    _reason: str = "stop"

    def whole(self, completion: Json) -> bytes:
        choice = (completion.get("choices") or [{}])[0]
        message = choice.get("message") or {}
        self._usage = completion.get("usage") or {}
        self._note(message, choice.get("finish_reason"))
        return self._line(message.get("content") or "", _thinking(message), done=True)

    def loaded(self) -> bytes:
        self._reason = "load"
        return self._line("", "", done=True)

    def lines(self, chunk: Json) -> Iterator[bytes]:
        """The lines for one chunk of a stream. Tool calls are collected until they are complete."""
        self._usage = chunk.get("usage") or self._usage
        for choice in (chunk.get("choices") or ())[:1]:
            delta = choice.get("delta") or {}
            self._note(delta, choice.get("finish_reason"))
            if delta.get("content") or _thinking(delta):
                yield self._line(delta.get("content") or "", _thinking(delta), done=False) + b"\n"

    def last_lines(self) -> Iterator[bytes]:
        if self._calls and self.path == "/api/chat":
            yield self._line("", "", done=False, calls=True) + b"\n"
            self._calls = {}
        yield self._line("", "", done=True) + b"\n"

    def _note(self, message: Json, reason: str | None) -> None:
        self._reason = {"length": "length"}.get(reason, "stop") if reason else self._reason
        for at, piece in enumerate(message.get("tool_calls") or ()):
            call = self._calls.setdefault(piece.get("index", at), {"id": None, "name": "", "arguments": ""})
            function = piece.get("function") or {}
            call["id"] = piece.get("id") or call["id"]
            call["name"] = function.get("name") or call["name"]
            call["arguments"] += function.get("arguments") or ""

    def _line(self, content: str, thinking: str, *, done: bool, calls: bool = False) -> bytes:
        line: Json = {"model": self.model, "created_at": datetime.now(UTC).isoformat().replace("+00:00", "Z")}
        thoughts: Json = {"thinking": thinking} if thinking else {}
        if self.path == "/api/chat":
            line["message"] = {"role": "assistant", "content": content} | thoughts
            if self._calls and (calls or done):
                line["message"]["tool_calls"] = [_ollama_call(call) for call in self._calls.values()]
        else:
            line |= {"response": content} | thoughts
        return orjson.dumps(line | {"done": done} | (self._end() if done else {}))

    def _end(self) -> Json:
        read, written = self._usage.get("prompt_tokens") or 0, self._usage.get("completion_tokens") or 0
        durations = dict.fromkeys(("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"), 0)
        return {"done_reason": self._reason, **durations, "prompt_eval_count": read, "eval_count": written}


def _thinking(message: Json) -> str:
    return message.get("reasoning_content") or message.get("reasoning") or ""


def _ollama_call(call: Json) -> Json:
    try:
        arguments = orjson.loads(call["arguments"] or "{}")
    except orjson.JSONDecodeError:
        arguments = {}  # Ollama's format cannot express that a model wrote invalid JSON
    named = {"name": call["name"], "arguments": arguments if isinstance(arguments, dict) else {}}
    return ({"id": call["id"]} if call["id"] else {}) | {"function": named}
