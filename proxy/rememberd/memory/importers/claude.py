"""Claude's export: `conversations.json`, a list of conversations with their `chat_messages` in order, and
`memories.json`, the notes that Claude itself keeps on a person, in all chats and by project. The files and
instructions of projects are left out: they hold for one project only."""

from collections.abc import Iterator
from typing import Any, Literal

from rememberd.memory.importers.records import Line, Message, memory, turns
from rememberd.memory.importers.statements import dated

NOTES = "conversations_memory"
_ROLES: dict[str, Literal["user", "assistant"]] = {"human": "user", "user": "user", "assistant": "assistant"}


def lines(entry: dict[str, Any]) -> Iterator[Line]:
    """The lines of a conversation, or of the notes. Raises `KeyError`, `TypeError` or `AttributeError` for another
    shape."""
    if NOTES in entry:
        return _noted(entry)
    messages = [_message(each) for each in entry["chat_messages"] if each["sender"] in _ROLES]
    return turns(messages, entry["uuid"], entry.get("created_at"), "claude")


def _noted(entry: dict[str, Any]) -> Iterator[Line]:
    """The notes are Markdown: a heading in bold, and a paragraph or bullets under it."""
    for notes in (entry[NOTES], *(entry.get("project_memories") or {}).values()):
        yield from (memory(text, at, "claude") for at, text in dated((notes or "").splitlines()))


def _message(given: dict[str, Any]) -> Message:
    """Older exports have only `text`; in newer ones it repeats the blocks, with placeholders for those of tools."""
    blocks = [each.get("text") or "" for each in given.get("content") or [] if each.get("type") == "text"]
    text = "\n".join(each for each in blocks if each) or given.get("text") or ""
    return Message(given["uuid"], _ROLES[given["sender"]], text, given.get("created_at"))
