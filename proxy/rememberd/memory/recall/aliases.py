"""Finds other names of people and things in texts: "Kate, also Emi", "everybody calls her Bibi" (pure).

They are read from their memory whenever they are needed, so that they are sealed, corrected and deleted with it. The
words of thirteen languages are in `data/aliases.toml`. A name begins with a capital letter: in scripts without them
no other name is found."""

import re
import tomllib
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from difflib import SequenceMatcher
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from rememberd.memory.recall.lexicon import stop_words
from rememberd.memory.recall.names import named, names_in
from rememberd.memory.text_similarity import WHOSE

Pair = tuple[str, str]  # two names of one person or thing

MOST = 3  # other names that a question is asked with
LONGEST = 2_000  # characters that are read: other names are told in a few words
LONGEST_NAME = 100  # characters; longer ones are not compared
# "Robert (Bob)", but not "Robert (Oslo)": so much of the shorter name stands in the longer one, letters in a row.
ALIKE = 0.6

_UPPER = "".join(letter for letter in map(chr, range(0x530)) if letter.isupper())
_WORD = rf"[{_UPPER}][^\W\d_]+(?:[-'’][^\W\d_]+)*"
_NAME = rf"{_WORD}(?: {_WORD}){{0,2}}"
_OPEN, _CLOSE = "[\"'“„«»‘(]*", "[\"'”“«»’)]*"
_BETWEEN = ' ,;(–—-"“„'
_QUOTED = re.compile(
    rf"(?P<one>{_NAME}),? (?:\([\"“„«‘']?|[\"“„«‘'](?=[^\W\d_]+[\"”“»’'] [{_UPPER}]))(?P<two>{_WORD})[\"”“»’')]"
)
_MARKS = frozenset('("“„«‘')
_LETTERS = re.compile(r"[^\W\d_]+")
_SENTENCE_END = re.compile(r"[.!?…\n]\s+|\n")
_POSSESSIVE = re.compile(r"['’]s?$")
_FIRST = re.compile(_NAME)


class _Forms(NamedTuple):
    peoples: re.Pattern[str]
    owned: re.Pattern[str]
    calling: re.Pattern[str]
    known: re.Pattern[str]
    calls: re.Pattern[str]
    beside: re.Pattern[str]
    after: re.Pattern[str]


def aliases_in(text: str) -> list[Pair]:
    """Each pair of names that are the same person's or thing's by `text`, in its order, none twice."""
    text, found = text[:LONGEST], dict[Pair, None]()
    if _MARKS.isdisjoint(text) and _telling_words().isdisjoint(_LETTERS.findall(text.casefold())):
        return []
    forms = _forms()
    for match in _QUOTED.finditer(text):
        quoted = text[match.start("two") - 1] != "("
        if quoted or _alike(match["one"], match["two"]):
            _take(found, match["one"], match["two"])
    for match in forms.beside.finditer(text):
        if not forms.peoples.search(match["two"]):
            _take(found, match["one"], match["two"])
    for match in forms.after.finditer(text):
        _take(found, match["one"], match["two"])
    for match in forms.calling.finditer(text):
        if match["noun"] or _alike(match["one"], match["two"]):
            _take(found, match["noun"] or match["one"], match["two"])
    for form, adjacent in ((forms.known, True), (forms.calls, False)):
        for match in form.finditer(text):
            if first := _called(text[: match.start()], match["two"], adjacent=adjacent):
                _take(found, first, match["two"])
    return list(found)


def with_other_names(question: str, pairs: Iterable[Pair]) -> str:
    """`question` with other names after the names in it: "What does Emi (Kate) eat?"."""
    added = 0
    for one, two in pairs:
        for name, other in ((one, two), (two, one)):
            if added == MOST or _says(question, other):
                continue
            if found := re.search(rf"(?<!\w){re.escape(name)}(?!\w)", question, re.IGNORECASE):
                question = f"{question[: found.end()]} ({other}){question[found.end() :]}"
                added += 1
    return question


def without(question: str, speakers: AbstractSet[str]) -> str:
    """`question` without these names, unless too little would be left."""
    if not speakers:
        return question
    ways = {*speakers, *named(question, speakers).values()}
    names = "|".join(re.escape(each) for each in sorted(ways, key=lambda way: (-len(way), way)))
    rest = re.sub(rf"\b(?:{names})\b(?:'s)?", " ", question, flags=re.IGNORECASE).split()
    return " ".join(rest) if len(rest) > 1 else question


def _says(text: str, name: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) is not None


def _take(found: dict[Pair, None], one: str, two: str) -> None:
    """Add the pair, unless one of them is not a name: a weekday, "The"."""
    one, two = (
        _POSSESSIVE.sub("", " ".join(word for word in each.split() if not _says_nothing(word))) for each in (one, two)
    )
    if one and two and one.casefold() != two.casefold() and (two, one) not in found:
        found[one, two] = None


def _says_nothing(word: str) -> bool:
    return (
        word.isupper()
        or (word[0].isupper() and not names_in(f"a {word}"))
        or any(word.casefold() in each for each in _stops())
    )


def _called(before: str, other: str, *, adjacent: bool) -> str | None:
    """Who is meant: a name directly before, if that is possible; otherwise, in the same or the previous sentence, the
    name most like the other one, "my sister", or the first name."""
    last = list(_FIRST.finditer(before))[-1:]
    between = before[last[0].end() :] if last else "."
    if adjacent and not between.strip(_BETWEEN):
        return last[0][0]
    if not adjacent and not between.strip():
        before = before[: last[0].start()]
    for sentence in [each for each in _SENTENCE_END.split(before) if each.strip()][:-3:-1]:
        names = [each[0] for each in _FIRST.finditer(sentence) if not all(map(_says_nothing, each[0].split()))]
        likes, owned = [each for each in names if _alike(each, other)], _forms().owned.search(sentence)
        if found := (likes or ([owned["name"] or owned["noun"]] if owned else names)):
            return found[0]
    return None


def _alike(one: str, two: str) -> bool:
    if max(len(one), len(two)) > LONGEST_NAME:
        return False
    long, short = sorted((one.casefold(), two.casefold()), key=len, reverse=True)
    run = SequenceMatcher(None, long, short, autojunk=False).find_longest_match().size
    return run >= max(2, ALIKE * len(short))


@lru_cache(maxsize=1)
def _stops() -> list[frozenset[str]]:
    return [words for language, words in stop_words().items() if language in _words()]


@lru_cache(maxsize=1)
def _words() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).with_name("data") / "aliases.toml").read_text())


def _phrases(*kinds: str) -> set[str]:
    return {phrase for each in _words().values() if isinstance(each, dict) for kind in kinds for phrase in each[kind]}


@lru_cache(maxsize=1)
def _telling_words() -> frozenset[str]:
    """The longest word of each phrase: a text without any of them tells no other name, brackets and quotes aside."""
    phrases = _phrases("known", "calls", "calling", "beside", "after")
    return frozenset(max(_LETTERS.findall(each.casefold()), key=lambda word: (len(word), word)) for each in phrases)


def _one_of(phrases: Iterable[str]) -> str:
    return "|".join(re.escape(each) for each in sorted(phrases, key=lambda each: (-len(each), each)))


@lru_cache(maxsize=1)
def _forms() -> _Forms:
    def any_of(kind: str) -> str:
        return _one_of(_phrases(kind))

    two = rf"{_OPEN}(?P<two>{_NAME})"
    ends = rf"(?=\s*(?:[.;:!?…)\n]|$|,(?! (?:and|or|und|oder|et|ou|y|o|e|en|och|og|и|i|ve)\b| [{_UPPER}])))"
    noun = r"(?P<noun>[^\W\d_]+(?:-[^\W\d_]+)?)"
    owner, adjective = rf"(?i:{WHOSE.pattern})", rf"(?i:{_one_of(_words()['adjectives'])})"
    return _Forms(
        peoples=re.compile(rf"(?:{_one_of(_words()['peoples'])})$"),
        owned=re.compile(rf"(?<!\w){owner}\s+(?:{adjective} )?{noun},?(?: (?P<name>{_NAME}))?"),
        calling=re.compile(
            rf"(?<!\w)(?i:{any_of('calling')}) "
            rf"(?:{owner} {noun}|(?P<one>{_WORD})) {_OPEN}(?P<two>{_WORD})"
        ),
        known=re.compile(rf"(?<!\w)(?i:{any_of('known')})[:,]? {two}"),
        calls=re.compile(rf"(?<!\w)(?i:{any_of('calls')}):? (?:only |just |immer |nur )?{two}"),
        beside=re.compile(rf"(?P<one>{_NAME})(?:,? ?\(|, | [–—-] )(?:{any_of('beside')}):? {two}{ends}"),
        after=re.compile(
            rf"(?P<one>{_NAME})(?:,? ?\(|, | [–—-] )(?:[^\W\d_]+ ){{0,2}}{two}{_CLOSE} (?:{any_of('after')})(?!\w)"
        ),
    )
