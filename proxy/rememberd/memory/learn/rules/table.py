"""The tables of statements, one for each language, from `tables/*.txt` (format: `tables/README.txt`)."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path

_TABLES = Path(__file__).parent / "tables"
_BUILT_IN = {
    "CAP": r"(?:(?-i:[A-ZÀ-ÖØ-ÞĀ-ŽА-ЯΑ-Ω])[\w'’.&/-]*[!#+]*|[a-z](?:\.[a-z])+\.?)",
    "DENIED": "",  # only a condition, see `_row`
    "AGAIN": "",
}
_MACRO = re.compile(r"<([A-Z]+)>")
UNSPACED = ("zh", "ja")  # languages that put no space between words
_DEPTH = 6  # of macros within macros
_NEVER = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class Row:
    """One form of statement. `slot` may hold {groups} of the pattern. `denied`, `again`: required values of the
    statement, None for any. `ends` are the attributes that it ends; the ended statement must have one of the words
    `only`. `words` are the pattern's own words, which are not part of a value."""

    slot: str
    pattern: re.Pattern[str]
    words: frozenset[str]
    example: str
    denied: bool | None = None
    again: bool | None = None
    ends: tuple[str, ...] = ()
    only: frozenset[str] = frozenset()


class Table:
    """The rows of one language, and its lists of words as patterns. They are compiled when a text first needs them:
    compiling all languages takes a second, and most people write one or two."""

    def __init__(self, file: Path) -> None:
        macros, lists, self._rows = dict(_BUILT_IN), dict[str, str](), list[tuple[str, str]]()
        for kind, name, text in _lines(file):
            if kind == "macro":
                macros[name] = f"(?:{text})"
            elif kind == "list":
                lists[name] = text
            else:
                self._rows.append((name, text))
        self.language, self._lists, self._expand = file.stem, lists, _expander(macros)
        written = [*macros.values(), *lists.values(), *(line for _, line in self._rows)]
        self.vocabulary = frozenset(_literals(" ".join(written)))

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        rows = (_row(slot, line, self._expand) for slot, line in self._rows)
        return tuple(sorted(rows, key=lambda row: not row.ends))

    @cached_property
    def lists(self) -> dict[str, re.Pattern[str]]:
        spaced = self.language not in UNSPACED
        return {name: _words(self._expand(text), spaced) for name, text in self._lists.items()}

    def has(self, name: str, text: str) -> bool:
        return self.lists.get(name, _NEVER).search(text) is not None

    def at_start(self, name: str, text: str) -> re.Match[str] | None:
        return self.lists.get(name, _NEVER).match(text)


@cache
def tables() -> tuple[Table, ...]:
    """English first."""
    files = sorted(_TABLES.glob("[a-z][a-z].txt"), key=lambda file: (file.stem != "en", file.stem))
    return tuple(map(Table, files))


@lru_cache(maxsize=1024)  # a sentence is asked about ten times, those of other turns in between
def tables_for(text: str) -> tuple[Table, ...]:
    """The tables of the language that most words of the text belong to; several if it may be any of them."""
    words = {word.casefold() for word in _LETTERS.findall(text)}
    if _JAPANESE.search(text):
        return tuple(table for table in tables() if table.language == "ja")
    if _HAN.search(text):
        return tuple(table for table in tables() if table.language == "zh")
    score = {table.language: len(words & table.vocabulary) for table in tables()}
    most = max(score.values())
    return tuple(table for table in tables() if score[table.language] == most) if most else ()


def mentions(name: str, text: str) -> bool:
    """True if the text has a word of this list, in its language."""
    return any(table.has(name, text) for table in tables_for(text))


def begins(name: str, text: str) -> bool:
    """True if the text begins with a word of this list."""
    return any(table.at_start(name, text.lstrip()) for table in tables_for(text))


_NEGATIVE = re.compile(r"\(\?<?!(?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)")  # a lookaround that excludes words
_LETTERS = re.compile(r"[^\W\d_]+")
_JAPANESE = re.compile(r"[\u3040-\u30ff]")
_HAN = re.compile(r"[\u3400-\u9fff]")


def _literals(patterns: str) -> set[str]:
    """The words that stand in patterns as they are."""
    plain = re.sub(r"\(\?(?:P<\w+>|<?[=!:]|-?i:)|<[A-Z]+>|\\[a-zA-Z]", " ", patterns)
    return {
        word.casefold() for word in re.findall(r"[^\W\d_]+", plain) if len(word) > 1 or word.casefold() in "iàyoaeéия"
    }


def _lines(file: Path) -> Iterator[tuple[str, str, str]]:
    slot = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("= "):
            name, _, text = line[2:].partition(" ")
            yield "macro", name, text.strip()
        elif line.startswith("    "):
            yield "row", slot, line.strip()
        elif ": " in line and not line.startswith("#"):
            name, _, text = line.partition(": ")
            yield "list", name, text.strip()
        elif line.strip() and not line.startswith("#"):
            slot = line.strip()


def _expander(macros: dict[str, str]) -> Callable[[str], str]:
    def expand(pattern: str) -> str:
        for _ in range(_DEPTH):
            pattern = _MACRO.sub(lambda found: macros[found[1]], pattern)
        return pattern

    return expand


def _row(slot: str, line: str, expand: Callable[[str], str]) -> Row:
    pattern, _, example = line.partition(" ~ ")
    denied = True if "(?=<DENIED>)" in pattern else False if "(?!<DENIED>)" in pattern else None
    again = True if "(?=<AGAIN>)" in pattern else None
    for condition in ("(?=<DENIED>)", "(?!<DENIED>)", "(?=<AGAIN>)"):
        pattern = pattern.replace(condition, "")
    ends: tuple[str, ...] = ()
    only = frozenset[str]()
    if slot.startswith("!"):
        names, _, required = slot[1:].partition("=")
        ends, only = tuple(names.split(",")), frozenset(filter(None, required.split(",")))
        slot, denied = ends[0], bool(denied)  # "I haven't left Acme" ends nothing
    words = frozenset(_literals(_NEGATIVE.sub(" ", pattern)))
    compiled = re.compile(expand(pattern.strip()), re.IGNORECASE)
    return Row(slot, compiled, words, example.strip(), denied, again, ends, only)


def _words(alternatives: str, spaced: bool) -> re.Pattern[str]:
    edge = (r"(?<!\w)", r"(?!\w)") if spaced else ("", "")
    return re.compile(f"{edge[0]}(?:{alternatives}){edge[1]}", re.IGNORECASE)
