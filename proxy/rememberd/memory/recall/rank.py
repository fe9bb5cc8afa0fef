"""Which memories answer a question: both branches, sessions and neighbours, names and dates (pure)."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from datetime import date
from enum import IntFlag
from typing import NamedTuple

import numpy as np

from rememberd.memory.recall.dates import DAY_MS, MONTHS, Span, asked_about
from rememberd.memory.recall.names import named
from rememberd.search_results import Bools, Candidates, Floats, Ints, Rows
from rememberd.types import Millis


class Weights(NamedTuple):
    """What each part counts beside the cosine D, which counts 1. Measured on LoCoMo's dev conversations, tuned on two
    and checked on the third in turn: `python -m loadtests.quality --folds`. B is `by_words`."""

    bm25: float = 0.4  # B
    session: float = 0.6  # the best D + bm25 B of the memory's conversation
    beside: float = 0.3  # the sum of D + bm25 B of the turns before and after it
    reply: float = 1.5  # times beside, for a turn after another speaker's question
    chat: float = 0.5  # session and beside are halved where no speaker is named: a chat with an assistant
    speaker: float = 0.3  # added if the question names the speaker, taken off if it names another
    time: float = 0.25  # has a time word, for questions that ask when or how long
    date: float = 0.75  # was told on the days that the question names
    fact: float = 0.1
    tells: float = 0.05  # tells what the speaker did or what befell them
    asks: float = -0.05  # is itself a question
    here: float = -0.2  # was said in this conversation, whose messages the client sends along anyway; not measured


WEIGHTS = Weights()

# The cosine counts twice up to here: what has hardly any of the meaning was found for a stray word or its neighbours.
FAINT = 0.1

# The most that one rare word scores by BM25, in units of its IDF: k1 = 1.2, short text, the engine's avg_len of 256.
TERM = 1.65

# Exchanges without a conversation, or each in a new one, belong together if no more time passed between them: 4.5 to
# 5.4 points more of the evidence of LoCoMo's talks, told message by message (FIGURES, "Told in chats").
SOON_MS = 600_000

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


class Feature(IntFlag):
    """Surface features of a memory that ranking reads without its text. 2 is free, but set in stored memories."""

    TIME = 1
    ASKS = 4
    TELLS = 8
    PRIVATE = 16  # no feature of the text: its owner marked it
    TYPED = 32  # nothing of the message was handed in (`block.all_typed`)
    ALIAS = 64  # it tells another name of somebody (`aliases.aliases_in`)


def having(cue: Feature, found: Candidates) -> Bools:
    """Which rows have it."""
    rows: Bools = (found.cues & int(cue)) > 0  # an int: numpy takes three times as long to make a number of a flag
    return rows


def features(text: str) -> Feature:
    found = Feature(0)
    if _TIME.search(text):
        found |= Feature.TIME
    if text.rstrip().endswith(("?", "？", "؟")):
        found |= Feature.ASKS
    if _TELLS.search(text):
        found |= Feature.TELLS
    return found


class Asked(NamedTuple):
    """A question, with what all steps of a recall need to know of it.

    `speakers`: whom it names of those who speak in the memories; `terms`: how many BM25 terms it has; `span`: the
    days that it names; `personal`: how clearly it is about the asker's life, from 1 on (None: unknown); `by_words`:
    nothing is known of its meaning; `conversation`: the one in which it is asked; `told_then`: it asks for what was
    told on the days of `span`."""

    text: str
    speakers: Collection[str] = ()
    terms: int = 1
    span: Span | None = None
    personal: float | None = None
    by_words: bool = False
    conversation: str | None = None
    told_then: bool = False


def rank(
    question: str,
    found: Candidates,
    now: Millis,
    conversation: str | None = None,
    weights: Weights = WEIGHTS,
) -> Candidates:
    """Best first; ties by id, so that the same memories always give the same block. `conversation` is the one in
    which the question is asked."""
    found = by_id(found)
    speakers = named(question, found.speaker.present())
    asked = Asked(question, speakers, span=asked_about(question, now), conversation=conversation)
    return found.take(best_first(scored(asked, found, Turns.of(found), weights)))


class Parts(NamedTuple):
    """Candidates, best first, and what makes up their scores: the words' share, that of their conversation and the
    turns beside, and the whole. The cosine stands in `found.dense`."""

    found: Candidates
    words: Floats
    session: Floats
    score: Floats


def explained(question: str, found: Candidates, now: Millis, weights: Weights = WEIGHTS) -> Parts:
    """`rank`, with the parts of each score."""
    found = by_id(found)
    asked = Asked(question, named(question, found.speaker.present()), span=asked_about(question, now))
    turns = Turns.of(found)
    score = scored(asked, found, turns, weights)
    words = weights.bm25 * by_words(found)
    session = _context(found, found.dense + words, turns, weights) if len(found) else words
    rows = best_first(score)
    return Parts(found.take(rows), words[rows], session[rows], score[rows])


def by_id(found: Candidates) -> Candidates:
    """Nothing hangs on the order in which a store returned them."""
    return found.take(np.argsort(found.ids)) if (found.ids[1:] < found.ids[:-1]).any() else found


def best_first(scores: Floats) -> Rows:
    """The rows by score, and in their order where that is equal."""
    return np.argsort(-scores.round(6), kind="stable")


class Turns(NamedTuple):
    """The turns that memories belong to, in the order of their conversations. Turns without a conversation, and those
    that are the only one of theirs, are in the order of time. A memory without conversation and turn is alone. If two
    turns have the same time, the turn with the first memory comes first."""

    conversation: Ints  # of each memory, by its first memory; one without is by itself
    order: Ints  # the memories, sorted by turn
    starts: Ints  # where each turn begins in that order
    turn: Ints  # of each memory
    joined: Bools  # whether a turn and the next are of one conversation, or came soon after each other
    answered: Bools  # whether the next one is another speaker's, after a question

    @classmethod
    def of(cls, found: Candidates) -> Turns:
        asks = having(Feature.ASKS, found)
        speaker = np.where(found.speaker.codes < 0, -1, found.speaker.groups())
        conversation, turn = found.conversation.groups(), found.turn_id.groups()
        line = np.where(_single(conversation, turn) & (found.turn_id.codes >= 0), -1, conversation)
        within = (turn * 2 + asks) * (len(found) + 1) + speaker + 1  # one number sorts faster than three columns
        order = np.lexsort((within, found.at, line))
        first = np.ones(len(order), np.bool_)
        for number, column in enumerate((line, found.at, within)):
            sorted_ = column[order]
            differs = sorted_[1:] != sorted_[:-1]
            first[1:] = first[1:] | differs if number else differs
        starts = np.flatnonzero(first)
        place = np.empty(len(order), np.int64)
        place[order] = np.cumsum(first) - 1
        one, two = order[starts[:-1]], order[starts[1:]]
        apart = found.at[two] - found.at[one]
        soon = (line[one] >= 0) | ((apart > 0) & (apart <= SOON_MS))
        joined = (line[one] == line[two]) & (turn[one] != turn[two]) & soon
        return cls(conversation, order, starts, place, joined, asks[one] & (speaker[one] != speaker[two]))

    def around(self, match: Floats, reply: float) -> tuple[Floats, Floats]:
        """For each memory the best match, or 0, of the turn before, counted `reply` times if its own answers that
        one, and of the turn after."""
        best = np.maximum(np.maximum.reduceat(match[self.order], self.starts), 0.0)
        before, after = np.zeros((2, len(best)))
        before[1:] = best[:-1] * self.joined * np.where(self.answered, reply, 1.0)
        after[:-1] = best[1:] * self.joined
        return before[self.turn], after[self.turn]


def _single(conversation: Ints, turn: Ints) -> Bools:
    """Which memories are of a conversation with one turn. Both numbers are those of a first memory."""
    several = np.zeros(len(turn), np.bool_)
    several[conversation[turn != turn[conversation]]] = True
    single: Bools = ~several[conversation]
    return single


def scored(asked: Asked, found: Candidates, turns: Turns, weights: Weights = WEIGHTS) -> Floats:
    if not len(found):
        return found.dense
    match = found.dense + weights.bm25 * by_words(found)
    score = match + np.minimum(found.dense, FAINT) + _context(found, match, turns, weights)
    score += _speaker(asked, found, weights)
    score += _surface(asked.text, found, weights)
    if asked.conversation:
        score += weights.here * found.conversation.named(asked.conversation)
    if asked.span:
        score += weights.date * _nearness(found.at, _midnight(asked.span.start), _midnight(asked.span.end))
    return score


def by_words(found: Candidates) -> Floats:
    """BM25 over its best, or over what one rare word scores if that is more: where only a common word is found
    ("dónde"), it must not count as much as all the words of a question."""
    best = max(float(found.bm25.max(initial=0.0)), TERM * math.log(1 + len(found)))
    shares: Floats = found.bm25 / max(best, 1e-9)
    return shares


def _context(found: Candidates, match: Floats, turns: Turns, weights: Weights) -> Floats:
    """What a memory gains from its conversation, and from the turns next to it."""
    best = np.full(len(found), -np.inf)
    np.maximum.at(best, turns.conversation, match)
    before, after = turns.around(match, weights.reply)
    gain = weights.session * best[turns.conversation] + weights.beside * (before + after)
    return gain * np.where(found.speaker.codes < 0, weights.chat, 1.0)


def _speaker(asked: Asked, found: Candidates, weights: Weights) -> Floats:
    if len(asked.speakers) != 1:
        return np.zeros(len(found))
    (only,) = asked.speakers
    other = np.where(found.speaker.codes < 0, 0.0, -1.0)
    return weights.speaker * np.where(found.speaker.named(only), 1.0, other)


def _surface(question: str, found: Candidates, weights: Weights) -> Floats:
    score: Floats = weights.fact * found.facts.astype(np.float64)
    score += weights.asks * having(Feature.ASKS, found) + weights.tells * having(Feature.TELLS, found)
    if _WHEN.search(question):
        score += weights.time * having(Feature.TIME, found)
    return score


def _nearness(at: Ints, start: Millis, end: Millis) -> Floats:
    """1 on the days asked about, .6 within two weeks of them, .3 in the month after: people tell later."""
    on = _between(at, start, end)
    near = (start - 14 * DAY_MS <= at) & (at < end + 14 * DAY_MS)
    after = (end <= at) & (at < end + 31 * DAY_MS)
    nearness: Floats = np.select([on, near, after], [1.0, 0.6, 0.3])
    return nearness


def told_on(days: Span, found: Candidates) -> Bools:
    """Which rows were told on these days."""
    return _between(found.at, _midnight(days.start), _midnight(days.end))


def _between(at: Ints, start: Millis, end: Millis) -> Bools:
    rows: Bools = (start <= at) & (at < end)
    return rows


def _midnight(day: date) -> Millis:
    return (day - date(1970, 1, 1)).days * DAY_MS
