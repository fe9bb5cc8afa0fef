"""Explains why a memory was found: the parts of its score."""

from collections.abc import Mapping
from typing import NamedTuple

from rememberd.memory.recall.budget import called
from rememberd.memory.recall.rank import explained
from rememberd.search_results import Candidates
from rememberd.types import Memory, Millis


class Score(NamedTuple):
    """`cosine`, `words` (by BM25) and `session` (its conversation and the turns beside it) make up most of `total`;
    `need`: how clearly the question needs a fact of this topic, 1 or more."""

    cosine: float
    words: float
    session: float
    total: float
    need: float


class ScoredMemory(NamedTuple):
    memory: Memory
    score: Score


def explain(
    question: str, found: Candidates, now: Millis, needs: Mapping[str, float], limit: int
) -> dict[str, Score]:
    """The ids of the best `limit` candidates, best first. `needs`: the topics that the question calls for."""
    parts = explained(question, found, now)
    best = parts.found.take(slice(limit))
    topics = [called(each or "", needs) for each in best.topics]
    columns = (best.dense.tolist(), *(each[:limit].tolist() for each in (parts.words, parts.session, parts.score)))
    rows = zip(best.names(), *columns, topics, best.facts.tolist(), strict=True)
    return {
        id: Score(cosine, words, session, total, need if fact else 0.0)
        for id, cosine, words, session, total, need, fact in rows
    }
