"""Measured on 100 questions about a user and 100 that have nothing to do with them, over 120 memories."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.recall.budget import pack
from rememberd.memory.recall.rank import Asked, rank
from rememberd.memory.recall.recall import Recall
from rememberd.memory.recall.relevance import relevant, supports
from rememberd.search_results import Candidate, Candidates
from rememberd.storage.edge.store import EdgeStore
from rememberd.types import Evidence, Memory, Source, Space

ROWS: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parents[1] / "data" / "floor.jsonl").read_text().splitlines()
]
MEMORIES = [row for row in ROWS if "memory" in row]
PERSONAL = [row for row in ROWS if row.get("personal") is True]
IMPERSONAL = [row for row in ROWS if row.get("personal") is False]
MAREN = Space("maren")
NOW = int(datetime(2026, 6, 20, tzinfo=UTC).timestamp() * 1000)
BUDGET = 600
SENSITIVE = {"f23", "f40", "f48"}  # medicine, mortgage, operation
HOW_TO_ANSWER = "f12"  # "I prefer short answers without bullet points."


def memory_of(row: dict[str, Any], place: int) -> Memory:
    at = int(datetime.fromisoformat(row["at"]).replace(tzinfo=UTC).timestamp() * 1000) + place
    told = row["text"] if row["kind"] == "fact" else f"User: {row['text']}\nAssistant: {row['answer']}"
    evidence, source = Evidence(row["text"], "user", row["memory"]), Source(conversation=row["at"])
    return Memory(row["memory"], told, row["kind"], at, at, at, evidence=evidence, source=source)


@pytest.fixture
async def recall(tmp_path: Path) -> AsyncIterator[Recall]:
    """The real embedder and the real store, with Maren's memories."""
    embedder = FastEmbedder()
    await embedder.start()
    store = EdgeStore.open(tmp_path, dim=embedder.dim, embedder=embedder.name)
    memories = [memory_of(row, place) for place, row in enumerate(MEMORIES)]
    await store.put(MAREN, [await to_point(each, embedder) for each in memories])
    yield Recall(store, embedder, BUDGET, deadline_ms=30_000)
    await store.close()
    embedder.close()


async def asked(recall: Recall, question: str) -> tuple[str, ...]:
    return (await recall.recall(MAREN, question, now=NOW, turn_id=None, conversation=None)).ids


async def without_floor(recall: Recall, question: str) -> list[str]:
    vector, words = await recall.embedder.dense(question), recall.embedder.query(question)
    found = await recall.store.search(MAREN, vector, words, now=NOW)
    return pack(rank(question, found, NOW), BUDGET)[0]


def share(rows: list[tuple[dict[str, Any], set[str]]]) -> float:
    return sum(len(got & set(row["gold"])) / len(row["gold"]) for row, got in rows) / len(rows)


async def test_the_floor_on_the_labelled_set(recall: Recall) -> None:
    """Beside how to answer, at most 10 % of the unrelated questions get anything: what of the user an answer may need
    (a recipe, a program), never what is sensitive. The personal ones lose at most 1 point of recall."""
    assert (len(MEMORIES), len(PERSONAL), len(IMPERSONAL)) == (120, 100, 100)
    found = {row["question"]: {*await asked(recall, row["question"])} - {HOW_TO_ANSWER} for row in IMPERSONAL}
    assert sum(map(bool, found.values())) <= 10, {question for question, ids in found.items() if ids}
    assert not [question for question, ids in found.items() if ids & SENSITIVE]
    with_floor = share([(row, set(await asked(recall, row["question"]))) for row in PERSONAL])
    bare = share([(row, set(await without_floor(recall, row["question"]))) for row in PERSONAL])
    assert bare >= 0.97
    assert with_floor >= bare - 0.0101


async def test_pinned_memories_pass_the_floor(recall: Recall) -> None:
    """What the user pinned goes with every question, alone but for how to answer if the question is unrelated."""
    pinned = replace(memory_of(MEMORIES[0], 0), pinned=True)
    await recall.store.put(MAREN, [await to_point(pinned, recall.embedder)])
    assert await asked(recall, "Why is the sky blue?") == (pinned.id, HOW_TO_ANSWER)


def test_no_memories_are_relevant_to_nothing() -> None:
    """An empty store has no best memory."""
    nobody = Candidates.of([])
    assert len(relevant(Asked("Where do I live?"), nobody, supports(1, nobody))) == 0


def test_a_pinned_memory_speaks_for_itself_alone() -> None:
    """However near to the question, it does not let the others in."""
    near = Candidate("near", 0.9, 0.0, "fact", NOW, 9, 0, True, None, None, None, None)
    far = near._replace(id="far", dense=0.1, pinned=False)
    both = Candidates.of([near, far])
    assert relevant(Asked("Why is the sky blue?"), both, supports(2, both)).tolist() == [True, False]
