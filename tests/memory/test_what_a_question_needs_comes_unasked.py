"""Standing facts come to the questions that need them, and stay away from the others; rates with bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.recall import needs
from rememberd.memory.recall.needs import learn
from rememberd.memory.recall.recall import Recall
from rememberd.ports import Embedder
from rememberd.storage.edge.store import EdgeStore
from rememberd.types import Memory, Space
from tests.support.fakes import EmbedderFake

ADA = Space("ada")
NOW = 1_790_000_000_000
OTHERS = [
    f"My {who} {does}."
    for who, does in product(
        ("cousin", "neighbour", "old teacher", "colleague"),
        ("collects coins", "repairs bicycles", "sings", "keeps bees"),
    )
]
# None of these stands in topics.toml.
NEEDED = {
    "I can't eat nuts.": [
        f"{ask} {meal}?" for ask, meal in product(("What should I have for", "Any ideas for"), ("supper", "a picnic"))
    ],
    "I gave up alcohol two years ago.": ["Which drink goes with roast lamb?", "Recommend an aperitif for tonight."],
    "My son is five.": ["Suggest a film that we can watch together tonight.", "What could we play at home today?"],
    "I get sick on boats.": ["How should I get to the island?", "Plan our way to Sardinia."],
    "I live in Helsinki.": ["Do I need a coat today?", "Where can I buy a good bicycle?"],
    "I write Kotlin.": ["Show me how to read a text file.", "Write a function that sorts names."],
    "My back hurts when I lift things.": ["Put together a workout for me.", "Which exercises should I do?"],
}
GENERAL = [
    *(f"What is the capital of {country}?" for country in ("Chad", "Laos", "Malta", "Fiji", "Oman", "Togo")),
    *(f"Who invented the {thing}?" for thing in ("zip", "stapler", "microscope", "bicycle", "pencil", "radio")),
    *(f"Explain {what} in two sentences." for what in ("entropy", "osmosis", "DNS", "baroque music", "tariffs")),
    *(f"Translate 'good {time}' into Czech." for time in ("morning", "evening", "night", "luck")),
    *(f"What is {n} % of 900?" for n in (3, 17, 45)),
]
SENSITIVE = [
    "My back hurts when I lift things.",
    "I take antidepressants.",
    "I owe the bank 9,000 euros.",
    "I'm a Sikh.",
]


class Counted:
    """An embedder that counts the texts it was asked for."""

    def __init__(self, embedder: Embedder) -> None:
        self.embedder, self.name, self.dim, self.texts = embedder, embedder.name, embedder.dim, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.embedder, name)

    async def dense(self, text: str) -> list[float]:
        self.texts += 1
        return await self.embedder.dense(text)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recall(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Recall]:
    embedder = FastEmbedder()
    await embedder.start()
    store = EdgeStore.open(tmp_path_factory.mktemp("store"), dim=embedder.dim, embedder=embedder.name)
    told = dict.fromkeys([*NEEDED, *SENSITIVE, *OTHERS])
    memories = [Memory(text, text, "fact", NOW, NOW, NOW) for text in told]
    await store.put(ADA, [await to_point(each, embedder) for each in memories])
    yield Recall(store, embedder, 600, deadline_ms=30_000)
    await store.close()
    embedder.close()


async def asked(recall: Recall, question: str) -> tuple[str, ...]:
    return (await recall.recall(ADA, question, now=NOW + 1, turn_id=None, conversation=None)).ids


STORIES = (  # what a classifier may take for an instruction
    "I swim in the lake before work.",
    "volunteering is a way of showing love.",
    "I bake bread with my daughter.",
    "the knee has been hurting since last week.",
    "a walk with the dog clears my head.",
    "gardening beats any gym.",
    "I visit my grandmother in Porto.",
)
WISHES = ("use metric units.", "keep it short.", "never use emojis.", "show me the sources.", "call me Sam.")


@pytest.mark.asyncio(loop_scope="module")
async def test_needs_bring_their_facts(recall: Recall) -> None:
    """At least four of five needs bring the fact that they depend on."""
    missed = [
        (fact, each) for fact, needs in NEEDED.items() for each in needs if fact not in await asked(recall, each)
    ]
    assert len(missed) <= sum(map(len, NEEDED.values())) // 5, missed


@pytest.mark.asyncio(loop_scope="module")
async def test_general_questions_bring_nothing_sensitive(recall: Recall) -> None:
    """At most one general question in ten brings anything, none of it sensitive."""
    found = {question: await asked(recall, question) for question in GENERAL}
    assert not [question for question, ids in found.items() if set(SENSITIVE) & set(ids)]
    assert sum(map(bool, found.values())) <= len(GENERAL) // 10, found


@pytest.mark.parametrize("model", [None, "multilingual"])
async def test_a_packaged_model_comes_with_the_vectors_of_the_examples(model: str | None) -> None:
    """A start embeds one example, to see that it is the same model, and not all. After a change of `topics.toml`:
    `python -m loadtests.quality.topics`."""
    embedder = FastEmbedder(model)
    await embedder.start()
    asked = Counted(embedder)
    needs.LEARNED.clear()
    await learn(asked)
    embedder.close()
    assert asked.texts == 1


async def test_learning_is_done_once_and_kept_for_the_next_start(tmp_path: Path) -> None:
    """Sixteen turns that come at once learn together; another start reads what they have learned, unless it was by
    another model or is damaged."""
    embedder = Counted(EmbedderFake())
    needs.LEARNED.clear()
    await asyncio.gather(*(learn(embedder, tmp_path) for _ in range(16)))
    examples = embedder.texts
    needs.LEARNED.clear()
    await learn(embedder, tmp_path)
    assert embedder.texts == examples + 1
    for stored in tmp_path.iterdir():
        stored.write_bytes(b"damaged")
    needs.LEARNED.clear()
    await learn(embedder, tmp_path)
    assert embedder.texts == 2 * examples + 1
    for stored in tmp_path.iterdir():
        lines = stored.read_text().splitlines()
        first = 1 + next(number for number, line in enumerate(lines) if line.startswith("statements_examples"))
        lines[first] = lines[first + 1]
        stored.write_text("\n".join(lines))
    needs.LEARNED.clear()
    await learn(embedder, tmp_path)
    assert embedder.texts == 3 * examples + 2


async def test_an_embedder_without_meaning_has_no_topics() -> None:
    """With an embedder that cannot sort the examples, no question needs any topic."""
    embedder = EmbedderFake()
    needs = await learn(embedder)
    vector = await embedder.dense("What should I cook tonight?")
    assert needs.asked("What should I cook tonight?", vector) == ({}, None)
    assert needs.topics_of("I'm vegan.", await embedder.dense("I'm vegan."), "diet") is None


async def test_only_a_wish_about_answers_goes_to_every_question() -> None:
    """A sentence in a language that the embedder does not know is near the examples of everything: that makes it no
    wish. The rules know wishes in each of their languages."""
    embedder = FastEmbedder()
    await embedder.start()
    needs = await learn(embedder)
    others = [
        "У меня эпилепсия.",
        "Trabajo en una panadería.",
        "Vi bor i Malmö.",
        "Meu pai é surdo.",
        "Ik ben failliet.",
    ]
    others += [
        "Ma tante est aveugle.",
        "Ich bin evangelisch.",
        "我哥哥有哮喘。",
        "母は入院しています。",
        "Sono divorziata.",
    ]
    wishes = ["Always use short sentences.", "I want answers without jargon."]

    async def style(text: str, slot: str | None) -> bool:
        return "style" in (needs.topics_of(text, await embedder.dense(text), slot) or "").split()

    assert [text for text in others if await style(text, None)] == []
    assert [text for text in wishes if not await style(text, None)] == []
    assert await style("Antworte bitte nur auf Deutsch.", "instruction")
    stories = [f"{opening} {rest}" for opening in ("For me,", "As for me,", "Whenever I can,") for rest in STORIES]
    assert sum([await style(text, "instruction") for text in stories]) * 20 <= len(stories)
    told = [f"{opening} {rest}" for opening in ("From now on", "In future", "When you answer me,") for rest in WISHES]
    assert [text for text in [*wishes, *told] if not await style(text, "instruction")] == []
    embedder.close()
