"""Makes a conversation portable: removes the parts that only the provider that wrote them accepts. No I/O.

These are signed thoughts, encrypted reasoning, results of the provider's own tools, and some ids of tool calls
(Mistral requires nine letters and digits; Anthropic letters, digits, "_" and "-"; OpenAI at most 40 characters).
Words, pictures, tool calls and their results stay."""

import string
from hashlib import blake2b
from typing import Any, TypeGuard

from rememberd.types import CHAT, MESSAGES, RESPONSES

Json = dict[str, Any]

_ID_CHARACTERS = string.digits + string.ascii_letters
_ID_LENGTH = 9

_MESSAGE = ("role", "content", "name", "tool_calls", "tool_call_id", "function_call", "refusal")
_CALL = ("id", "type", "function", "custom")
_BLOCKS = ("text", "image", "document", "tool_use", "tool_result")
_NOT_OF_A_BLOCK = ("citations", "caller", "signature")
_ITEMS = ("message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output")
_NOT_OF_AN_ITEM = ("id", "status", "encrypted_content", "annotations", "logprobs", "phase")
_STORED = ("previous_response_id", "conversation")
_IMAGES = ("image", "image_url", "input_image")
_UNSEEN = "[a picture that this model cannot see]"


def portable(path: str, body: Json) -> Json:
    """`body`, a request in the dialect of `path`, without the parts that only one provider accepts; equal to `body`
    if there are none."""
    match path:
        case _ if path == MESSAGES and _objects(body.get("messages")):
            return _portable_messages(body)
        case _ if path == CHAT and _objects(body.get("messages")):
            return body | {"messages": [_chat_message(each) for each in body["messages"]]}
        case _ if path == RESPONSES:
            return _portable_responses(body)
    return body


def without_earlier_pictures(path: str, body: Json) -> Json:
    """`body` with a note in place of each picture before the newest message."""
    name = "input" if path == RESPONSES else "messages"
    said = body.get(name)
    if not _objects(said) or not said:
        return body
    return body | {name: [*(_unseen(each) for each in said[:-1]), said[-1]]}


def portable_id(id: Any) -> Any:
    """Nine letters and digits, always the same for the same `id`. Every provider accepts such an id."""
    if not isinstance(id, str):
        return id
    number = int.from_bytes(blake2b(id.encode(errors="replace"), digest_size=8).digest(), "big")
    return "".join(_ID_CHARACTERS[number // 62**place % 62] for place in range(_ID_LENGTH))


def _objects(said: Any) -> TypeGuard[list[Json]]:
    return isinstance(said, list) and all(isinstance(each, dict) for each in said)


def _some(given: Json, names: tuple[str, ...]) -> Json:
    return {name: value for name, value in given.items() if name in names}


def _others(given: Json, names: tuple[str, ...]) -> Json:
    return {name: value for name, value in given.items() if name not in names}


def _with_id(given: Json, name: str) -> Json:
    return given | {name: portable_id(given[name])} if name in given else given


def _chat_message(message: Json) -> Json:
    kept = _with_id(_some(message, _MESSAGE), "tool_call_id")
    if _objects(calls := kept.get("tool_calls")):
        kept["tool_calls"] = [_with_id(_some(call, _CALL), "id") for call in calls]
    if _objects(content := kept.get("content")):
        kept["content"] = [part for part in content if part.get("type") not in ("thinking", "redacted_thinking")]
    return kept


def _portable_messages(body: Json) -> Json:
    messages = [_anthropic_message(each) for each in body["messages"]]
    changed = body | {"messages": [each for each in messages if each.get("content") != []]}
    results = body["messages"][-1].get("content") if body["messages"] else None
    if _objects(results) and any(each.get("type") == "tool_result" for each in results):
        # With thinking on, Anthropic requires the thoughts at the beginning of the answer that calls the tools.
        return _others(changed, ("thinking", "context_management"))
    return changed


def _anthropic_message(message: Json) -> Json:
    content = message.get("content")
    if not _objects(content):
        return message
    kept = [_others(block, _NOT_OF_A_BLOCK) for block in content if block.get("type") in _BLOCKS]
    return message | {"content": [_with_id(_with_id(block, "id"), "tool_use_id") for block in kept]}


def _portable_responses(body: Json) -> Json:
    """Unchanged if the provider stores a part of the conversation: another provider would answer without that part.
    After the error the client can send the whole conversation."""
    items = body.get("input")
    if not _objects(items) or any(body.get(name) for name in _STORED) or _refers_to_stored(items):
        return body
    kept = [_others(each, _NOT_OF_AN_ITEM) for each in items if each.get("type", "message") in _ITEMS]
    return body | {"input": [_with_id(_item(each), "call_id") for each in kept]}


def _refers_to_stored(items: list[Json]) -> bool:
    return any(each.get("type") == "item_reference" or set(each) == {"id"} for each in items)


def _item(item: Json) -> Json:
    content = item.get("content")
    return item | {"content": [_others(part, _NOT_OF_AN_ITEM) for part in content]} if _objects(content) else item


def _unseen(message: Json) -> Json:
    """Also replaces pictures in tool results."""
    changed = dict(message)
    for name in ("content", "output"):
        if _objects(parts := message.get(name)):
            kind = next((each["type"] for each in parts if str(each.get("type")).endswith("text")), None)
            kind = kind or ("input_text" if any(each.get("type") == "input_image" for each in parts) else "text")
            note = {"type": kind, "text": _UNSEEN}
            changed[name] = [note if each.get("type") in _IMAGES else _unseen(each) for each in parts]
    if changed.pop("images", None):  # Ollama's
        changed["content"] = f"{_UNSEEN}\n{changed.get('content', '')}"
    return changed
