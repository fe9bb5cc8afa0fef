"""When do two short statements say the same? Their words in order, with their symbols, and whether they deny, decide;
a vector alone cannot: "I moved from London to Paris" and "… from Paris to London" have the cosine .99. Pure."""

from __future__ import annotations

import re
import unicodedata

from rememberd.memory.ids import normal

# Characters. A longer one is a document, the same only if it is equal: to compare the words of 16 neighbours of
# 20,000 characters each took half a second.
LONGEST = 2_000

_EDGES = ".,;:!?…。、，！？\"'“”„‘’«»()[]"
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nothing|without|cannot|hate|dislike|loathe|stopped|quit|left|former|formerly|used to"
    r"|\w+n['’]t|kein\w*|nicht|nie|mehr|ne|pas|jamais|plus|nunca|ya no|ikke|aldri|inte|aldrig|niet|geen|non|não)\b",
    re.IGNORECASE,
)
# Only in lower case and never the first word's namesake: An, My and Do are names too.
_FILLERS = frozenset(
    [
        "a",
        "an",
        "the",
        "i",
        "i'm",
        "im",
        "i've",
        "am",
        "is",
        "are",
        "be",
        "been",
        "being",
        "my",
        "me",
        "we",
        "our",
        "it",
        "its",
        "that",
        "and",
        "or",
        "but",
        "also",
        "so",
        "then",
        "too",
        "very",
        "really",
        "quite",
        "actually",
        "just",
        "now",
        "still",
        "currently",
        "always",
        "absolutely",
        "totally",
        "basically",
        "of",
        "in",
        "on",
        "at",
        "by",
        "as",
        "into",
        "about",
        "have",
        "has",
        "got",
        "do",
        "does",
        "did",
    ]
)
_NEGATIVES = frozenset(
    [
        "not",
        "never",
        "don't",
        "dont",
        "doesn't",
        "can't",
        "cannot",
        "won't",
        "isn't",
        "any",
        "anymore",
        "more",
        "longer",
    ]
)
_SYNONYMS = {
    "named": "name", "called": "name",
    "love": "like", "adore": "like", "enjoy": "like", "hate": "like", "dislike": "like", "loathe": "like",
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
    """The words that carry meaning, in order, NFC, case-folded and with their symbols ("c#", "b+", "1,5")."""
    words = []
    for number, token in enumerate(unicodedata.normalize("NFC", text).replace("’", "'").split()):
        word = token.strip(_EDGES) or token
        folded = word.casefold()
        is_name = number > 1 and word[:1].isupper() and word != "I"
        if is_name or (folded not in _FILLERS and folded not in _NEGATIVES):
            words.append(_SYNONYMS.get(folded, folded))
    return words
