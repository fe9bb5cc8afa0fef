"""Whether two words are forms of one word: by stems, by endings, and by parts of compounds. Pure."""

import re
import unicodedata
from functools import lru_cache

from py_rust_stemmers import SnowballStemmer

_ENDINGS = ("s", "n", "en", "es")
_SAME = 4  # first letters that inflected forms share, and the most letters after them
_SUFFIX = 3
_LONG_SAME, _LONG_SUFFIX = 6, 6
_JOINS = frozenset(("da", "de", "fi", "nb", "nl", "ru", "sv", "uk"))  # languages that write compounds as one word
_FIRST_PART, _SECOND_PART = 5, 6  # letters
_INFLECTION = 2  # letters
_SHORTEST = 3  # letters that words with one stem share
_STEMMERS = {
    "ar": "arabic",
    "da": "danish",
    "de": "german",
    "en": "english",
    "es": "spanish",
    "fi": "finnish",
    "fr": "french",
    "it": "italian",
    "nb": "norwegian",
    "nl": "dutch",
    "pt": "portuguese",
    "ru": "russian",
    "sv": "swedish",
    "tr": "turkish",
}
_RELATIVE = re.compile(
    r"mutter|vater|bruder|schwester|tochter|eltern|freund|kinder|moeder|vader|broer|zuster|dochter|vriend"
)
_DEED = re.compile(r"(\w{5,})(?:ing|ung)(?:e|en|ene|er|s)?")
_ARABIC = re.compile("[\u0621-\u064a]+")
_VOWELS = re.compile("[اويىةءئؤأإآ]")
# In these languages names have endings ("Ola", "Olę").
_WITH_CASES = frozenset(("cs", "fi", "hu", "pl", "ru", "tr", "uk"))


def same(word: str, other: str, names: frozenset[str], languages: frozenset[str]) -> bool:
    """Whether they are forms of one word in one of these languages, ignoring accents. A name has only the endings of
    a genitive, in a language with cases also others. `word` may be a part of `other`: "Nummer" of "Handynummer"."""
    if word == other:
        return True
    if "-" in word and any(part == other for part in word.split("-") if len(part) > 1):  # "HIV-diagnos"
        return True
    joined, cases = not languages.isdisjoint(_JOINS), bool(languages) and languages <= _WITH_CASES
    if joined and not _RELATIVE.search(word) and _is_part(word, other):
        return True
    word, other, is_name = unaccented(word), unaccented(other), other in names
    if is_name and not cases:
        return any(word == other + ending or other == word + ending for ending in ("", *_ENDINGS))
    shared, after = _alike(word, other)
    if is_name and shared > 1 and after < 2:  # Ola, Olę
        return True
    if (shared >= _SAME and after <= _SUFFIX) or (shared >= _LONG_SAME and after <= _LONG_SUFFIX):
        return True
    if (root := _root(word)) and root == _root(other):
        return True
    if joined and _is_of_deed(word, other):
        return True
    return shared >= _SHORTEST and any(_stem(word, each) == _stem(other, each) for each in languages)


def _alike(word: str, other: str) -> tuple[int, int]:
    """How many first letters they share, and how many come after those in the longer one."""
    pairs = enumerate(zip(word, other, strict=False))
    shared = next((at for at, (one, two) in pairs if one != two), min(len(word), len(other)))
    return shared, max(len(word), len(other)) - shared


def _is_part(word: str, other: str) -> bool:
    """True if `word` is the second part of `other` ("больницу" of "психбольнице"), or if they have the same first
    part ("velkaa" of "velkajuttu", "Schulden" of "Schuldsanering")."""
    stem = word[: max(_SECOND_PART, len(word) - _INFLECTION)]
    found = other.rfind(stem) if len(word) >= _SECOND_PART else -1
    if found > 0 and len(other) - found - len(stem) <= _INFLECTION:
        return True
    shared, _ = _alike(word, other)
    rest = min(len(word), len(other)) - shared
    return (shared >= _FIRST_PART and rest < _INFLECTION) or (shared >= _LONG_SAME and rest <= _SUFFIX)


def _is_of_deed(word: str, other: str) -> bool:
    """True if `word` is the noun of the verb with which `other` begins: "spillingen" of "spilleproblemer"."""
    found = _DEED.match(word)
    return found is not None and other.startswith(found[1]) and len(other) > len(word)


@lru_cache(maxsize=4096)
def _root(word: str) -> str | None:
    """The consonants of an Arabic word, three or more: those of "طلاقي" and "مطلقة" are the same."""
    if not _ARABIC.fullmatch(word):
        return None
    found = _VOWELS.sub("", word.removeprefix("م") if len(word) > _SAME else word)
    return found if len(found) >= _SHORTEST else None


@lru_cache(maxsize=4096)
def _stem(word: str, language: str) -> str:
    name = _STEMMERS.get(language)
    return SnowballStemmer(name).stem_word(word) if name else word


@lru_cache(maxsize=4096)
def unaccented(word: str) -> str:
    """Without the marks on its letters."""
    return "".join(each for each in unicodedata.normalize("NFD", word) if not unicodedata.combining(each))
