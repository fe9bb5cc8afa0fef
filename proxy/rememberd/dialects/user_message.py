"""The newest words of a person among the messages or items of any dialect. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from rememberd.dialects import client_text as boilerplate
from rememberd.dialects.body import dump


class UserMessage(NamedTuple):
    """The newest real user message, the one at index `at`. `text` is without client boilerplate and never empty;
    `continues` tells that the model has been at work on it already (a tool loop)."""

    at: int
    text: str
    speaker: str | None
    previous: str | None
    continues: bool


Words = Callable[[Any], str | None]


def newest(items: Sequence[Any], words: Words) -> UserMessage | None:
    """`words` gives the text of what a person sent ("" for an image alone), None for anything else.

    None: nobody said anything, or not in words."""
    found = user_messages(items, words)
    index, text = next(found, (0, ""))
    if not text:
        return None
    name = items[index].get("name")
    previous = next((text for _, text in found if text), None)
    speaker = name if isinstance(name, str) and name else None
    return UserMessage(index, text, speaker, previous, continues=index < len(items) - 1)


def user_messages(items: Sequence[Any], words: Words) -> Iterator[tuple[int, str]]:
    """What persons sent, newest first, as (index, cleaned text); what no person typed is left out."""
    for index in range(len(items) - 1, -1, -1):
        raw = words(items[index])
        if raw is None:
            continue
        text = boilerplate.user_typed_text(raw)
        if text or not raw:
            yield index, text


def prefix(items: Sequence[Any], at: int) -> list[bytes]:
    """The messages up to the one at `at`: the same in every retry and in every step of a tool loop, in which clients
    move their cache marks and turn a text into a list of one part and back."""
    return [dump(_plain(item)) for item in items[: at + 1]]


def text_of(content: Any, kinds: tuple[str, ...] = ("text",)) -> str:
    """The text of a message's content, its parts of these `kinds` joined by line ends."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type") in kinds)
        content = "\n".join(part for part in parts if isinstance(part, str))
    if not isinstance(content, str):
        return ""
    return content.encode("utf-8", "replace").decode()  # half an emoji would break every encoder downstream


def _plain(item: Any) -> Any:
    if not isinstance(item, dict) or not isinstance(item.get("content"), list):
        return item
    parts = [_unmarked(part) for part in item["content"]]
    if len(parts) == 1 and isinstance(parts[0], dict) and parts[0].keys() == {"type", "text"}:
        return item | {"content": parts[0]["text"]}
    return item | {"content": parts}


def _unmarked(part: Any) -> Any:
    if not isinstance(part, dict) or "cache_control" not in part:
        return part
    return {name: value for name, value in part.items() if name != "cache_control"}
