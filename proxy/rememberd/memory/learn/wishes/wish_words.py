"""What a wish to forget names: its content words, and attributes without their value. Pure."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from rememberd.memory.learn.rules.word_forms import unaccented
from rememberd.memory.recall.lexicon import WORD, stop_words
from rememberd.memory.text_similarity import content

_EDGES = re.compile(r"^\W+|\W+$")
_ELIDED = re.compile(r"^(?:\w|\w{0,5}(?:qu|ll)|un)'(?=\w{3})")  # the article of "l'histoire", "dell'epatite"
_ARTICLE = re.compile(r"^[وف]?[بكل]?ال(?=\w{2})|^لل(?=\w{2})")  # of Arabic, with what is written together with it
_SOUND = re.compile(r"u+h*m*|u+gh+|e+r+m*|a+h+e*m*|h+m+|o+h+|ä+h*m*|e+u*h+m*|a+w+|mh+m*")  # "uhh", "erm", "ahem"
_HANGUL = "가-힣"
_INFLECTED = re.compile(f"[{_HANGUL}]")
SPACED = re.compile(r"[^\u2e80-\ud7ff]+")
_UNSPACED = re.compile(r"[\u2e80-\u2fff\u3040-\ud7ff]+")
_MARKS = r"[.,;:!?…。！？、，；：()\n]"  # a run of them is read once, from its first
CLAUSE = re.compile(rf"(?<!{_MARKS}){_MARKS}+(?:\s|$)|\s[–—-]\s|[。！？、，]")
_NAME = re.compile(r"(?<=[\w,;:] )[^\W\d_a-zß-öø-ÿа-яё][\w'’-]+")
THAT = re.compile(r"\b(?:that|dass|daß|que|che|dat|att|at|что|że|že)\b")
_FINAL_MARKS = re.compile(r"(?<![\s.。!！…~～])[\s.。!！…~～]+$")
_SAID = re.compile(r"[^\W\u2e80-\ud7ff]+(?:['’-][^\W\u2e80-\ud7ff]+)*")
_NAMED = re.compile(r"X(?:\s?X)+")
_SLOT = "0slot"  # stands for an attribute that is named without its value


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
        """Also for a form with an accent that the list does not have: "bórrame"."""
        bare = unaccented(word)
        return word in self.whole or word.startswith(self.stems) or (bare != word and bare.startswith(self.stems))


@dataclass(frozen=True, slots=True)
class _Words:
    languages: dict[str, _WordList]
    connecting: dict[str, frozenset[str]]
    concepts: dict[str, _WordList]
    unspaced: re.Pattern[str]
    all_about: re.Pattern[str]
    said_as: tuple[tuple[re.Pattern[str], str], ...]
    topics: tuple[tuple[re.Pattern[str], frozenset[str]], ...]
    classes: tuple[tuple[re.Pattern[str], FactClass], ...]


class FactClass(NamedTuple):
    """Facts of these slots, and those with a word for one of these concepts."""

    slots: frozenset[str]
    concepts: frozenset[str]

    def has_word(self, word: str) -> bool:
        return not self.concepts.isdisjoint(_concepts(word))


@dataclass(frozen=True, slots=True)
class Named:
    """`phrases`: runs of content words, separated by words of wishing. `slots`: an attribute named without its value;
    `beside`: other words of the same phrase ("my job in Leeds"). `everything`: all memories that name them are
    meant."""

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
    """The content of a wish, or with `topics=False` the words of a memory that a wish in `languages` may name."""
    plain = unicodedata.normalize("NFC", text).replace("’", "'")
    everything = bool(_words().all_about.search(plain))
    languages = languages or languages_of(plain)
    slots: set[str] = set()
    for pattern, word in _words().said_as:
        plain = pattern.sub(f" {word} ", plain)
    for pattern, of in _words().topics if topics else ():
        if pattern.search(plain):
            slots |= of
            plain = pattern.sub(f" {_SLOT} ", plain)
    found = [frozenset(each) for clause in CLAUSE.split(plain) for each in _named_phrases(clause, languages)]
    beside = frozenset().union(*(each for each in found if _SLOT in each)) - {_SLOT}
    return Named(tuple(each for each in found if each and _SLOT not in each), frozenset(slots), beside, everything)


def readings(text: str) -> tuple[str, Callable[[], str]]:
    """A text as the classifier of wishes reads it: without the marks at its end, and its form. Its file is trained
    with both."""
    plain = _FINAL_MARKS.sub("", text.strip()) or text
    return plain, partial(_form, plain)


def _form(plain: str) -> str:
    """With an X for what it names."""
    words = named(plain, topics=False).words
    found = _SAID.sub(lambda word: "X" if word[0].casefold().removesuffix("'s") in words else word[0], plain)
    for pair in sorted(words) if not SPACED.fullmatch(plain) else ():
        found = found.replace(pair, "X")
    return _NAMED.sub("X", found)


def class_named(text: str) -> FactClass | None:
    """The class of facts that a text names, if it names nothing else: "my diagnosis", not "my health insurance"."""
    found = next(((pattern, of) for pattern, of in _words().classes if pattern.search(text)), None)
    return found[1] if found and not named(found[0].sub(" ", text)) else None


def class_in(text: str) -> FactClass | None:
    """The class of facts that a text names: "my health"."""
    return next((found for pattern, found in _words().classes if pattern.search(text)), None)


def names_in(text: str) -> frozenset[str]:
    """The words with a capital inside a sentence, case-folded: Paula is not a form of Paul."""
    return frozenset(_EDGES.sub("", found).casefold().removesuffix("'s") for found in _NAME.findall(text))


def languages_of(text: str) -> frozenset[str]:
    """The languages that most function words of `text` belong to: only in Swedish, "vet" is "knows"."""
    known = Counter[str]()
    for word in WORD.findall(text):
        known.update(_languages_with(word.casefold()))
    most = max(known.values(), default=0)
    return frozenset(name for name, count in known.items() if count == most)


@lru_cache(maxsize=16_384)
def _languages_with(word: str) -> tuple[str, ...]:
    """The languages in which it is a word of wishing; those in which it connects two words, twice."""
    connecting = (name for name, joins in _words().connecting.items() if word in joins)
    return (*(name for name, each in _words().languages.items() if each.has(word)), *connecting)


def is_attribute(word: str) -> bool:
    """Whether the word has synonyms, such as "salary"."""
    return bool(_concepts(word))


def has_one_value(word: str) -> bool:
    """Whether a person has one value of this at a time, such as a weight."""
    return not _concepts(word).isdisjoint(("income", "weight", "height"))


def mean_the_same(word: str, other: str) -> bool:
    """Whether they name the same thing, such as "weight" and "weigh"."""
    return not _concepts(word).isdisjoint(_concepts(other))


@lru_cache(maxsize=4096)
def _concepts(word: str) -> frozenset[str]:
    return frozenset(name for name, each in _words().concepts.items() if each.has(unaccented(word)))


def _named_phrases(clause: str, languages: frozenset[str]) -> list[list[str]]:
    """Words of wishing separate phrases, except those after the first content word of a claim ("that my aunt knew
    …"); articles and similar words do not."""
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
    return not languages.isdisjoint(_languages_with(word)) or _SOUND.fullmatch(word) is not None


def _connects(word: str, languages: frozenset[str]) -> bool:
    return any(word in _words().connecting[each] for each in languages)


def _spaced(text: str) -> list[str]:
    tokens = (_EDGES.sub("", word) for word in content(" ".join(SPACED.findall(text))))
    return [_ARTICLE.sub("", _ELIDED.sub("", token)).removesuffix("'s") for token in tokens if token]


def _pairs(text: str) -> list[str]:
    """All pairs of characters; of a Korean word, whose end is inflected, only the first pair."""
    runs = ((run, 1 if _INFLECTED.match(run) else len(run) - 1) for run in _UNSPACED.findall(text))
    return [run[at : at + 2] for run, pairs in runs for at in range(max(1, pairs))]


@cache
def wish_table() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


@cache
def _words() -> _Words:
    stored = wish_table()
    stop = stop_words()
    joining = {language: frozenset(stored["connecting"].get(language, "").split()) for language in stop}
    words = {
        language: [*own.casefold().split(), *joining[language], *(() if language == "en" else stop[language])]
        for language, own in (dict.fromkeys(stop, "") | stored["words"]).items()
    }
    unspaced = sorted(stored["unspaced"], key=len, reverse=True)
    return _Words(
        {language: _WordList.of(own) for language, own in words.items()},
        joining,
        {name: _WordList.of(map(unaccented, own.split())) for name, own in stored["concepts"].items()},
        re.compile("|".join(map(_between, unspaced))),
        any_of(stored["all_about"]),
        tuple((any_of(each["named"]), each["word"]) for each in stored["said_as"]),
        tuple((any_of(each["named"]), frozenset(each["slots"])) for each in stored["topic"]),
        tuple(
            (any_of(each["named"]), FactClass(frozenset(each["slots"]), frozenset(each["concepts"])))
            for each in stored["class"]
        ),
    )


def _between(written: str) -> str:
    """A word of a script without spaces. A single syllable of Korean is a particle at the end of a word only."""
    return f"{written}(?![{_HANGUL}])" if re.fullmatch(f"[{_HANGUL}]", written) else re.escape(written)


def any_of(phrases: list[str]) -> re.Pattern[str]:
    """Any of these phrases, as whole words where words have spaces between them; "*" stands for any ending."""
    ordered = [re.escape(each).replace(r"\*", r"\w*") for each in sorted(phrases, key=len, reverse=True)]
    found = (rf"(?<!\w){each}(?!\w|'s)" if SPACED.fullmatch(each) else each for each in ordered)
    return re.compile("|".join(found), re.IGNORECASE)
