"""Whether a part of a sentence takes back what was said before it: "no, at Bosch". Pure."""

from itertools import islice

from rememberd.memory.learn.rules.table import begins, tables_for
from rememberd.memory.learn.rules.told_value import BREAK, TAILS
from rememberd.memory.learn.rules.values import may_tell

_BRIEF, _SURELY_CORRECTS = 6, 0.5  # words of a part that only corrects; what the classifier of values finds in it


def taken_back(sentence: str) -> int | None:
    """Where a part begins that takes back what stands before it."""
    breaks = islice(BREAK.finditer(sentence), TAILS)
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
