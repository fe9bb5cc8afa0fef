"""Where the memory block goes in the bytes of a request: the edits that the dialects share. Pure."""

from __future__ import annotations

from typing import Any

from rememberd.dialects.body import dump, dump_text
from rememberd.dialects.raw_json import Edit, content_start, elements, last_member, top_level


def before_content(
    raw: bytes, body: dict[str, Any], name: str, at: int, block: str, kind: str, *, skip: int = 0
) -> Edit:
    """The block before the text of the message at index `at` of the list `name`: before the text itself, or as a part
    of the type `kind` before the part at index `skip`."""
    start = content_start(raw, body, name, at)
    content = body[name][at]["content"]
    if isinstance(content, str):
        return before_text(start, block)
    part = dump({"type": kind, "text": block})
    if not content:
        return Edit(start + 1, start + 1, part)
    where = start + 1
    if skip:
        where = next(begin for index, (begin, _) in enumerate(elements(raw, start)) if index == skip)
    return Edit(where, where, part + b",")


def before_text(start: int, block: str) -> Edit:
    """The block at the beginning of the JSON string that begins at `start`."""
    return Edit(start + 1, start + 1, dump_text(f"{block}\n\n")[1:-1])


def first_element(raw: bytes, name: str, message: dict[str, Any]) -> Edit:
    """`message` at the beginning of the list `name`, which is not empty."""
    messages = last_member(top_level(raw), name)
    assert messages is not None
    return Edit(messages.start + 1, messages.start + 1, dump(message) + b",")


def is_content(content: Any) -> bool:
    """Is it something that a block can stand before?"""
    return isinstance(content, str | list)
