"""OpenAI chat completions: find the user's words, inject the block, read the answer. Pure functions over dicts."""

from __future__ import annotations

from typing import Any

from rememberd.dialects import sse
from rememberd.dialects import user_message as questions
from rememberd.dialects.body import dump, loads
from rememberd.dialects.user_message import Said, UserMessage, text_of
from rememberd.errors import UpstreamUnavailable, openai_body

PATH = "/chat/completions"
END = sse.DONE

error_body = openai_body


def question(body: dict[str, Any]) -> UserMessage | None:
    """None: nobody said anything (no messages, an image alone, or a shape that is not ours to judge)."""
    messages = body.get("messages")
    return questions.newest(messages, _words) if isinstance(messages, list) else None


def user_messages(body: dict[str, Any]) -> list[Said]:
    return questions.user_messages(body["messages"], _words)


def inject(body: dict[str, Any], asked: UserMessage, block: str, placement: str) -> dict[str, Any]:
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
        return _content(loads(raw), "message")
    return "".join(_content(loads(event), "delta") for event in sse.events(raw))


def is_whole(latest: bytes) -> bool:
    """Many servers leave out the last event."""
    return True


def error_event(error: UpstreamUnavailable, begin: bytes, latest: bytes) -> bytes:
    """OpenAI's error object as an event."""
    body = {"error": {"message": str(error), "type": "upstream_error", "code": error.code}}
    return b"data: " + dump(body) + b"\n\n"


def _words(message: Any) -> str | None:
    is_user = isinstance(message, dict) and message.get("role") == "user"
    return text_of(message.get("content")) if is_user else None


def _with_block(message: dict[str, Any], block: str) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, list):
        return message | {"content": [{"type": "text", "text": block}, *content]}
    return message | {"content": f"{block}\n\n{content}"}


def _content(event: Any, part: str) -> str:
    if not isinstance(event, dict):
        return ""
    for choice in event.get("choices") or ():
        if isinstance(choice, dict) and choice.get("index", 0) == 0 and isinstance(choice.get(part), dict):
            return text_of(choice[part].get("content"))
    return ""
