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
from functools import cache, lru_cache
from pathlib import Path

TOPICS = Path(__file__).parents[1] / "recall" / "data" / "topics.toml"
_SHORTEST, _SHORTEST_AIM = 5, 6  # letters
_STEM, _PART = 3, 4
_WORD = re.compile(rf"(?<![\w'’])[a-z]{{{_SHORTEST},20}}(?![\w'’])")
_ENDINGS = ("s", "es", "d", "ed", "ing", "er", "ers", "ly", "y", "ish", "less", "like", "ness", "ful")
_READ, _MOST = 4000, 32  # characters, and unknown words of them, that are looked at: the model reads little more


Vocabulary = Callable[[str], int | None]  # the number of a word in it

_vocabularies: dict[str, "_Known"] = {}  # by the name of the model


def correcting(model: str, vocabulary: Vocabulary) -> Callable[[str], str]:
    """Corrects texts for `model`. From now on `with_meant` knows the model, too."""
    known = _vocabularies[model] = _Known(vocabulary)

    def correct(text: str) -> str:
        meant = _corrections(text, known)
        return _WORD.sub(lambda word: meant.get(word[0], word[0]), text) if meant else text

    return correct


def with_meant(text: str, model: str) -> str:
    """A misspelt word is found as it was typed, and as it was meant."""
    known = _vocabularies.get(model)
    return text if known is None else " ".join([text, *_corrections(text, known).values()])


class _Known:
    """Whether a word is in the vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def __call__(self, word: str) -> bool:
        return self._vocabulary(word) is not None


def _corrections(text: str, known: _Known) -> dict[str, str]:
    """The misspelt words of a text, and what is meant."""
    unknown = list(dict.fromkeys(word for word in _WORD.findall(text[:_READ]) if not known(word)))[:_MOST]
    found = {word: _meant(word, known) for word in unknown}
    return {word: meant for word, meant in found.items() if meant}


@lru_cache(maxsize=256)  # a text is read for its vector and for its words
def _meant(word: str, known: _Known) -> str | None:
    aims = [aim for more in (-1, 0, 1) for aim in _aims().get((word[0], len(word) + more), ())]
    if word in aims or _inflected(word, known) or _compound(word, known):
        return None
    return next((aim for aim in aims if _one_error(word, aim)), None)


def _inflected(word: str, known: _Known) -> bool:
    stems = [word[: -len(ending)] for ending in _ENDINGS if word.endswith(ending)]
    if word.endswith("ies"):
        stems.append(f"{word[:-3]}y")
    return any(len(stem) >= _STEM and (known(stem) or known(f"{stem}e")) for stem in stems)


def _compound(word: str, known: _Known) -> bool:
    return any(known(word[:end]) and known(word[end:]) for end in range(_PART, len(word) - _PART + 1))


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
