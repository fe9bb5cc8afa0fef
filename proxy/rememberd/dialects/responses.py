"""OpenAI Responses: finds the user's words, injects the block, reads the answer. No I/O."""

import re
from typing import Any

from rememberd.dialects import user_message
from rememberd.dialects.body import before_content, before_text, dump, first_element, loads
from rememberd.dialects.formats import sse
from rememberd.dialects.formats.raw_json import Edit, last_member, top_level
from rememberd.dialects.user_message import TypedMessage, UserMessage, text_of
from rememberd.errors import UpstreamUnavailable, openai_body

PATH = "/responses"
END = re.compile(rb"event: ?response\.(?:completed|failed|incomplete)")
_LAST = ("response.completed", "response.failed", "response.incomplete", "error")
# The response object for a stream that broke off before the server sent one.
_EMPTY: dict[str, Any] = {
    "id": "resp_unknown",
    "object": "response",
    "created_at": 0,
    "model": "",
    "output": [],
    "tools": [],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "metadata": {},
    "usage": None,
}

error_body = openai_body


def question(body: dict[str, Any]) -> UserMessage | None:
    """The newest words of a person. None if there are none, as with tool results after a `previous_response_id`."""
    return user_message.newest(_items(body), _words)


def user_messages(body: dict[str, Any]) -> list[TypedMessage]:
    return user_message.user_messages(_items(body), _words)


def inject(raw: bytes, body: dict[str, Any], asked: UserMessage, block: str, placement: str) -> list[Edit]:
    """Edits that insert the block before the newest real user item; `instructions` are never changed."""
    if not isinstance(body["input"], str):
        if placement == "system":
            return [first_element(raw, "input", {"role": "system", "content": block})]
        return [before_content(raw, body, "input", asked.at, block, "input_text")]
    given = last_member(top_level(raw), "input")
    assert given is not None
    if placement != "system":
        return [before_text(given.start, block)]
    system = dump({"role": "system", "content": block})
    head, tail = b"[" + system + b',{"role":"user","content":', b"}]"
    return [Edit(given.start, given.start, head), Edit(given.end, given.end, tail)]


def answer(raw: bytes, *, streamed: bool) -> str:
    """The text of all output messages of a complete or partial response; "" for anything else."""
    if not streamed:
        return "".join(_output_text(loads(raw)))
    return "".join(_delta(loads(event)) for event in sse.events(raw))


def is_whole(latest: bytes) -> bool:
    """True after an event that ends a response, with or without an `event:` line, or after the server's own error."""
    return any(each.get("type") in _LAST for each in _parsed_events(latest))


def error_event(error: UpstreamUnavailable, begin: bytes, latest: bytes) -> bytes:
    """`response.failed` with the response as the server began it and the next sequence number."""
    numbers = [each.get("sequence_number") for each in (*_parsed_events(begin), *_parsed_events(latest))]
    number = max((each for each in numbers if isinstance(each, int)), default=-1) + 1
    begun = (each.get("response") for each in _parsed_events(begin))
    response = next((each for each in begun if isinstance(each, dict)), _EMPTY)
    failure = {"status": "failed", "error": {"code": "server_error", "message": str(error)}}
    body = {"type": "response.failed", "sequence_number": number, "response": response | failure}
    return b"event: response.failed\ndata: " + dump(body) + b"\n\n"


def _parsed_events(events: bytes) -> list[dict[str, Any]]:
    found = (loads(each) for each in sse.events(events))
    return [each for each in found if isinstance(each, dict)]


def _items(body: dict[str, Any]) -> list[Any]:
    given = body.get("input")
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    return given if isinstance(given, list) else []


def _words(item: Any) -> str | None:
    if not isinstance(item, dict) or item.get("role") != "user" or item.get("type", "message") != "message":
        return None
    return text_of(item.get("content"), ("input_text", "text"))


def _output_text(response: Any) -> list[str]:
    items = response.get("output") if isinstance(response, dict) else None
    messages = [item for item in items or () if isinstance(item, dict) and item.get("type") == "message"]
    return [text_of(message.get("content"), ("output_text",)) for message in messages]


def _delta(event: Any) -> str:
    is_text = isinstance(event, dict) and event.get("type") == "response.output_text.delta"
    return text_of(event.get("delta")) if is_text else ""
