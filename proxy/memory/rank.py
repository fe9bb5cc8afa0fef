"""Which memories answer a question: both branches, sessions and neighbours, names and dates (pure).

The balance was measured on LoCoMo's dev conversations, tuned on two and checked on the third, in turn:
score = D + .45 B + .6 S + .3 N ± .3 speaker + time + .75 date + .2 fact - .1 asks, with D the cosine, B BM25 over its
best, S the best of D + .3 B in the memory's conversation, N the sum of D + .3 B of the turns before and after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import IntFlag
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from proxy.memory.dates import MONTHS, Span, asked_about
from proxy.types import Candidate, Millis

Scores = NDArray[np.float64]

_TIME = re.compile(
    r"\b(yesterday|today|tonight|tomorrow|ago|last|next|recently|soon|since|week(end)?s?|days?|months?|years?|morning"
    r"|evening|night|(mon|tues|wednes|thurs|fri|satur|sun)day|summer|winter|spring|autumn|fall|"
    + "|".join(MONTHS)
    + r")\b",
    re.IGNORECASE,
)
_WHEN = re.compile(
    r"\b(when|how (long|old|recently)|(what|which) (date|day|month|year|time)|how many (day|week|month|year)s)\b",
    re.IGNORECASE,
)


class Cue(IntFlag):
    """Surface features of a memory that ranking reads without its text."""

    TIME = 1
    DIGIT = 2
    ASKS = 4


def cues(text: str) -> Cue:
    found = Cue(0)
    if _TIME.search(text):
        found |= Cue.TIME
    if re.search(r"\d", text):
        found |= Cue.DIGIT
    if text.rstrip().endswith(("?", "？", "؟")):
        found |= Cue.ASKS
    return found


def named(question: str, speakers: Iterable[str]) -> set[str]:
    return {each for each in speakers if re.search(rf"\b{re.escape(each)}\b", question, re.IGNORECASE)}


def rank(question: str, found: Sequence[Candidate], now: Millis) -> list[Candidate]:
    """Best first; ties by id, so that the same memories always give the same block."""
    if not found:
        return []
    dense = np.array([each.dense for each in found])
    bm25 = np.array([each.bm25 for each in found])
    bm25 /= max(float(bm25.max()), 1e-9)
    match = dense + 0.3 * bm25
    score = (
        dense + 0.45 * bm25 + _context(found, match) + _speaker(question, found) + _surface(question, found)
    )
    if span := asked_about(question, now):
        score += [0.75 * _nearness(each.at, span) for each in found]
    order = sorted(zip(-score.round(6), (each.id for each in found), range(len(found)), strict=True))
    return [found[place] for _, _, place in order]


def _context(found: Sequence[Candidate], match: Scores) -> Scores:
    """What a memory gains from its conversation and from the turns next to it.

    Halved in chats with an assistant (no speaker named): there the neighbours are about other things more often."""
    best: dict[str, float] = {}
    turns: dict[tuple[str, Millis, str], float] = {}
    for each, value in zip(found, match.tolist(), strict=True):
        if each.conversation:
            best[each.conversation] = max(value, best.get(each.conversation, 0.0))
            turn = (each.conversation, each.at, each.turn_id or each.id)
            turns[turn] = max(value, turns.get(turn, 0.0))
    beside = dict.fromkeys(turns, 0.0)
    for one, next_ in pairwise(sorted(turns)):
        if one[0] == next_[0]:
            beside[one] += turns[next_]
            beside[next_] += turns[one]
    gain = [
        (1.0 if each.speaker else 0.5)
        * (0.6 * best[each.conversation] + 0.3 * beside[each.conversation, each.at, each.turn_id or each.id])
        if each.conversation
        else 0.0
        for each in found
    ]
    return np.array(gain)


def _speaker(question: str, found: Sequence[Candidate]) -> Scores:
    asked = named(question, {each.speaker for each in found if each.speaker})
    if len(asked) != 1:
        return np.zeros(len(found))
    return np.array([0.3 if each.speaker in asked else -0.3 if each.speaker else 0.0 for each in found])


def _surface(question: str, found: Sequence[Candidate]) -> Scores:
    bits = np.array([each.cues for each in found])
    fact = np.array([each.kind == "fact" for each in found])
    score: Scores = 0.2 * fact - 0.1 * ((bits & Cue.ASKS) > 0)
    if _WHEN.search(question):
        score += 0.25 * ((bits & Cue.TIME) > 0) + 0.2 * ((bits & Cue.DIGIT) > 0)
    return score


def _nearness(at: Millis, span: Span) -> float:
    """1 within the days asked about, .6 within two weeks of them, .3 in the month after (people tell later)."""
    told = datetime.fromtimestamp(at / 1000, UTC).date()
    if span.start <= told < span.end:
        return 1.0
    if span.start - timedelta(days=14) <= told < span.end + timedelta(days=14):
        return 0.6
    return 0.3 if span.end <= told < span.end + timedelta(days=31) else 0.0
