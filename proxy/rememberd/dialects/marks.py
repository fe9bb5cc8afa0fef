"""Marks inside a text by which its writer sets somebody else's words apart: fences, elements, quotation. Pure; every
pattern runs in linear time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rememberd.dialects.handing_words import FIRST_PERSON, HOLE

Span = tuple[int, int]

_FENCE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]+`", re.DOTALL)
# Each class excludes its own opening mark, so that a row of opening marks costs one pass.
_QUOTE = re.compile(r"(?<!\w)[\"'‘]|[“«»„「『]")
_QUOTATION = re.compile(
    r"(?<!\w)\"(?=\S)[^\"]{1,4000}\"(?!\w)|“[^“”]{1,4000}”|«[^«»]{1,4000}»|»[^«»\n]{1,400}«|„[^„“”]{1,4000}[“”]|「[^「」]{1,4000}」|『[^『』]{1,4000}』"
    r"|(?<!\w)['‘](?=\S)[^'‘’\n]{3,400}['’](?!\w)|(?<!\w)'(?=\S)(?:[^'\n]|(?<=\w)'(?=\w)){3,400}(?<=[.!?])'(?!\w)"
)
_TAG = re.compile(r"<(/?)([A-Za-z][\w:.-]{0,40})(?:\s[^<>]{0,300})?(/?)>")
_TITLE = re.compile(
    r"(?:[^\W\d_a-zß-öø-ÿ]\w*|\d+|\w{1,3}(?=\W))(?:[\s'’&,:-]+(?:[^\W\d_a-zß-öø-ÿ][\w'’.]*|\d+|\w{1,3}))*[!?]?"
)
_CONTRACTED = re.compile(r"\bi['’]", re.IGNORECASE)


def inside_quotation(text: str) -> Span:
    """A message that as a whole stands in quotation marks is its sender's own (terminal clients send arguments so):
    the span of its words; of any other message all of it."""
    words = text.strip()
    if len(words) < 3 or words[0] not in '"“«„「' or words[-1] not in '"”»“」' or '"' in words[1:-1]:
        return 0, len(text)
    start = text.index(words[0])
    return start + 1, start + len(words) - 1


def marked_spans(text: str) -> Iterator[Span]:
    """What is handed in, in no order; spans may lie in one another."""
    for found in _FENCE.finditer(text):
        if found[0].startswith(("```", "~~~")) or not _is_mention(found[0][1:-1]):
            yield found.span()
    yield from _elements(text)
    if _QUOTE.search(text):
        for found in _QUOTATION.finditer(text):
            if not _is_mention(found[0][1:-1]):
                yield found.span()


def _is_mention(quoted: str) -> bool:
    """A title or a word in quotation marks: a part of the person's own sentence."""
    if "\n" in quoted or len(quoted) > 120:
        return False
    if len(quoted) < 60 and _TITLE.fullmatch(quoted) and not _CONTRACTED.match(quoted):
        return True
    return not FIRST_PERSON.search(quoted.lower())


def _elements(text: str) -> Iterator[Span]:
    """Elements with a closing tag, outermost first; an opening tag that starts a line and is never closed reaches to
    the end."""
    tags = list(_TAG.finditer(text)) if "<" in text else []
    last = {tag[2].lower(): tag.end() for tag in tags if tag[1]}
    position = 0
    for tag in tags:
        if tag.start() < position or tag[1] or tag[3]:
            continue
        end = last.get(tag[2].lower(), 0)
        if end > tag.end():
            yield tag.start(), end
            position = end
        elif not end and not text[max(0, tag.start() - 100) : tag.start()].rpartition("\n")[2].strip():
            yield tag.start(), len(text)
            return


def merged(spans: Iterable[Span]) -> list[Span]:
    """In order, without overlaps."""
    joined: list[Span] = []
    for start, end in sorted(each for each in spans if each[1] > each[0]):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def blanked(text: str, spans: Iterable[Span]) -> str:
    """The text with holes in these spans; line ends and offsets stay."""
    kept, position = [], 0
    for start, end in merged(spans):
        kept += [text[position:start], re.sub(r"[^\n]", HOLE, text[start:end])]
        position = end
    return "".join(kept) + text[position:]
