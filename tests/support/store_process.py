"""A process that has the embedded store and serves it, for tests that stop, kill and restart it.

`python -m tests.support.store_process FOLDER SOCKET`
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from signal import SIGCONT, SIGKILL

from rememberd.storage.edge.server import serving
from rememberd.storage.edge.store import EdgeStore
from tests.support.store_contract import DIM


@asynccontextmanager
async def store_process(folder: Path, socket: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Runs until killed, at the latest by leaving the body."""
    command = [sys.executable, "-m", "tests.support.store_process", str(folder), str(socket)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), 120) == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(SIGCONT)
            process.send_signal(SIGKILL)
        await process.wait()


async def main(folder: Path, socket: Path) -> None:
    store = EdgeStore.open(folder, dim=DIM, embedder="test")
    async with serving(store, socket):
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
