"""Finds positions in the bytes of a JSON document, so that a part can be replaced and all other bytes stay. No I/O.

All functions require bytes that a JSON parser has accepted; for others they may raise `IndexError`."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import orjson

from rememberd.dialects.formats.byte_search import long_string_end, occurrences
from rememberd.dialects.formats.json_cut import LARGE, STRING, Cut

_QUOTE, _BACKSLASH, _COMMA, _OBJECT_END, _ARRAY_END, _OBJECT, _ARRAY = b'"\\,}]{['
_MODEL = b'"model"'
_SHORT = 4 * 1024  # bytes
_VERIFICATIONS = 2  # each parses the end of the document once more

# Possessive throughout, as `STRING` is: no input makes them go back.
_FLAT = rb'[\[{](?:[^"\[\]{}]++|' + STRING + rb")*+[\]}]"
_NESTED = rb'[\[{](?:[^"\[\]{}]++|' + STRING + rb"|" + _FLAT + rb")*+[\]}]"
_string = re.compile(STRING, re.DOTALL)
_part = re.compile(STRING + rb"|" + _NESTED + rb"|[\[\]{}]", re.DOTALL)
_scalar = re.compile(rb"[^ \t\n\r,\]}]++")
_space = re.compile(rb"[ \t\n\r]*+")
_colon = re.compile(rb"[ \t\n\r]*+:[ \t\n\r]*+")
_plain = re.compile(r"[A-Za-z0-9 ,.]{0,32}")


class Edit(NamedTuple):
    """Replaces the bytes from `start` to `end` with `new`. If both are equal, it inserts."""

    start: int
    end: int
    new: bytes


class Member(NamedTuple):
    """A member of an object: its decoded key and the positions of its value."""

    key: str
    start: int
    end: int


def splice(raw: bytes, edits: Iterable[Edit]) -> bytes:
    """`raw` with the edits applied; they must not overlap. `raw` itself if there are none."""
    whole = memoryview(raw) if len(raw) >= LARGE else raw  # a slice of a view copies nothing
    pieces: list[bytes | memoryview] = []
    at = 0
    for edit in sorted(edits):
        pieces += [whole[at : edit.start], edit.new]
        at = edit.end
    return b"".join((*pieces, whole[at:])) if pieces else raw


def members(raw: bytes, at: int) -> Iterator[Member]:
    """The members of the object that begins at `at`, in order; a key may occur twice."""
    at = _after_space(raw, at + 1)
    while raw[at] != _OBJECT_END:
        key_end = _string_end(raw, at)
        start = _value_after(raw, key_end)
        end = value_end(raw, start)
        yield Member(json.loads(raw[at:key_end]), start, end)
        at = _next(raw, end)


def elements(raw: bytes, at: int) -> Iterator[tuple[int, int]]:
    """Start and end of each value of the array that begins at `at`."""
    at = _after_space(raw, at + 1)
    while raw[at] != _ARRAY_END:
        end = value_end(raw, at)
        yield at, end
        at = _next(raw, end)


def value_end(raw: bytes, at: int) -> int:
    """The end of the value that begins at `at`. Linear in its size."""
    match raw[at]:
        case 34:  # a quotation mark
            return _string_end(raw, at)
        case 91 | 123:  # a bracket
            return _container_end(raw, at)
        case _:
            found = _scalar.match(raw, at)
            assert found is not None
            return found.end()


def top_level(raw: bytes) -> Iterator[Member]:
    """The members of the document's top-level object."""
    return members(raw, _after_space(raw, 0))


def last_member(found: Iterable[Member], key: str) -> Member | None:
    """The member that parsers use if a key occurs twice."""
    last = None
    for member in found:
        if member.key == key:
            last = member
    return last


def model_values(raw: bytes, body: dict[str, Any]) -> list[tuple[int, int]]:
    """The positions of the top-level `model` values: of all members that some server may read as `model` (Go's parser
    ignores case, some parsers take the first of two)."""
    if "model" not in body:
        return []
    if len(raw) < LARGE:
        return _model_values(raw, body)
    cut = Cut.of(raw, body)
    return [(cut.whole(start), cut.whole(end)) for start, end in _model_values(cut.raw, body)]


def content_start(raw: bytes, body: dict[str, Any], name: str, at: int) -> int:
    """The start of the `content` of the message at index `at` of the top-level list `name`. It must exist."""
    cut = Cut.of(raw, body)
    found = _search_from_the_end(cut, body, name, at)
    return cut.whole(_walk_to_content(cut.raw, name, at) if found is None else found)


def _model_values(raw: bytes, body: dict[str, Any]) -> list[tuple[int, int]]:
    spelled = [key for key in body if len(key) == 5 and key.casefold() == "model"]
    if len(raw) <= _SHORT and len(spelled) == 1 and raw.count(_MODEL) == 1 and b"\\u006" not in raw:
        start = _value_after(raw, raw.index(_MODEL) + len(_MODEL))
        return [(start, value_end(raw, start))]
    cut = Cut.of_first_list(raw)
    if len(spelled) == 1 and not occurrences(cut.raw, b"\\u006", 1):
        # No letter of a key is an escape. So `"model"` without a backslash before it and with a colon after it is a
        # key.
        starts = [
            cut.whole(found.end())
            for at in occurrences(cut.raw, _MODEL, 5)
            if cut.raw[at - 1] != _BACKSLASH and (found := _colon.match(cut.raw, at + len(_MODEL)))
        ]
        if len(starts) == 1:
            return [(starts[0], value_end(raw, starts[0]))]
    return [(member.start, member.end) for member in top_level(raw) if member.key.casefold() == "model"]


def _walk_to_content(raw: bytes, name: str, at: int) -> int:
    messages = last_member(top_level(raw), name)
    assert messages is not None
    start, _ = next(span for index, span in enumerate(elements(raw, messages.start)) if index == at)
    content = last_member(members(raw, start), "content")
    assert content is not None
    return content.start


def _search_from_the_end(cut: Cut, body: dict[str, Any], name: str, at: int) -> int | None:
    """The position, found without reading everything before it. `"content"` without a backslash before it and with a
    colon after it is a key; to check that it belongs to the right message, the rest of the document is parsed."""
    raw, content = cut.raw, body[name][at]["content"]
    large = isinstance(content, str) and len(content) >= LARGE
    if cut.gap and not large:
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError:  # only Python's parser accepts it, for example a lone surrogate
            return None
        content = body[name][at]["content"]
    needle, left = _beginning(content), _VERIFICATIONS
    end = min(len(raw), len(raw) + cut.gap - len(content)) if large else len(raw)  # a text has no fewer bytes
    while left and (key := raw.rfind(b'"content"', 0, end)) > 0:
        colon = _colon.match(raw, key + len(b'"content"')) if raw[key - 1] != _BACKSLASH else None
        if colon is not None and _begins_with(raw, colon.end(), end, content, needle):
            rest, said = raw[colon.end() :], content
            if large:  # its letters need no second parse
                rest, said = b"0" + raw[long_string_end(raw, colon.end()) :], 0
            if _is_rest_of(b'{"":[{"":' + rest, body, name, at, said):
                return colon.end()
            left -= 1
        end = key
    return None


def _beginning(content: Any) -> bytes:
    """The first plain letters of `content`. The raw bytes contain the same, unless the client escapes plain
    letters."""
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, dict))
        content = next((text for text in texts if isinstance(text, str)), "")
    found = _plain.match(content)
    return found[0].encode() if found else b""


def _begins_with(raw: bytes, start: int, end: int, content: Any, needle: bytes) -> bool:
    if isinstance(content, str):
        return raw.startswith(b'"' + needle, start)
    return raw[start] == _ARRAY and raw.find(needle, start, end) >= 0


def _is_rest_of(rest: bytes, body: dict[str, Any], name: str, at: int, said: Any) -> bool:
    """True if `rest` equals `body` from the `content` of message `at` on. In `rest`, the list and this `content` have
    the empty name, and the content is `said`. The message must have no further `content`, because parsers use the
    last one. If the brackets match, the list is at the top level."""
    keys = list(body)
    after = {key: body[key] for key in keys[keys.index(name) + 1 :]}
    try:
        found = orjson.loads(rest)
        first, *others = found.pop("")
        return (
            list(found) == list(after)
            and found == after
            and others == body[name][at + 1 :]
            and first[""] == said
            and "content" not in first
        )
    except (orjson.JSONDecodeError, RecursionError, ValueError, LookupError, TypeError):
        return False


def _string_end(raw: bytes, at: int) -> int:
    end = raw.find(b'"', at + 1)
    if raw[end - 1] != _BACKSLASH:
        return end + 1
    found = _string.match(raw, at)
    assert found is not None
    return found.end()


def _container_end(raw: bytes, at: int) -> int:
    depth = 1
    for part in _part.finditer(raw, at + 1):
        if part.end() - part.start() > 1:
            continue  # a string or a small container
        depth += 1 if raw[part.start()] in (_OBJECT, _ARRAY) else -1
        if depth == 0:
            return part.end()
    raise IndexError("a bracket is never closed")


def _value_after(raw: bytes, key_end: int) -> int:
    found = _colon.match(raw, key_end)
    assert found is not None
    return found.end()


def _next(raw: bytes, end: int) -> int:
    at = _after_space(raw, end)
    return _after_space(raw, at + 1) if raw[at] == _COMMA else at


def _after_space(raw: bytes, at: int) -> int:
    found = _space.match(raw, at)
    assert found is not None
    return found.end()
