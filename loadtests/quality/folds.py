"""Are the weights fitted to their data? Tune on all conversations but one, check on that one."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from loadtests.quality.datasets.conversation import Conversation
from loadtests.quality.measure import Memories
from rememberd.memory.recall.aliases import without
from rememberd.memory.recall.budget import pack
from rememberd.memory.recall.names import named
from rememberd.memory.recall.rank import WEIGHTS, Weights, rank
from rememberd.search_results import Candidates
from rememberd.types import Millis

BUDGETS = (250, 1000)
STEPS = (0.5, 1.5)
ROUNDS = 2


class Searched(NamedTuple):
    """A question with what the store found for it."""

    text: str
    now: Millis
    gold: frozenset[str]
    found: Candidates


async def folds(memories: Memories, conversations: Sequence[Conversation]) -> list[dict[str, Any]]:
    """For each conversation: percent of gold with the product's weights, and with those tuned on the others."""
    searched = [await _search(memories, spoken) for spoken in conversations]
    reports = []
    for held_out, questions in enumerate(searched):
        others = [each for place, some in enumerate(searched) if place != held_out for each in some]
        tuned = _tune(others)
        reports.append(
            {
                "held_out": conversations[held_out].space.user,
                "product": _score(questions, WEIGHTS),
                "tuned on the others": _score(questions, tuned),
                "changed": {key: value for key, value in tuned._asdict().items() if value != getattr(WEIGHTS, key)},
            }
        )
    return reports


async def _search(memories: Memories, spoken: Conversation) -> list[Searched]:
    speakers = {turn.speaker for turn in spoken.turns if turn.speaker}
    searched = []
    for question in spoken.questions:
        dense = await memories.embedder.dense(without(question.text, named(question.text, speakers).keys()))
        sparse = memories.embedder.query(question.text)
        found = await memories.store.search(spoken.space, dense, sparse, now=spoken.end)
        searched.append(Searched(question.text, spoken.end, question.gold, found))
    return searched


def _tune(questions: Sequence[Searched]) -> Weights:
    """Coordinate ascent: each weight by half and by half as much again, kept if it helps."""
    best, reached = WEIGHTS, statistics.fmean(_score(questions, WEIGHTS))
    for _ in range(ROUNDS):
        for name in Weights._fields:
            for step in STEPS:
                tried = best._replace(**{name: getattr(best, name) * step})
                if (score := statistics.fmean(_score(questions, tried))) > reached:
                    best, reached = tried, score
    return best


def _score(questions: Sequence[Searched], weights: Weights) -> list[float]:
    """Percent of gold in the block, a figure for each of `BUDGETS`."""
    shares: list[list[float]] = [[] for _ in BUDGETS]
    for question in questions:
        order = rank(question.text, question.found, question.now, weights=weights)
        turns = {each.id: each.turn_id for each in order}
        for share, budget in zip(shares, BUDGETS, strict=True):
            got = {turns[each] for each in pack(order, budget)[0]}
            share.append(len(question.gold & got) / len(question.gold))
    return [round(100 * statistics.fmean(share), 1) for share in shares]
