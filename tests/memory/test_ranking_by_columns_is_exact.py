"""Ranking and packing by columns give what the plain definition gives, row by row, on random candidates."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Sequence
from itertools import chain, pairwise

import pytest

from rememberd.memory.recall.block import FRAME_COST, HEADER_COST
from rememberd.memory.recall.budget import BEST, pack
from rememberd.memory.recall.dates import DAY_MS, asked_about
from rememberd.memory.recall.rank import FAINT, SOON_MS, TERM, WEIGHTS, Feature, rank
from rememberd.memory.recall.relevance import supports
from rememberd.search_results import Candidate, Candidates
from rememberd.storage.edge.socket_protocol import pack_candidates, unpack_candidates
from tests.support.tables import each_row

NOW = 1_750_000_000_000
Turn = tuple[str, int, str, bool, str]  # conversation, time, turn, asks, speaker
QUESTIONS = [
    "Where do I live?",
    "When did Ada move?",
    "What did Ada and Bo say?",
    "How long was I in Oslo in May 2025?",
    "What did Bo do last week?",
]


def candidates(chance: random.Random, count: int) -> list[Candidate]:
    """Many ties, few names, and some of nothing."""
    return [
        Candidate(
            id=f"{chance.getrandbits(64):016x}" + "æ" * chance.randrange(2),
            dense=chance.choice(cosines),
            bm25=chance.choice(scores),
            kind=chance.choice(("fact", "episode")),
            at=NOW - chance.randrange(60) * step,
            tokens=chance.randrange(5, 60),
            cues=chance.randrange(16),
            pinned=chance.random() < 0.02,
            slot=chance.choice((None, "home", "employer")),
            speaker=chance.choice(speakers),
            conversation=chance.choice(conversations),
            turn_id=chance.choice((None, *(f"turn{n}" for n in range(count // 2 + 1)))),
            topics=chance.choice((None, "diet", "diet health")),
            answer_tokens=chance.randrange(5),
            named=chance.random() < 0.1,
        )
        for step in [chance.choice((DAY_MS // 2, SOON_MS // 3))]
        for conversations in [
            chance.choice(((None, "c1", "c2", "c3"), (None, "c1", *(f"c{n}" for n in range(count)))))
        ]
        for speakers in [chance.choice(((None,), (None, "Ada", "Bo"), ("Ada",)))]
        for cosines in [[0.0, *(chance.uniform(-0.1, 0.9) for _ in range(chance.choice((1, 100))))]]
        for scores in [[0.0, *(chance.uniform(0, 9) for _ in range(chance.choice((1, 100))))]]
        for _ in range(count)
    ]


def reference(question: str, found: Sequence[Candidate], conversation: str | None) -> list[str]:
    most = max(*(each.bm25 for each in found), TERM * math.log(1 + len(found)))
    match = {each.id: each.dense + WEIGHTS.bm25 * (each.bm25 / most) for each in found}
    turn = turns_of(found)
    beside = neighbours(turn, match)
    speakers = {each.speaker for each in found if each.speaker}
    asked = {each for each in speakers if re.search(rf"\b{each}\b", question)}
    span = asked_about(question, NOW)

    def score(each: Candidate) -> float:
        best = max(match[other.id] for other in found if talk(other) == talk(each))
        context = WEIGHTS.session * best + WEIGHTS.beside * beside[turn[each.id]]
        total = match[each.id] + min(each.dense, FAINT) + context * (1 if each.speaker else WEIGHTS.chat)
        if len(asked) == 1 and each.speaker:
            total += WEIGHTS.speaker * (1 if each.speaker in asked else -1)
        total += WEIGHTS.fact * (each.kind == "fact")
        total += WEIGHTS.asks * bool(each.cues & Feature.ASKS) + WEIGHTS.tells * bool(each.cues & Feature.TELLS)
        total += WEIGHTS.time * bool(each.cues & Feature.TIME and re.search("When|How long", question))
        total += WEIGHTS.here * (conversation is not None and each.conversation == conversation)
        if span is not None:
            start, end = ((day.toordinal() - 719_163) * DAY_MS for day in span)
            total += WEIGHTS.date * nearness(each.at, start, end)
        return round(total, 6)

    return [each.id for each in sorted(found, key=lambda each: (-score(each), each.id))]


def talk(each: Candidate) -> str:
    return each.conversation or f"alone {each.id}"


def lines_of(found: Sequence[Candidate]) -> dict[str, str]:
    """By memory. A conversation with one turn is in the line of those without a conversation."""
    turns = dict[str, set[str]]()
    for each in found:
        turns.setdefault(talk(each), set()).add(each.turn_id or each.id)
    return {each.id: "" if each.turn_id and len(turns[talk(each)]) == 1 else talk(each) for each in found}


def turns_of(found: Sequence[Candidate]) -> dict[str, Turn]:
    """By memory. Turns and speakers sort by the first memory of each."""
    turns, speakers, line = dict[str, str](), dict[str, str](), lines_of(found)
    for each in sorted(found, key=lambda each: each.id):
        turns.setdefault(each.turn_id or each.id, each.id)
        speakers.setdefault(each.speaker or "", each.id if each.speaker else "")
    return {
        each.id: (
            line[each.id],
            each.at,
            turns[each.turn_id or each.id],
            bool(each.cues & Feature.ASKS),
            speakers[each.speaker or ""],
        )
        for each in found
    }


def neighbours(turn: dict[str, Turn], match: dict[str, float]) -> dict[Turn, float]:
    turns = dict.fromkeys(turn.values(), 0.0)
    for id_, value in match.items():
        turns[turn[id_]] = max(turns[turn[id_]], value)
    beside = dict.fromkeys(turns, 0.0)
    for one, other in pairwise(sorted(turns)):
        if one[0] == other[0] and one[2] != other[2] and (one[0] or 0 < other[1] - one[1] <= SOON_MS):
            beside[one] += turns[other]
            beside[other] += turns[one] * (WEIGHTS.reply if one[3] and one[4] != other[4] else 1)
    return beside


def nearness(at: int, start: int, end: int) -> float:
    if start <= at < end:
        return 1.0
    if start - 14 * DAY_MS <= at < end + 14 * DAY_MS:
        return 0.6
    return 0.3 if end <= at < end + 31 * DAY_MS else 0.0


def reference_pack(ranked: Sequence[Candidate], budget: int) -> tuple[list[str], int]:
    order = [*(each for each in ranked if each.pinned), *ranked]
    best = {each.id for each in order[:BEST]}
    taken: dict[str, Candidate] = {}
    cost, days = FRAME_COST, set()
    later: list[Candidate] = []
    for each in chain(order, later):
        day = (each.pinned, each.at // DAY_MS)
        more = each.tokens + (0 if day in days else HEADER_COST)
        beside = [had.kind for had in taken.values() if each.turn_id and each.turn_id == had.turn_id]
        told = each.kind == "fact" and "episode" in beside
        if cost + more > budget or told or each.id in taken:
            continue
        if each.kind == "episode" and "fact" in beside and each.id not in best and each not in later:
            later.append(each)
            continue
        taken[each.id] = each
        cost += more
        days.add(day)
    return list(taken), cost if taken else 0


@each_row("seed", range(60))
def test_columns_rank_and_pack_as_rows_do(seed: int) -> None:
    """The same order and the same block, whichever way the store returned the candidates."""
    chance = random.Random(seed)
    found = candidates(chance, chance.choice((1, 2, 10, 120)))
    conversation = chance.choice((None, "c1", "elsewhere"))
    for question in QUESTIONS:
        ranked = rank(question, Candidates.of(found), NOW, conversation)
        assert ranked.names() == reference(question, found, conversation)
        assert rank(question, Candidates.of(found[::-1]), NOW, conversation).names() == ranked.names()
        for budget in (30, 100, 600):
            assert pack(ranked, budget) == reference_pack(list(ranked), budget)


@each_row("seed", range(20))
def test_candidates_are_the_same_on_the_other_side_of_the_socket(seed: int) -> None:
    """Every field of every row, in order; of no rows too."""
    found = candidates(random.Random(seed), seed)
    assert list(Candidates.of(found)) == found
    assert list(unpack_candidates(*pack_candidates(Candidates.of(found)))) == found


def test_support_is_of_each_memory_by_itself() -> None:
    """By its own meaning and its own words."""
    both = Candidates.of(candidates(random.Random(3), 50))
    assert supports(3, both).tolist() == pytest.approx([support_of(each, 50) for each in both])


def support_of(each: Candidate, count: int) -> float:
    rarest = 1.65 * math.log(1 + count)
    return each.dense + (0.1 + 0.15 / 3) / rarest * min(each.bm25, 3 * rarest)
