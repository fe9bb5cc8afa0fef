"""What a wish to forget names: the words that are no words of wishing, and attributes without their value. Pure."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from rememberd.memory.text_similarity import content

_EDGES = re.compile(r"^\W+|\W+$")
_SPACED = re.compile(r"[^\u2e80-\ud7ff]+")
_UNSPACED = re.compile(r"[\u2e80-\u2fff\u3040-\ud7ff]+")
_CLAUSE = re.compile(r"[.,;:!?…。！？、，；：()\n]+(?:\s|$)|\s[–—-]\s|[。！？、，]")
_NAME = re.compile(r"(?<=[\w,;:] )[^\W\d_a-zß-öø-ÿа-яё][\w'’-]+")
_ENDINGS = ("s", "n", "en", "es")
_SAME = 4  # first letters that inflected forms share, and at most so many letters after them
_SUFFIX = 3
_LONG_SAME, _LONG_SUFFIX = 7, 5


@dataclass(frozen=True, slots=True)
class _Words:
    whole: frozenset[str]
    stems: tuple[str, ...]
    unspaced: re.Pattern[str]
    all_about: re.Pattern[str]
    topics: tuple[tuple[re.Pattern[str], frozenset[str]], ...]
    verbs: dict[str, re.Pattern[str]]


@dataclass(frozen=True, slots=True)
class Named:
    """`clauses`: the named words of each clause that has some. `slots`: of an attribute named without its value.
    `everything`: whatever names them is meant."""

    clauses: tuple[frozenset[str], ...]
    slots: frozenset[str]
    everything: bool

    @property
    def words(self) -> frozenset[str]:
        return frozenset().union(*self.clauses)

    def __bool__(self) -> bool:
        return bool(self.clauses or self.slots)


@lru_cache(maxsize=4096)
def named(text: str, *, topics: bool = True) -> Named:
    """What a wish is about, or with `topics=False` the words of a memory that a wish may name."""
    plain = unicodedata.normalize("NFC", text).replace("’", "'")
    everything = bool(_words().all_about.search(plain))
    slots: set[str] = set()
    for pattern, of in _words().topics if topics else ():
        if pattern.search(plain):
            slots |= of
            plain = pattern.sub(" ", plain)
    found = (frozenset(_named_words(clause)) for clause in _CLAUSE.split(plain) if clause)
    return Named(tuple(each for each in found if each), frozenset(slots), everything)


def may_wish(label: str, text: str) -> bool:
    """Does a text hold a word without which there is no wish of this kind?"""
    return _words().verbs[label].search(text.replace("’", "'")) is not None


def names_in(text: str) -> frozenset[str]:
    """The words with a capital inside a sentence, folded: Paula is no form of Paul."""
    return frozenset(_EDGES.sub("", found).casefold().removesuffix("'s") for found in _NAME.findall(text))


def same(word: str, other: str, names: frozenset[str] = frozenset()) -> bool:
    """Are they forms of one word? A name has the endings of a genitive alone."""
    if word == other:
        return True
    if other in names:
        return any(word == other + ending or other == word + ending for ending in _ENDINGS)
    pairs = enumerate(zip(word, other, strict=False))
    shared = next((at for at, (one, two) in pairs if one != two), min(len(word), len(other)))
    after = max(len(word), len(other)) - shared
    return (shared >= _SAME and after <= _SUFFIX) or (shared >= _LONG_SAME and after <= _LONG_SUFFIX)


def _named_words(clause: str) -> list[str]:
    left = _words().unspaced.sub(" ", clause)
    return [word for word in _spaced(clause) if not _is_of_wishes(word)] + _pairs(left)


def _spaced(text: str) -> list[str]:
    tokens = (_EDGES.sub("", word) for word in content(" ".join(_SPACED.findall(text))))
    return [token.removesuffix("'s") for token in tokens if token]


def _pairs(text: str) -> list[str]:
    return [run[at : at + 2] for run in _UNSPACED.findall(text) for at in range(max(1, len(run) - 1))]


def _is_of_wishes(word: str) -> bool:
    return word in _words().whole or word.startswith(_words().stems)


@cache
def _words() -> _Words:
    stored = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    words = stored["words"].casefold().split()
    unspaced = sorted(stored["unspaced"], key=len, reverse=True)
    return _Words(
        frozenset(word for word in words if word[-1] != "*"),
        tuple(word[:-1] for word in words if word[-1] == "*"),
        re.compile("|".join(map(re.escape, unspaced))),
        _any(stored["all_about"]),
        tuple((_any(each["named"]), frozenset(each["slots"])) for each in stored["topic"]),
        {label: _begins(stems.split()) for label, stems in stored["verbs"].items()},
    )


def _begins(stems: list[str]) -> re.Pattern[str]:
    """A word that begins with one of these; anywhere in scripts without spaces."""
    found = (rf"(?<!\w){re.escape(each)}" if _SPACED.fullmatch(each) else re.escape(each) for each in set(stems))
    return re.compile("|".join(found), re.IGNORECASE)


def _any(phrases: list[str]) -> re.Pattern[str]:
    """Any of these phrases, as whole words where words have spaces between them."""
    ordered = sorted(phrases, key=len, reverse=True)
    found = (rf"(?<!\w){re.escape(each)}(?!\w)" if _SPACED.fullmatch(each) else re.escape(each) for each in ordered)
    return re.compile("|".join(found), re.IGNORECASE)
