"""The relevance floor: does a question have to do with what is remembered at all? (pure)

A question about the user ("my", "do I", the name of a speaker) needs little support from the memories, any other a
lot: "what's the capital of Mongolia" is closest to something in every store. Measured on tests/data/floor.jsonl.
"""

from __future__ import annotations

import math
import re

import numpy as np

from rememberd.memory.recall.rank import named
from rememberd.search_results import Candidates

PERSONAL, IMPERSONAL = 0.15, 0.62

# The most that one rare word scores by BM25, in units of its IDF: k1 = 1.2, short text, the engine's avg_len of 256.
TERM = 1.65

# "give me", "I need a regex", "how do I center a div": the first person of a request, not a question about oneself.
_REQUEST = re.compile(
    r"^\W*(?:(?:please|can you|could you|would you|will you|can we|let us) )*"
    r"(?:give|tell|show|help|teach|let|explain to|write|find|get|make|send|talk)\b(?: (?:me|us))?"
    r"|\bI(?: am|'m)? (?:need|want|would like|looking|trying|do(?:n't| not) (?:understand|know|get))\b|\bI'd like\b"
    r"|\bhow (?:do|can|should|would|could) (?:I|we)\b|\bwie (?:kann|mache|schreibe) ich\b"
    r"|\bshould (?:I|we) use\b|\bwhat (?:do|should|can) I do\W*$|\blike I'?m\b"
    r"|\bmy (?:\w+ )?(?:code|script|function|query|program|styles?|commits?|test|build|loop)\b",
    re.IGNORECASE,
)
_PERSON = re.compile(
    r"\b(?:I|I'm|I've|[Mm]y|[Mm]ine|[Mm]yself|[Mm]e|[Ww]e|[Oo]urs?|[Uu]s)\b"
    r"|\b(?:do|did|am|was|have|should|can|will|would|where|what) i\b|\bi(?:'m|'ve| am| have| was| like| live)\b"
    r"|\b(?:[Ii]ch|[Mm]ein\w*|[Mm]i[rc]h?|[Uu]ns(?:er\w*)?|je|j'\w+|[Mm]on|[Mm]a|[Mm]es|[Nn]ous|[Nn]otre|yo|[Mm]is?|[Mm]í"
    r"|[Jj]eg|[Mm]in|[Mm]itt|[Mm]ine|[Oo]ss|[Vv]år\w*|[Яя]|мо[йяеёи]\w*|меня|мне)\b"
    r"|[我私僕俺]|내|제가|나는|저는"
)


def relevant(question: str, terms: int, found: Candidates) -> Candidates:
    """`found` as it is, or only the pinned ones if the question has nothing to do with any of them.

    `terms` is the number of BM25 terms in the question."""
    others = found.take(~found.pinned) if found.pinned.any() else found
    if len(others) and support(terms, others) >= (PERSONAL if personal(question, others) else IMPERSONAL):
        return found
    return found.take(found.pinned)


def personal(question: str, found: Candidates) -> bool:
    """Whether the question is worded as one about the user, or names someone who speaks in the memories."""
    if named(question, found.speaker.present()):
        return True
    return bool(_PERSON.search(_REQUEST.sub(" ", question)))


def support(terms: int, found: Candidates) -> float:
    """The best memory's cosine, .1 for each rare word of the question that it has, .15 if it has all of them."""
    rarest = TERM * math.log(1 + len(found))
    weight = (0.1 + 0.15 / max(terms, 1)) / rarest
    return float((found.dense + weight * np.minimum(found.bm25, 3 * rarest)).max())
