"""When do two short statements say the same? Their content words in order, and whether they deny, decide; a vector
alone cannot: "I moved from London to Paris" and "… from Paris to London" have the cosine .99. Pure."""

from __future__ import annotations

import re

from rememberd.memory.ids import normal

# Characters. A longer one is a document, the same only if it is equal: to compare the words of 16 neighbours of
# 20,000 characters each took half a second.
LONGEST = 2_000

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nothing|without|cannot|hate|dislike|loathe|stopped|quit|left|former|formerly|used to"
    r"|\w+n['’]t|kein\w*|nicht|nie|mehr|ne|pas|jamais|plus|nunca|ya no|ikke|aldri|inte|aldrig|niet|geen|non|não)\b",
    re.IGNORECASE,
)
# Not among them: what changes the meaning of a statement, such as was, had, to and from.
_FILLER_WORDS = (
    "a an the i i'm im i've ive i'd am is are be been being my me mine myself we our us you it its this that and or "
    "but also so then too very really quite actually just now still currently always absolutely totally basically "
    "btw of in on at by as into about have has got do does did no not any anymore more longer lot lots much own up "
    "don't dont doesn't can't cannot never"
)
_FILLERS = frozenset(_FILLER_WORDS.split())
_SYNONYMS = {
    "love": "like", "adore": "like", "enjoy": "like", "fond": "like",
    "hate": "like", "dislike": "like", "loathe": "like", "stand": "like",
    "named": "name", "called": "name",
    "based": "live", "living": "live", "reside": "live",
    "employed": "work", "working": "work",
}  # fmt: skip


def says_the_same(old: str, new: str) -> bool:
    return normal(old) == normal(new) or (_share_content(old, new) and negated(old) == negated(new))


def opposes(old: str, new: str) -> bool:
    """One says yes and the other no to the same thing."""
    return _share_content(old, new) and negated(old) != negated(new)


def _share_content(old: str, new: str) -> bool:
    if max(len(old), len(new)) > LONGEST:
        return False
    words = content(old)
    return words == content(new) and words != []


def negated(text: str) -> bool:
    return _NEGATION.search(text) is not None


def content(text: str) -> list[str]:
    """The words that carry meaning, in order, without plural s, and with a few synonyms folded."""
    words = (word.casefold().replace("’", "'") for word in _WORD.findall(text))
    return [_folded(word) for word in words if word not in _FILLERS]


def _folded(word: str) -> str:
    stem = word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
    return _SYNONYMS.get(stem, _SYNONYMS.get(word, stem))
