"""Facts by rules: plain first-person statements, without a model call.

Precision comes before recall: what the rules miss the episode still carries, what they get wrong stays. A fact keeps
the person's own words and language ("I live in Oslo."), so that nothing is worded that was not said.
"""

from __future__ import annotations

import re

from rememberd.dialects.segments import segment
from rememberd.memory.learn.rules import english, languages
from rememberd.memory.learn.rules.clauses import Clause, clauses
from rememberd.memory.learn.rules.occupations import is_given_name, is_occupation
from rememberd.types import Fact, Millis, Turn

_ALL_ROWS = (*english.ROWS, *languages.ROWS)
_IN_ENGLISH = re.compile(r"(?:i|my|we|our)(?:['’]\w+)? ", re.IGNORECASE)
_JOB_CHANGE = re.compile(
    r"\b(?:left|quit|resigned|(?:changed|switched) jobs|new job|fired|laid off|(?:not|no longer) (?:at|with))\b",
    re.IGNORECASE,
)
# What somebody else's words must not change where it is not certain whose they are.
_IDENTITY = frozenset(("name", "home", "employer"))
_MAX_FACTS = 12  # of one message; who states more has pasted a list


class Rules:
    """The `Extractor` that needs no model."""

    async def facts(self, turn: Turn) -> list[Fact]:
        return extract(turn.user_text, turn.created_at)


def extract(text: str, at: Millis) -> list[Fact]:
    """What the user states about themselves in `text`, said at `at`. Each `evidence` is a span of `text`.

    A closing statement ("I no longer work at Acme.") has the slot it closes: it supersedes the value there."""
    facts: dict[str, Fact] = {}
    sure = segment(text).sure
    for clause in clauses(text):
        fact = _fact(clause, at)
        if fact and (sure or fact.slot not in _IDENTITY):
            facts.setdefault(fact.text.casefold(), fact)
    return list(facts.values())[:_MAX_FACTS]


def slot_of(statement: str) -> str | None:
    """Of a sentence that somebody states outright, such as a memory added by hand."""
    facts = extract(statement, 0)
    return facts[0].slot if len(facts) == 1 else None


def _fact(clause: Clause, at: Millis) -> Fact | None:
    found = _slot(clause)
    if not clause.told and (found is None or english.HEDGED.search(clause.text)):
        return None
    return Fact(text=_sentence(clause.text), evidence=clause.evidence, slot=found or None, valid_from=at)


def _slot(clause: Clause) -> str | None:
    """The slot of the first row that matches, "" for a row without one; None: no statement."""
    for each in english.ROWS if _IN_ENGLISH.match(clause.text) else _ALL_ROWS:
        match = each.pattern.match(clause.text)
        if match is None:
            continue
        named = match.groupdict()
        if named.get("occupation") and not is_occupation(named["occupation"]):
            continue
        if named.get("name") and not is_given_name(named["name"]):
            continue
        if named.get("new_job") and not _JOB_CHANGE.search(clause.before):
            continue
        if each.slot is None and _is_passing(clause):
            continue
        return (each.slot or "").format(of=_slug(named.get("of", "")))
    return _greeted(clause)


def _is_passing(clause: Clause) -> bool:
    """About the work at hand, the hour or the assistant, not about the person."""
    technical = english.TECHNICAL.search(f"{clause.before} {clause.text}")
    return bool(technical or english.PASSING.search(clause.text))


def _slug(words: str) -> str:
    return "_".join(words.casefold().replace("colour", "color").split())


def _greeted(clause: Clause) -> str | None:
    """ "Hi there, this is Priya": a name only after a greeting."""
    words = clause.text.split()
    is_name = clause.greeted and len(words) in (3, 4) and words[:2] in (["this", "is"], ["This", "is"])
    return "name" if is_name and is_given_name(" ".join(words[2:])) else None


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + ("" if words[-1] in ".!。" else ".")
