"""What is changed in a request between litellm's translation and the provider, and what is left out of it. Pure."""

from collections.abc import Collection, Mapping
from itertools import takewhile
from typing import Any

Json = dict[str, Any]

# Without these an answer is still what was asked for; a provider that lacks one is asked without it.
HINTS = ("seed", "presence_penalty", "frequency_penalty", "logit_bias", "parallel_tool_calls", "verbosity")
_CHARACTERS_PER_TOKEN = 3.5  # of English, code and JSON by cl100k; a low figure makes a high estimate
_IMAGE_TOKENS = 1_600  # Anthropic's largest


def without_hints(asked: Json, supported: Collection[str]) -> tuple[Json, list[str]]:
    """`asked` without the hints that the provider does not know, and their names."""
    lacking = [name for name in HINTS if name not in supported]
    dropped = [name for name in lacking if name in asked]
    kept = {name: value for name, value in asked.items() if name not in dropped}
    if not asked.get("tools"):
        kept.pop("parallel_tool_calls", None)  # Anthropic refuses what says how to use no tools
    text = kept.get("text")
    if isinstance(text, Mapping) and "verbosity" in text and "verbosity" in lacking:
        dropped.append("text.verbosity")
        kept["text"] = {name: value for name, value in text.items() if name != "verbosity"}
        if not kept["text"]:
            del kept["text"]
    return kept, dropped


def for_openai(request: Json) -> Json:
    """A chat completion without what litellm adds for other protocols and OpenAI's refuses: thoughts with their
    signatures, numbers of tool calls, nulls in the options of the web search. The system texts at its beginning
    become one: templates of local models refuse a second."""
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
    """About what a Messages request costs a model whose tokenizer is not known: text by its length, images flat."""
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
