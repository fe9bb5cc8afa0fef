"""Which standing facts a question calls for, and whether it is about the person who asks.

"Suggest a dinner" shares no word with "I'm vegetarian": the fact is of a topic, diet, that the question needs. Both
are learned from the examples of `data/topics.toml`, for whatever embedder is in use: a ridge regression on the
similarity of sentences, by their vectors and by their words and characters. Each threshold is the one that sorts the
examples best when each is left out in turn, so no number here belongs to one embedder. An embedder that cannot sort
them has no topics.

That is for English. Questions in other languages are sorted by their words, by classifiers that
`python -m loadtests.quality.train` makes from labelled lines: an embedder that knows little of a language gives all
its sentences similar vectors. With the packaged multilingual model, the vector counts as much as the words.
"""

import asyncio
import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from rememberd.memory.embedding.embedder import MULTILINGUAL
from rememberd.memory.recall.sorter import (
    BUCKETS,
    RIDGE,
    SHARPNESS,
    Sorter,
    Words,
    left_out,
    read_tables,
    similarity,
    write_tables,
)
from rememberd.ports import Embedder
from rememberd.search_results import Floats
from rememberd.text_classifier import TextClassifier, normalized, packaged

NONE = "none"  # the label of what belongs to no topic
STYLE = "style"  # facts that say how to answer: every question needs them
STYLE_SLOTS = frozenset({"instruction", "nickname"})
# What every question gets must be certain. Wishes about answers score 1.4 and more in English; of 720 facts of the
# blind sets and 200 others in English none scores more than .8, in other languages 1.05.
SURELY_STYLE = 1.3
# An English sentence that the rules' classifier takes for an instruction must score so much: of 22 such wishes in the
# blind sets 20 do, of 13 others in LoCoMo's dev conversations ("For me, adoption is …") 2. Those of the rules' tables
# score 1.9 and more.
STYLE_TOO = 0.85

# What the words count beside the vectors, and the ridge that suits it. By
# `pytest tests/memory/test_blind_sets_are_recalled.py`: without the words, 15 of 25 English needs instead of 21.
ENGLISH_WORDS, ENGLISH_RIDGE = 0.5, 0.5
# How clearly an English question must need a topic: the less, the more probably it is the user's; what is sensitive
# must be clearer. Less probably the user's than `USERS`, it needs nothing. Of the blind sets 7 to 9, not taught,
# 28 of 45 English needs are met (29 before) and one of 295 general questions needs anything (3 before). With .6
# and .1 four more needs call for their topic, but "Write a for loop in Go" does for some, too.
NEEDS, NEEDS_UNSURE, NEEDS_SENSITIVE, USERS = 0.75, 0.8, 0.5, 0.2

# In other languages, how probable it must be that a fact is of a topic; that a question needs something, by two
# classifiers (the geometric mean); and that it is this topic if it needs one, or this sensitive one. Of the same sets
# 101 of 130 questions call for a topic of their fact and 3 of 301 general ones for anything with .7, 103 and 6 with
# .6; before, with .15 for each topic and .75 for the user's, 96 and 12.
OF_TOPIC, CALLS, NEEDED, NEEDED_SENSITIVE = 0.2, 0.65, 0.1, 0.15
# Less probably the user's than this, a question is about the asker only if it says "I" or names what the memories
# name, as `UNCLEAR` leaves open. In other languages it is also not the asker's if less probably their own than `OWN`.
GENERAL, GENERAL_ELSEWHERE, UNCLEAR, OWN = 0.01, 0.6, 0.6, 0.7
# How probable it must be that a question with a time is about what was told: of 190 in the five blind sets 170
# are, of 17 about news, sport and weather 2.
TOLD = 0.45
ENGLISH = 0.3  # of 1,655 short texts of the blind sets 6 English ones and 14 others are taken for the other
SORTED = 0.5  # F1 of the examples left out; with the packaged models .67 to .77, with vectors of words alone .3

_SAME_MODEL = 0.98  # cosine: the same int8 model gives slightly other vectors on another processor

_DATA = Path(__file__).with_name("data")
_ByMeaning = Literal["facts", "general", "needs"]  # these have a second file, for vectors of the multilingual model
_Named = Literal["english", "questions", _ByMeaning]
_CLASSIFIERS = {name: _DATA / f"{name}.json" for name in get_args(_Named)}
_MEANING = {name: _DATA / f"{name}_meaning.json" for name in get_args(_ByMeaning)}
_MEANING_DIM = 384
# Words and meaning count half each. Of 231 needs in other languages in the six blind sets words know the topic of
# 190, vectors of 194, both of 201; of 578 general questions 6, 10 and none need something.
BOTH = 0.5
_LEAST = np.float32(1e-6)  # probability of a label, so that it has a logarithm
PACKAGED = _DATA / "topics"  # `python -m loadtests.quality.topics` fills it


_FITTED_BY = (SHARPNESS, RIDGE, ENGLISH_WORDS, ENGLISH_RIDGE, BUCKETS)  # a change makes new files
_PARTS = ("examples", "near", "words")


class Asked(NamedTuple):
    """`topics` that a question needs, and how clearly, from 1 on; `personal`: from 1 on it is about the asker's own
    life or people in it. Empty and None where that cannot be told."""

    topics: dict[str, float]
    personal: float | None


@dataclass(frozen=True, slots=True)
class Needs:
    """The sorter of the questions has one label more than there are topics: it is personal."""

    topics: tuple[str, ...]
    sensitive: frozenset[str]
    statements: Sorter
    questions: Sorter
    sorted: bool  # the embedder tells the examples apart
    meaning: bool  # it is the model that some of the classifiers know

    def topics_of(self, text: str, vector: Sequence[float], slot: str | None) -> str | None:
        """The topics of a fact, joined by spaces; None for none."""
        found = [STYLE] if slot in STYLE_SLOTS else []
        if not is_english(text):
            likely = _topics(self._likely("facts", text, vector))
            found += [topic for topic, each in likely.items() if each >= OF_TOPIC]
        elif self.sorted:
            scores = self.statements.scores(vector, Words.of(text)).tolist()
            scored = dict(zip(self.topics, scores, strict=True))
            if slot == "instruction" and scored[STYLE] < STYLE_TOO:
                found = []
            found += [topic for topic, score in scored.items() if score >= (SURELY_STYLE if topic == STYLE else 1)]
        return " ".join(dict.fromkeys(found)) or None

    def asked(self, question: str, vector: Sequence[float]) -> Asked:
        likely = self._likely("general", question, vector).get("user", 1.0)  # its file may be broken
        english = is_english(question)
        topics, personal = (
            self._english(question, vector, likely) if english else self._other(question, vector, likely)
        )
        if likely < (GENERAL if english else GENERAL_ELSEWHERE) and personal is not None:
            personal = min(personal, UNCLEAR)
        return Asked(topics, personal)

    def _english(self, question: str, vector: Sequence[float], likely: float) -> Asked:
        if not self.sorted:
            return Asked({}, None)
        *scores, personal = self.questions.scores(vector, Words.of(question)).tolist()
        if likely < USERS:
            return Asked({}, personal)
        least = NEEDS + NEEDS_UNSURE * (1 - likely)
        needed = {
            topic: score / (least + NEEDS_SENSITIVE * (topic in self.sensitive))
            for topic, score in zip(self.topics, scores, strict=True)
        }
        return Asked(_clear(needed), personal)

    def _other(self, question: str, vector: Sequence[float], likely: float) -> Asked:
        own = _classifier("questions").probabilities(question)["own"] / OWN
        topics = self._likely("needs", question, vector)
        some = 1 - topics.get(NONE, 0.0)
        if some * likely < CALLS**2:
            return Asked({}, own)
        needed = {topic: each / (some * self._least(topic)) for topic, each in _topics(topics).items()}
        return Asked(_clear(needed), own)

    def _likely(self, name: _ByMeaning, text: str, vector: Sequence[float]) -> dict[str, float]:
        """How probable each label is, by words and by meaning where that can be read."""
        by_words = _classifier(name).probabilities(text)
        if not self.meaning or (meaning := packaged(_MEANING[name], {})).labels != tuple(by_words):
            return by_words
        by_meaning = meaning.logarithms(np.arange(len(vector)), np.asarray(vector, np.float32))
        both = normalized(BOTH * (np.log(np.array([*by_words.values()], np.float32) + _LEAST) + by_meaning))
        return dict(zip(by_words, np.exp(both).tolist(), strict=True))

    def _least(self, topic: str) -> float:
        return NEEDED_SENSITIVE if topic in self.sensitive else NEEDED


@lru_cache(maxsize=64)  # two steps of a recall ask
def is_english(text: str) -> bool:
    return _classifier("english").probabilities(text)["en"] > ENGLISH


def asks_what_was_told(question: str) -> bool:
    """True if a question that names a time is about what was said or done here then, not about the world."""
    return _classifier("questions").probabilities(question)["own"] >= TOLD


def _clear(needed: dict[str, float]) -> dict[str, float]:
    return {topic: clearly for topic, clearly in needed.items() if clearly >= 1}


def _topics(labels: dict[str, float]) -> dict[str, float]:
    """How probable each topic is; a label may name several of them."""
    found: dict[str, float] = {}
    for label, likely in labels.items():
        for topic in label.split("+"):
            found[topic] = found.get(topic, 0.0) + likely
    found.pop(NONE, None)
    return found


def _classifier(name: _Named) -> TextClassifier:
    return packaged(_CLASSIFIERS[name], {"en": 1.0} if name == "english" else {"none": 1.0, "own": 0.0})


LEARNED: dict[tuple[str, int], Needs] = {}  # by the name and the dimension of an embedder
_learning: dict[tuple[str, int], asyncio.Task[Needs]] = {}


def known(embedder: Embedder) -> Needs | None:
    """None until `learn` is done."""
    return LEARNED.get((embedder.name, embedder.dim))


async def learn(embedder: Embedder, cache: Path | None = None) -> Needs:
    """Once for each embedder, however many ask at the same time. The vectors of the examples come with the packaged
    models; those of another are made once, in about 2 s of its thread, and put into the folder `cache`.

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
    english = tomllib.loads((_DATA / "topics.toml").read_text())
    texts = list(dict.fromkeys([*_texts(english), *english["personal"]]))
    topics = tuple(dict.fromkeys(topic for group in english["statements"] for topic in group["topics"]))
    name = f"{_digest(embedder, texts)}.txt"
    for folder in (PACKAGED, cache):
        stored = None if folder is None else read_tables(folder / name)
        if stored is not None and await _is_of(embedder, texts[0], stored["statements_examples"][0]):
            return _unpacked(topics, english, stored, embedder)
    vectors: dict[str, Floats] = {text: np.array(await embedder.dense(text)) for text in texts}
    fitted = await asyncio.to_thread(_fitted, topics, english, vectors)
    if cache is not None:
        write_tables(cache / name, fitted)
    return _unpacked(topics, english, fitted, embedder)


def _texts(examples: dict[str, Any]) -> list[str]:
    return [text for kind in ("statements", "questions") for group in examples[kind] for text in group["texts"]]


def _fitted(topics: Sequence[str], examples: dict[str, Any], vectors: dict[str, Floats]) -> dict[str, NDArray[Any]]:
    """What `_unpacked` makes `Needs` of."""
    words = {text: Words.of(text).dense() for text in vectors}

    def labelled(kind: str, key: str) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        found = [(text, group[key]) for group in examples[kind] for text in group["texts"]]
        return table([(text, [topic in named for topic in topics]) for text, named in found])

    def table(found: Sequence[tuple[str, list[bool]]]) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        texts, labels = zip(*found, strict=True)
        vector, word = (np.array([of[text] for text in texts]) for of in (vectors, words))
        return vector, word, np.array(labels)

    general = [(text, [False]) for group in examples["questions"] if not group["needs"] for text in group["texts"]]
    own = table([(text, [True]) for text in examples["personal"]] + general)
    told, asked = labelled("statements", "topics"), labelled("questions", "needs")
    sorters = {
        "statements": Sorter.fit(*told, ENGLISH_WORDS, ENGLISH_RIDGE),
        "questions": Sorter.fit(*own, weight=0.0).beside(Sorter.fit(*asked, ENGLISH_WORDS, ENGLISH_RIDGE)),
    }
    f1 = [left_out(similarity(vector, vector), labels, RIDGE)[2] for vector, _, labels in (told, asked)]
    packed = {f"{name}_{part}": getattr(each, part) for name, each in sorters.items() for part in _PARTS}
    return packed | {"sorted": np.array([float(min(f1) >= SORTED)])}


def _unpacked(
    topics: tuple[str, ...], examples: dict[str, Any], packed: dict[str, NDArray[Any]], embedder: Embedder
) -> Needs:
    statements, questions = (
        Sorter(*(np.asarray(packed[f"{name}_{part}"], np.float32) for part in _PARTS))
        for name in ("statements", "questions")
    )
    meaning = (embedder.name, embedder.dim) == (MULTILINGUAL.name, _MEANING_DIM)
    sensitive = frozenset(examples["sensitive"])
    return Needs(topics, sensitive, statements, questions, bool(packed["sorted"].any()), meaning)


def _digest(embedder: Embedder, texts: Sequence[str]) -> str:
    key = "\0".join((embedder.name, str(embedder.dim), *map(str, _FITTED_BY), *texts))
    return hashlib.sha256(key.encode()).hexdigest()[:32]


async def _is_of(embedder: Embedder, text: str, vector: Floats) -> bool:
    """Another model of the same name and dimension would give another vector."""
    return float(np.asarray(await embedder.dense(text), dtype=np.float32) @ vector) > _SAME_MODEL
