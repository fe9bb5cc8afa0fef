"""Memories that somebody stated: Mem0's and OpenMemory's JSON, plain text and Markdown, our own NDJSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from rememberd.memory.importers.records import Line, memory

_TEXTS = ("memory", "content", "text", "data", "fact")
_GONE = ("deleted", "archived")
_BULLET = re.compile(r"^\s*(?:[-*+•–]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?")
_NO_STATEMENT = re.compile(r"^\s*(?:#|>|\||<!--|[-=*_]{3,}\s*$)")  # headings, quotations, tables, rules
_FENCE = re.compile(r"^\s*(?:```|~~~)")
_EMPHASIS = re.compile(r"(\*\*|__|`)(.+?)\1")
_SHORTEST = 3  # characters


def mem0(given: Any) -> Iterator[Line]:
    """One entry of an export. Raises `KeyError` where it has no text, `TypeError` if it is no object."""
    if given.get("state") in _GONE or given.get("deleted_at"):
        return
    text = next((given[name] for name in _TEXTS if isinstance(given.get(name), str)), None)
    if text is None:
        raise KeyError("memory")
    at = given.get("created_at")
    yield memory(text, at if isinstance(at, str) else None, "mem0")


def ours(given: Any) -> Iterator[Line]:
    """A line of our own is sent as it is. Raises `KeyError` for an object that is none."""
    if "text" not in given and "user" not in given:
        raise KeyError("text")
    yield given


def text(lines: Iterable[str]) -> Iterator[Line]:
    """One statement a line or bullet; headings, quotations, tables and code are not statements."""
    code = False
    for line in lines:
        if _FENCE.match(line):
            code = not code
        elif not code and not _NO_STATEMENT.match(line):
            stated = _EMPHASIS.sub(r"\2", _BULLET.sub("", line)).strip()
            if len(stated) >= _SHORTEST:
                yield memory(stated, None, "file")
