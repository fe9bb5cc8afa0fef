"""Which standing facts a question calls for, and whether it is about the person who asks.

"Suggest a dinner" shares no word with "I'm vegetarian": the fact is of a topic, diet, that the question needs. Both
are learned from the examples of `data/topics.toml`, for whatever embedder is in use: a ridge regression on the
similarity of sentences, by their vectors and by their words and characters. Each threshold is the one that sorts the
examples best when each is left out in turn, so no number here belongs to one embedder. An embedder that cannot sort
them has no topics.

English is sorted by English examples alone, what is in another language by all of them: an embedder that knows little
of a language puts all its sentences together, and the words have to tell them apart.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import os
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rememberd.memory.recall.sorter import BUCKETS, RIDGE, SHARPNESS, Singles, Sorter, Words, left_out, similarity
from rememberd.ports import Embedder
from rememberd.search_results import Floats

STYLE = "style"  # facts that say how to answer: every question needs them
STYLE_SLOTS = frozenset({"instruction", "nickname"})  # by the rules' own tables
# What every question gets must be certain. Wishes about answers score 2.4 and more in English; sentences about
# anything in a language that the embedder does not know score up to 1.3 (27 sentences, the packaged model).
SURELY_STYLE = 1.5

# What the words count beside the vectors, of English examples and of all; with the ridge that suits them. By
# `pytest tests/memory/test_blind_sets_are_recalled.py`: without the words, 15 of 25 English needs instead of 21.
ENGLISH_WORDS, ENGLISH_RIDGE, WORDS = 0.5, 0.5, 1.0
# How clearly a topic must be needed where advice is asked for; where not, or if it is sensitive; in other languages.
ADVISED, CLEARLY, CLEARLY_ELSEWHERE = 1.1, 1.35, 1.6
SORTED = 0.5  # F1 of the examples left out; with the packaged models .67 to .77, with vectors of words alone .3

_SAME_MODEL = 0.98  # cosine: the same int8 model gives slightly other vectors on another processor

log = logging.getLogger("rememberd.recall")

_DATA = Path(__file__).with_name("data")
PACKAGED = _DATA / "topics"  # `python -m loadtests.quality.topics` fills it


_FITTED_BY = (SHARPNESS, RIDGE, ENGLISH_WORDS, ENGLISH_RIDGE, WORDS, BUCKETS)  # a change makes new files
_PARTS = ("examples", "near", "words")


class Asked(NamedTuple):
    """`topics` that a question needs, and how clearly, from 1 on; `personal`: from 1 on it is about the asker's own
    life or people in it. Empty and None where that cannot be told."""

    topics: dict[str, float]
    personal: float | None


class Topics(NamedTuple):
    """Sorters into topics, for one language or for all; that of the questions has one label more: it is personal."""

    statements: Sorter
    questions: Sorter


@dataclass(frozen=True, slots=True)
class Needs:
    topics: tuple[str, ...]
    sensitive: frozenset[str]
    english: Topics
    elsewhere: Topics
    is_english: Singles  # what each bucket of words says of the language, above 0 for English
    sorted: bool  # the embedder tells the English examples apart

    def topics_of(self, text: str, vector: Sequence[float], slot: str | None) -> str | None:
        """The topics of a fact, joined by spaces; None for none."""
        found = [STYLE] if slot in STYLE_SLOTS else []
        if self.sorted:
            words = Words.of(text)
            scores = self._sorters(words).statements.scores(vector, words).tolist()
            pairs = zip(self.topics, scores, strict=True)
            found += [each for each, score in pairs if score >= (SURELY_STYLE if each == STYLE else 1)]
        return " ".join(dict.fromkeys(found)) or None

    def asked(self, question: str, vector: Sequence[float], *, advice: bool) -> Asked:
        """`advice` is asked for."""
        if not self.sorted:
            return Asked({}, None)
        words = Words.of(question)
        sorters = self._sorters(words)
        usual, clearly = (ADVISED, CLEARLY) if sorters is self.english else (CLEARLY_ELSEWHERE, CLEARLY_ELSEWHERE)
        least = {topic: usual if advice and topic not in self.sensitive else clearly for topic in self.topics}
        *scores, personal = sorters.questions.scores(vector, words).tolist()
        clear = {topic: score for topic, score in zip(self.topics, scores, strict=True) if score >= least[topic]}
        return Asked(clear, personal)

    def _sorters(self, words: Words) -> Topics:
        return self.english if words.values @ self.is_english[words.buckets] > 0 else self.elsewhere


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
    english, others = (tomllib.loads((_DATA / f"{name}.toml").read_text()) for name in ("topics", "topics_other"))
    texts = list(dict.fromkeys([*_texts(english), *english["personal"], *_texts(others)]))
    topics = tuple(dict.fromkeys(topic for group in english["statements"] for topic in group["topics"]))
    name = f"{_digest(embedder, texts)}.txt"
    for folder in (PACKAGED, cache):
        stored = None if folder is None else _read(folder / name)
        if stored is not None and await _is_of(embedder, texts[0], stored["statements_examples"][0]):
            return _unpacked(topics, frozenset(english["sensitive"]), stored)
    vectors: dict[str, Floats] = {text: np.array(await embedder.dense(text)) for text in texts}
    fitted = await asyncio.to_thread(_fitted, topics, english, others, vectors)
    if cache is not None:
        _write(cache / name, fitted)
    return _unpacked(topics, frozenset(english["sensitive"]), fitted)


def _texts(examples: dict[str, Any]) -> list[str]:
    return [text for kind in ("statements", "questions") for group in examples[kind] for text in group["texts"]]


def _fitted(
    topics: Sequence[str], english: dict[str, Any], others: dict[str, Any], vectors: dict[str, Floats]
) -> dict[str, NDArray[Any]]:
    """What `_unpacked` makes `Needs` of."""
    words = {text: Words.of(text).dense() for text in vectors}

    def examples(kind: str, key: str, *of: dict[str, Any]) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        found = [(text, group[key]) for each in of for group in each[kind] for text in group["texts"]]
        return table([(text, [topic in named for topic in topics]) for text, named in found])

    def table(found: Sequence[tuple[str, list[bool]]]) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        texts, labels = zip(*found, strict=True)
        return (
            np.array([vectors[text] for text in texts]),
            np.array([words[text] for text in texts]),
            np.array(labels),
        )

    general = [(text, [False]) for group in english["questions"] if not group["needs"] for text in group["texts"]]
    own = table([(text, [True]) for text in english["personal"]] + general)
    sorters = {"personal": Sorter.fit(*own, weight=0.0)}
    f1 = []
    for kind, key in (("statements", "topics"), ("questions", "needs")):
        ours = examples(kind, key, english)
        sorters[f"english_{kind}"] = Sorter.fit(*ours, ENGLISH_WORDS, ENGLISH_RIDGE)
        sorters[kind] = Sorter.fit(*examples(kind, key, english, others), WORDS)
        f1.append(left_out(similarity(ours[0], ours[0]), ours[2], RIDGE)[2])
    packed = {f"{name}_{part}": getattr(each, part) for name, each in sorters.items() for part in _PARTS}
    packed = {name: each for name, each in packed.items() if not (name.startswith("english") and "examples" in name)}
    spoken = [[words[text] for text in (*_texts(each), *each.get("personal", ()))] for each in (english, others)]
    return packed | {"is_english": _language(*spoken), "sorted": np.array([float(min(f1) >= SORTED)])}


def _unpacked(topics: tuple[str, ...], sensitive: frozenset[str], packed: dict[str, NDArray[Any]]) -> Needs:
    def sorter(name: str) -> Sorter:
        near, words = packed[f"{name}_near"], packed[f"{name}_words"]
        examples = packed[f"{name.removeprefix('english_')}_examples"][: len(near)]  # those in English come first
        return Sorter(*(np.asarray(each, np.float32) for each in (examples, near, words)))

    personal = sorter("personal")
    every = personal.beside(sorter("questions"))
    english = personal.beside(sorter("english_questions"))
    english = replace(english, examples=every.examples[: len(english.near)])
    return Needs(
        topics,
        sensitive,
        Topics(sorter("english_statements"), english),
        Topics(sorter("statements"), every),
        np.ravel(packed["is_english"]).astype(np.float32),
        bool(packed["sorted"].any()),
    )


def _language(english: list[Floats], others: list[Floats]) -> Singles:
    rows, wanted = np.array(english + others), np.array([1.0] * len(english) + [-1.0] * len(others))
    weights: Singles = np.linalg.solve(rows.T @ rows + RIDGE * np.eye(BUCKETS), rows.T @ wanted).astype(np.float32)
    return weights


def _digest(embedder: Embedder, texts: Sequence[str]) -> str:
    key = "\0".join((embedder.name, str(embedder.dim), *map(str, _FITTED_BY), *texts))
    return hashlib.sha256(key.encode()).hexdigest()[:32]


async def _is_of(embedder: Embedder, text: str, vector: Floats) -> bool:
    """Another model of the same name and dimension would give another vector."""
    return float(np.asarray(await embedder.dense(text), dtype=np.float32) @ vector) > _SAME_MODEL


def _read(file: Path) -> dict[str, NDArray[Any]] | None:
    """None if there is no such file, or none that can be read."""
    tables, packed = iter(_lines(file)), dict[str, NDArray[Any]]()
    try:
        for head in tables:
            name, kind, rows, scale = head.split()
            table = [np.frombuffer(base64.b64decode(next(tables)), kind) for _ in range(int(rows))]
            packed[name] = np.array(table, np.float32) * np.float32(scale)
    except (ValueError, TypeError, StopIteration):
        return None
    return packed or None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("ascii").splitlines()
    except (OSError, ValueError):
        return []


def _write(file: Path, packed: dict[str, NDArray[Any]]) -> None:
    """For each table a line with its name, and a line a row: its numbers as 8 or 16 bits in base64. Whole or not at
    all: several processes may write at once."""
    lines = []
    for name, table in packed.items():
        kind = np.int8 if name.endswith("examples") else np.int16
        scale = max(float(np.abs(table).max()), 1e-9) / np.iinfo(kind).max
        rows = np.rint(np.atleast_2d(table) / scale).astype(kind)
        lines += [f"{name} {np.dtype(kind)} {len(rows)} {scale!r}", *(base64.b64encode(row).decode() for row in rows)]
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.write_text("\n".join(lines) + "\n", "ascii")
        draft.replace(file)
    except OSError as error:
        log.warning("the topics are learned again at the next start, for they cannot be stored: %s", error)
