"""A process that spools turns, for tests that kill it: `python -m tests.support.spool_process FOLDER USER`.

Prints each turn's id once the turn is on the disk, until it is killed.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from rememberd.storage.spool import FileSpool
from tests.support.queue_contract import turn


async def main(folder: str, user: str) -> None:
    spool, numbers = FileSpool(Path(folder)), itertools.count()

    async def append() -> None:
        for number in numbers:
            await spool.append(turn(f"{user}-{number}", user=user))
            print(f"{user}-{number}", flush=True)

    await asyncio.gather(*(append() for _ in range(4)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
