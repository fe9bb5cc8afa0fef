"""Changes and parameters to leave out in requests that litellm translates. No I/O."""

from collections.abc import Collection, Mapping
from itertools import takewhile
from typing import Any

Json = dict[str, Any]

# Parameters that are left out if the provider does not support them: the answer is still valid without them.
HINTS = ("seed", "presence_penalty", "frequency_penalty", "logit_bias", "parallel_tool_calls", "verbosity")
_CHARACTERS_PER_TOKEN = 3.5  # of English, code and JSON with cl100k; a low number makes a high estimate
_IMAGE_TOKENS = 1_600  # Anthropic's largest


def without_hints(asked: Json, supported: Collection[str]) -> tuple[Json, list[str]]:
    """`asked` without the hints that the provider does not support, and the names of these hints."""
    lacking = [name for name in HINTS if name not in supported]
    dropped = [name for name in lacking if name in asked]
    kept = {name: value for name, value in asked.items() if name not in dropped}
    if not asked.get("tools"):
        kept.pop("parallel_tool_calls", None)  # Anthropic refuses it without tools
    text = kept.get("text")
    if isinstance(text, Mapping) and "verbosity" in text and "verbosity" in lacking:
        dropped.append("text.verbosity")
        kept["text"] = {name: value for name, value in text.items() if name != "verbosity"}
        if not kept["text"]:
            del kept["text"]
    return kept, dropped


def for_openai(request: Json) -> Json:
    """A chat completion without the fields that litellm adds for other protocols and OpenAI refuses: signed thoughts,
    indices of tool calls, nulls in the web search options. The system texts at the beginning are joined, because
    templates of local models refuse a second one."""
    messages = [_for_openai(message) for message in request.get("messages") or ()]
    changed = request | {"messages": _one_system(messages)}
    if isinstance(options := request.get("web_search_options"), Mapping):
        changed["web_search_options"] = {name: value for name, value in options.items() if value is not None}
    return changed


def _for_openai(message: Json) -> Json:
    kept = {name: value for name, value in message.items() if name != "thinking_blocks"}
    if isinstance(calls := kept.get("tool_calls"), list):
        kept["tool_calls"] = [{name: value for name, value in call.items() if name != "index"} for call in calls]
    return kept


def _one_system(messages: list[Json]) -> list[Json]:
    texts = [message["content"] for message in takewhile(_is_system_text, messages)]
    if len(texts) < 2:
        return messages
    return [{"role": "system", "content": "\n\n".join(texts)}, *messages[len(texts) :]]


def _is_system_text(message: Json) -> bool:
    return message.get("role") in ("system", "developer") and isinstance(message.get("content"), str)


def estimated_tokens(body: Mapping[str, Any]) -> int:
    """Estimates the tokens of a Messages request for an unknown tokenizer: text by its length, images at a fixed
    number."""
    characters = images = 0
    waiting: list[Any] = [body.get(name) for name in ("system", "messages", "tools")]
    while waiting:
        match waiting.pop():
            case str() as text:
                characters += len(text)
            case {"type": "image" | "document"}:
                images += 1
            case dict() as inner:
                characters += sum(len(name) for name in inner)
                waiting += inner.values()
            case list() as inner:
                waiting += inner
    return round(characters / _CHARACTERS_PER_TOKEN) + images * _IMAGE_TOKENS + 1
