"""Marks of what a person only handed in, in the lines of the block (pure).

Each such word is marked before a message is cut to size or a passage is chosen, so that whatever remains of it is
still known; then the marks become brackets."""

import re
from functools import lru_cache

from rememberd.dialects.segments import segment

_MARK = "\ue000"  # of Unicode's private use: no client sends it with a meaning
_WORD = re.compile(r"\S+")
_SHOWN = str.maketrans({_MARK: None, "[": "(", "]": ")"})
_MARKED = re.compile(rf"{_MARK}\S*(?:\s+{_MARK}\S*)*")


@lru_cache(maxsize=512)
def mark(said: str) -> str:
    """The user's message with a mark before each word that is not theirs."""
    plain = said.replace(_MARK, " ")
    segments = segment(plain).segments
    if all(each.kind == "typed" for each in segments):
        return plain
    return "".join(
        each.text if each.kind == "typed" else _WORD.sub(lambda word: _MARK + word[0], each.text) for each in segments
    )


def all_typed(said: str) -> bool:
    """Is nothing of the user's message handed in? Then its line needs no marks."""
    return mark(said) == said


def bracket(marked: str) -> str:
    """ "Translate: [pasted: I live in Rome.]": marked words as they are shown, between the only brackets there."""
    return _MARKED.sub(lambda found: f"[pasted: {found[0].translate(_SHOWN)}]", marked)
