"""What a correction puts in the place of what: "I meant Bergen" after "I live in Oslo". Pure.

A number takes the place of a number and a name of a name, if there is one of each; any other word takes the place of
one that the correction repeats ("not cashews, pistachios")."""

from __future__ import annotations

import re

from rememberd.memory.learn.rules.judge import words_that_tell
from rememberd.memory.recall.lexicon import WORD, stop_words
from rememberd.memory.text_similarity import WHOSE

_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_CAPITALISED = r"(?!I\b)[A-ZÀ-ÖØ-ÞĀ-ŽА-ЯЁ][\w'’&-]*"
NAME = re.compile(rf"(?:(?<=[\w,;:] )|(?<=^\*)){_CAPITALISED}(?: {_CAPITALISED})*")  # it begins no sentence
KINDS = (_NUMBER, NAME)


def with_value_of(correction: str, stated: str) -> str | None:
    """What was stated, with the value that the correction gives; None if that is not plain."""
    said = correction if " " in correction.strip() else f", {correction}"
    for kind in KINDS:
        old, new = list(kind.finditer(stated)), [each[0] for each in kind.finditer(said) if each[0] not in stated]
        if new:
            return _put(stated, old[-1].span(), new[0]) if len(new) == 1 and _is_one(old, stated) else None
    return _with_word_of(correction, stated)


def _is_one(values: list[re.Match[str]], stated: str) -> bool:
    """Is there one value, besides the name of the relative whose attribute it is: "my brother Tom lives in Leeds"?"""
    second = len(values) == 2 and WHOSE.match(stated) and values[0].start() == len(" ".join(stated.split()[:2])) + 1
    return len(values) == 1 or bool(second)


def _with_word_of(correction: str, stated: str) -> str | None:
    said = {word.casefold() for word in WORD.findall(stated)}
    words = [word.casefold() for word in WORD.findall(correction)]
    stops = max(stop_words().values(), key=lambda each: sum(word in each for word in words))
    telling = {word.casefold() for each in words_that_tell("corrects", correction) for word in WORD.findall(each)}
    named = [word for word in dict.fromkeys(words) if word not in stops and len(word) > 3]
    old, new = [word for word in named if word in said], [word for word in named if word not in said | telling]
    if len(old) != 1 or len(new) != 1:
        return None
    found = re.search(rf"\b{re.escape(old[0])}\b", stated, re.IGNORECASE)
    return _put(stated, found.span(), new[0]) if found else None


def _put(stated: str, span: tuple[int, int], value: str) -> str:
    return f"{stated[: span[0]]}{value}{stated[span[1] :]}"
