"""Which of the ranked memories go into the block: best first, until the budget is full (pure)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rememberd.memory.recall.block import FRAME_COST, HEADER_COST
from rememberd.memory.recall.dates import DAY_MS
from rememberd.search_results import Candidates, Ints

# A profile this small against the budget goes in whole: the right one of 50 preferences is among the best ten in
# 94 % of cases, of 1,000 in 37 %, and what a model knows of a person it can use unasked.
WHOLE_SHARE = 0.25


def pack(ranked: Candidates, budget_tokens: int) -> tuple[list[str], int]:
    """Ids in the order taken, and what the block costs at most, in tokens (0 for none). Pinned memories come first,
    then a small profile, then the best. None is taken that a fact, or the episode, of the same turn tells already."""
    if not len(ranked):
        return [], 0
    cost, taken = FRAME_COST, dict[int, None]()
    headers, kinds = set[int](), dict[int, bool]()
    days, turns = _days(ranked).tolist(), ranked.turn_id.codes.tolist()
    tokens, facts = ranked.tokens.tolist(), ranked.facts.tolist()
    shortest = min(tokens)
    for row in _in_turn(ranked, budget_tokens):
        if cost + shortest > budget_tokens:
            break
        more = tokens[row] + (0 if days[row] in headers else HEADER_COST)
        turn = turns[row] if turns[row] >= 0 else ~row  # what has no turn is alone
        told = kinds.get(turn, facts[row]) != facts[row]
        if cost + more > budget_tokens or told or row in taken:
            continue
        cost += more
        taken[row] = None
        headers.add(days[row])
        kinds[turn] = facts[row]
    return [each.decode() for each in ranked.ids[list(taken)].tolist()] if taken else [], cost if taken else 0


def _in_turn(ranked: Candidates, budget_tokens: int) -> Iterator[int]:
    """Rows, some of them twice."""
    yield from np.flatnonzero(ranked.pinned).tolist()
    facts = np.flatnonzero(ranked.facts)
    if ranked.tokens[facts].sum() <= WHOLE_SHARE * budget_tokens and _is_profile(ranked.take(facts), budget_tokens):
        yield from facts.tolist()
    yield from range(len(ranked))


def _is_profile(facts: Candidates, budget_tokens: int) -> bool:
    """Few, and one person's."""
    cost = facts.tokens.sum() + HEADER_COST * len(set((facts.at // DAY_MS).tolist()))
    return bool(cost <= WHOLE_SHARE * budget_tokens and len(set(facts.speaker.codes.tolist())) == 1)


def _days(ranked: Candidates) -> Ints:
    """A number for each header of the block: a day of the pinned, or of the others."""
    return ranked.at // DAY_MS * 2 + ranked.pinned
