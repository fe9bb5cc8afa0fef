"""The faults. Each befalls a deployment for some seconds and is over, and repaired, when its function returns."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from loadtests.faults.deployment import Deployment, Skipped
from loadtests.faults.probe import PATIENCE_S

Strike = Callable[[Deployment, float], Awaitable[None]]

LATE = 'rememberd_queue_puts_total{outcome="late"}'
DEGRADED = 'rememberd_recall_total{status="degraded"}'
REFUSED = "rememberd_qdrant_errors_total"
FAILOVERS = "rememberd_qdrant_failovers_total"
AGE = "rememberd_queue_age_seconds"

_LONG_S = 400.0  # tests run these while other programs keep the machine busy
_STALE_S = 12.0  # as long as a node that hung served old points (measured with Qdrant 1.19)


@dataclass(frozen=True, slots=True)
class Fault:
    """`metric` shows it: a counter that grows, or a gauge by its peak. `seconds` is how long a full run lasts.
    `people` chat at once, each with a pause of `pause_s` or so; a chat that fails is sent `retries` times more.
    `patience_s` is how long the queue may take to get empty afterwards.
    `breaks`: requests under way break with the process they are in, whatever anybody does. `reorders`: what was
    replaced while a clock was ahead is shown beside the new value once it is set back."""

    name: str
    what: str
    strike: Strike
    metric: str
    scaled: bool = True
    seconds: float = 30.0
    movers: bool = False
    breaks: bool = False
    reorders: bool = False
    retries: int = 0
    people: int = 4
    pause_s: float = 0.4
    patience_s: float = PATIENCE_S


async def _redis_killed(deployment: Deployment, seconds: float) -> None:
    async with deployment.processes["redis"].down():
        await asyncio.sleep(seconds)


async def _redis_hangs(deployment: Deployment, seconds: float) -> None:
    async with deployment.processes["redis"].hanging():
        await asyncio.sleep(seconds)


async def _qdrant_cut(deployment: Deployment, seconds: float) -> None:
    async with deployment.processes["qdrant"].hanging():
        await asyncio.sleep(seconds)


def _qdrant(**faults: object) -> Strike:
    async def strike(deployment: Deployment, seconds: float) -> None:
        await deployment.faults(**faults, paths="/collections/")
        await asyncio.sleep(seconds)
        await deployment.faults()

    return strike


def _qdrant_node(**faults: object) -> Strike:
    """One of two nodes; back, it has for some seconds what it had before."""

    async def strike(deployment: Deployment, seconds: float) -> None:
        await deployment.node(1, lags=True, **faults)
        await asyncio.sleep(seconds)
        await deployment.node(1, lags=True)
        await asyncio.sleep(min(_STALE_S, seconds))
        await deployment.node(1)

    return strike


async def _qdrant_rolled(deployment: Deployment, seconds: float) -> None:
    for number in (0, 1, 0, 1):
        await deployment.node(number, lags=True, disconnect="before")
        await asyncio.sleep(seconds / 4)
        await deployment.node(number)


async def _writers_killed(deployment: Deployment, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        deployment.processes[random.choice(deployment.writers())].signal(signal.SIGKILL)
        await asyncio.sleep(random.uniform(0.5, 6))


async def _one_writer_hangs(deployment: Deployment, seconds: float) -> None:
    """Longer than its leases last, if there is time: then it comes back to turns that another one has done."""
    async with deployment.processes[deployment.writers()[0]].hanging():
        await asyncio.sleep(seconds)


async def _clock_jumps(deployment: Deployment, seconds: float) -> None:
    if deployment.clock is None:
        raise Skipped("no C compiler for the library that shifts the clock")
    for offset in (3600, -3600, 0):
        deployment.clock.write_text(str(offset))
        await asyncio.sleep(seconds / 3)


async def _disk_full(deployment: Deployment, seconds: float) -> None:
    disk = deployment.folder / "disk"
    if not disk.is_mount():
        raise Skipped("mounting a small disk is not permitted")
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(2**16))
        except OSError:
            while os.statvfs(disk).f_bavail and file.write(bytes(1024)):
                pass
    await asyncio.sleep(seconds)
    filler.unlink()


async def _webs_killed(deployment: Deployment, seconds: float) -> None:
    await _each_in_turn(deployment, seconds, deployment.web(), signal.SIGKILL)


async def _rolling(deployment: Deployment, seconds: float) -> None:
    names = [each for pair in zip(deployment.web(), deployment.writers(), strict=True) for each in pair]
    await _each_in_turn(deployment, seconds, names, signal.SIGTERM)


async def _each_in_turn(deployment: Deployment, seconds: float, names: list[str], to_webs: signal.Signals) -> None:
    began, turn = time.monotonic(), 0
    while time.monotonic() - began < seconds:
        name = names[turn % len(names)]
        deployment.processes[name].signal(to_webs if name in deployment.urls else signal.SIGKILL)
        turn += 1
        await asyncio.sleep(max(0.0, began + turn * min(30.0, seconds / 4) - time.monotonic()))
        await deployment.wait_ready()


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("redis-killed", "Redis killed with SIGKILL, started again at the end", _redis_killed, LATE),
        Fault("redis-hangs", "Redis hangs", _redis_hangs, LATE),
        Fault("qdrant-5xx", "Qdrant answers 503", _qdrant(status=503), REFUSED),
        Fault("qdrant-delay", "Qdrant a second late", _qdrant(delay=1.0), DEGRADED),
        Fault("qdrant-cuts", "Qdrant works, then cuts half the connections", _qdrant(disconnect="after", share=0.5),
              REFUSED),
        Fault("qdrant-drips", "Qdrant's answers drip, two seconds each", _qdrant(drip=0.2), DEGRADED),
        Fault("qdrant-node-killed", "one of two Qdrant nodes cuts all connections, then is stale",
              _qdrant_node(disconnect="before"), FAILOVERS, patience_s=_LONG_S),
        Fault("qdrant-node-hangs", "one of two Qdrant nodes hangs, then is stale", _qdrant_node(delay=3600.0),
              FAILOVERS, patience_s=_LONG_S),
        Fault("qdrant-node-stale", "one of two Qdrant nodes answers with what it had", _qdrant_node(), FAILOVERS,
              patience_s=_LONG_S),
        Fault("qdrant-rolled", "each Qdrant node in turn away, twice", _qdrant_rolled, FAILOVERS, patience_s=_LONG_S),
        Fault("network-cut", "nothing comes back from Qdrant", _qdrant_cut, DEGRADED),
        Fault("writers-killed", "of two writers, one killed every few seconds", _writers_killed, AGE, seconds=120),
        Fault("one-user", "one user only, one of two writers hangs", _one_writer_hangs, AGE, seconds=60, movers=True,
              people=1, pause_s=0.0),
        Fault("webs-killed", "web processes killed with SIGKILL in turn", _webs_killed, "rememberd_requests_total",
              breaks=True),
        Fault("rolling", "each process in turn: web SIGTERM, writer SIGKILL", _rolling, AGE, seconds=600),
        Fault("clock-jumps", "the host's clock: an hour on, two back, right", _clock_jumps, AGE, scaled=False,
              reorders=True),
        Fault("disk-full", "no byte free under store and queue", _disk_full, LATE, scaled=False),
    )
}  # fmt: skip
