"""Many kills of random processes under load, while the disk gets slow and the queue's database is locked."""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from loadtests.faults.deployment import Deployment
from loadtests.faults.kinds import LATE, Fault
from rememberd.telemetry.background import running

_PAUSE_S = (0.1, 1.5)  # between two kills
_FAULT_S = (0.2, 4.0)  # how long the disk is slow, or the database locked
_SLOW_MS = (20, 800)  # of one fsync
_WEB_SHARE = 3 / 4
_CHAT_PAUSE_S = 0.25  # eight people with .1 tell as much as one writer learns, so what piled up stayed
_PATIENCE_S = 900.0  # a writer that is killed again and again learns little meanwhile


def killed(kills: int) -> Fault:
    """On one host: two web processes and a writer."""

    async def strike(deployment: Deployment, _: float) -> None:
        async with running(_disturb(deployment)):
            for number in range(1, kills + 1):
                await asyncio.sleep(random.uniform(*_PAUSE_S))
                await _kill(deployment)
                if number % 20 == 0:
                    print(f"{number} kills", file=sys.stderr, flush=True)
        await deployment.wait_ready()

    what = f"{kills} kills of random processes, with a slow disk and a locked database in between"
    return Fault(
        "kills",
        what,
        strike,
        LATE,
        scaled=False,
        breaks=True,
        retries=2,
        people=8,
        pause_s=_CHAT_PAUSE_S,
        patience_s=_PATIENCE_S,
    )


async def _kill(deployment: Deployment) -> None:
    """A web process that serves, or the writer at any moment, its start included."""
    while True:
        webs = sorted(deployment.ready)
        names = webs if webs and random.random() < _WEB_SHARE else deployment.writers()
        chosen = deployment.processes[random.choice(names)]
        if chosen.process is not None and chosen.process.returncode is None:
            chosen.signal(signal.SIGKILL)
            return
        await asyncio.sleep(0.05)


async def _disturb(deployment: Deployment) -> None:
    database = deployment.folder / "disk" / "data" / "queue.db"
    while True:
        await asyncio.sleep(random.uniform(*_FAULT_S) / 2)
        seconds = random.uniform(*_FAULT_S)
        if deployment.disk is not None and random.random() < 0.5:
            deployment.disk.write_text(str(random.randint(*_SLOW_MS)))
            try:
                await asyncio.sleep(seconds)
            finally:
                deployment.disk.write_text("0")
        else:
            await _lock(database, seconds)


async def _lock(path: Path, seconds: float) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as database:
        try:
            database.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return  # a process has the lock
        await asyncio.sleep(seconds)
        database.execute("ROLLBACK")
