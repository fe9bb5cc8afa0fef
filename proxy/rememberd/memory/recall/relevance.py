"""Decides whether a question is about memories, and which memories are worth their tokens (pure).

The topic of the question decides: the user, or a person, thing, place or project that their memories name. Such a
question needs little support from the memories, any other a lot: in every store some memory is the nearest to "what's
the capital of Mongolia". Measured on tests/data/floor.jsonl and with `python -m loadtests.quality`.
"""

import math
import re
from collections.abc import Collection

import numpy as np

from rememberd.memory.recall.rank import TERM, Asked, Turns, best_first, told_on
from rememberd.search_results import Bools, Candidates, DictColumn, Floats

PERSONAL, LIKELY, IMPERSONAL = 0.15, 0.25, 0.62
IMPERSONAL_BY_WORDS = 0.25  # two rare words and most of the others

# "What did Mozart compose?" names what a musician's memories name, "my spreadsheet is slow" is worded as if it were
# about the user: below this, a question is clearly about something else. Of 429 of LoCoMo 2 are, of the personal
# ones of tests/data/floor.jsonl none.
NOT_ELSEWHERE = 0.5
# Below this a question is about the asker only if it says so ("I", "my"), names a time, or something that the
# memories name; else each memory needs `LIKELY`. Of the 680 general questions of the four blind sets 13 pass for
# personal, 12 of them below this; what all 680 get, with the facts of a set and 200 others, has 3,525 tokens, not
# 4,277; of 220 needs 183 are met, not 184.
SURELY = 1.15
UNLIKELY = 0.7  # 91 of the 100 unrelated questions of tests/data/floor.jsonl are below

# Each memory shown has so much support itself, or a neighbouring turn has. `python -m loadtests.quality` for those
# about somebody who is named, cases/needs.jsonl for the others; who asks for advice gets only what has more.
NAMED, NAMED_BESIDE = 0.17, 0.12
SUPPORTED, SUPPORTED_BESIDE = 0.2, 0.15
SUPPORTED_ADVICE = 0.25
SUPPORTED_SENSITIVE = 0.35  # a fact of a sensitive topic that the question does not call for, or a telling word
ABOVE_USUAL = 0.25
TELLING = 0.08  # of the support, by words
SHARE = 0.45  # of the best score; .6 costs 1.8 points of evidence
# If the question is about the asker, at least this many of the best are kept. For "where did I work before I changed
# jobs" the change is the nearest memory, and the earlier job is far behind it. Of 57 such questions in thirteen
# languages (30 are in `tests/memory/test_recall_picks_the_right_memories.py`), 42 found it without this, 48 with it.
FEW = 4
# If the question asks for past values, more memories than `FEW` may be about present values. `python -m
# loadtests.quality synthetic` finds 70 % of the past values in 1,000 tokens with .45, 80 % with .3, all with this.
SHARE_OVER = 0.2

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
    r"|\b(?:do|did|am|was|have|should|can|will|would|where|what) i\b|\bi(?:'m|'ve| am| have| was| like| live)\b",
)
_OTHER_PERSON = re.compile(
    r"\b(?:[Ii]ch|[Mm]ein\w*|[Mm]i[rc]h?|[Uu]ns(?:er\w*)?|je|j'\w+|[Mm]on|[Mm]a|[Mm]es|[Nn]ous|[Nn]otre|yo|[Mm]is?|[Mm]í"
    r"|[Jj]eg|[Mm]in|[Mm]itt|[Mm]ine|[Oo]ss|[Vv]år\w*|[Яя]|мо[йяеёи]\w*|меня|мне)\b"
    r"|[我私僕俺]|내|제가|나는|저는"
)


_ADVICE = re.compile(
    r"\b(?:should|could|can|may|shall|would)\b.{0,12}\b(?:i|we|me|us)\b|\b(?:suggest|recommend|propose|pick|choose|find|plan"
    r"|ideas?|advice|tips|best|good|right|worth|suit|fits?|okay|ok|fine|safe|healthy)\b|^\W*(?:which|where can|order"
    r"|make me|help me)\b|\bfor (?:me|us)\b",
    re.IGNORECASE,
)
_PAST = re.compile(
    r"\b(?:did|was|were|had|has|used to|ago|last (?:week|month|year|night|time)|yesterday)\b", re.IGNORECASE
)
_BEFORE = re.compile(
    r"\b(?:before|used to|former|previous|formerly|previously|vorher|früher|ehemalig\w*|bevor|antes|anterior|avant"
    r"|ancien\w*|prima|precedente|vroeger|vorige|раньше|прежн\w*)\b|之前|以前|원래|이전",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    r"\b(?:did|had|have) you\b"
    r"|\byou(?:'ve| have| had)? (?:recommend|suggest|advis|propos|explain|mention|describ|provid|creat|generat|draft"
    r"|outlin|offer|list|show|help)e?d\b"
    r"|\byou(?:'ve| have| had)? (?:said|told|gave|given|wrote|written|made|came up|put|sent|taught|drew|found|chose"
    r"|picked)\b"
    r"|\byour (?:advice|answer|suggestions?|recommendations?|reply|response|explanation|proposal"
    r"|(?:last|previous|earlier|first) \w+)\b"
    r"|\bwe(?:'ve| have| had)? (?:discuss|talk|cover|agree|decid|settl|went)\w*|\b(?:summar(?:y|i[sz]e)|recap)\b",
    re.IGNORECASE,
)


def relevant(asked: Asked, found: Candidates, own: Floats) -> Bools:
    """Which rows may be shown, by their `supports`: all; or, if the question is not about memories, the pinned and
    those near to it.

    Without a vector of the question there is no floor if it is personal, because its meaning is unknown."""
    about = is_about_memories(asked, found)
    if about and (asked.by_words or own.max(initial=0.0, where=~found.pinned) >= PERSONAL):
        return np.ones(len(found), np.bool_)
    floor = math.inf if about else IMPERSONAL_BY_WORDS if asked.by_words else _floor(asked.personal)
    return found.pinned | (own >= floor) | _told_then(asked, found)


def _told_then(asked: Asked, found: Candidates) -> Bools:
    """If the question is about certain days, the rows told then. They need no support: who asks "which tool did I ask
    you about yesterday?" need not have said "tool" then."""
    if asked.span is None or not asked.told_then:
        return np.zeros(len(found), np.bool_)
    return told_on(asked.span, found)


def _floor(personal: float | None) -> float:
    """The support needed by a question that may be about the user: the more likely this is, the less."""
    likely = (min(personal or 0.0, 1.0) - UNLIKELY) / (1 - UNLIKELY)
    return max(LIKELY, IMPERSONAL - (IMPERSONAL - PERSONAL) * max(0.0, likely))


def is_about_memories(asked: Asked, found: Candidates) -> bool:
    """True if the question is clearly about the user, or names a person who speaks in the memories. If it is not
    clearly about something else: also if it is worded as a question about the user, or names a time or a thing that
    the memories name."""
    text = _REQUEST.sub(" ", asked.text)
    if asked.speakers:
        return True
    if asked.personal is not None and not NOT_ELSEWHERE <= asked.personal < SURELY:
        return asked.personal >= SURELY
    if asked.span and (asked.personal or 0.0) >= 1:
        return True
    return bool(found.named.any()) or bool(_PERSON.search(text) or _OTHER_PERSON.search(text))


def asks_for_advice(question: str) -> bool:
    """True if it asks for a recommendation, a plan or a choice, and not about the past."""
    return bool(_ADVICE.search(question)) and not _PAST.search(question)


def asks_for_answers(question: str) -> bool:
    """Whether it is about the assistant's words, or about all that was said."""
    return bool(_ANSWER.search(question))


def worth(
    asked: Asked,
    found: Candidates,
    own: Floats,
    turns: Turns,
    scores: Floats,
    sensitive: Collection[str],
    needs: Collection[str],
) -> Bools:
    """Which rows are worth their tokens: the pinned, and what is relevant by itself, by its `supports` and score.
    `needs` are the topics that the question calls for, of which the `sensitive` may be shown."""
    if not len(found):
        return found.pinned
    own_life = (asked.personal or 0.0) >= 1
    if asked.by_words:
        enough = _supported(own, turns, 1e-9, 1e-9)
    elif asked.speakers or (found.named.any() and own_life) or _BEFORE.search(asked.text):
        enough = _supported(own, turns, NAMED, NAMED_BESIDE)
    elif asks_for_advice(asked.text):
        enough = own >= SUPPORTED_ADVICE
    else:
        enough = _supported(own, turns, SUPPORTED, SUPPORTED_BESIDE)
    best = scores.argmax()
    least = (SHARE_OVER if _BEFORE.search(asked.text) else SHARE) * scores[best]
    if own_life and int(enough.sum()) > 1:
        least = min(least, np.sort(scores[enough])[-FEW:][0])
    enough &= scores >= least
    enough[best] = True
    then = np.flatnonzero(_told_then(asked, found))
    enough[then[best_first(scores[then])[:FEW]]] = True
    hidden = found.facts & of_topics(found.topics, set(sensitive).difference(needs))
    if hidden.any():
        # An embedder that knows little of a language finds all its sentences alike.
        usual = _median(found.dense)
        about = (own >= max(SUPPORTED_SENSITIVE, usual + ABOVE_USUAL)) | (own - found.dense >= TELLING)
        enough &= ~hidden | about
    rows: Bools = enough | found.pinned
    return rows


def _median(numbers: Floats) -> float:
    """The median of at least one number; `np.median` takes five times as long."""
    middle = ((len(numbers) - 1) // 2, len(numbers) // 2)
    lower, upper = np.partition(numbers, middle)[list(middle)].tolist()
    return float((lower + upper) / 2)


def _supported(own: Floats, turns: Turns, itself: float, beside: float) -> Bools:
    """Whether each row, or the turn before or after it, has enough support."""
    before, after = turns.around(own, reply=1.0)
    rows: Bools = (own >= itself) | (before >= beside) | (after >= beside)
    return rows


def of_topics(topics: DictColumn, wanted: Collection[str]) -> Bools:
    """Which rows belong to one of the topics."""
    names = [not set(name.split()).isdisjoint(wanted) for name in topics.book.names]
    rows: Bools = np.array([*names, False])[topics.codes]  # the last is that of the code -1
    return rows


def supports(terms: int, found: Candidates) -> Floats:
    """A memory's cosine, .1 for each rare word of the question that it has, .15 if it has all of them."""
    if not len(found):
        return found.dense
    rarest = TERM * math.log(1 + len(found))
    weight = (0.1 + 0.15 / max(terms, 1)) / rarest
    each: Floats = found.dense + weight * np.minimum(found.bm25, 3 * rarest)
    return each
