"""Finds the newest words of a person in the messages or items of any dialect. No I/O."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from rememberd.dialects import client_text
from rememberd.dialects.body import dump


class UserMessage(NamedTuple):
    """The newest message of a person, at index `at`. `text` has no client boilerplate and is never empty.
    `continues`: an assistant or a tool has already answered, as in a tool loop. `whole`: every message of the
    conversation was read, not only the newest `MOST`. `doubtful`: a program may have written the message."""

    at: int
    text: str
    speaker: str | None
    previous: str | None
    continues: bool
    whole: bool = True
    doubtful: bool = False


class TypedMessage(NamedTuple):
    """One message of a person, at index `at`: the client's `item`. `text` has no client boilerplate and is empty for
    an image alone."""

    at: int
    text: str
    item: dict[str, Any]

    @property
    def content(self) -> bytes:
        """Two messages are the same if their contents are: the text, the sender's name, images and files. Leaves out
        cache marks and tool results, which are the client's."""
        content = self.item.get("content")
        attached = [
            {name: value for name, value in part.items() if name != "cache_control"}
            for part in (content if isinstance(content, list) else ())
            if isinstance(part, dict) and "text" not in part and part.get("type") != "tool_result"
        ]
        return dump({"text": self.text, "name": self.item.get("name"), "attached": attached})


Words = Callable[[Any], str | None]

# Only the newest messages are read: 300,000 tiny ones take 6 s, and no model accepts so many.
MOST = 20_000

# The person's name in AutoGen and similar frameworks.
_PERSONS = frozenset(("user", "human", "admin", "user_proxy", "userproxy", "human_proxy"))
_MODEL_ROLES = ("assistant", "tool", "function")


def newest(items: Sequence[Any], words: Words) -> UserMessage | None:
    """The newest message of a person; None if there is none or it has no words. `words` gives the text of a person's
    item ("" for an image alone), None for any other item."""
    found = _typed(items, words)
    index, text = next(found, (0, ""))
    if not text:
        return None
    name = _name(items[index])
    previous = next((text for _, text in found if text), None)
    continues = any(_is_from_model(item) for item in items[index + 1 :])
    return UserMessage(index, text, name or None, previous, continues, whole=len(items) <= MOST)


def user_messages(items: Sequence[Any], words: Words) -> list[TypedMessage]:
    """The messages that persons typed, among the newest `MOST`, oldest first.

    Their `content` is the same in every retry and every step of a tool loop, although clients move their cache marks,
    turn a text into a list of one part and back, and change their own texts around the person's."""
    typed = reversed(list(_typed(items, words)))
    return [TypedMessage(at, text, items[at]) for at, text in typed]


def _typed(items: Sequence[Any], words: Words) -> Iterator[tuple[int, str]]:
    """Index and cleaned text, newest first."""
    persons = _names_of_persons(items)
    for index in range(len(items) - 1, max(len(items) - MOST, 0) - 1, -1):
        raw = words(items[index])
        if raw is None or (persons and _name(items[index]) not in persons):
            continue
        text = client_text.user_typed_text(raw)
        if text or not raw:
            yield index, text


def _name(item: Any) -> str:
    """The sender's name, if the client names the participants of a chat; else ""."""
    name = item.get("name") if isinstance(item, dict) else None
    return name if isinstance(name, str) else ""


def is_from_agent(items: Sequence[Any]) -> bool:
    """True if another agent of a group chat wrote the newest message."""
    persons = _names_of_persons(items)
    return bool(persons) and _name(items[-1]) not in persons and not _is_from_model(items[-1])


def _names_of_persons(items: Sequence[Any]) -> set[str]:
    """The names that a person's message may have in a chat of agents; empty for other chats. In a chat of agents, all
    except the model have the role `user`, and the person's name is one of `_PERSONS`."""
    named = {_name(item) for item in items[-MOST:] if isinstance(item, dict) and item.get("role") == "user"}
    persons = {name for name in named if name.casefold() in _PERSONS}
    return persons | {""} if persons and len(named) > 1 else set()


def text_of(content: Any, kinds: tuple[str, ...] = ("text",)) -> str:
    """The text of a message's content, its parts of these `kinds` joined by line ends."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type") in kinds)
        content = "\n".join(part for part in parts if isinstance(part, str))
    if not isinstance(content, str):
        return ""
    if content.isascii():
        return content
    return content.encode("utf-8", "replace").decode()  # a lone surrogate would break later encoding


def _is_from_model(item: Any) -> bool:
    """True for an answer, a tool call or a tool's result. In Responses, calls and results have a type and no role."""
    if not isinstance(item, dict):
        return False
    role = item.get("role")
    return role in _MODEL_ROLES if role is not None else item.get("type", "message") != "message"
