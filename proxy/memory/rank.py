"""Which memories answer a question: both branches, sessions and neighbours, names and dates (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from enum import IntFlag
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from proxy.memory.dates import DAY_MS, MONTHS, asked_about
from proxy.types import Candidate, Millis

Scores = NDArray[np.float64]


class Weights(NamedTuple):
    """What each part counts beside the cosine D, which counts 1. Measured on LoCoMo's dev conversations, tuned on two
    and checked on the third in turn: `python -m loadtests.quality --folds`. B is BM25 over its best."""

    bm25: float = 0.4  # B
    session: float = 0.6  # the best D + bm25 B of the memory's conversation
    beside: float = 0.3  # the sum of D + bm25 B of the turns before and after it
    reply: float = 1.5  # times beside, for a turn after another speaker's question
    chat: float = 0.5  # session and beside are halved where no speaker is named: a chat with an assistant
    speaker: float = 0.3  # added if the question names the speaker, taken off if it names another
    time: float = 0.25  # has a time word, for questions that ask when or how long
    date: float = 0.75  # was told on the days that the question names
    fact: float = 0.2
    tells: float = 0.05  # tells what the speaker did or what befell them
    asks: float = -0.05  # is itself a question
    here: float = -0.2  # was said in this conversation, whose messages the client sends along anyway; not measured


WEIGHTS = Weights()

# The cosine counts twice up to here: what has hardly any of the meaning was found for a stray word or its neighbours.
FAINT = 0.1

_TIME = re.compile(
    r"\b(yesterday|today|tonight|tomorrow|ago|last|next|recently|soon|since|week(end)?s?|days?|months?|years?"
    r"|morning|evening|night|(mon|tues|wednes|thurs|fri|satur|sun)day|summer|winter|spring|autumn|fall|"
    + "|".join(MONTHS)
    + r")\b",
    re.IGNORECASE,
)
_WHEN = re.compile(
    r"\b(when|how (long|old|recently)|(what|which) (date|day|month|year|time)"
    r"|how many (day|week|month|year)s)\b",
    re.IGNORECASE,
)
_TELLS = re.compile(
    r"\b(I|we)( \w+)? (\w+ed|went|got|had|saw|did|made|took|found|met|bought|was|were|began|started)\b", re.IGNORECASE
)


class Cue(IntFlag):
    """Surface features of a memory that ranking reads without its text. 2 is free, but set in stored memories."""

    TIME = 1
    ASKS = 4
    TELLS = 8


_ASKS = int(Cue.ASKS)  # a plain number: flags are slow, and this is read for each candidate


def cues(text: str) -> Cue:
    found = Cue(0)
    if _TIME.search(text):
        found |= Cue.TIME
    if text.rstrip().endswith(("?", "？", "؟")):
        found |= Cue.ASKS
    if _TELLS.search(text):
        found |= Cue.TELLS
    return found


def named(question: str, speakers: Iterable[str]) -> set[str]:
    return {each for each in speakers if re.search(rf"\b{re.escape(each)}\b", question, re.IGNORECASE)}


def rank(
    question: str,
    found: Sequence[Candidate],
    now: Millis,
    conversation: str | None = None,
    weights: Weights = WEIGHTS,
) -> list[Candidate]:
    """Best first; ties by id, so that the same memories always give the same block. `conversation` is the one in
    which the question is asked."""
    if not found:
        return []
    dense = np.array([each.dense for each in found])
    bm25 = np.array([each.bm25 for each in found])
    bm25 /= max(float(bm25.max()), 1e-9)
    match = dense + weights.bm25 * bm25
    score = match + np.minimum(dense, FAINT) + _context(found, match, weights)
    score += _speaker(question, found, weights)
    score += _surface(question, found, weights)
    if conversation:
        score += weights.here * np.array([each.conversation == conversation for each in found])
    if span := asked_about(question, now):
        start, end = _midnight(span.start), _midnight(span.end)
        score += weights.date * np.array([_nearness(each.at, start, end) for each in found])
    order = sorted(zip((-score.round(6)).tolist(), [each.id for each in found], range(len(found)), strict=True))
    return [found[place] for _, _, place in order]


# A turn, in the order of its conversation: conversation, time, turn, asks, speaker. A plain tuple, made 800 times.
_Said = tuple[str, Millis, str, bool, str]


def _context(found: Sequence[Candidate], match: Scores, weights: Weights) -> Scores:
    """What a memory gains from its conversation, and from the turns next to it."""
    best: dict[str, float] = {}
    turns: dict[_Said, float] = {}
    places = [_said(each) for each in found]
    for place, value in zip(places, match.tolist(), strict=True):
        if value > best.setdefault(place[0], value):
            best[place[0]] = value
        if value > turns.setdefault(place, 0.0):
            turns[place] = value
    beside = _beside(turns, weights.reply)
    gain = [weights.session * best[place[0]] + weights.beside * beside[place] for place in places]
    return np.array(gain) * [1.0 if place[4] else weights.chat for place in places]


def _said(each: Candidate) -> _Said:
    id = each.id
    return each.conversation or id, each.at, each.turn_id or id, bool(each.cues & _ASKS), each.speaker or ""


def _beside(turns: dict[_Said, float], reply: float) -> dict[_Said, float]:
    beside = dict.fromkeys(turns, 0.0)
    for one, other in pairwise(sorted(turns)):
        if one[0] == other[0] and one[2] != other[2]:
            answers = one[3] and one[4] != other[4]
            beside[one] += turns[other]
            beside[other] += turns[one] * (reply if answers else 1.0)
    return beside


def _speaker(question: str, found: Sequence[Candidate], weights: Weights) -> Scores:
    asked = named(question, {each.speaker for each in found if each.speaker})
    if len(asked) != 1:
        return np.zeros(len(found))
    sides = [1.0 if each.speaker in asked else -1.0 if each.speaker else 0.0 for each in found]
    return weights.speaker * np.array(sides)


def _surface(question: str, found: Sequence[Candidate], weights: Weights) -> Scores:
    bits = np.array([each.cues for each in found])
    score = weights.fact * np.array([each.kind == "fact" for each in found], dtype=np.float64)
    score += weights.asks * ((bits & Cue.ASKS) > 0) + weights.tells * ((bits & Cue.TELLS) > 0)
    if _WHEN.search(question):
        score += weights.time * ((bits & Cue.TIME) > 0)
    return score


def _nearness(at: Millis, start: Millis, end: Millis) -> float:
    """1 on the days asked about, .6 within two weeks of them, .3 in the month after: people tell later."""
    if start <= at < end:
        return 1.0
    if start - 14 * DAY_MS <= at < end + 14 * DAY_MS:
        return 0.6
    return 0.3 if end <= at < end + 31 * DAY_MS else 0.0


def _midnight(day: date) -> Millis:
    return (day - date(1970, 1, 1)).days * DAY_MS
