"""A process that puts turns, for tests that kill it:
`python -m tests.support.queue_process PATH PREFIX COUNT CONCURRENT`.

Prints `ready`, waits for a line, then prints each id once its turn is put.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.queue import SqliteQueue
from tests.support.queue_contract import turn


async def main(path: str, prefix: str, count: str, concurrent: str) -> None:
    queue = SqliteQueue(Database(Path(path), busy_s=10))
    numbers = iter(range(int(count)))

    async def put() -> None:
        for number in numbers:
            turn_id = f"{prefix}{number}"
            await queue.put(turn(turn_id, user=turn_id))
            print(turn_id, flush=True)

    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*(put() for _ in range(int(concurrent))))
    await queue.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
