"""`python -m loadtests.quality.days`: the words of other languages than English for days, weeks, months and years.

From dateparser's data (CLDR's, with additions) and num2words, into `memory/recall/data/days.json`.

Run it where both are installed; the product needs neither."""

from __future__ import annotations

import importlib
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from rememberd.memory.recall.lexicon import WORD

LANGUAGES = "ar cs da de el es fa fi fr he hi hu id it ja ko nb nl pl pt ro ru sv th tr uk vi zh".split()  # noqa: SIM905
MONTHS = "january february march april may june july august september october november december".split()  # noqa: SIM905
WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()  # noqa: SIM905
UNITS = ("day", "week", "month", "year")
FILE = Path(__file__).parents[2] / "proxy/rememberd/memory/recall/data/days.json"

_NUMBER = re.compile(r"\(\\d\+\+\[\.,\]\?\\d\*\+\)")
_WORD = re.compile(f"#|{WORD.pattern}")
_WITHOUT_SPACES = {"ja", "ko", "th", "zh"}  # their numbers are read as digits
_GENITIVE = {  # of ordinals
    "pl": (re.compile(r"(?<=i)$|y$"), "ego"),
    "ru": (re.compile(r"(?:ый|ой)$|(?<=трет)ий$"), "ого"),
    "uk": (re.compile(r"(?:ий|ій)$"), "ого"),
}
# Without an article: "неделю назад" is a week ago.
_NO_ARTICLE = {"ar", "cs", "fa", "fi", "he", "hi", "pl", "ru", "uk"}


def main() -> None:
    words = {language: _of(language) for language in LANGUAGES}
    words["en"] = {"numbers": _spelled("en")}  # its other words are in `memory/recall/dates.py`
    lines = ",\n".join(f'"{name}": {json.dumps(each, ensure_ascii=False)}' for name, each in words.items())
    FILE.write_text(f"{{\n{lines}\n}}\n")


def _of(language: str) -> dict[str, dict[str, Any]]:
    """`phrases`: words joined by spaces, "#" for a number, to a unit and how many of it ago (0: the number, -1: the
    unit itself, as "this week"); `names`: months from 1, weekdays from -1 down; `numbers`."""
    data = importlib.import_module(f"dateparser.data.date_translation_data.{language}").info
    phrases: dict[str, list[Any]] = {}
    for unit in UNITS:
        for count in (0, 1, 2, 3):
            for said in data["relative-type"].get(f"{count} {unit} ago", ()):
                phrases[_key(said)] = [unit, count or -1]
        for pattern in data["relative-type-regex"].get(f"\\1 {unit} ago", ()):
            said = _key(_NUMBER.sub("#", pattern))
            phrases[said] = [unit, 0]
            if language in _NO_ARTICLE and unit != "day":
                phrases.setdefault(" ".join(said.replace("#", " ").split()), [unit, 0])
    names = {_key(name): at for at, month in enumerate(MONTHS, 1) for name in _wide(data[month])}
    names |= {_key(name): -at for at, day in enumerate(WEEKDAYS, 1) for name in _wide(data[day])}
    phrases.pop("", None)
    return {"phrases": phrases, "names": names, "numbers": _spelled(language) | _written(data)}


def _written(data: dict[str, Any]) -> dict[str, int]:
    """Up to twelve, with the forms that num2words lacks."""
    pairs = [pair for each in data.get("simplifications", ()) for pair in each.items()]
    return {
        said: int(number) for said, number in pairs if said.isalpha() and number.isdecimal() and int(number) <= 12
    }


def _wide(names: list[str]) -> list[str]:
    """Not the abbreviations, most of which are other words too."""
    longest = max(map(len, names))
    return [each for each in names if len(each) >= min(4, longest) and each[:1] not in "(" and len(each) > 1]


def _spelled(language: str) -> dict[str, int]:
    """Days of a month, and tens: people say "forty days ago"."""
    spelled = importlib.import_module("num2words").num2words
    name = "no" if language == "nb" else language
    if language in _WITHOUT_SPACES:
        return {}
    found: dict[str, int] = {}
    for number in (*range(1, 32), *range(40, 100, 10)):
        for kind in ("ordinal", "cardinal")[number > 31 :]:
            with suppress(NotImplementedError):
                said = _key(spelled(number, lang=name, to=kind))
                found |= dict.fromkeys(_inflected(said, language, kind), number)
    return found


def _inflected(said: str, language: str, kind: str) -> list[str]:
    """As it is, and as it stands in a date: "am zwanzigsten", "двадцать третьего"."""
    if kind == "ordinal" and language == "de":
        return [said, f"{said}n", f"{said}r"]
    if kind == "ordinal" and language in _GENITIVE:
        pattern, ending = _GENITIVE[language]
        in_date = " ".join(pattern.sub(ending, word) for word in said.split())
        return [said, in_date.replace("третого", "третьего" if language == "ru" else "третього")]
    return [said, re.sub(r"^(on|yirmi|otuz)(?=.)", r"\1 ", said)] if language == "tr" else [said]


def _key(said: str) -> str:
    return " ".join(_WORD.findall(said.replace("\\s", "").casefold()))


if __name__ == "__main__":
    main()
