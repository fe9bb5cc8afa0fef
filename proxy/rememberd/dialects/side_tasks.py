"""Calls that a client makes for itself: titles, tags, follow-ups, summaries, another memory's extraction, subagents.

Such a call is neither given memories nor stored. A header says so, or several signs of a program's prompt come
together: its first or last words ask for work on a conversation (`_WORK`, `_CONVERSATION`), and it is worded as an
order to a machine, sets the form of the output, speaks of "the user", or brings the conversation along. A person who
asks for a title or a summary shows one or two of these signs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

from rememberd.dialects.client_text import is_client_generated, is_client_order
from rememberd.dialects.handing_words import SUBJECT
from rememberd.dialects.marks import Span, blanked, marked_spans
from rememberd.dialects.side_task_signs import (
    CONDITION,
    CONVERSATION,
    ENCLOSED,
    FORM,
    IS_SUBAGENT,
    MACHINE,
    TEXT_RESULT,
    VOICE,
    WORK,
)
from rememberd.dialects.user_message import is_from_agent

_HEAD = 4_000  # characters of a prompt that are looked at, from each end
_OPENING = 500  # characters at an end of a prompt that say what it wants
_ENOUGH = 4  # signs, the wanted work included
_USER_TURNS = {"", "turn", "user", "user_turn"}
_SENTENCE_END = re.compile(r"[.!?]\s|[。！？\n]")
_SUBAGENT_HEADER = re.compile(r"x-.*(?:subagent.*|agent-id|parent-(?:session|thread|agent|conversation)-id)")


class Pattern(Protocol):
    def match(self, text: str) -> object | None:
        """Truthy if the pattern matches at the beginning of `text`."""


def is_side_task(headers: Mapping[str, str], body: Mapping[str, Any], patterns: Sequence[Pattern] = ()) -> bool:
    """True if no person waits for this answer. `headers` have lower-case names; `body` is of any dialect; `patterns`
    are the operator's own, each looked for at the beginning of the newest user message and of the system text."""
    if _by_header(headers):
        return True
    items = body.get("messages", body.get("input"))
    said, told = _newest_user(items), list(_system(body))
    if is_client_order(said) or (isinstance(items, list) and items and is_from_agent(items)):
        return True
    if any(pattern.match(text[:_HEAD]) for pattern in patterns for text in (said, *told)):
        return True
    if any(IS_SUBAGENT.search(text[:_HEAD]) for text in told):
        return True
    form = _sets_form(body) - 2 * bool(body.get("tools"))
    if _signs(_ends(said)) + form >= _ENOUGH:
        return True
    brings = bool(ENCLOSED.search(said[:_HEAD]))
    return any(_signs(_ends(text), system=True) + form + brings >= _ENOUGH for text in told)


def _by_header(headers: Mapping[str, str]) -> bool:
    # An operator who templates {{TASK}} into this header sends it empty, or unfilled, with a person's turn.
    task = headers.get("x-task", "").strip()
    if task and "{{" not in task:
        return True
    if any(value and _SUBAGENT_HEADER.fullmatch(name) for name, value in headers.items()):
        return True
    return _codex_kind(headers) not in _USER_TURNS


def _codex_kind(headers: Mapping[str, str]) -> str:
    if "x-codex-turn-metadata" not in headers:
        return ""
    try:
        metadata = json.loads(headers["x-codex-turn-metadata"])
    except (ValueError, RecursionError):
        return ""
    return str(metadata.get("request_kind") or "") if isinstance(metadata, dict) else ""


def _ends(text: str) -> str:
    return f"{text[:_HEAD]}\n{text[-_HEAD:]}" if len(text) > 2 * _HEAD else text


@lru_cache(maxsize=64)  # a client sends the same system text with each request
def _signs(read: str, *, system: bool = False) -> int:
    """How many signs of a client's own prompt these ends of a text show; 0 if it wants no work on a conversation."""
    read = read.strip().lower()
    found = ((part, WORK.search(read, *part)) for part in _openings(read, system=system))
    (start, end), work = next((each for each in found if each[1]), ((0, 0), None))
    if work is None or SUBJECT.search(blanked(read, marked_spans(read))[start : work.start()]):
        return 0
    if system and CONDITION.search(_sentence(read, work.start())):
        return 0
    signs = [CONVERSATION.search(read, start, end), FORM.search(read), MACHINE.search(read), VOICE.match(read)]
    enclosed = 2 * bool(ENCLOSED.search(read)) if not system else 0
    return 1 + sum(map(bool, signs)) + enclosed


def _openings(text: str, *, system: bool) -> list[Span]:
    """Where a prompt says what it wants: at its beginning, or behind what it brings."""
    head = (0, min(len(text), _OPENING))
    return [head] if system else [head, (max(0, len(text) - _OPENING), len(text))]


def _sentence(text: str, at: int) -> str:
    """The sentence around the character `at`."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    before = max((end for end in ends if end <= at), default=0)
    return text[before : min((end for end in ends if end > at), default=len(text))]


def _sets_form(body: Mapping[str, Any]) -> int:
    """1 if the client asks for one short text in JSON."""
    output, response = body.get("output_config"), body.get("response_format")
    form = output.get("format") if isinstance(output, dict) else response
    if not isinstance(form, dict) or form.get("type") not in ("json_schema", "json_object"):
        return 0
    return 1 if form.get("type") == "json_object" or TEXT_RESULT.search(json.dumps(form)[:_HEAD]) else 0


def _newest_user(items: Any) -> str:
    """The text of the last message or input item, if it is the user's, without parts that only the client wrote."""
    if isinstance(items, str):
        return items
    last = items[-1] if isinstance(items, list) and items else None
    content = last.get("content") if isinstance(last, dict) and last.get("role") == "user" else None
    if isinstance(content, str):
        return content
    parts = list(_parts(content))
    typed = [part for part in parts if not is_client_generated(part)]
    return "\n".join(parts if any(is_client_order(part) for part in parts) else typed)


def _system(body: Mapping[str, Any]) -> Iterator[str]:
    """The system texts of any dialect, each part by itself (Claude Code sends who it is before what it wants):
    `instructions`, `system`, or the first message of that role."""
    told = body.get("instructions") or body.get("system")
    items = body.get("messages", body.get("input"))
    first = items[0] if isinstance(items, list) and items else None
    is_system = isinstance(first, dict) and first.get("role") in ("system", "developer")
    content = told or (first.get("content") if first and is_system else None)
    yield from [content] if isinstance(content, str) else _parts(content)


def _parts(content: Any) -> Iterator[str]:
    for part in content if isinstance(content, list) else []:
        text = part.get("text") if isinstance(part, dict) else None
        if isinstance(text, str):
            yield text
