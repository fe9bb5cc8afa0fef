"""A writer over the embedded store, for tests that kill it: `python -m tests.writer_process FOLDER`."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from proxy.memory.database import Database
from proxy.memory.frozen import Frozen
from proxy.memory.queue.sqlite import SqliteQueue
from proxy.memory.receipts import Receipts
from proxy.memory.store.edge import EdgeStore
from proxy.memory.writer import Writer
from tests.fakes import EmbedderFake
from tests.writer_rig import Sentences


async def main(folder: Path) -> None:
    database, embedder = Database(folder / "queue.db"), EmbedderFake()
    queue, receipts, frozen = SqliteQueue(database), Receipts(database), Frozen(database)
    store = EdgeStore.open(folder / "store", dim=embedder.dim, embedder=embedder.name)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await queue.release()
    await Writer(queue, store, embedder, [Sentences()], receipts, frozen, quiet_for=store.quiet_for).run(stop)
    await store.close()
    await queue.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
