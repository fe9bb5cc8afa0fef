"""OpenAI chat completions: find the user's words, inject the block, read the answer. Pure functions over dicts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import orjson

from proxy import sse
from proxy.wire import boilerplate
from proxy.wire.body import dump

END = sse.DONE


class Question(NamedTuple):
    """The newest real user message, at `messages[at]`. `text` is without client boilerplate and never empty; `continues` tells that the
    model has been at work on it already (a tool loop)."""

    at: int
    text: str
    speaker: str | None
    previous: str | None
    continues: bool


def question(body: dict[str, Any]) -> Question | None:
    """None: nobody said anything (no messages, an image alone, or a shape that is not ours to judge)."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        return None
    found = _spoken(messages)
    newest = next(found, None)
    if newest is None or not newest[1]:
        return None
    index, text = newest
    name = messages[index].get("name")
    previous = next((text for _, text in found if text), None)
    return Question(
        index, text, name if isinstance(name, str) and name else None, previous, continues=index < len(messages) - 1
    )


def prefix(body: dict[str, Any], asked: Question) -> bytes:
    """What is the same in every retry and in every step of a tool loop."""
    return dump({"messages": body["messages"][: asked.at + 1]})


def inject(body: dict[str, Any], asked: Question, block: str, placement: str) -> dict[str, Any]:
    """A copy of `body` with the block before the newest real user message; everything else is the same object."""
    messages = list(body["messages"])
    if placement == "system":
        first = messages[0] if isinstance(messages[0], dict) else {}
        if first.get("role") in ("system", "developer"):
            messages[0] = _with_block(first, block)
        else:
            messages.insert(0, {"role": "system", "content": block})
    else:
        messages[asked.at] = _with_block(messages[asked.at], block)
    return body | {"messages": messages}


def answer(raw: bytes, *, streamed: bool) -> str:
    """The first choice's text of a whole response or of as much as arrived; "" for what is not one."""
    if not streamed:
        return _content(_loads(raw), "message")
    return "".join(_content(_loads(event), "delta") for event in sse.events(raw))


def side_task_texts(body: dict[str, Any]) -> str:
    """The newest user message as it came, for the side task patterns."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        return ""
    return next((_text(m.get("content")) for m in reversed(messages) if _is_user(m)), "")


def _spoken(messages: Sequence[Any]) -> Iterator[tuple[int, str]]:
    """User messages, newest first, as (index, cleaned text); those that no person typed are left out."""
    for index in range(len(messages) - 1, -1, -1):
        if _is_user(messages[index]):
            raw = _text(messages[index].get("content"))
            if not raw or not boilerplate.synthetic(raw):
                yield index, boilerplate.strip(raw).strip()


def _is_user(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") == "user"


def _text(content: Any) -> str:
    if isinstance(content, str):
        text = content
    elif isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict) and part.get("type") == "text")
        text = "\n".join(part for part in parts if isinstance(part, str))
    else:
        return ""
    return text.encode("utf-8", "replace").decode()  # half an emoji would break every encoder downstream


def _with_block(message: dict[str, Any], block: str) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, list):
        return message | {"content": [{"type": "text", "text": block}, *content]}
    return message | {"content": f"{block}\n\n{content}"}


def _loads(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def _content(event: Any, part: str) -> str:
    if not isinstance(event, dict):
        return ""
    for choice in event.get("choices") or ():
        if isinstance(choice, dict) and choice.get("index", 0) == 0 and isinstance(choice.get(part), dict):
            content = choice[part].get("content")
            return content if isinstance(content, str) else _text(content)
    return ""
