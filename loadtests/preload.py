"""Memories for the hit arms: straight into the store of a proxy we started, or through the import API of another."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np
import orjson

from loadtests.prompts import USER, memory, user_name
from loadtests.servers import CONFIG, Target, fetch
from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.recall.block import line_cost
from rememberd.memory.recall.rank import Feature, features
from rememberd.settings.schema import load
from rememberd.types import Evidence, Memory, Point, Source, Space
from rememberd.wiring.encryption import open_encryption
from rememberd.wiring.store import for_command

LARGEST_IMPORT = 2_000  # through the API each memory is embedded: about 5 ms of CPU
_BATCH = 500
REAL_VECTORS = 256  # sentences embedded for real; every memory's vector is one of them with noise
_NOISE = 0.03  # a component's standard deviation; the cosine to the original is about .86
_DAY_MS = 86_400_000


@dataclass
class Maker:
    chance: random.Random
    embedder: FastEmbedder
    vectors: np.ndarray
    now: int

    def point(self, number: int) -> Point:
        text = memory(self.chance)
        at = self.now - self.chance.randrange(365 * _DAY_MS)
        made = Memory(
            id=str(UUID(int=self.chance.getrandbits(128))),
            text=text,
            kind=("fact", "episode")[number % 2],
            created_at=at,
            updated_at=at,
            valid_from=at,
            evidence=Evidence(text, "user", f"turn{number // 2}"),
            source=Source(f"conversation{number // 20}", "load", "loadtests"),
        )
        base = self.vectors[self.chance.randrange(len(self.vectors))]
        noisy = base + np.random.default_rng(number).normal(0, _NOISE, base.shape)
        dense = (noisy / np.linalg.norm(noisy)).tolist()
        seen = features(text) | Feature.TYPED
        return Point(made, dense, self.embedder.document(text), line_cost(made), int(seen))


def through_store(target: Target, memories: int, users: int) -> None:
    """`memories` of one store, shared by `users` users of which the first is asked for."""
    assert target.data is not None
    asyncio.run(_fill(target.data, memories, users))


async def _fill(data: Path, memories: int, users: int) -> None:
    settings = load(data.parent / CONFIG, {})
    embedder = FastEmbedder()
    await embedder.start()
    chance = random.Random(1)
    vectors = np.array([await embedder.dense(memory(chance)) for _ in range(REAL_VECTORS)])
    maker = Maker(chance, embedder, vectors, time.time_ns() // 1_000_000)
    try:
        async with open_encryption(settings) as seal, for_command(settings, embedder, seal.store) as store:
            for start in range(0, memories, _BATCH):
                user = start * users // memories
                points = [maker.point(number) for number in range(start, min(start + _BATCH, memories))]
                await store.put(Space(user_name(user)), points)
            await store.flush()
    finally:
        embedder.close()


def through_api(target: Target, memories: int) -> None:
    chance = random.Random(1)
    lines = b"\n".join(orjson.dumps({"text": memory(chance)}) for _ in range(memories))
    fetch(f"{target.url}/v1/memories/import", lines, {**target.headers, "x-memory-user": USER})
