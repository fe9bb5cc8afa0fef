"""What a wish to forget names: its content words, and attributes without their value. Pure."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

from rememberd.memory.learn.rules.word_forms import unaccented
from rememberd.memory.recall.lexicon import WORD, stop_words
from rememberd.memory.text_similarity import content

_EDGES = re.compile(r"^\W+|\W+$")
_ELIDED = re.compile(r"^(?:\w|\w{0,5}(?:qu|ll)|un)'(?=\w{3})")  # the article of "l'histoire", "dell'epatite"
_ARTICLE = re.compile(r"^[وف]?[بكل]?ال(?=\w{2})|^لل(?=\w{2})")  # of Arabic, with what is written together with it
_SOUND = re.compile(r"u+h*m*|e+r+m*|a+h+e*m*|h+m+|o+h+|ä+h*m*|e+u*h+m*|a+w+|mh+m*")  # "uhh", "erm", "ahem"
_HANGUL = "가-힣"
_SPACED = re.compile(r"[^\u2e80-\ud7ff]+")
_UNSPACED = re.compile(r"[\u2e80-\u2fff\u3040-\ud7ff]+")
_CLAUSE = re.compile(r"[.,;:!?…。！？、，；：()\n]+(?:\s|$)|\s[–—-]\s|[。！？、，]")
_NAME = re.compile(r"(?<=[\w,;:] )[^\W\d_a-zß-öø-ÿа-яё][\w'’-]+")
THAT = re.compile(r"\b(?:that|dass|daß|que|che|dat|att|at|что|że|že)\b")
_DENIED = re.compile(  # what stands before "keep" in "don't keep" and "no need to keep"
    r"(?:(?:^|[,.;:] *)(?:please,? )?(?:do not|don'?t|never)"
    r"|(?:you|no) (?:need|have|longer)(?: not)?(?: to)?) (?:ever )?$"
)
_SLOT = "0slot"  # stands for an attribute that is named without its value
_SHORT = 4  # letters; a shorter beginning of words must be nearly all of one
_WHOLE = r"(?<!\w)(?:%s)(?!\w)"


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
        return word in self.whole or word.startswith(self.stems) or unaccented(word).startswith(self.stems)


@dataclass(frozen=True, slots=True)
class _Words:
    languages: dict[str, _WordList]
    connecting: dict[str, frozenset[str]]
    concepts: dict[str, _WordList]
    unspaced: re.Pattern[str]
    all_about: re.Pattern[str]
    topics: tuple[tuple[re.Pattern[str], frozenset[str]], ...]
    classes: tuple[tuple[re.Pattern[str], FactClass], ...]
    verbs: dict[str, re.Pattern[str]]
    kept: re.Pattern[str]
    contrary: re.Pattern[str]


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
    for pattern, of in _words().topics if topics else ():
        if pattern.search(plain):
            slots |= of
            plain = pattern.sub(f" {_SLOT} ", plain)
    found = [frozenset(each) for clause in _CLAUSE.split(plain) for each in _named_phrases(clause, languages)]
    beside = frozenset().union(*(each for each in found if _SLOT in each)) - {_SLOT}
    return Named(tuple(each for each in found if each and _SLOT not in each), frozenset(slots), beside, everything)


def class_in(text: str) -> FactClass | None:
    """The class of facts that a text names: "my health"."""
    return next((found for pattern, found in _words().classes if pattern.search(text)), None)


def wishing(text: str) -> str:
    """The clauses with a wish to forget, if they name something: not "Ida has left me" before "forget Ida". Otherwise
    all clauses except those that say what to keep: "keep the eggs"."""
    clauses = [each.strip() for each in _CLAUSE.split(text) if each and each.strip()]
    clauses = [each for each in clauses if not _words().contrary.match(each)] or clauses
    wishes = [each for each in clauses if may_wish("forget", each)]
    return ", ".join(wishes if any(map(named, wishes)) else clauses)


def may_wish(label: str, text: str) -> bool:
    """Whether a text has a word that every wish of this kind has, and does not ask for the opposite."""
    verbs, folded = _words().verbs[label], text.replace("’", "'").casefold()
    has_one = verbs.search(folded) or verbs.search(unaccented(folded))
    return has_one is not None and not (label in ("forget", "forget_all") and wants_kept(text))


def names_forgetting(text: str) -> bool:
    """Whether a text has a word of forgetting that is more than small talk: "delete", or "don't keep"."""
    verbs, folded = _words().verbs, text.replace("’", "'").casefold()
    found = verbs["forget"].finditer(folded)
    if any(
        not verbs["everyday"].match(folded, each.start()) or _DENIED.search(folded, 0, each.start()) for each in found
    ):
        return True
    return verbs["forget"].search(unaccented(folded)) is not None and not folded.isascii()


def wants_kept(text: str) -> bool:
    """Whether a text asks not to forget or not to delete something."""
    return _words().kept.search(text.replace("’", "'").casefold()) is not None


def names_in(text: str) -> frozenset[str]:
    """The words with a capital inside a sentence, case-folded: Paula is not a form of Paul."""
    return frozenset(_EDGES.sub("", found).casefold().removesuffix("'s") for found in _NAME.findall(text))


def languages_of(text: str) -> frozenset[str]:
    """The languages that most function words of `text` belong to: only in Swedish, "vet" is "knows"."""
    words = [word.casefold() for word in WORD.findall(text)]
    joins = _words().connecting
    known = {
        name: sum(each.has(word) + (word in joins[name]) for word in words)
        for name, each in _words().languages.items()
    }
    most = max(known.values())
    return frozenset(name for name, count in known.items() if count == most) if most else frozenset()


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
    return _SOUND.fullmatch(word) is not None or any(_words().languages[each].has(word) for each in languages)


def _connects(word: str, languages: frozenset[str]) -> bool:
    return any(word in _words().connecting[each] for each in languages)


def _spaced(text: str) -> list[str]:
    tokens = (_EDGES.sub("", word) for word in content(" ".join(_SPACED.findall(text))))
    return [_ARTICLE.sub("", _ELIDED.sub("", token)).removesuffix("'s") for token in tokens if token]


def _pairs(text: str) -> list[str]:
    return [run[at : at + 2] for run in _UNSPACED.findall(text) for at in range(max(1, len(run) - 1))]


@cache
def _words() -> _Words:
    stored = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
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
        _any(stored["all_about"]),
        tuple((_any(each["named"]), frozenset(each["slots"])) for each in stored["topic"]),
        tuple(
            (_any(each["named"]), FactClass(frozenset(each["slots"]), frozenset(each["concepts"])))
            for each in stored["class"]
        ),
        {label: _begins(stems.split()) for label, stems in stored["verbs"].items()},
        re.compile(
            "|".join(row["pattern"] if "spaced" in row else _WHOLE % row["pattern"] for row in stored["kept"])
        ),
        _any(stored["contrary"]),
    )


def _between(written: str) -> str:
    """A word of a script without spaces. A single syllable of Korean is a particle at the end of a word only."""
    return f"{written}(?![{_HANGUL}])" if re.fullmatch(f"[{_HANGUL}]", written) else re.escape(written)


def _begins(stems: list[str]) -> re.Pattern[str]:
    """A word that begins with one of these, and ends soon after a short one ("let", not "lettera"); anywhere in
    scripts without spaces."""
    found = (_beginning(each) if _SPACED.fullmatch(each) else re.escape(each) for each in set(stems))
    return re.compile("|".join(found), re.IGNORECASE)


def _beginning(stem: str) -> str:
    return rf"(?<!\w){re.escape(stem)}" + (r"\w{0,3}(?!\w)" if len(stem) < _SHORT else "")


def _any(phrases: list[str]) -> re.Pattern[str]:
    """Any of these phrases, as whole words where words have spaces between them."""
    ordered = sorted(phrases, key=len, reverse=True)
    found = (
        rf"(?<!\w){re.escape(each)}(?!\w|'s)" if _SPACED.fullmatch(each) else re.escape(each) for each in ordered
    )
    return re.compile("|".join(found), re.IGNORECASE)
