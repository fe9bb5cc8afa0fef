"""ChatGPT's export: a list of conversations, each a tree of messages (`mapping`) because messages can be edited and
answers regenerated. The branch that was shown last ends at `current_node`."""

from collections.abc import Iterator
from typing import Any

from rememberd.memory.importers.records import Line, Message, rfc3339, turns

_TEXTS = ("text", "multimodal_text")
_SPOKEN = "audio_transcription"  # `content_type` of the part that holds what was said in voice mode
_SHOWN = (None, "final")  # of a message's `channel`; the others carry the model's reasoning


def lines(conversation: dict[str, Any]) -> Iterator[Line]:
    """Raises `KeyError`, `TypeError` or `AttributeError` for a conversation of another shape."""
    begun = rfc3339(conversation.get("create_time"))
    named = conversation.get("conversation_id") or conversation.get("id") or next(iter(conversation["mapping"]), "")
    messages = [_message(node["message"]) for node in _branch(conversation) if node.get("message")]
    return turns((each for each in messages if each), str(named), begun, "chatgpt")


def _branch(conversation: dict[str, Any]) -> list[dict[str, Any]]:
    """From the root to the message shown last."""
    mapping = conversation["mapping"]
    at = conversation.get("current_node") or _newest_leaf(mapping)
    found, seen = [], set()
    while at in mapping and at not in seen:
        seen.add(at)
        found.append(mapping[at])
        at = mapping[at].get("parent")
    return found[::-1]


def _newest_leaf(mapping: dict[str, Any]) -> str | None:
    """Some exports name no `current_node`."""
    leaves = [name for name, node in mapping.items() if not node.get("children")]
    return max(leaves, key=lambda name: (mapping[name].get("message") or {}).get("create_time") or 0, default=None)


def _message(given: dict[str, Any]) -> Message | None:
    """None for messages outside the visible chat: tools and their calls, reasoning, instructions, hidden messages."""
    role, content, about = given["author"]["role"], given["content"], given.get("metadata") or {}
    hidden = about.get("is_visually_hidden_from_conversation") or about.get("is_user_system_message")
    if role not in ("user", "assistant") or content["content_type"] not in _TEXTS or hidden:
        return None
    if given.get("recipient", "all") != "all" or given.get("channel") not in _SHOWN:
        return None
    text = "\n".join(filter(None, map(_words, content.get("parts") or [])))
    return Message(given["id"], role, text, rfc3339(given.get("create_time")), about.get("model_slug"))


def _words(part: Any) -> str | None:
    """None for pictures and recordings."""
    if isinstance(part, dict) and part.get("content_type") == _SPOKEN:
        return part.get("text")
    return part if isinstance(part, str) else None
