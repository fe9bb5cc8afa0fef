"""OpenAI Chat Completions: finds the user's words, injects the block, reads the answer. No I/O."""

from typing import Any

from rememberd.dialects import user_message
from rememberd.dialects.body import before_content, dump, first_element, is_content, loads
from rememberd.dialects.formats import sse
from rememberd.dialects.formats.raw_json import Edit
from rememberd.dialects.user_message import TypedMessage, UserMessage, text_of
from rememberd.errors import UpstreamUnavailable, openai_body

PATH = "/chat/completions"
END = sse.DONE

error_body = openai_body


def question(body: dict[str, Any]) -> UserMessage | None:
    """The newest words of a person. None if there are none: no messages, only an image, or an unknown shape."""
    messages = body.get("messages")
    return user_message.newest(messages, _words) if isinstance(messages, list) else None


def user_messages(body: dict[str, Any]) -> list[TypedMessage]:
    return user_message.user_messages(body["messages"], _words)


def inject(raw: bytes, body: dict[str, Any], asked: UserMessage, block: str, placement: str) -> list[Edit]:
    """Edits that put the block before the newest real user message, or into the system message."""
    if placement != "system":
        return [before_content(raw, body, "messages", asked.at, block, "text")]
    first = body["messages"][0]
    if isinstance(first, dict) and first.get("role") in ("system", "developer") and is_content(first.get("content")):
        return [before_content(raw, body, "messages", 0, block, "text")]
    return [first_element(raw, "messages", {"role": "system", "content": block})]


def answer(raw: bytes, *, streamed: bool) -> str:
    """The text of the first choice, of a complete or partial response; "" for anything else."""
    if not streamed:
        return _content(loads(raw), "message")
    return "".join(_content(loads(event), "delta") for event in sse.events(raw))


def is_whole(latest: bytes) -> bool:
    """Many servers do not send the last event."""
    return True


def error_event(error: UpstreamUnavailable, begin: bytes, latest: bytes) -> bytes:
    """OpenAI's error object as an event."""
    body = {"error": {"message": str(error), "type": "upstream_error", "code": error.code}}
    return b"data: " + dump(body) + b"\n\n"


def _words(message: Any) -> str | None:
    is_user = isinstance(message, dict) and message.get("role") == "user"
    return text_of(message.get("content")) if is_user else None


def _content(event: Any, part: str) -> str:
    if not isinstance(event, dict):
        return ""
    for choice in event.get("choices") or ():
        if isinstance(choice, dict) and choice.get("index", 0) == 0 and isinstance(choice.get(part), dict):
            return text_of(choice[part].get("content"))
    return ""
