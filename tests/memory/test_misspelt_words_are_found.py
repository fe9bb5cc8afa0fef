"""What was typed with an error is found as what was meant, and shown as typed; other words stay as they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.recall.recall import Recall
from rememberd.storage.edge.store import EdgeStore
from rememberd.types import Memory, Space

NOW = 1_790_000_000_000
STATED = "I'm allergic to {}.", "My daughter can't eat {}."
WORDS = ("peanuts", "gluten", "strawberries", "mushrooms", "shellfish")
# One error away from words of the examples, or unknown to the model.
OTHERS = ("vegan", "halal", "autistic", "decaf", "lorry", "broth", "quinoa", "courgettes", "tempeh", "llama", "satay")
FILLER = [f"I own {thing}." for thing in ("a red kayak", "two hammocks", "an old piano", "a tent", "a globe")]


def misspelt(word: str) -> Iterator[str]:
    """With a letter left out, doubled, and changed for its neighbour, after the first one."""
    for place in range(1, len(word) - 1):
        yield word[:place] + word[place + 1 :]
        yield word[:place] + word[place] + word[place:]
        yield word[:place] + word[place + 1] + word[place] + word[place + 2 :]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedder() -> AsyncIterator[FastEmbedder]:
    embedder = FastEmbedder()
    await embedder.start()
    yield embedder
    embedder.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_a_misspelt_word_means_the_right_one(embedder: FastEmbedder) -> None:
    """Nine of ten errors in words that matter to memories change the vector little, and the right word is found by a
    search by words."""
    alike = []
    for stated in STATED:
        for word in WORDS:
            right = np.array(await embedder.dense(stated.format(word)))
            terms = set(embedder.query(word).indices)
            for wrong in misspelt(word):
                vector = np.array(await embedder.dense(stated.format(wrong)))
                alike.append(right @ vector > 0.9 and terms <= set(embedder.document(wrong).indices))
    assert sum(alike) >= 0.9 * len(alike), (sum(alike), len(alike))


@pytest.mark.asyncio(loop_scope="module")
async def test_other_words_stay_as_they_are(embedder: FastEmbedder) -> None:
    """Words and names that the examples lack are no errors."""
    names = "Larry", "Mirko", "Thurso", "Priya"
    for word in (*OTHERS, *names):
        assert len(embedder.document(word).indices) == 1, word


@pytest.mark.asyncio(loop_scope="module")
async def test_a_misspelt_memory_is_recalled_as_typed(embedder: FastEmbedder, tmp_path: Path) -> None:
    """For a question about it, for a question that needs it, and for a question that is misspelt, too."""
    ada, typed = Space("ada"), "I'm alergic to penuts."
    store = EdgeStore.open(tmp_path, dim=embedder.dim, embedder=embedder.name)
    memories = [Memory(text, text, "fact", NOW, NOW, NOW) for text in (typed, *FILLER)]
    await store.put(ada, [await to_point(each, embedder) for each in memories])
    recall = Recall(store, embedder, 600, deadline_ms=30_000)
    for question in ("What am I allergic to?", "Waht am i alergic to?", "What should I cook tonight?"):
        found = await recall.recall(ada, question, now=NOW + 1, turn_id=None, conversation=None)
        assert typed in found.block, question
    await store.close()
