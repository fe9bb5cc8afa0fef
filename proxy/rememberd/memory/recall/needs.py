"""Which standing facts a question calls for, and whether it is about the person who asks.

"Suggest a dinner" shares no word with "I'm vegetarian": the fact is of a topic, diet, that the question needs. Both
are learned from the examples of `topics.toml`, for whatever embedder is in use: a ridge regression on the similarity
of sentences. Each threshold is the one that sorts the examples best when each is left out in turn, so no number here
belongs to one embedder. An embedder that cannot sort them has no topics.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

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

_SAME_MODEL = 0.98  # cosine: the same int8 model gives slightly other vectors on another processor

log = logging.getLogger("rememberd.recall")

_EXAMPLES = Path(__file__).with_name("data") / "topics.toml"
PACKAGED = Path(__file__).with_name("data") / "topics"  # `python -m loadtests.quality.topics` fills it


@dataclass(frozen=True, slots=True)
class Sorter:
    """Sorts vectors into labels, any number of them for each."""

    examples: Floats
    weights: Floats  # a column a label, over its threshold
    f1: float

    @classmethod
    def fit(cls, examples: Sequence[Floats], labels: NDArray[np.bool_]) -> Sorter:
        vectors, wanted = np.asarray(examples), labels.astype(np.float64)
        inverse = np.linalg.inv(_similarity(vectors, vectors) + RIDGE * np.eye(len(vectors)))
        weights = inverse @ wanted
        left_out = wanted - weights / np.diag(inverse)[:, None]
        f1, threshold = max((_f1(left_out > each, labels), each) for each in np.arange(0.1, 0.6, 0.025).tolist())
        return cls(vectors.astype(np.float32), (weights / threshold).astype(np.float32), f1)

    def scores(self, vector: Sequence[float]) -> Floats:
        """For each label; 1 is the threshold."""
        found: Floats = _similarity(np.asarray(vector, dtype=np.float32), self.examples) @ self.weights
        return found

    def beside(self, other: Sorter) -> Sorter:
        """Both in one: the labels of this one, then those of the other, each from its own examples."""
        (rows, columns), (more_rows, more_columns) = self.weights.shape, other.weights.shape
        weights = np.zeros((rows + more_rows, columns + more_columns), np.float32)
        weights[:rows, :columns], weights[rows:, columns:] = self.weights, other.weights
        return Sorter(np.concatenate([self.examples, other.examples]), weights, min(self.f1, other.f1))


class Asked(NamedTuple):
    """`topics` that a question needs, and how clearly, from 1 on; `personal`: from 1 on it is about the asker's own
    life or people in it. Empty and None where that cannot be told."""

    topics: dict[str, float]
    personal: float | None


@dataclass(frozen=True, slots=True)
class Needs:
    topics: tuple[str, ...]
    sensitive: frozenset[str]
    statements: Sorter
    questions: Sorter  # into the topics, and as the last label whether it is personal

    def topics_of(self, statement: Sequence[float], slot: str | None) -> str | None:
        """The topics of a fact with this vector and slot, joined by spaces; None for none."""
        found = [STYLE] if slot in STYLE_SLOTS else []
        if self.statements.f1 >= SORTED:
            scores = zip(self.topics, self.statements.scores(statement).tolist(), strict=True)
            found += [each for each, score in scores if score >= (SURELY_STYLE if each == STYLE else 1)]
        return " ".join(dict.fromkeys(found)) or None

    def asked(self, question: Sequence[float], *, advice: bool) -> Asked:
        """Of the question with this vector. `advice` is asked for."""
        if min(self.questions.f1, self.statements.f1) < SORTED:
            return Asked({}, None)
        *scores, personal = self.questions.scores(question).tolist()
        least = {topic: 1 if advice and topic not in self.sensitive else CLEARLY for topic in self.topics}
        clear = {topic: each for topic, each in zip(self.topics, scores, strict=True) if each >= least[topic]}
        return Asked(clear, personal)


LEARNED: dict[tuple[str, int], Needs] = {}  # by the name and the dimension of an embedder
_learning: dict[tuple[str, int], asyncio.Task[Needs]] = {}


def known(embedder: Embedder) -> Needs | None:
    """None until `learn` is done."""
    return LEARNED.get((embedder.name, embedder.dim))


async def learn(embedder: Embedder, cache: Path | None = None) -> Needs:
    """Once for each embedder, however many ask at the same time. The vectors of the examples come with the packaged
    English model; those of another are made once, in about 2 s of its thread, and put into the folder `cache`.

    Raises `EmbedderUnavailable`."""
    if (needs := known(embedder)) is not None:
        return needs
    key = embedder.name, embedder.dim
    running = _learning.get(key)
    if running is None or running.done() or running.get_loop() is not asyncio.get_running_loop():
        running = _learning[key] = asyncio.create_task(_fit(embedder, cache))
    needs = LEARNED[key] = await asyncio.shield(running)
    return needs


async def _fit(embedder: Embedder, cache: Path | None) -> Needs:
    read: dict[str, Any] = tomllib.loads(_EXAMPLES.read_text())
    topics = tuple(dict.fromkeys(topic for group in read["statements"] for topic in group["topics"]))
    statements = [(text, group["topics"]) for group in read["statements"] for text in group["texts"]]
    questions = [(text, group["needs"]) for group in read["questions"] for text in group["texts"]]
    own = [(text, ["own"]) for text in read["personal"]] + [(text, []) for text, needs in questions if not needs]
    vectors = await _embedded([text for text, _ in (*statements, *questions, *own)], embedder, cache)

    def sorter(examples: Sequence[tuple[str, Sequence[str]]], labels: Sequence[str]) -> Sorter:
        wanted = np.array([[label in named for label in labels] for _, named in examples])
        return Sorter.fit([vectors[text] for text, _ in examples], wanted)

    fitted = await asyncio.to_thread(
        lambda: (sorter(statements, topics), sorter(questions, topics).beside(sorter(own, ["own"])))
    )
    return Needs(topics, frozenset(read["sensitive"]), *fitted)


async def _embedded(texts: Sequence[str], embedder: Embedder, cache: Path | None) -> dict[str, Floats]:
    texts = list(dict.fromkeys(texts))
    name = f"{_digest(embedder, texts)}.txt"
    for folder in (PACKAGED, cache):
        vectors = None if folder is None else _read(folder / name)
        if vectors is not None and await _is_of(embedder, texts[0], vectors[0]):
            return dict(zip(texts, vectors, strict=True))
    vectors = np.asarray([await embedder.dense(text) for text in texts], dtype=np.float32)
    if cache is not None:
        _write(cache / name, vectors)
    return dict(zip(texts, vectors, strict=True))


def _digest(embedder: Embedder, texts: Sequence[str]) -> str:
    key = "\0".join((embedder.name, str(embedder.dim), *texts))
    return hashlib.sha256(key.encode()).hexdigest()[:32]


async def _is_of(embedder: Embedder, text: str, vector: Floats) -> bool:
    """Another model of the same name and dimension would give another vector."""
    return float(np.asarray(await embedder.dense(text), dtype=np.float32) @ vector) > _SAME_MODEL


def _read(file: Path) -> Floats | None:
    """None if there is no such file, or none that can be read."""
    try:
        rows = [np.frombuffer(base64.b64decode(line), np.int16) for line in file.read_text("ascii").split()]
        vectors = np.array(rows, np.float32)
    except (OSError, ValueError):
        return None
    unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def _write(file: Path, vectors: Floats) -> None:
    """A vector a line, its numbers as 16 bits in base64. Whole or
    not at all: several processes may write at once."""
    rows = np.rint(vectors * (32767 / np.abs(vectors).max(axis=1, keepdims=True))).astype(np.int16)
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.write_text("".join(f"{base64.b64encode(row).decode()}\n" for row in rows), "ascii")
        draft.replace(file)
    except OSError as error:
        log.warning("the topics are learned again at the next start, for they cannot be stored: %s", error)


def _similarity(one: Floats, other: Floats) -> Floats:
    similarity: Floats = np.exp(SHARPNESS * (one @ other.T - 1))
    return similarity


def _f1(found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> float:
    return 2 * float((found & wanted).sum()) / max(1.0, float(found.sum() + wanted.sum()))
