"""What the product is compared with in the same run: simple ways to choose what goes before the model.

All but the vector store choose among the same memories as the product and are packed by the same code."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from loadtests.quality.datasets.conversation import Conversation
from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.recall.block import tokens
from rememberd.memory.recall.budget import pack
from rememberd.search_results import Candidates, Floats
from rememberd.types import Turn

MOST_SIMILAR = 3  # texts that a choice is judged by
RRF_K = 60  # Cormack, Clarke and Büttcher, SIGIR 2009


class Chosen(NamedTuple):
    """`ids` are of memories, or of turns if `turns`."""

    way: str
    ids: Sequence[str]
    tokens: int
    ms: float = 0.0
    turns: bool = False


def orders(found: Candidates) -> dict[str, Candidates]:
    """The memories in the order of each baseline, best first."""
    dense, words = _ranks(found, found.dense), _ranks(found, found.bm25)
    fused = 1 / (RRF_K + dense) + 1 / (RRF_K + words)
    exchanges = found.take(np.flatnonzero(~found.facts))
    oldest = exchanges.take(np.lexsort((exchanges.ids, exchanges.at)))
    return {
        "dense only": found.take(np.argsort(dense)),
        "BM25 only": found.take(np.argsort(words)),
        "RRF": found.take(np.lexsort((found.ids, -fused))),
        "last turns": oldest.take(np.arange(len(oldest))[::-1]),
        "full history, cut": oldest,
    }


def chosen(found: Candidates, budget: int) -> Iterator[Chosen]:
    for way, order in orders(found).items():
        yield Chosen(way, *pack(order, budget))


def _ranks(found: Candidates, scores: Floats) -> NDArray[np.int64]:
    ranks = np.empty(len(found), np.int64)
    ranks[np.lexsort((found.ids, -scores))] = np.arange(1, len(found) + 1)
    return ranks


class VectorStore:
    """A plain vector store with the packaged embedder: a vector a turn, exact cosine, no rules and no words."""

    def __init__(self, embedder: FastEmbedder) -> None:
        self.embedder = embedder
        self.turns: dict[str, list[Turn]] = {}
        self.costs: dict[str, list[int]] = {}
        self.texts: dict[str, str] = {}  # by turn
        self.vectors: dict[str, Floats] = {}

    async def add(self, spoken: Conversation) -> None:
        texts = [text_of(turn) for turn in spoken.turns]
        user = spoken.space.user
        self.turns[user] = spoken.turns
        self.texts |= {turn.id: text for turn, text in zip(spoken.turns, texts, strict=True)}
        self.costs[user] = [tokens(text + "\n") for text in texts]
        self.vectors[user] = _unit(np.array([await self.embedder.dense(text) for text in texts]))

    def history_tokens(self, user: str) -> int:
        return sum(self.costs[user])

    async def chosen(self, user: str, question: str, budgets: Sequence[int]) -> list[Chosen]:
        """For each budget the nearest turns that fit."""
        began = time.perf_counter()
        order = await self._order(user, question)
        ms = (time.perf_counter() - began) * 1000
        return [self._fitting(user, order, budget, ms) for budget in budgets]

    async def ranked(self, user: str, question: str) -> list[str]:
        """All turns, the nearest first."""
        return [self.turns[user][place].id for place in await self._order(user, question)]

    async def _order(self, user: str, question: str) -> list[int]:
        nearness = self.vectors[user] @ _unit(np.array(await self.embedder.dense(question)))
        order: list[int] = np.argsort(-nearness, kind="stable").tolist()
        return order

    async def nearest(self, texts: Sequence[str], options: Sequence[str]) -> int:
        """The place of the option with the highest mean similarity to its most similar texts."""
        told = _unit(np.array([await self.embedder.dense(text) for text in texts]))
        choices = _unit(np.array([await self.embedder.dense(option) for option in options]))
        best = np.sort(choices @ told.T, axis=1)[:, -MOST_SIMILAR:]
        return int(best.mean(axis=1).argmax())

    def _fitting(self, user: str, order: Sequence[int], budget: int, ms: float) -> Chosen:
        ids, used = [], 0
        for place in order:
            if used + self.costs[user][place] <= budget:
                used += self.costs[user][place]
                ids.append(self.turns[user][place].id)
        return Chosen("vector store", ids, used, ms, turns=True)


def text_of(turn: Turn) -> str:
    said = f"{turn.speaker}: {turn.user_text}" if turn.speaker else turn.user_text
    return f"{said}\n{turn.answer}" if turn.answer else said


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
    return unit
