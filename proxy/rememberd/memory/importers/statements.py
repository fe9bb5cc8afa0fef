"""Reads statements: Mem0's and OpenMemory's JSON, plain text and Markdown, the list that an assistant writes of its
own memory, our own NDJSON."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from rememberd.memory.importers.records import Line, memory

_TEXTS = ("memory", "content", "text", "data", "fact")
_GONE = ("deleted", "archived")
_BULLET = re.compile(r"^\s*(?:[-*+•–]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?")
_NO_STATEMENT = re.compile(r"^\s*(?:#|>|\||<!--|[-=*_]{3,}\s*$)")  # headings, quotations, tables, rules
_FENCE = re.compile(r"^\s*(?:```|~~~)")
_EMPHASIS = re.compile(r"(\*\*|__|`)(.+?)\1")
_SHORTEST = 3  # characters

# Assistants write this when they are asked for everything that they remember: `[2025-03-01] - I live in Oslo.`
_ITEM, _THEN = r"^[ \t]*(?:(?:[-*•]|\d{1,3}[.)])[ \t]+)?", r"[ \t]*[-–—:][ \t]*(\S.*)$"
PASTED = re.compile(rf"{_ITEM}\[([^\]\n]{{3,40}})\]{_THEN}", re.MULTILINE)
_BARE_DATE = re.compile(rf"{_ITEM}(\d{{4}}-\d\d-\d\d){_THEN}")
_TITLE = re.compile(r"^\s*\*\*[^*]{1,80}\*\*:?\s*$")  # a line in bold
_LONGEST_TITLE = 4  # words of a line in capitals
_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b")
_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y-%m", "%Y", "%B %d %Y", "%b %d %Y", "%d %B %Y", "%d %b %Y", "%B %Y", "%b %Y")


def mem0(given: Any) -> Iterator[Line]:
    """The line of one entry. Raises `KeyError` if it has no text, `TypeError` if it is not an object."""
    if given.get("state") in _GONE or given.get("deleted_at"):
        return
    text = next((given[name] for name in _TEXTS if isinstance(given.get(name), str)), None)
    if text is None:
        raise KeyError("memory")
    at = given.get("created_at")
    yield memory(text, at if isinstance(at, str) else None, "mem0")


def ours(given: Any) -> Iterator[Line]:
    """A line of our own format is sent unchanged. Raises `KeyError` for another object."""
    if "text" not in given and "user" not in given:
        raise KeyError("text")
    yield given


def text(lines: Iterable[str]) -> Iterator[Line]:
    """One statement for each line or bullet; headings, quotations, tables and code are not statements."""
    code = False
    for line in lines:
        if _FENCE.match(line):
            code = not code
        elif not code and not _NO_STATEMENT.match(line):
            stated = _EMPHASIS.sub(r"\2", _BULLET.sub("", line)).strip()
            if len(stated) >= _SHORTEST:
                yield memory(stated, None, "file")


def pasted(lines: Iterable[str]) -> Iterator[Line]:
    """The list that an assistant wrote of its memory."""
    yield from (memory(stated, at, "pasted") for at, stated in dated(lines))


def dated(lines: Iterable[str]) -> list[tuple[str | None, str]]:
    """The time and text of each entry of such a list: one entry for each line, its date in brackets; an indented line
    continues the entry before. The assistant's own text around a fenced list is left out."""
    stripped = [line.rstrip() for line in lines]
    fenced = any(_FENCE.match(line) for line in stripped)
    inside, entries = not fenced, list[tuple[str | None, str]]()
    for line in stripped:
        if _FENCE.match(line):
            inside = not inside
        elif inside and (entry := PASTED.match(line) or _BARE_DATE.match(line)):
            entries.append((_day(entry[1]), entry[2]))
        elif inside and entries and line[:1] in (" ", "\t") and line.strip() and not _BULLET.match(line):
            entries[-1] = (entries[-1][0], f"{entries[-1][1]} {line.strip()}")
        elif inside and len(line.strip()) >= _SHORTEST and not _is_title(line):
            entries.append((None, _EMPHASIS.sub(r"\2", _BULLET.sub("", line)).strip()))
    return entries


def _is_title(line: str) -> bool:
    """Markdown's headings, a line in bold or in capitals, and a line that ends with a colon."""
    words = line.split()
    capitals = line.isupper() and len(words) <= _LONGEST_TITLE and "I" not in words and not _BULLET.match(line)
    return bool(capitals or line.endswith(":") or _TITLE.match(line) or _NO_STATEMENT.match(line))


def _day(given: str) -> str | None:
    """The time in UTC at which a day, month or year begins; None if it is not a date, such as "unknown"."""
    plain = _ORDINAL.sub("", " ".join(given.replace(",", " ").split())).replace("Sept ", "Sep ")
    for form in _DATES:
        try:
            return datetime.strptime(plain, form).replace(tzinfo=UTC).isoformat()
        except ValueError:
            continue
    try:
        at = datetime.fromisoformat(given.strip())
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()
