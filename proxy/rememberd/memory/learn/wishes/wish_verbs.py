"""What a message asks of the memory, by its words: a verb of each kind of wish, and what makes it no wish. Pure."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from rememberd.dialects.attribution_words import FIRST_PERSON
from rememberd.memory.learn.rules.word_forms import unaccented
from rememberd.memory.learn.wishes.wish_words import CLAUSE, SPACED, any_of, named, wish_table
from rememberd.memory.recall.dates import MONTHS, Span, asked_about, without_times
from rememberd.memory.recall.lexicon import WORD, words_of_times
from rememberd.types import Millis

_DENIAL = 40  # characters of a denial before a word, at most
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


def names_only_a_time(text: str) -> bool:
    """Whether all that it names is when something was told: "everything from last week"."""
    about, when = named(text), words_of_times() | frozenset(MONTHS)
    if about.slots or not (says("time", text) or says("open_ended", text) or asked_about(text, 0)):
        return False
    told = frozenset(word.casefold() for word in WORD.findall(without_times(text)))
    parts = (part for word in about.words for part in WORD.findall(word))
    return all(part in when or part not in told or says("time", part) or part.isdecimal() for part in parts)


def names_what_was_just_told(text: str) -> bool:
    """Whether all that it names is what was told last."""
    if not says("just", text):
        return False
    found = [each[0] for each in _verbs().says["just_told"].finditer(text.casefold())]
    said = " ".join(found)
    return bool(found) and not named(text).slots and all(word in said for word in named(text).words)


def days_meant(text: str, now: Millis) -> Span | None:
    """The days that a wish names, by `now` in the user's time zone; None for a time without a beginning or an end."""
    return None if says("open_ended", text) else asked_about(text, now)


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
        _is_more(verbs["everyday"].match(folded, each.start()), each) or _denied_before(folded, each.start())
        for each in found
    ):
        return True
    return verbs["forget"].search(unaccented(folded)) is not None and not folded.isascii()


def _denied_before(folded: str, at: int) -> bool:
    """It reads no more than the words just before: all of the text, for each of its words, takes a minute."""
    return _DENIED.search(folded, max(0, at - _DENIAL), at) is not None


def _is_more(everyday: re.Match[str] | None, found: re.Match[str]) -> bool:
    """Whether the word found is another than the everyday one that it begins with: "cancella", not "cancel"."""
    return everyday is None or len(everyday[0]) < len(found[0])


def wants_kept(text: str) -> bool:
    """Whether a text asks not to forget or not to delete something."""
    return _verbs().kept.search(text.replace("’", "'").casefold()) is not None


def wants_remembered(text: str) -> bool:
    """Whether it asks to remember what it says of the person: "remember that I keep bees"."""
    found = _verbs().remember.match(text)
    return found is not None and FIRST_PERSON.match(text.lower(), found.end()) is not None


def says(what: str, text: str) -> bool:
    """Whether it has words for "the conversation", "part_of_a_text" ("the third line"), having "told" something,
    "just" now, a "time", or "all"."""
    return _verbs().says[what].search(text.casefold()) is not None


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
        {name: re.compile(pattern, re.IGNORECASE) for name, pattern in stored["says"].items()}
        | _telling(stored["telling"]),
    )


def _telling(rows: list[dict[str, str]]) -> dict[str, re.Pattern[str]]:
    """Words for having "told" something, for "just" now, and both within a few words of each other."""
    both = []
    for row in rows:
        just, told = _any_of(row["just"]), _any_of(row["told"])
        gap = r"(?:\W+\w+){0,4}?\W+" if SPACED.fullmatch(row["just"]) else r"[^。！？、，\n]{0,6}"
        both += [f"{just}{gap}{told}", f"{told}{gap}{just}", *([_any_of(row["alone"])] if "alone" in row else [])]
    found = {
        "told": _any_of(", ".join(row["told"] for row in rows)),
        "just": _any_of(", ".join(f"{row['just']}, {row.get('alone', row['just'])}" for row in rows)),
        "just_told": "|".join(both),
    }
    return {name: re.compile(pattern) for name, pattern in found.items()}


def _any_of(words: str) -> str:
    """A pattern of words of a casefolded text with commas between them, or beginnings of words, which end with *."""
    every = sorted({word.casefold() for word in words.split(", ")}, key=len, reverse=True)
    spaced = "|".join(
        re.escape(word.rstrip("*")) + (r"\w*" if word[-1] == "*" else r"(?!\w)")
        for word in every
        if SPACED.fullmatch(word)
    )
    found = [rf"(?<!\w)(?:{spaced})"] * bool(spaced) + [
        re.escape(each) for each in every if not SPACED.fullmatch(each)
    ]
    return f"(?:{'|'.join(found)})"


def _begins(stems: list[str]) -> re.Pattern[str]:
    """A word of a casefolded text that begins with one of these, and ends soon after a short one ("let", not
    "lettera"); anywhere in scripts without spaces. One look behind for all words and no other case: that takes a
    tenth of the time."""
    folded = sorted({each.casefold() for each in stems}, key=len, reverse=True)
    words = "|".join(_beginning(each) for each in folded if SPACED.fullmatch(each))
    others = [re.escape(each) for each in folded if not SPACED.fullmatch(each)]
    return re.compile("|".join([rf"(?<!\w)(?:{words})"] * bool(words) + others))


def _beginning(stem: str) -> str:
    return re.escape(stem) + (r"\w{0,3}(?!\w)" if len(stem) < _SHORT else "")
