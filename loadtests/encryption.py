"""`python -m loadtests.encryption [MEMORIES]`: what sealing adds to a recall and to a write, side by side in
one process: the same memories with and without, and with turned vectors. CPU time, medians of alternating rounds."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path
from statistics import median
from typing import TypeVar

import numpy as np
from qdrant_edge import Bm25

from rememberd.encryption.keyring import Keyring
from rememberd.encryption.master_key import masters
from rememberd.encryption.store import SealedStore
from rememberd.memory.ids import fact_id
from rememberd.ports import MemoryStore
from rememberd.settings.schema import Encryption
from rememberd.storage.edge.store import EdgeStore
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.keyring import SqliteKeyring, file_of
from rememberd.types import Evidence, Memory, Point, Source, Space, Sparse

T = TypeVar("T")

ADA = Space("ada")
DIM, BATCH, ROUNDS, WINNERS = 384, 50, 60, 12
_BM25 = Bm25()
_WORDS = [f"word{number}" for number in range(3_000)]


async def main(memories: int, rounds: int = ROUNDS) -> None:
    random.seed(1)
    points = [_point(number) for number in range(memories)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stores: dict[str, MemoryStore] = {
            "clear": _engine(folder, "clear"),
            "sealed": await _sealed(folder, "sealed"),
            "sealed, vectors turned": await _sealed(folder, "turned", rotate_vectors=True),
        }
        writes = {name: await _write(store, points) for name, store in stores.items()}
        print("| | write of a memory, µs | search, ms | texts of 12, ms |\n|---|---|---|---|")
        for name, (search, fetch) in (await _recalls(stores, rounds)).items():
            print(f"| {name} | {writes[name] / memories * 1e6:.0f} | {search * 1e3:.2f} | {fetch * 1e3:.2f} |")
        for store in stores.values():
            await store.close()


async def _sealed(folder: Path, name: str, *, rotate_vectors: bool = False) -> SealedStore:
    (folder / name).mkdir()
    found = masters(Encryption(master_key=os.urandom(32).hex()))
    keyring = Keyring(SqliteKeyring(Database(file_of(folder / name))), found, rotate_vectors=rotate_vectors)
    await keyring.start(_nothing_kept)
    return SealedStore(_engine(folder, name), keyring)


def _engine(folder: Path, name: str) -> EdgeStore:
    return EdgeStore.open(folder / name / "qdrant", dim=DIM, embedder="random")


async def _write(store: MemoryStore, points: list[Point]) -> float:
    seconds = 0.0
    for start in range(0, len(points), BATCH):
        seconds += (await _timed(store.put(ADA, points[start : start + BATCH])))[1]
    return seconds


async def _recalls(stores: dict[str, MemoryStore], rounds: int) -> dict[str, tuple[float, float]]:
    searches: dict[str, list[float]] = {name: [] for name in stores}
    fetches: dict[str, list[float]] = {name: [] for name in stores}
    for _ in range(rounds):
        dense, words = _unit(), _BM25.embed_query(" ".join(random.choices(_WORDS, k=6)))
        for name, store in stores.items():
            found, seconds = await _timed(store.search(ADA, dense, Sparse(words.indices, words.values), now=1))
            searches[name].append(seconds)
            _, seconds = await _timed(store.get(ADA, found.names()[:WINNERS]))
            fetches[name].append(seconds)
    return {name: (median(searches[name]), median(fetches[name])) for name in stores}


async def _timed(work: Awaitable[T]) -> tuple[T, float]:
    began = time.process_time()
    return await work, time.process_time() - began


def _point(number: int) -> Point:
    text = " ".join(random.choices(_WORDS, k=15))
    evidence, source = Evidence(text, "user", f"{number:032x}"), Source(f"conversation {number // 20}")
    memory = Memory(fact_id(ADA, text), text, "episode", number, number, number, evidence=evidence, source=source)
    words = _BM25.embed_document(text)
    return Point(memory, _unit(), Sparse(words.indices, words.values), tokens=20)


def _unit() -> list[float]:
    vector = np.array([random.gauss(0, 1) for _ in range(DIM)])
    unit: list[float] = (vector / np.linalg.norm(vector)).tolist()
    return unit


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))


async def _nothing_kept() -> bool:
    return True
