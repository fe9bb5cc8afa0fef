"""What a wish to forget names: the words that are no words of wishing, and attributes without their value. Pure."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from rememberd.memory.recall.lexicon import stop_words
from rememberd.memory.text_similarity import content

_WORD = re.compile(r"[^\W\d_][\w'-]*")
_EDGES = re.compile(r"^\W+|\W+$")
_ELIDED = re.compile(r"^\w{1,2}'(?=\w{3})")  # the article of "l'histoire"
_SPACED = re.compile(r"[^\u2e80-\ud7ff]+")
_UNSPACED = re.compile(r"[\u2e80-\u2fff\u3040-\ud7ff]+")
_CLAUSE = re.compile(r"[.,;:!?…。！？、，；：()\n]+(?:\s|$)|\s[–—-]\s|[。！？、，]")
_NAME = re.compile(r"(?<=[\w,;:] )[^\W\d_a-zß-öø-ÿа-яё][\w'’-]+")
THAT = re.compile(r"\b(?:that|dass|daß|que|che|dat|att|at|что|że|že)\b")
_SLOT = "0slot"  # stands for an attribute that is named without its value
_WHOLE = r"(?<!\w)(?:%s)(?!\w)"
_ENDINGS = ("s", "n", "en", "es")
_SAME = 4  # first letters that inflected forms share, and at most so many letters after them
_SUFFIX = 3
_LONG_SAME, _LONG_SUFFIX = 6, 6


# In these languages names have endings ("Ola", "Olę").
_WITH_CASES = frozenset(("cs", "fi", "hu", "pl", "ru", "tr", "uk"))


class _WordList(NamedTuple):
    """Whole words, and beginnings of words."""

    whole: frozenset[str]
    stems: tuple[str, ...]

    @classmethod
    def of(cls, words: Iterable[str]) -> _WordList:
        every = frozenset(words)
        stems = frozenset(word for word in every if word[-1] == "*")
        return cls(every - stems, tuple(stem[:-1] for stem in stems))

    def has(self, word: str) -> bool:
        """Also with an accent that a form has and the list has not: "bórrame"."""
        return word in self.whole or word.startswith(self.stems) or _unaccented(word).startswith(self.stems)


@dataclass(frozen=True, slots=True)
class _Words:
    languages: dict[str, _WordList]
    concepts: dict[str, _WordList]
    unspaced: re.Pattern[str]
    all_about: re.Pattern[str]
    topics: tuple[tuple[re.Pattern[str], frozenset[str]], ...]
    verbs: dict[str, re.Pattern[str]]
    kept: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Named:
    """`phrases`: the named words that no word of wishing parts. `slots`: of an attribute named without its value;
    `beside`: what the same phrase names ("my job in Leeds"). `everything`: whatever names them is meant."""

    phrases: tuple[frozenset[str], ...]
    slots: frozenset[str]
    beside: frozenset[str]
    everything: bool

    @property
    def words(self) -> frozenset[str]:
        return self.beside.union(*self.phrases)

    def __bool__(self) -> bool:
        return bool(self.words or self.slots)


@lru_cache(maxsize=4096)
def named(text: str, *, topics: bool = True, languages: frozenset[str] = frozenset()) -> Named:
    """What a wish is about, or with `topics=False` the words of a memory that a wish in `languages` may name."""
    plain = unicodedata.normalize("NFC", text).replace("’", "'")
    everything = bool(_words().all_about.search(plain))
    slots: set[str] = set()
    for pattern, of in _words().topics if topics else ():
        if pattern.search(plain):
            slots |= of
            plain = pattern.sub(f" {_SLOT} ", plain)
    languages = languages or languages_of(plain)
    found = [frozenset(each) for clause in _CLAUSE.split(plain) for each in _named_phrases(clause, languages)]
    beside = frozenset().union(*(each for each in found if _SLOT in each)) - {_SLOT}
    return Named(tuple(each for each in found if each and _SLOT not in each), frozenset(slots), beside, everything)


def may_wish(label: str, text: str) -> bool:
    """Does a text hold a word without which there is no wish of this kind, and not ask for the contrary?"""
    words, text = _words(), text.replace("’", "'").casefold()
    wants_less = label in ("forget", "forget_all")
    named = words.verbs[label].search(text) or words.verbs[label].search(_unaccented(text))
    return named is not None and not (wants_less and words.kept.search(text))


def names_in(text: str) -> frozenset[str]:
    """The words with a capital inside a sentence, folded: Paula is no form of Paul."""
    return frozenset(_EDGES.sub("", found).casefold().removesuffix("'s") for found in _NAME.findall(text))


def same(word: str, other: str, names: frozenset[str] = frozenset(), *, cases: bool = False) -> bool:
    """Are they forms of one word, accents aside? A name has the endings of a genitive alone, and in a language with
    `cases` those of others."""
    if word == other:
        return True
    word, other, is_name = _unaccented(word), _unaccented(other), other in names
    if is_name and not cases:
        return any(word == other + ending or other == word + ending for ending in ("", *_ENDINGS))
    pairs = enumerate(zip(word, other, strict=False))
    shared = next((at for at, (one, two) in pairs if one != two), min(len(word), len(other)))
    after = max(len(word), len(other)) - shared
    if is_name and shared > 1 and after < 2:  # Ola, Olę
        return True
    return (shared >= _SAME and after <= _SUFFIX) or (shared >= _LONG_SAME and after <= _LONG_SUFFIX)


def languages_of(text: str) -> frozenset[str]:
    """Those that most words of `text` belong to that name nothing there: "vet" is "knows" in Swedish alone."""
    words = [word.casefold() for word in _WORD.findall(text)]
    known = {name: sum(map(each.has, words)) for name, each in _words().languages.items()}
    most = max(known.values())
    return frozenset(name for name, count in known.items() if count == most) if most else frozenset()


def have_cases(languages: frozenset[str]) -> bool:
    """Is what is said in one of these languages sure to have names with endings?"""
    return bool(languages) and languages <= _WITH_CASES


def is_attribute(word: str) -> bool:
    """Is it a word for something that people have several words for, such as "salary"?"""
    return bool(_concepts(word))


def mean_the_same(word: str, other: str) -> bool:
    """Do they name one thing, such as "weight" and "weigh"?"""
    return not _concepts(word).isdisjoint(_concepts(other))


@lru_cache(maxsize=4096)
def _concepts(word: str) -> frozenset[str]:
    return frozenset(name for name, each in _words().concepts.items() if each.has(_unaccented(word)))


@lru_cache(maxsize=4096)
def _unaccented(word: str) -> str:
    return "".join(each for each in unicodedata.normalize("NFD", word) if not unicodedata.combining(each))


def _named_phrases(clause: str, languages: frozenset[str]) -> list[list[str]]:
    """Words of wishing part phrases, but for those behind the first named word of a claim ("that my aunt knew …");
    articles and the like do not."""
    if pairs := _pairs(_words().unspaced.sub(" ", clause)):
        return [[*(word for word in _spaced(clause) if not _is_of_wish(word, languages)), *pairs]]
    phrases, claims, claimed = list[list[str]]([[]]), THAT.search(clause), False
    for number, part in enumerate([clause[: claims.end()], clause[claims.end() :]] if claims else [clause]):
        for word in _spaced(part):
            if not _is_of_wish(word, languages):
                phrases[-1].append(word)
                claimed = number > 0
            elif phrases[-1] and not claimed and not _connects(word, languages):
                phrases.append([])
    return phrases


def _is_of_wish(word: str, languages: frozenset[str]) -> bool:
    return any(_words().languages[each].has(word) for each in languages)


def _connects(word: str, languages: frozenset[str]) -> bool:
    return any(word in stop_words()[each] for each in languages)


def _spaced(text: str) -> list[str]:
    tokens = (_EDGES.sub("", word) for word in content(" ".join(_SPACED.findall(text))))
    return [_ELIDED.sub("", token).removesuffix("'s") for token in tokens if token]


def _pairs(text: str) -> list[str]:
    return [run[at : at + 2] for run in _UNSPACED.findall(text) for at in range(max(1, len(run) - 1))]


@cache
def _words() -> _Words:
    stored = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    stop = stop_words()
    words = {
        language: [*own.casefold().split(), *(() if language == "en" else stop[language])]
        for language, own in (dict.fromkeys(stop, "") | stored["words"]).items()
    }
    unspaced = sorted(stored["unspaced"], key=len, reverse=True)
    return _Words(
        {language: _WordList.of(own) for language, own in words.items()},
        {name: _WordList.of(map(_unaccented, own.split())) for name, own in stored["concepts"].items()},
        re.compile("|".join(map(re.escape, unspaced))),
        _any(stored["all_about"]),
        tuple((_any(each["named"]), frozenset(each["slots"])) for each in stored["topic"]),
        {label: _begins(stems.split()) for label, stems in stored["verbs"].items()},
        re.compile(
            "|".join(row["pattern"] if "spaced" in row else _WHOLE % row["pattern"] for row in stored["kept"])
        ),
    )


def _begins(stems: list[str]) -> re.Pattern[str]:
    """A word that begins with one of these; anywhere in scripts without spaces."""
    found = (rf"(?<!\w){re.escape(each)}" if _SPACED.fullmatch(each) else re.escape(each) for each in set(stems))
    return re.compile("|".join(found), re.IGNORECASE)


def _any(phrases: list[str]) -> re.Pattern[str]:
    """Any of these phrases, as whole words where words have spaces between them."""
    ordered = sorted(phrases, key=len, reverse=True)
    found = (
        rf"(?<!\w){re.escape(each)}(?!\w|'s)" if _SPACED.fullmatch(each) else re.escape(each) for each in ordered
    )
    return re.compile("|".join(found), re.IGNORECASE)
