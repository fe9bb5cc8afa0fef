"""The names that a text holds: of people, places, projects, products (pure). A question about one of them is about
what is remembered, however it is worded."""

from __future__ import annotations

import re

_LABEL = re.compile(r"^\s*([^\W\d_][\w'’.-]*(?: [^\W\d_][\w'’.-]*)?):\s")
_WORD = re.compile(r"[^\W_][\w'’-]*")
_SENTENCE_END = re.compile(r"[.!?:;…\n\"“”„«»()*-]\s*$")
# Capitals that name nobody in particular, and words with a colon that are headings.
_COMMON_WORDS = (
    "i i'm i've i'd i'll ok okay monday tuesday wednesday thursday friday saturday sunday january february march"
    " april may june july august september october november december christmas easter english tv pc usa uk eu mr mrs"
    " ms dr assistant user lol omg ai"
)
_HEADING_WORDS = (
    "answer assistant bug code context edit error example fyi goal hint human idea input list note notes output p.s"
    " problem ps q question re reminder rule step subject system task tip title todo topic update user warning"
)
_COMMON, _HEADINGS = frozenset(_COMMON_WORDS.split()), frozenset(_HEADING_WORDS.split())


def label_of(text: str) -> str | None:
    """The speaker at the head of a transcript's line: "Ada: …"."""
    label = _LABEL.match(text)
    return label[1] if label and label[1][0] != label[1][0].lower() and not _is_heading(label[1]) else None


def names_in(text: str) -> list[str]:
    """In the order of the text, each once. The label of a transcript ("Ada: …") is one too."""
    found = dict.fromkeys((label_of(text) or "").split())
    for word in _WORD.finditer(text):
        inside = word.start() > 0 and not _SENTENCE_END.search(text[max(0, word.start() - 3) : word.start()])
        if inside and _is_name(word[0]):
            found[word[0]] = None
    return list(found)


def _is_heading(label: str) -> bool:
    return label.split()[0].casefold() in _HEADINGS


def _is_name(word: str) -> bool:
    if word.casefold().replace("’", "'") in _COMMON or len(word) < 2:
        return False
    stem = re.sub(r"['’]s?$", "", word)
    return stem[0].isupper() and (not stem.isupper() or len(stem) > 1)
