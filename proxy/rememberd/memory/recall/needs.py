"""Which standing facts a question calls for, and whether it is about the person who asks.

"Suggest a dinner" shares no word with "I'm vegetarian": the fact is of a topic, diet, that the question needs. Both
are learned from the examples of `topics.toml`, for whatever embedder is in use: a ridge regression on the similarity
of sentences. Each threshold is the one that sorts the examples best when each is left out in turn, so no number here
belongs to one embedder. An embedder that cannot sort them has no topics.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rememberd.ports import Embedder
from rememberd.search_results import Floats

STYLE = "style"  # facts that say how to answer: every question needs them
STYLE_SLOTS = frozenset({"instruction", "nickname"})  # by the rules' own tables
# What every question gets must be certain. Wishes about answers score 2.4 and more in English; sentences about
# anything in a language that the embedder does not know score up to 1.3 (27 sentences, the packaged model).
SURELY_STYLE = 1.5

# Chosen by the same leave-one-out score over the examples (`Sorter.f1`), flat around these.
SHARPNESS, RIDGE = 2.0, 0.3
CLEARLY = 1.1  # how clearly a topic must be needed that is sensitive, or where no advice is asked for
SORTED = 0.5  # F1 of the examples left out; with the packaged models .67 to .77, with vectors of words alone .3

_EXAMPLES = Path(__file__).with_name("topics.toml")


@dataclass(frozen=True, slots=True)
class Sorter:
    """Sorts vectors into labels, any number of them for each."""

    examples: Floats
    weights: Floats  # a column a label
    threshold: float
    f1: float

    @classmethod
    def fit(cls, examples: Sequence[Sequence[float]], labels: NDArray[np.bool_]) -> Sorter:
        vectors, wanted = np.asarray(examples), labels.astype(np.float64)
        inverse = np.linalg.inv(_similarity(vectors, vectors) + RIDGE * np.eye(len(vectors)))
        weights = inverse @ wanted
        left_out = wanted - weights / np.diag(inverse)[:, None]
        f1, threshold = max((_f1(left_out > each, labels), each) for each in np.arange(0.1, 0.6, 0.025).tolist())
        return cls(vectors.astype(np.float32), weights, threshold, f1)

    def scores(self, vector: Sequence[float]) -> Floats:
        """For each label; 1 is the threshold."""
        near = _similarity(np.asarray(vector, dtype=np.float32), self.examples)
        found: Floats = near @ self.weights / self.threshold
        return found


@dataclass(frozen=True, slots=True)
class Needs:
    topics: tuple[str, ...]
    sensitive: frozenset[str]
    statements: Sorter
    questions: Sorter
    personal: Sorter

    def topics_of(self, statement: Sequence[float], slot: str | None) -> str | None:
        """The topics of a fact with this vector and slot, joined by spaces; None for none."""
        found = [STYLE] if slot in STYLE_SLOTS else []
        if self.statements.f1 >= SORTED:
            scores = zip(self.topics, self.statements.scores(statement).tolist(), strict=True)
            found += [each for each, score in scores if score >= (SURELY_STYLE if each == STYLE else 1)]
        return " ".join(dict.fromkeys(found)) or None

    def called_for(self, question: Sequence[float], *, advice: bool) -> dict[str, float]:
        """The topics that a question with this vector needs, and how clearly, from 1 on. `advice` is asked for."""
        if min(self.questions.f1, self.statements.f1) < SORTED:
            return {}
        scores = zip(self.topics, self.questions.scores(question).tolist(), strict=True)
        return {
            topic: each
            for topic, each in scores
            if each >= (1 if advice and topic not in self.sensitive else CLEARLY)
        }

    def how_personal(self, question: Sequence[float]) -> float | None:
        """From 1 on it is about the asker's own life or people in it. None where that cannot be told."""
        return float(self.personal.scores(question)[0]) if self.personal.f1 >= SORTED else None


_learned: dict[tuple[str, int], Needs] = {}  # by the name and the dimension of an embedder


def known(embedder: Embedder) -> Needs | None:
    """None until `learn` is done."""
    return _learned.get((embedder.name, embedder.dim))


async def learn(embedder: Embedder) -> Needs:
    """Once for each embedder: embeds the examples, about 2 s of its thread. Raises `EmbedderUnavailable`."""
    if (needs := known(embedder)) is None:
        needs = _learned[embedder.name, embedder.dim] = await _fit(embedder)
    return needs


async def _fit(embedder: Embedder) -> Needs:
    examples: dict[str, Any] = tomllib.loads(_EXAMPLES.read_text())
    topics = tuple(dict.fromkeys(topic for group in examples["statements"] for topic in group["topics"]))

    async def sorter(groups: list[dict[str, Any]], key: str) -> Sorter:
        texts = [(text, group[key]) for group in groups for text in group["texts"]]
        labels = np.array([[topic in named for topic in topics] for _, named in texts])
        return Sorter.fit([await embedder.dense(text) for text, _ in texts], labels)

    own = [(text, True) for text in examples["personal"]]
    others = [(text, False) for group in examples["questions"] for text in group["texts"] if not group["needs"]]
    asked = [await embedder.dense(text) for text, _ in own + others]
    return Needs(
        topics,
        frozenset(examples["sensitive"]),
        await sorter(examples["statements"], "topics"),
        await sorter(examples["questions"], "needs"),
        Sorter.fit(asked, np.array([[mine] for _, mine in own + others])),
    )


def _similarity(one: Floats, other: Floats) -> Floats:
    similarity: Floats = np.exp(SHARPNESS * (one @ other.T - 1))
    return similarity


def _f1(found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> float:
    return 2 * float((found & wanted).sum()) / max(1.0, float(found.sum() + wanted.sum()))
