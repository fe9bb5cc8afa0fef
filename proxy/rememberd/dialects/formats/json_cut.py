"""Leaves out a part of a large JSON document that need not be searched, so that the search is fast. No I/O."""

import re
from typing import Any, NamedTuple, Self

LARGE = 32 * 1024  # bytes
_NEWEST = 3  # the newest messages and parts are expected to contain most of the document
_HEAD = 4 * 1024  # bytes in which the first list begins
_BRACKETS = 64  # the most brackets that are checked one by one

# All quantifiers are possessive, so that no input causes backtracking.
STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_KEY = rb"\s*+" + STRING + rb"\s*+:\s*+"
# From the beginning of a document into the first top-level list, if there is no object before it.
_into_list = re.compile(
    rb"\s*+\{(?:" + _KEY + rb"(?:" + STRING + rb"|[^\s\[{\",]++)\s*+,)*+" + _KEY + rb"\[", re.DOTALL
)
_next_member = re.compile(rb'\]\s*+,\s*+"')
# Never inside an escape: the two escapes of an emoji have twelve bytes.
_between_letters = re.compile(rb"(?:(?!\\u).){12}(?<!\\)(?=[\x00-\x7f])", re.DOTALL)


class Cut(NamedTuple):
    """A document without `gap` bytes at the byte `at`."""

    raw: bytes
    at: int = 0
    gap: int = 0

    @classmethod
    def of_first_list(cls, raw: bytes) -> Self:
        """Leaves out the beginning of the first top-level list, up to the first place where a list may end and a
        member may follow: no top-level member begins before that place. Leaves out nothing if no such place is found
        soon. In the bodies of `python -m loadtests.raw_bodies` the model is found in a tenth to a third of the
        time."""
        into = _into_list.match(raw, 0, _HEAD) if len(raw) > _HEAD else None
        start = end = into.end() if into else 0
        for _ in range(_BRACKETS if into else 0):
            end = raw.find(b"]", end)
            if end < 0:
                return cls(raw[:start], start, len(raw) - start)
            if _next_member.match(raw, end):
                return cls(raw[:start] + raw[end:], start, end - start)
            end += 1
        return cls(raw)

    @classmethod
    def of(cls, raw: bytes, body: dict[str, Any]) -> Self:
        """Leaves out the middle of the longest text; nothing if no text is long enough. A text with more characters
        than half of the document's bytes covers the middle, wherever it begins. Escapes and characters are never cut
        in two."""
        if len(raw) < LARGE:
            return cls(raw)
        longest = _longest_text(body)
        start = _between_letters.search(raw, len(raw) - longest, longest)
        end = start and _between_letters.search(raw, longest - LARGE // 8, longest)
        if not start or not end or end.end() <= start.end():
            return cls(raw)
        return cls(raw[: start.end()] + raw[end.end() :], start.end(), end.end() - start.end())

    def whole(self, at: int) -> int:
        """The position in the whole document."""
        return at + self.gap if at >= self.at else at


def _longest_text(body: dict[str, Any]) -> int:
    """The length in characters of the longest text, among those that are expected to be long."""
    longest = 0
    for value in body.values():
        if isinstance(value, str):
            longest = max(longest, len(value))
        elif isinstance(value, list):
            messages = (*value[:1], *value[-_NEWEST:])
            longest = max([longest, *(_length(each.get("content")) for each in messages if isinstance(each, dict))])
    return longest


def _length(content: Any) -> int:
    if isinstance(content, list):
        texts = (part.get("text") for part in content[-_NEWEST:] if isinstance(part, dict))
        return max((len(each) for each in texts if isinstance(each, str)), default=0)
    return len(content) if isinstance(content, str) else 0
