"""The part of a long message that a question is about (pure)."""

from __future__ import annotations

import re
from collections.abc import Set

from rememberd.memory.text_similarity import content

PASSAGE_WORDS = 80  # two thirds of a line: there is room for the neighbour that a pronoun points to

_SENTENCE = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])|\n+")


def best_passage(text: str, question: Set[str]) -> str:
    """The passage of `text` that shares most of the content words `question`, with "…" for what is left out. The
    earliest of equals, so the beginning if none of the words is there."""
    passages = _passages(text)
    shared = [len(question & set(content(each))) for each in passages]
    at = shared.index(max(shared))
    before = "… " if at else ""
    after = " …" if at + 1 < len(passages) else ""
    return f"{before}{passages[at]}{after}"


def _passages(text: str) -> list[str]:
    """Sentences, joined while they have at most `PASSAGE_WORDS` words together; a longer one is cut."""
    passages, size = [""], 0
    for sentence in _SENTENCE.split(text):
        words = sentence.split()
        for start in range(0, len(words), PASSAGE_WORDS):
            piece = words[start : start + PASSAGE_WORDS]
            if size and size + len(piece) > PASSAGE_WORDS:
                passages.append("")
                size = 0
            passages[-1] = f"{passages[-1]} {' '.join(piece)}".strip()
            size += len(piece)
    return passages
