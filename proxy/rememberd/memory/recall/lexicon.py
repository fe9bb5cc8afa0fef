"""The words by which people ask for a time, in some thirty languages (pure).

`days.json` (from CLDR, `python -m loadtests.quality.days`), `days.toml` and `feasts.toml` are the words; the package
stop-words has those that say nothing by themselves. A phrase counts only in the language that the question is in:
"hier" is yesterday in French and a place in German."""

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from stop_words import get_stop_words  # type: ignore[import-untyped]

from rememberd.memory.recall.feasts import FEASTS

Unit = Literal["day", "week", "month", "year", "last", "name", "feast"]

_FOLDER = Path(__file__).with_name("data")
# Neither space nor punctuation: letters, digits, and the marks that Hindi and Thai set on them.
WORD = re.compile(
    r"[^\s!-/:-@\[-`{-~\u00a1\u00ab\u00bb\u00bf\u060c\u061b\u061f\u0964\u2010-\u205e\u3000-\u303f\uff01-\uff0f\uff1a-\uff20]+"
)
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_UNSPACED_LANGUAGES = ("zh", "ja", "ko", "th")
_CHINESE_NUMBER = re.compile("[一二两三四五六七八九十]+(?=[个天日号周週月年])")
_UNSPACED_NUMBER = re.compile(rf"\d+|{_CHINESE_NUMBER.pattern}")
_DIGITS = {digit: number for number, digit in enumerate("一二三四五六七八九", 1)} | {"两": 2}
_LONGEST_NUMBER = 4  # words
_BESIDE = 3  # words: "3 de junio de 2025"
_WITHOUT_STOP_WORDS = {"th"}  # in the package stop-words
# What its lists lack, and the beginnings of words that they have although "¿Dónde trabajo?" asks for nothing else;
# "won" is what is left there of "won't".
_MORE_STOP_WORDS = {"es": ("dónde", "adónde", "cuál", "cuáles", "quiénes", "cuánto", "cuánta", "cuántos", "cuántas")}
_NO_STOP_WORDS = ("trabaj", "trabalh", "emple", "comprar", "won")


class Time(NamedTuple):
    """`amount` of `unit` ago, counted if `exact` ("three weeks ago", not "last week"), -1 for the present one. The
    unit "last" means the last conversation; "name" a month (`amount` from 1 on) or a weekday (from -1 down); "feast"
    a season or feast by its number in `FEASTS` from 1 on, negative for the last one that is over. `alone`: the
    question asks for nothing else. `near`: the numbers beside the time, those before it first."""

    unit: Unit
    amount: int
    exact: bool
    alone: bool
    rest: tuple[str, ...]
    near: tuple[int, ...] = ()


class _Meaning(NamedTuple):
    language: str
    unit: Unit
    amount: int


class _Lexicon(NamedTuple):
    phrases: dict[str, tuple[_Meaning, ...]]  # words joined by spaces, with "#" for a number
    numbers: dict[str, dict[str, int]]  # words, language; "first" is 1, too
    number_heads: set[str]  # the first words of numbers of several words
    longest: dict[str, int]  # phrases by first word
    stop: dict[str, frozenset[str]]  # by language
    stopped_in: dict[str, tuple[str, ...]]  # languages by stop word
    talk: dict[str, tuple[str, ...]]


@lru_cache(maxsize=256)  # each step of a recall asks
def asked_time(question: str) -> Time | None:
    """The time that the question names, if we have words of its language; None for no time."""
    lexicon = _lexicon()
    words = [word.casefold() for word in WORD.findall(question)]
    if _UNSPACED.search(question):
        return _unspaced("".join(words), lexicon)
    words = _with_whole_numbers(words, lexicon)
    found = list(_phrases(words, lexicon))
    if not found:
        return None
    likely = _languages(words, lexicon)
    of_them = [each for each in found if each[0].language in likely]
    if not of_them:
        return None
    meaning, number, start, end = max(of_them, key=lambda each: each[3] - each[2])
    beside = [*reversed(words[max(0, start - _BESIDE) : start]), *words[end : end + _BESIDE]]
    near = (int(word) if word.isdecimal() else lexicon.numbers.get(word, {}).get(meaning.language) for word in beside)
    rest = tuple(_rest([*words[:start], *words[end:]], meaning.language, lexicon))
    return _time(meaning, number, rest, tuple(each for each in near if each is not None))


def asks_only_when(question: str) -> bool:
    """Whether it asks only for what was said at some time."""
    time = asked_time(question)
    return time.alone if time else not any(_rest(map(str.casefold, WORD.findall(question)), "en", _lexicon()))


def telling_words(question: str) -> str:
    """`question` without the stop words of its language: "tiene" would find every second Spanish memory. Unchanged if
    it is English, whose stop words the engine knows, or if nothing would be left."""
    lexicon = _lexicon()
    words = WORD.findall(question)
    known: dict[str, int] = {}
    for word in words:
        for language in lexicon.stopped_in.get(word.casefold(), ()):
            known[language] = known.get(language, 0) + 1
    most = max(known.values(), default=0)
    likely = [language for language, count in known.items() if count == most]
    if not likely or "en" in likely:
        return question
    telling = [word for word in words if not any(word.casefold() in lexicon.stop[each] for each in likely)]
    return " ".join(telling) or question


def without_times(text: str) -> str:
    """`text` without words for a time, in any language except English."""
    lexicon, words = _lexicon(), WORD.findall(text)
    folded = [word.casefold() for word in words]
    likely = _languages(folded, lexicon)
    spans = [(start, end) for meaning, _, start, end in _phrases(folded, lexicon) if meaning.language in likely]
    return " ".join(word for at, word in enumerate(words) if not any(start <= at < end for start, end in spans))


@lru_cache(maxsize=1)
def words_of_times() -> frozenset[str]:
    """The words of all phrases for a time, and of numbers, in all languages."""
    lexicon = _lexicon()
    return frozenset(word for said in (*lexicon.phrases, *lexicon.numbers) for word in said.split()) | {
        said.replace(" ", "") for said in lexicon.phrases
    }


def stop_words() -> dict[str, frozenset[str]]:
    """The stop words by language, case-folded."""
    return _lexicon().stop


@lru_cache(maxsize=1)
def english_numbers() -> dict[str, int]:
    """From one to ninety and from first to thirty-first; the parts of a number are joined by a space."""
    return {said: by["en"] for said, by in _lexicon().numbers.items() if "en" in by}


def _with_whole_numbers(words: Sequence[str], lexicon: _Lexicon) -> list[str]:
    """`words`, with a number of several words as one: "vingt et un"."""
    if lexicon.number_heads.isdisjoint(words):
        return list(words)
    whole: list[str] = []
    at = 0
    while at < len(words):
        longest = _LONGEST_NUMBER if words[at] in lexicon.number_heads else 1
        size = next((n for n in range(longest, 1, -1) if " ".join(words[at : at + n]) in lexicon.numbers), 1)
        whole.append(" ".join(words[at : at + size]))
        at += size
    return whole


def _phrases(words: Sequence[str], lexicon: _Lexicon) -> Iterator[tuple[_Meaning, int | None, int, int]]:
    """Each phrase with its number and its position."""
    numbered = ["#" if word.isdecimal() or word in lexicon.numbers else word for word in words]
    if lexicon.longest.keys().isdisjoint(words) and lexicon.longest.keys().isdisjoint(numbered):
        return  # most questions
    for start in range(len(words)):
        longest = max(lexicon.longest.get(words[start], 0), lexicon.longest.get(numbered[start], 0))
        for end in range(start + 1, min(len(words), start + longest) + 1):
            for meaning in lexicon.phrases.get(" ".join(words[start:end]), ()):
                yield meaning, None, start, end
            if "#" in numbered[start:end]:
                said = words[start + numbered[start:end].index("#")]
                for meaning in lexicon.phrases.get(" ".join(numbered[start:end]), ()):
                    number = int(said) if said.isdecimal() else lexicon.numbers[said].get(meaning.language)
                    if number is not None:
                        yield meaning, number, start, end


def _languages(words: Sequence[str], lexicon: _Lexicon) -> set[str]:
    """The languages that most of the words belong to."""
    known = {
        language: sum(word in stop or word.startswith(lexicon.talk.get(language, ())) for word in words)
        for language, stop in lexicon.stop.items()
    }
    most = max(known.values())
    return {language for language, count in known.items() if count == most}


def _rest(words: Iterable[str], language: str, lexicon: _Lexicon) -> Iterator[str]:
    stop, talk = lexicon.stop[language], lexicon.talk.get(language, ())
    return (word for word in words if not (word.isdecimal() or word in stop or word.startswith(talk)))


def _unspaced(text: str, lexicon: _Lexicon) -> Time | None:
    """`text` has no spaces and no punctuation."""
    digits = re.sub(r"\d+", "#", _CHINESE_NUMBER.sub("#", text))
    numbers = tuple(int(each) if each.isdecimal() else _chinese(each) for each in _numbers_in(text))
    for said, meaning in _unspaced_phrases():
        if said in text or said in digits:
            number = numbers[0] if "#" in said and numbers else None
            left = (text if said in text else digits).replace(said, " ")
            for word in sorted(lexicon.talk[meaning.language], key=len, reverse=True):
                left = left.replace(word, " ")
            # 6月 and 六月 are June, not a day.
            month = tuple(map(int, re.findall(r"\d+", said))) or numbers[: "月" in said]
            return _time(meaning, number, tuple(left.split()), tuple(each for each in numbers if each not in month))
    return None


def _numbers_in(text: str) -> list[str]:
    return _UNSPACED_NUMBER.findall(text)


def _chinese(number: str) -> int:
    """Below a hundred: 二十三 is 23."""
    tens, ten, ones = number.rpartition("十")
    return (10 * _DIGITS.get(tens, 1) if ten else 0) + _DIGITS.get(ones, 0)


@lru_cache(maxsize=1)
def _unspaced_phrases() -> list[tuple[str, _Meaning]]:
    """The longest first: 先々週 before 先週."""
    every = [
        (said.replace(" ", ""), meaning)
        for said, meanings in _lexicon().phrases.items()
        for meaning in meanings
        if meaning.language in _UNSPACED_LANGUAGES and len(said.replace(" ", "")) > 1
    ]
    return sorted(every, key=lambda each: -len(each[0]))


def _time(meaning: _Meaning, number: int | None, rest: tuple[str, ...], near: tuple[int, ...]) -> Time:
    exact = meaning.amount == 0
    return Time(meaning.unit, (number or 1) if exact else meaning.amount, exact, not rest, rest, near)


@lru_cache(maxsize=1)
def _lexicon() -> _Lexicon:
    days: dict[str, Any] = json.loads((_FOLDER / "days.json").read_text())
    own: dict[str, Any] = tomllib.loads((_FOLDER / "days.toml").read_text())
    feasts: dict[str, Any] = tomllib.loads((_FOLDER / "feasts.toml").read_text())
    phrases: dict[str, tuple[_Meaning, ...]] = {}
    one = dict[Any, Any]()  # equal tuples are one, which saves 1.5 MB
    numbers: dict[str, dict[str, int]] = {}
    for language in {*days, *own}:
        known, ours = days.get(language, {}), own.get(language, {})
        units = {**known.get("phrases", {}), **ours.get("units", {})}
        units |= {name: ["name", count] for name, count in known.get("names", {}).items()}
        units |= {said: ["last", 1] for said in ours.get("last", ())}
        units |= {said: ["feast", number] for said, number in _feasts(feasts.get(language, {}))}
        for said, (unit, count) in units.items():
            meanings = (*phrases.get(said, ()), _Meaning(language, unit, count))
            phrases[said] = one.setdefault(meanings, meanings)
        for word, number in {**known.get("numbers", {}), **ours.get("numbers", {})}.items():
            numbers.setdefault(word, {})[language] = number
    longest: dict[str, int] = {}
    for said in phrases:
        first, *others = said.split()
        longest[first] = max(longest.get(first, 0), 1 + len(others))
    stop = {language: _stop_words(language) for language in own}
    talk = {language: tuple(each["talk"]) for language, each in own.items()}
    stopped_in: dict[str, tuple[str, ...]] = {}
    for language, unsaid in stop.items():
        for word in unsaid:
            languages = (*stopped_in.get(word, ()), language)
            stopped_in[word] = one.setdefault(languages, languages)
    heads = {said.split()[0] for said in numbers if " " in said}
    return _Lexicon(phrases, numbers, heads, longest, stop, stopped_in, talk)


def _feasts(words: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Phrases of one language, with their `Time.amount`."""
    for number, name in enumerate(FEASTS, 1):
        for said in words.get(name, ()):
            yield from ((f"{at} {said}".strip(), number) for at in words["at"])
            yield from ((f"{last} {said}", -number) for last in words["last"])
            yield from ((f"{said} {past}", -number) for past in words.get("past", ()))
        yield from ((said, number) for said in words.get("alone", {}).get(name, ()))


def _stop_words(language: str) -> frozenset[str]:
    if language in _WITHOUT_STOP_WORDS:
        return frozenset()
    listed = get_stop_words("norwegian" if language == "nb" else language, cache=False)
    said = [*listed, *_MORE_STOP_WORDS.get(language, ())]
    words = (word for each in said for word in WORD.findall(each.casefold()))
    return frozenset(word for word in words if not word.startswith(_NO_STOP_WORDS))
