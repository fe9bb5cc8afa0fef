"""`python -m loadtests.event_loop [MEMORIES]`: how long a recall from a Qdrant server holds the event loop of a web
process, and its CPU there. It asks the tests' stand-in, which is another process. All in CPU time of the thread. A
busy machine makes some turns of the loop longer, but hardly the same turn of every question: so what counts is the
median over the questions of their longest turns. It should be below 2 ms."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from asyncio import events
from statistics import median
from typing import Any

import numpy as np

from loadtests.preload import REAL_VECTORS, Maker
from loadtests.prompts import USER, memory, question
from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.recall import needs
from rememberd.memory.recall.recall import Recall
from rememberd.processes.run import rehearse
from rememberd.settings.schema import Store
from rememberd.types import Space
from tests.support.change_log import LocalChangeLog
from tests.support.qdrant_double import server_store
from tests.support.qdrant_process import qdrant_running

MEMORIES, QUESTIONS = 3000, 20
_BATCH, _PATIENCE_S, _NO_HURRY_MS = 100, 100.0, 60_000
_SPACE = Space(USER)

_turns: list[float] = []  # seconds of CPU


def _timed(run: Any) -> Any:
    def timed(self: Any) -> None:
        began = time.thread_time()
        run(self)
        _turns.append(time.thread_time() - began)

    return timed


async def main(url: str, memories: int) -> None:
    embedder = FastEmbedder()
    await embedder.start()
    rehearse(await needs.learn(embedder))
    store = server_store(Store(url), embedder, call_seconds=_PATIENCE_S, changes=LocalChangeLog())
    chance = random.Random(1)
    vectors = np.array([await embedder.dense(memory(chance)) for _ in range(min(REAL_VECTORS, memories))])
    maker = Maker(chance, embedder, vectors, time.time_ns() // 1_000_000)
    for start in range(0, memories, _BATCH):
        await store.put(_SPACE, [maker.point(number) for number in range(start, min(start + _BATCH, memories))])
    recall = Recall(store, embedder, deadline_ms=_NO_HURRY_MS)
    questions = [question(chance) for _ in range(QUESTIONS)]
    events.Handle._run = _timed(events.Handle._run)  # type: ignore[method-assign]
    for what, known in (("rows read from the server", False), ("", True), ("rows known", True)):
        longest, spent = [], []
        for each in questions:
            if not known:
                store._rows.clear()
            store._memories.clear()
            embedder._recent.clear()
            turns = await _turns_of(recall, each)
            longest.append(max(turns))
            spent.append(sum(turns))
        if what:
            print(
                f"{what}: a question's longest turn {median(longest) * 1000:.2f} ms (median),"
                f" {max(longest) * 1000:.1f} (highest); {median(spent) * 1000:.1f} ms of CPU on the loop"
            )
    await store.close()
    embedder.close()


async def _turns_of(recall: Recall, question: str) -> list[float]:
    await asyncio.sleep(0)
    _turns.clear()
    await asyncio.sleep(0)
    found = await recall.recall(_SPACE, question, now=time.time_ns() // 1_000_000, turn_id=None, conversation=None)
    await asyncio.sleep(0)
    assert found.status == "hit"
    return _turns[1:]


if __name__ == "__main__":
    with qdrant_running() as server:
        asyncio.run(main(server, int(sys.argv[1]) if len(sys.argv) > 1 else MEMORIES))
