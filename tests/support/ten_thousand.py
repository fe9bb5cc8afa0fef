"""10,000 facts of one person, of most topics and seven people. They go straight into the store of a proxy that runs,
because an import would embed each of them, which takes a minute of CPU."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.embedding.indexing import to_point
from rememberd.storage.edge.client import EdgeClient
from rememberd.storage.edge.socket_protocol import socket_path
from rememberd.types import Evidence, Memory, Source, Space
from tests.support.proxy_server import Proxy

MANY = 10_000
MINUTES_APART = 40
_THINGS = ("lamp", "clock", "radio", "vase", "mirror", "kettle", "ladder", "basket", "guitar", "camera", "violin")
_PLACES = ("kitchen", "garden", "cellar", "attic", "office", "studio", "garage", "balcony", "hallway", "workshop")
_PEOPLE = ("sister Anna", "brother Tom", "friend Luca", "wife Mira", "boss Henrik", "cousin Jonas", "aunt Vera")
_SENTENCES = (
    "I keep the {thing} number {n} in the {place}.",
    "I cook recipe {n} for dinner.",
    "My doctor noted value {n} at the check-up.",
    "I work on project {n} about a {thing}.",
    "My {person} gave me the {thing} number {n}.",
    "I plan trip {n} to see a {thing}.",
    "I like the {thing} song number {n}.",
    "My cat sleeps on cushion {n} in the {place}.",
)
_APPS = (("OpenWebUI/0.6.5", "gpt-4o"), ("opencode/1.2.0", "claude"), ("Mozilla/5.0", "model-a"), ("curl/8", None))
_BATCH = 500
_SAME_VECTOR = 12  # characters; facts that begin so have one vector


class _FewVectors(FastEmbedder):
    """Embeds one of the sentences that begin alike: where they lie is nothing that the page shows."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, list[float]] = {}

    async def dense(self, text: str) -> list[float]:
        begins = text[:_SAME_VECTOR]
        if begins not in self.known:
            self.known[begins] = await super().dense(text)
        return self.known[begins]


def put_ten_thousand(proxy: Proxy, user: str) -> None:
    with ThreadPoolExecutor(1) as thread:  # Playwright runs an event loop in the thread of the tests
        thread.submit(lambda: asyncio.run(_put(proxy, Space(user)))).result()


def fact(number: int, last: int) -> Memory:
    """`last` is the time of the newest, in milliseconds."""
    words = {"thing": _THINGS, "place": _PLACES, "person": _PEOPLE}
    chosen = {name: values[number // 8 % len(values)] for name, values in words.items()}
    text = _SENTENCES[number % 8].format(n=number, **chosen)
    at = last - (MANY - 1 - number) * MINUTES_APART * 60_000
    client, model = _APPS[number % len(_APPS)]
    return Memory(
        id=f"fact-{number:05}",
        text=text,
        kind="fact",
        created_at=at,
        updated_at=at,
        valid_from=at,
        pinned=number % 500 == 3,
        private=number % 50 == 7,
        evidence=Evidence(text, "user", f"turn-{number}"),
        source=Source(f"conversation-{number // 20}", model, client),
    )


async def _put(proxy: Proxy, space: Space) -> None:
    embedder, store = _FewVectors(), EdgeClient(socket_path(proxy.data))
    await embedder.start()
    now = time.time_ns() // 1_000_000
    try:
        for start in range(0, MANY, _BATCH):
            numbers = range(start, start + _BATCH)
            await store.put(space, [await to_point(fact(number, now), embedder) for number in numbers])
    finally:
        await store.close()
        embedder.close()
