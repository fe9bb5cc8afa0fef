"""Each line of a block has its reason: pinned, how to answer, a need, words, meaning, or a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.recall.recall import Recall
from rememberd.storage.edge.store import EdgeStore
from rememberd.types import Memory, Space
from tests.support.fake_model import FakeModel
from tests.support.proxy_in_process import running_here

ADA = Space("ada")
NOW = 1_790_000_000_000


@pytest.fixture
async def recall(tmp_path: Path) -> AsyncIterator[Recall]:
    embedder = FastEmbedder()
    await embedder.start()
    store = EdgeStore.open(tmp_path, dim=embedder.dim, embedder=embedder.name)
    texts = (
        "Always answer me in Danish.",
        "I can't eat nuts.",
        "My locker has the number Quux-7.",
        "The office is shut.",
    )
    memories = [Memory(text, text, "fact", NOW, NOW, NOW, pinned=text.startswith("The")) for text in texts]
    said = "I bought a blue canoe at the harbour."
    memories.append(Memory(said, f"User: {said}", "episode", NOW - 86_400_000, NOW, NOW - 86_400_000))
    await store.put(ADA, [await to_point(each, embedder) for each in memories])
    yield Recall(store, embedder, 600, deadline_ms=30_000)
    await store.close()
    embedder.close()


@pytest.mark.parametrize(
    ("question", "memory", "reason"),
    [
        ("What is my locker Quux-7?", "The office is shut.", "pinned"),
        ("Explain tides.", "Always answer me in Danish.", "profile"),
        ("What should I cook for supper?", "I can't eat nuts.", "need"),
        ("What kind of boat did I get?", "I bought a blue canoe at the harbour.", "meaning"),
        ("What did we talk about yesterday?", "I bought a blue canoe at the harbour.", "time"),
    ],
)
async def test_why(recall: Recall, question: str, memory: str, reason: str) -> None:
    """The reason stands beside the id."""
    found = await recall.recall(ADA, question, now=NOW + 1, turn_id=None, conversation=None)
    assert dict(zip(found.ids, found.reasons, strict=True))[memory] == reason


class Busy(FastEmbedder):
    """Has 40 s of texts before the next one."""

    @property
    def backlog_ms(self) -> float:
        return 40_000.0


async def test_a_busy_embedder_is_not_waited_for(recall: Recall) -> None:
    """Then words alone decide, and the answer says so."""
    busy = Busy()
    await busy.start()
    recall = Recall(recall.store, busy, 600, deadline_ms=30_000)
    found = await recall.recall(ADA, "Where did I buy the canoe?", now=NOW + 1, turn_id=None, conversation=None)
    assert found.by_words
    assert "canoe" in found.block
    other = await recall.recall(ADA, "Who painted Guernica?", now=NOW + 1, turn_id=None, conversation=None)
    assert set(other.reasons) == {"pinned", "profile"}
    busy.close()


def test_the_answer_has_a_header_if_words_alone_decided(
    tmp_path: Path, upstream: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`X-Memory-Recall: words`, with each dialect; otherwise there is no such header."""
    asked = ("Where did I buy the canoe?", "In which town did I buy my canoe?")
    bodies: dict[str, Callable[[str], dict[str, Any]]] = {
        "/v1/chat/completions": lambda text: {"messages": [{"role": "user", "content": text}]},
        "/v1/responses": lambda text: {"input": text},
        "/v1/messages": lambda text: {"messages": [{"role": "user", "content": text}], "max_tokens": 9},
    }
    with running_here(tmp_path, {"model-a": upstream.url}) as proxy, proxy.client("ada") as client:
        client.post("/v1/memories", json={"text": "I bought the canoe in Kiruna."}).raise_for_status()
        for path, body in bodies.items():
            found = []
            for text, backlog in zip(asked, (0.0, 40_000.0), strict=True):
                monkeypatch.setattr(FastEmbedder, "backlog_ms", backlog)
                told = client.post(path, json={"model": "model-a"} | body(f"{text} Asked by {path}.")).headers
                found.append((told["X-Memory-Status"], told.get("X-Memory-Recall")))
            assert found == [("hit", None), ("hit", "words")], path


class Hangs(FastEmbedder):
    """Does not come back while it hangs, though no text waits."""

    hangs = False

    async def dense(self, text: str) -> list[float]:
        if self.hangs:
            await asyncio.sleep(3600)
        return await super().dense(text)


async def test_where_recalls_are_late_words_decide_until_they_are_not(recall: Recall) -> None:
    """One chat goes without memory, the next ones are helped by words; a few faster ones, and meaning is back."""
    embedder = Hangs()
    await embedder.start()
    recall = Recall(recall.store, embedder, 600, deadline_ms=2_000)

    async def ask() -> tuple[str, bool]:
        found = await recall.recall(ADA, "Where did I buy the canoe?", now=NOW + 1, turn_id=None, conversation=None)
        return found.status, found.by_words

    assert await ask() == ("hit", False)
    embedder.hangs = True
    assert [await ask() for _ in range(2)] == [("degraded", False), ("hit", True)]
    embedder.hangs = False
    assert ("hit", False) in [await ask() for _ in range(20)]
    embedder.close()
