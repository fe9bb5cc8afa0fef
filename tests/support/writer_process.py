"""A writer over the embedded store, for tests that kill it: `python -m tests.support.writer_process FOLDER`."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from rememberd.memory.learn.writer import Writer
from rememberd.storage.edge.store import EdgeStore
from rememberd.storage.sqlite.block_cache import SqliteBlockCache
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.queue import SqliteQueue
from rememberd.storage.sqlite.receipts import SqliteReceipts
from tests.support.fakes import EmbedderFake
from tests.support.writer_rig import Sentences


async def main(folder: Path) -> None:
    database, embedder = Database(folder / "queue.db"), EmbedderFake()
    queue, receipts, block_cache = SqliteQueue(database), SqliteReceipts(database), SqliteBlockCache(database)
    store = EdgeStore.open(folder / "store", dim=embedder.dim, embedder=embedder.name)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await queue.release()
    await Writer(queue, store, embedder, [Sentences()], receipts, block_cache, quiet_for=store.quiet_for).run(stop)
    await store.close()
    await queue.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
