"""Claude's export: a list of conversations with their `chat_messages` in order."""

from collections.abc import Iterator
from typing import Any, Literal

from rememberd.memory.importers.records import Line, Message, turns

_ROLES: dict[str, Literal["user", "assistant"]] = {"human": "user", "user": "user", "assistant": "assistant"}


def lines(conversation: dict[str, Any]) -> Iterator[Line]:
    """Raises `KeyError`, `TypeError` or `AttributeError` for a conversation of another shape."""
    messages = [_message(each) for each in conversation["chat_messages"] if each["sender"] in _ROLES]
    return turns(messages, conversation["uuid"], conversation.get("created_at"), "claude")


def _message(given: dict[str, Any]) -> Message:
    """Older exports have `text` alone; in newer ones it repeats the blocks, with placeholders for those of tools."""
    blocks = [each.get("text") or "" for each in given.get("content") or [] if each.get("type") == "text"]
    text = "\n".join(each for each in blocks if each) or given.get("text") or ""
    return Message(given["uuid"], _ROLES[given["sender"]], text, given.get("created_at"))
