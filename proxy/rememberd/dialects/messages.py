"""Anthropic Messages: finds the user's words, injects the block, reads the answer. No I/O."""

import re
from typing import Any

from rememberd.dialects import client_text, user_message
from rememberd.dialects.body import before_content, dump, loads
from rememberd.dialects.formats import sse
from rememberd.dialects.formats.raw_json import Edit, last_member, top_level
from rememberd.dialects.user_message import TypedMessage, UserMessage, text_of
from rememberd.errors import UpstreamUnavailable, anthropic_body

PATH = "/messages"
END = re.compile(rb"event: ?message_stop")


def question(body: dict[str, Any]) -> UserMessage | None:
    """The newest words of a person. None if there are none: no messages, only an image, or an unknown shape."""
    messages = body.get("messages")
    return user_message.newest(messages, _words) if isinstance(messages, list) else None


def user_messages(body: dict[str, Any]) -> list[TypedMessage]:
    return user_message.user_messages(body["messages"], _words)


def inject(raw: bytes, body: dict[str, Any], asked: UserMessage, block: str, placement: str) -> list[Edit]:
    """Edits that insert the block directly before the newest real user text: tool results must stay first. With
    `placement` "system", the block is the last system text, so that the provider's cached prefix stays the same."""
    if placement == "system":
        return [_at_the_end_of_system(raw, body.get("system"), block)]
    content = body["messages"][asked.at]["content"]
    parts = content if isinstance(content, list) else []
    skip = next((index for index, part in enumerate(parts) if _is_typed(part)), 0)
    return [before_content(raw, body, "messages", asked.at, block, "text", skip=skip)]


def answer(raw: bytes, *, streamed: bool) -> str:
    """The text blocks of a complete or partial message; "" for anything else."""
    if not streamed:
        message = loads(raw)
        return text_of(message.get("content")) if isinstance(message, dict) else ""
    return "".join(_delta(loads(event)) for event in sse.events(raw))


def error_body(status: int, code: str, message: str, param: str | None = None) -> dict[str, Any]:
    """Anthropic's errors have only a type and a message."""
    return anthropic_body(status, message)


def is_whole(latest: bytes) -> bool:
    """Many servers do not send the last event."""
    return True


def error_event(error: UpstreamUnavailable, begin: bytes, latest: bytes) -> bytes:
    return b"event: error\ndata: " + dump(anthropic_body(error.status, str(error))) + b"\n\n"


def _words(message: Any) -> str | None:
    """None also for a message that contains only tool results: the client wrote it."""
    if not isinstance(message, dict) or message.get("role") != "user":
        return None
    content = message.get("content")
    text = text_of(content)
    return None if not text and _has_results(content) else text


def _has_results(content: Any) -> bool:
    return isinstance(content, list) and any(
        isinstance(block, dict) and block.get("type") == "tool_result" for block in content
    )


def _is_typed(part: Any) -> bool:
    is_text = isinstance(part, dict) and part.get("type") == "text"
    return is_text and not client_text.is_client_generated(text_of([part]))


def _at_the_end_of_system(raw: bytes, system: Any, block: str) -> Edit:
    given = last_member(top_level(raw), "system")
    if given is None:
        start = raw.index(b"{") + 1
        return Edit(start, start, b'"system":' + dump(block) + b",")
    if isinstance(system, str) and system:
        return Edit(given.end - 1, given.end - 1, dump(f"\n\n{block}")[1:-1])
    if isinstance(system, list):
        part = dump({"type": "text", "text": block})
        return Edit(given.end - 1, given.end - 1, b"," + part if system else part)
    return Edit(given.start, given.end, dump(block))


def _delta(event: Any) -> str:
    delta = event.get("delta") if isinstance(event, dict) and event.get("type") == "content_block_delta" else None
    is_text = isinstance(delta, dict) and delta.get("type") == "text_delta"
    return text_of(delta.get("text")) if isinstance(delta, dict) and is_text else ""
