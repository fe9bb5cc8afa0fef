"""Corrects typing errors for the vector and the search by words; what is stored and shown stays as it was typed.

"I'm alergic to penuts" has no meaning to an embedder: its words are cut into pieces. A word is corrected if the
model's vocabulary does not know it and one error leads to a word of the examples in `topics.toml`. With the whole
vocabulary as the aim, every second correction in 67,000 English words would be wrong ("vegan" would be "vegas",
"halal" "hall"): it lacks many plain words.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

TOPICS = Path(__file__).parents[1] / "recall" / "data" / "topics.toml"
_SHORTEST, _SHORTEST_AIM = 5, 6  # letters
_STEM, _PART = 3, 4
_WORD = re.compile(rf"(?<![\w'’])[a-z]{{{_SHORTEST},20}}(?![\w'’])")
_ENDINGS = ("s", "es", "d", "ed", "ing", "er", "ers", "ly", "y", "ish", "less", "like", "ness", "ful")
_READ, _MOST = 4000, 32  # characters, and unknown words of them, that are looked at: the model reads little more


class Spelling:
    """Corrects texts for a model that `knows` the words of its vocabulary."""

    def __init__(self, knows: Callable[[str], bool]) -> None:
        self._knows = knows
        self._latest: tuple[str, dict[str, str]] = "", {}  # a text is read for its vector and for its words

    def corrected(self, text: str) -> str:
        meant = self._corrections(text)
        return _WORD.sub(lambda word: meant.get(word[0], word[0]), text) if meant else text

    def with_meant(self, text: str) -> str:
        """The text, followed by what its misspelt words mean: then both are found."""
        return " ".join([text, *self._corrections(text).values()])

    def _corrections(self, text: str) -> dict[str, str]:
        """The misspelt words of a text, and what is meant."""
        text = text[:_READ]
        known, meant = self._latest
        if known != text:
            unknown = [word for word in dict.fromkeys(_WORD.findall(text)) if not self._knows(word)][:_MOST]
            meant = {word: found for word in unknown if (found := self._meant(word))}
            self._latest = text, meant
        return meant

    def _meant(self, word: str) -> str | None:
        aims = [aim for more in (-1, 0, 1) for aim in _aims().get((word[0], len(word) + more), ())]
        if word in aims or self._inflected(word) or self._compound(word):
            return None
        return next((aim for aim in aims if _one_error(word, aim)), None)

    def _inflected(self, word: str) -> bool:
        stems = [word[: -len(ending)] for ending in _ENDINGS if word.endswith(ending)]
        if word.endswith("ies"):
            stems.append(f"{word[:-3]}y")
        return any(len(stem) >= _STEM and (self._knows(stem) or self._knows(f"{stem}e")) for stem in stems)

    def _compound(self, word: str) -> bool:
        return any(self._knows(word[:end]) and self._knows(word[end:]) for end in range(_PART, len(word) - _PART + 1))


def _one_error(word: str, aim: str) -> bool:
    """One letter too many, too few or another one, or two that changed places."""
    letters = enumerate(zip(word, aim, strict=False))
    at = next((place for place, (one, other) in letters if one != other), min(len(word), len(aim)))
    if len(word) != len(aim):
        return word[at + 1 :] == aim[at:] or word[at:] == aim[at + 1 :]
    changed = word[at : at + 2] == aim[at : at + 2][::-1] and word[at + 2 :] == aim[at + 2 :]
    return changed or word[at + 1 :] == aim[at + 1 :]


@cache
def _aims() -> dict[tuple[str, int], list[str]]:
    """Words that a correction may lead to, by first letter, which is mostly right, and length; the words of the most
    examples first."""
    topics = tomllib.loads(TOPICS.read_text(encoding="utf-8"))
    texts = (text for kind in ("statements", "questions") for group in topics[kind] for text in group["texts"])
    aims: dict[tuple[str, int], list[str]] = {}
    for word, _ in Counter(word for text in texts for word in re.findall("[a-z]+", text.lower())).most_common():
        if len(word) >= _SHORTEST_AIM:
            aims.setdefault((word[0], len(word)), []).append(word)
    return aims
