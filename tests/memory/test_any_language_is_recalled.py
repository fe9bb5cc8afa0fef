"""What was told is found by a question in its language, with the packaged multilingual model; rates with bounds."""

from __future__ import annotations

import json
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.recall import needs
from rememberd.memory.recall.recall import Recall
from rememberd.storage.edge.store import EdgeStore
from rememberd.types import Memory, Space

SPACE, NOW = Space("polyglot"), 1_795_953_600_000
TOLD = NOW - 86_400_000
SENTENCES: dict[str, Any] = tomllib.loads((Path(__file__).parents[1] / "data" / "languages.toml").read_text())
ENGLISH: list[str] = SENTENCES.pop("english")
CORPORA = Path(__file__).parents[2] / "loadtests" / "quality" / "corpora"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recall(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Recall]:
    embedder = FastEmbedder("multilingual")
    await embedder.start()
    store = EdgeStore.open(tmp_path_factory.mktemp("store"), dim=embedder.dim, embedder=embedder.name)
    told = [text for each in SENTENCES.values() for text in each["told"]]
    memories = [Memory(text, text, "fact", TOLD, TOLD, TOLD) for text in told]
    await store.put(SPACE, [await to_point(each, embedder) for each in memories])
    yield Recall(store, embedder, 250, deadline_ms=120_000)
    await store.close()
    embedder.close()


async def asked(recall: Recall, question: str) -> tuple[str, ...]:
    return (await recall.recall(SPACE, question, now=NOW, turn_id=None, conversation=None)).ids


@pytest.mark.asyncio(loop_scope="module")
async def test_what_was_told_is_found_in_its_language(recall: Recall) -> None:
    """112 of 120 facts in twelve languages, in blocks of 250 tokens; 119 are. Of the 48 questions that have nothing
    to do with the person 4 bring anything at most; 3 do."""
    pairs = [pair for each in SENTENCES.values() for pair in zip(each["told"], each["asked"], strict=True)]
    missed = [question for told, question in pairs if told not in await asked(recall, question)]
    unrelated = [question for each in SENTENCES.values() for question in each["unrelated"]]
    filled = [question for question in unrelated if await asked(recall, question)]
    assert len(missed) <= 8, missed
    assert len(filled) <= 4, filled


@pytest.mark.asyncio(loop_scope="module")
async def test_what_was_told_is_found_from_english(recall: Recall) -> None:
    """60 of the 120, though the question is in English and so many languages compete for 250 tokens; 80 are."""
    found = 0
    for number, question in enumerate(ENGLISH):
        ids = await asked(recall, question)
        found += sum(each["told"][number] in ids for each in SENTENCES.values())
    assert found >= 60


def test_no_sentence_is_among_the_examples() -> None:
    taught = {line.split("\t")[2] for file in CORPORA.glob("*.tsv") for line in file.read_text("utf-8").splitlines()}
    assert not [text for each in SENTENCES.values() for texts in each.values() for text in texts if text in taught]


def test_the_language_of_a_short_text_is_told() -> None:
    """English questions are sorted by vectors, others by words."""
    others = [question for each in SENTENCES.values() for question in each["asked"] + each["unrelated"]]
    wrong = [text for text in others if needs.is_english(text)] + [
        text for text in ENGLISH if not needs.is_english(text)
    ]
    assert len(wrong) <= 4, wrong


def blind(name: str) -> list[dict[str, Any]]:
    """Of the last two blind sets what is not in English."""
    files = [Path(__file__).parents[1] / "data" / number / f"{name}.jsonl" for number in ("blind5", "blind6")]
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [row for row in rows if row["lang"] != "en"]


@pytest.mark.asyncio(loop_scope="module")
async def test_needs_are_told_by_words_and_meaning(recall: Recall) -> None:
    """Of 90 needs at least 70 call for a topic of their fact; 72 do, by words alone 68. Of 202 general questions at
    most one calls for something; none does, by words alone 2 do."""
    learned, embedder = await needs.learn(recall.embedder), recall.embedder

    async def called(question: str) -> set[str]:
        return set(learned.asked(question, await embedder.dense(question)).topics)

    async def topics(fact: str) -> set[str]:
        return set((learned.topics_of(fact, await embedder.dense(fact), None) or "").split())

    met = [row for row in blind("needs") if await called(row["question"]) & await topics(row["fact"])]
    wrong = [row["question"] for row in blind("general") if await called(row["question"])]
    assert learned.meaning
    assert len(met) >= 70, len(met)
    assert len(wrong) <= 1, wrong
