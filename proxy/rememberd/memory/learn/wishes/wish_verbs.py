"""What a message asks of the memory, by its words: a verb of each kind of wish, and what makes it no wish. Pure."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from rememberd.dialects.attribution_words import FIRST_PERSON
from rememberd.memory.learn.rules.word_forms import unaccented
from rememberd.memory.learn.wishes.wish_words import CLAUSE, SPACED, any_of, named, wish_table

_DENIED = re.compile(  # what stands before "keep" in "don't keep" and "no need to keep"
    r"(?:(?:^|[,.;:] *)(?:please,? )?(?:do not|don'?t|never)"
    r"|(?:you|no) (?:need|have|longer)(?: not)?(?: to)?) (?:ever )?$"
)
_SHORT = 4  # letters; a shorter beginning of words must be nearly all of one
_WHOLE = r"(?<!\w)(?:%s)(?!\w)"


class _Verbs(NamedTuple):
    """`begins`: the verbs that a wish of a kind has; `remember`: how one begins that says what to remember."""

    begins: dict[str, re.Pattern[str]]
    kept: re.Pattern[str]
    contrary: re.Pattern[str]
    remember: re.Pattern[str]
    says: dict[str, re.Pattern[str]]


def wishing(text: str) -> str:
    """The clauses with a wish to forget, if they name something: not "Ida has left me" before "forget Ida". Otherwise
    all clauses except those that say what to keep: "keep the eggs"."""
    parts = clauses(text)
    parts = [each for each in parts if not _verbs().contrary.match(each)] or parts
    wishes = [each for each in parts if may_wish("forget", each)]
    return ", ".join(wishes if any(map(named, wishes)) else parts)


def clauses(text: str) -> list[str]:
    """Its parts between commas, dashes and full stops."""
    return [each.strip() for each in CLAUSE.split(text) if each and each.strip()]


def may_wish(label: str, text: str) -> bool:
    """Whether a text has a word that every wish of this kind has, and does not ask for the opposite."""
    verbs, folded = _verbs().begins[label], text.replace("’", "'").casefold()
    has_one = verbs.search(folded) or verbs.search(unaccented(folded))
    return has_one is not None and not (label in ("forget", "forget_all") and wants_kept(text))


def names_forgetting(text: str) -> bool:
    """Whether a text has a word of forgetting that is more than small talk: "delete", or "don't keep"."""
    verbs, folded = _verbs().begins, text.replace("’", "'").casefold()
    found = verbs["forget"].finditer(folded)
    if any(
        not verbs["everyday"].match(folded, each.start()) or _DENIED.search(folded, 0, each.start()) for each in found
    ):
        return True
    return verbs["forget"].search(unaccented(folded)) is not None and not folded.isascii()


def wants_kept(text: str) -> bool:
    """Whether a text asks not to forget or not to delete something."""
    return _verbs().kept.search(text.replace("’", "'").casefold()) is not None


def wants_remembered(text: str) -> bool:
    """Whether it asks to remember what it says of the person: "remember that I keep bees"."""
    found = _verbs().remember.match(text)
    return found is not None and FIRST_PERSON.match(text.lower(), found.end()) is not None


def says(what: str, text: str) -> bool:
    """Whether it has words for "the conversation", or for "part_of_a_text": "the third line"."""
    return _verbs().says[what].search(text) is not None


@cache
def _verbs() -> _Verbs:
    stored = wish_table()
    return _Verbs(
        {label: _begins(stems.split()) for label, stems in stored["verbs"].items()},
        re.compile(
            "|".join(row["pattern"] if "spaced" in row else _WHOLE % row["pattern"] for row in stored["kept"])
        ),
        any_of(stored["contrary"]),
        re.compile(stored["remember"]["begins"], re.IGNORECASE),
        {name: re.compile(pattern, re.IGNORECASE) for name, pattern in stored["says"].items()},
    )


def _begins(stems: list[str]) -> re.Pattern[str]:
    """A word of a casefolded text that begins with one of these, and ends soon after a short one ("let", not
    "lettera"); anywhere in scripts without spaces. One look behind for all words and no other case: that takes a
    tenth of the time."""
    folded = dict.fromkeys(each.casefold() for each in stems)
    words = "|".join(_beginning(each) for each in folded if SPACED.fullmatch(each))
    others = [re.escape(each) for each in folded if not SPACED.fullmatch(each)]
    return re.compile("|".join([rf"(?<!\w)(?:{words})"] * bool(words) + others))


def _beginning(stem: str) -> str:
    return re.escape(stem) + (r"\w{0,3}(?!\w)" if len(stem) < _SHORT else "")
