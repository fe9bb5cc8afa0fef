"""`python -m loadtests.quality DATASET --peer engram` asks a peer the same questions, with the same embedder."""

from __future__ import annotations

import httpx
import pytest

from loadtests.quality.__main__ import run
from loadtests.quality.datasets.conversation import DAY_MS, Conversation, Question, exchange
from loadtests.quality.peers import engram, ollama
from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.types import Space


async def test_the_stand_in_for_ollama_serves_the_packaged_embedder() -> None:
    embedder = FastEmbedder()
    await embedder.start()
    try:
        async with ollama.serving(embedder) as url, httpx.AsyncClient(base_url=url) as http:
            answer = await http.post("/api/embed", json={"model": "any", "input": ["a boat", "a tax"]})
            assert answer.json()["embeddings"] == [await embedder.dense("a boat"), await embedder.dense("a tax")]
            assert (await http.post("/api/chat", json={})).status_code == 404
    finally:
        embedder.close()


@pytest.mark.clients
async def test_engram_is_asked_the_same() -> None:
    """Installed from its registry; what it shows is counted by turn, and its version and settings are reported."""
    space = Space("mia")
    said = [
        "I keep two goats called Nut and Bolt.",
        "My brother Jan works on a ferry.",
        "I sold my kayak.",
    ]
    turns = [exchange(space, str(n), n * DAY_MS, text, "Noted.", session=str(n)) for n, text in enumerate(said)]
    question = Question("What are my two goats called?", "plain", frozenset([turns[0].id]))
    result = await run([Conversation(space, turns, [question], 4 * DAY_MS)], check_folds=False, peers=["engram"])
    assert result["ways"][engram.NAME]["1000"]["found"] == 100.0
    assert 0 < result["ways"][engram.NAME]["1000"]["tokens"] <= 1000
    assert result["peers"][engram.NAME]["version"] == engram.VERSION
