"""`python -m loadtests.event_loop [MEMORIES]`: how long a search on a Qdrant server holds the event loop, and its
CPU in the asking process. It asks the tests' stand-in, which is another process. All in CPU time of the thread, so
that other programs count little. No turn of the loop should be longer than 2 ms."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from asyncio import events
from typing import Any

from rememberd.settings.schema import Store
from rememberd.storage.qdrant.store import QdrantStore
from rememberd.types import Memory, Point, Space, Sparse
from tests.support.change_log import LocalChangeLog
from tests.support.fakes import EmbedderFake
from tests.support.qdrant_double import server_store
from tests.support.qdrant_process import qdrant_running

MEMORIES, QUESTIONS, SHOWN = 3000, 20, 15
_BATCH, _PATIENCE_S, _NOW, _LONG_S = 100, 100.0, 1_700_000_000_000, 0.002
_SPACE = Space("ann")

_turns: list[float] = []
_chance = random.Random(1)


class _Wide(EmbedderFake):
    name, dim = "wide", 384


def _timed(run: Any) -> Any:
    def timed(self: Any) -> None:
        began = time.thread_time()
        run(self)
        _turns.append(time.thread_time() - began)

    return timed


async def main(url: str, memories: int) -> None:
    store = server_store(Store(url), _Wide(), call_seconds=_PATIENCE_S, changes=LocalChangeLog())
    for start in range(0, memories, _BATCH):
        await store.put(_SPACE, [_point(number) for number in range(start, start + _BATCH)])
    events.Handle._run = _timed(events.Handle._run)  # type: ignore[method-assign]
    for what in ("rows read from the server", "rows known"):
        _turns.clear()
        spent = sum([await _recall(store) for _ in range(QUESTIONS)])
        long = sum(each > _LONG_S for each in _turns)
        print(
            f"{what}: longest {max(_turns) * 1000:.1f} ms, {long} over 2 ms; {spent / QUESTIONS * 1000:.1f} ms of CPU"
            " a search with the texts"
        )
    await store.close()


async def _recall(store: QdrantStore) -> float:
    """Seconds of CPU."""
    dense, words = _vector(), _words()
    await asyncio.sleep(0)
    began = time.thread_time()
    found = await store.search(_SPACE, dense, words, now=_NOW)
    await store.get(_SPACE, found.names(slice(SHOWN)))
    return time.thread_time() - began


def _point(number: int) -> Point:
    at = _NOW + number
    memory = Memory(f"{number:032x}", "word " * 40, "episode" if number % 2 else "fact", at, at, at)
    return Point(memory, _vector(), _words(), 50, 0)


def _vector() -> list[float]:
    return [_chance.gauss(0, 1) for _ in range(_Wide.dim)]


def _words() -> Sparse:
    return Sparse(sorted(_chance.sample(range(3000), 12)), [1.0] * 12)


if __name__ == "__main__":
    with qdrant_running() as server:
        asyncio.run(main(server, int(sys.argv[1]) if len(sys.argv) > 1 else MEMORIES))
