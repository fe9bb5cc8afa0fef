"""When do two short statements say the same? Names, numbers, negation and content words decide; a vector cannot tell
"my brother" from "my sister" (cosine .9 in the packaged model). Pure."""

from __future__ import annotations

import re

from proxy.memory.ids import normal

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nothing|without|cannot|stopped|quit|left|former|formerly|used to|\w+n['’]t"
    r"|kein\w*|nicht|nie|mehr|ne|pas|jamais|plus|nunca|ya no|ikke|aldri|inte|aldrig|niet|geen|non|não)\b",
    re.IGNORECASE,
)
_FILLER_WORDS = (
    "a an the i i'm im i've ive i'd am is are was were be been being my me mine myself we our us you it its this "
    "that and or but also so then too very really quite actually just now still currently always absolutely "
    "totally basically btw of in on at to for with by from as into about have has had got do does did no not any "
    "anymore longer don't dont doesn't can't cannot never"
)
_FILLERS = frozenset(_FILLER_WORDS.split())
_SYNONYMS = {
    "love": "like", "adore": "like", "enjoy": "like", "fond": "like",
    "named": "name", "called": "name",
    "based": "live", "living": "live", "reside": "live",
    "employed": "work", "working": "work",
}  # fmt: skip


def says_the_same(old: str, new: str) -> bool:
    """`new` adds nothing to `old`: the same names, numbers and polarity, and no content word of its own."""
    if normal(old) == normal(new):
        return True
    return negated(old) == negated(new) and marks(old) == marks(new) and content(new) <= content(old)


def opposes(old: str, new: str) -> bool:
    """One says yes and the other no to the same thing."""
    return negated(old) != negated(new) and content(new) == content(old)


def negated(text: str) -> bool:
    return _NEGATION.search(text) is not None


def marks(text: str) -> frozenset[str]:
    """Names and numbers: words with a digit, and capitalised ones that do not begin the statement."""
    words = _WORD.findall(text)
    return frozenset(
        word.casefold()
        for place, word in enumerate(words)
        if any(map(str.isdigit, word)) or (place and word[0].isupper() and word.casefold() not in _FILLERS)
    )


def content(text: str) -> frozenset[str]:
    """The words that carry meaning, without plural s, and with a few synonyms folded."""
    words = (word.casefold().replace("’", "'") for word in _WORD.findall(text))
    return frozenset(_folded(word) for word in words if word not in _FILLERS)


def _folded(word: str) -> str:
    stem = word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
    return _SYNONYMS.get(stem, _SYNONYMS.get(word, stem))
