"""The orders to an assistant of `injections.toml`, compiled."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re2


def _any(alternatives: list[str]) -> str:
    """One pattern for all of them. Those that begin at a word are joined, which halves the cost."""
    words = [each.removeprefix(r"\b") for each in alternatives if each.startswith(r"\b")]
    rest = [each for each in alternatives if not each.startswith(r"\b")]
    return "(?:" + "|".join([r"\b(?:" + "|".join(words) + ")"] * bool(words) + rest) + ")"


_TABLES = tomllib.loads(files(__package__).joinpath("injections.toml").read_text("utf-8"))
_PARTS = {name: _any(alternatives) for name, alternatives in _TABLES.pop("parts").items()}
_MARKUP = [row["find"] for row in _TABLES.pop("markup")]


def filled(pattern: str) -> str:
    """`pattern` with the alternatives of each `<part>` in place."""
    return re.sub(r"(?<!\(\?)(?<!\(\?P)<([a-z]+)>", lambda name: _PARTS[name[1]], pattern)


# By the reason that the owner of a memory reads.
_PATTERNS = {reason: "|".join(filled(row["find"]) for row in rows) for reason, rows in _TABLES.items()}
REASONS = list(_PATTERNS)

MARKUP = re.compile("|".join(_MARKUP), re.IGNORECASE | re.MULTILINE)

# Back-tracking over 12,000 characters of "send @" takes 1.3 s, in which `re` blocks every other thread. RE2 takes
# 2 ms and lets them run. It has no look-around and only ASCII classes, so it matches a little more.
_LOOK_AROUND = re.compile(r"\(\?<?!(?:[^()\\]|\\.)*\)")
_TOKEN = re.compile(r"(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<escape>\\.)|.", re.DOTALL)
_LETTERS = r"0-9A-Za-z_\x{80}-\x{10ffff}"
_WIDER = {r"\b": "", r"\w": f"[{_LETTERS}]", r"\W": "[^0-9A-Za-z_]"}
_SAME_LETTER = str.maketrans("ıİ", "ii")  # for `re`, where case is ignored


def possible_orders(text: str) -> list[str]:
    """The `REASONS` whose `order` may match in `text`; no other does. Linear in its length."""
    return [
        REASONS[index]
        for index in sorted(_filter().Match(text.translate(_SAME_LETTER).encode(errors="replace")) or ())
    ]


@cache
def order(reason: str) -> re.Pattern[str]:
    """The pattern of orders of this kind. Compiled when first needed: all together take 35 ms."""
    return re.compile(_PATTERNS[reason], re.IGNORECASE | re.DOTALL)


def _without_look_around(pattern: str) -> str:
    """`pattern` for RE2: it matches wherever `pattern` does, and elsewhere too."""

    def wider(token: re.Match[str]) -> str:
        return token[0].replace(r"\w", _LETTERS) if token["set"] else _WIDER.get(token[0], token[0])

    return _TOKEN.sub(wider, _LOOK_AROUND.sub("", pattern))


@cache
def _filter() -> re2.Set:
    """Compiled at the first text: it takes 6 MB, and not every process reads texts."""
    import re2

    options = re2.Options()
    options.case_sensitive, options.dot_nl, options.max_mem = False, True, 16 << 20
    found = re2.Set.SearchSet(options)
    for pattern in _PATTERNS.values():
        found.Add(_without_look_around(pattern))
    found.Compile()
    return found
