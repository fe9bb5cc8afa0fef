"""Which attribute's present value does a sentence tell that no table knows as a whole: "All unpacked, home is Ghent"?
Which part takes back what was said before it?

Pure."""

import re
from collections.abc import Iterator
from itertools import islice

from rememberd.memory.learn.rules.clauses import without_lead
from rememberd.memory.learn.rules.slots import is_single
from rememberd.memory.learn.rules.statement import statement
from rememberd.memory.learn.rules.table import begins, mentions, tables_for
from rememberd.memory.learn.rules.values import may_tell, tells
from rememberd.memory.text_similarity import WHOSE

_BREAK = re.compile(r"[,;:–—-]\s+")
AND = re.compile(r"(?:,|\b(?:and|und|et|y|e|og|och|en|i|и))\s+(?=\w)", re.IGNORECASE)
_PRONOUN = re.compile(
    r"(?:(?:and|und|et|y|e|en|och|og) )?"
    r"(?:he|she|er|sie|il|elle|él|ella|lui|lei|ele|ela|hij|zij|ze|han|hon|hun|он|она)\s",
    re.IGNORECASE,
)
_SINCE = 4  # words of "since last Monday", at most
_BRIEF, _SURELY_CORRECTS = 6, 0.5  # words of a part that only corrects; what the classifier of values finds in it
_TAILS = 16  # of each kind; what has more breaks is a list, and each costs a copy of the rest


def told_value(sentence: str) -> str | None:
    """None if it tells no value, several, or one that is past, passing or beside another."""
    if any(mentions(name, sentence) for name in ("past", "passing", "also")):
        return None
    told = (tells(sentence) | tells(_without_again(sentence))) - {"ended", "again"}
    tails = map(statement, _tails(sentence))
    told |= {tail.slot for tail in tails if tail and is_single(tail.slot) and not (tail.denied or tail.ends)}
    if "surname" in told:
        told -= {"name"}
    return min(told) if len(told) == 1 else None


def states_value(sentence: str, slot: str) -> bool:
    """Whether a part of it states this by itself, in a form of the tables: "Pues ya está, ahora vivo en Ávila"."""
    return any(tail is not None and tail.slot == slot for tail in map(statement, _tails(sentence)))


def _without_again(sentence: str) -> str:
    """ "I'm with Kim again" tells whom the person is with."""
    for table in tables_for(sentence):
        if again := table.lists.get("again"):
            sentence = again.sub(" ", sentence)
    return sentence


def _tails(sentence: str) -> Iterator[str]:
    """The parts that may state the value by themselves: after a comma, an "and" or "since Monday"."""
    for found in islice(_BREAK.finditer(sentence), _TAILS):
        yield _with_subject(without_lead(sentence[found.end() :]), sentence)
    words = sentence.split()
    for found in islice(AND.finditer(sentence), _TAILS):
        yield f"{words[0]} {sentence[found.end() :]}"
        yield sentence[found.end() :]  # "y ahora trabajo en Correos"
    for at in range(1, min(_SINCE, len(words) - 2)):
        if mentions("change", " ".join(words[:at]).lower()):
            rest = " ".join(words[at + 2 :])
            yield from (f"{words[at]} {words[at + 1]} {rest}", f"{words[at + 1]} {words[at]} {rest}")  # "wohne ich"


def _with_subject(tail: str, sentence: str) -> str:
    """ "My wife works at Boots" for "she works at Boots", after "My wife has changed jobs"."""
    pronoun, owned = _PRONOUN.match(tail), WHOSE.match(sentence)
    if not pronoun or not owned:
        return tail
    return f"{' '.join(sentence.split()[: len(owned[0].split()) + 1])} {tail[pronoun.end() :]}"


def taken_back(sentence: str) -> int | None:
    """The start of the part that takes back what is before it; None if there is no such part."""
    breaks = islice(_BREAK.finditer(sentence), _TAILS)
    return next((found.end() for found in breaks if corrects(sentence[found.end() :])), None)


def corrects(text: str) -> bool:
    """ "No, at Bosch" takes back what was said before it."""
    if begins("correct", text):
        return True
    brief = len(text.split()) <= _BRIEF
    return brief and not _denies(text) and may_tell("corrects", text, _SURELY_CORRECTS)


def _denies(text: str) -> bool:
    """ "Not 40" denies what was not said; "no, 41" takes back what was."""
    denials = (table.at_start("deny", text.lstrip()) for table in tables_for(text))
    return any(denial and not text.lstrip()[denial.end() :].startswith(",") for denial in denials)
