"""Load without a pause, of which a share is cancelled half-way: are turns, memory or connections left behind?"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from loadtests.faults.crowd import Crowd, session
from loadtests.faults.deployment import Deployment
from loadtests.faults.probe import Probe
from loadtests.faults.run import at_work, balanced
from loadtests.machine import rss_mb
from loadtests.soak import slope

PEOPLE = 32
CANCELS = 0.3
_SAMPLE_S = 5.0
_PATIENCE_S = 900.0  # the load queues more than the writer learns meanwhile
_IDLE_S = 30.0  # the proxy keeps a connection to a provider for 15 s after its last request


@dataclass
class Saturated:
    """`growth`: MB an hour of each process, by least squares without the first fifth of the time; `mb` is what it had
    at the end. `upstream` connections to the model that were left half a minute after the load."""

    minutes: float
    chats: int = 0
    cancelled: int = 0
    failed: int = 0
    lost: int = 0
    doubled: int = 0
    upstream: int = 0
    growth: dict[str, float] = field(default_factory=dict)
    mb: dict[str, float] = field(default_factory=dict)
    settled_mb: dict[str, float] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    def line(self) -> str:
        sizes = ", ".join(
            f"{name} {self.settled_mb[name]:.0f} to {self.mb[name]:.0f} MB ({grown:+.0f} MB/h)"
            for name, grown in self.growth.items()
        )
        return (
            f"saturated for {self.minutes:g} minutes: {self.chats} chats, {self.cancelled} cancelled, {self.failed}"
            f" failed; lost {self.lost}, doubled {self.doubled}; upstream connections left {self.upstream}; {sizes}"
        )


async def saturate(minutes: float) -> Saturated:
    """On one host: two web processes and a writer."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        async with (
            Deployment.one_host(Path(folder)) as deployment,
            balanced(deployment),
            session() as http,
        ):
            crowd = Crowd(deployment, http, PEOPLE, 0.0, "saturation", cancels=CANCELS)
            probe = Probe(crowd, _PATIENCE_S)
            async with at_work(crowd), at_work(probe):
                samples = await _sampled(deployment, minutes * 60)
                crowd.stopping = True
                verdict = await probe.verdict()
            await asyncio.sleep(_IDLE_S)
            left = _connections(deployment.model_port)
    found = Saturated(minutes, upstream=left, lost=len(verdict.lost), doubled=verdict.doubled)
    found.chats, found.cancelled = len(crowd.chats), sum(each.failed == "cancelled" for each in crowd.chats)
    found.failed = sum(bool(each.failed) for each in crowd.chats) - found.cancelled
    for name, points in samples.items():
        found.growth[name] = round(slope(points), 1)
        found.settled_mb[name], found.mb[name] = points[len(points) // 5][1], points[-1][1]
    failures = [each.failed for each in crowd.chats if each.failed not in ("", "cancelled")]
    found.examples = [*failures, *sorted(verdict.lost), *verdict.notes][:5]
    return found


async def _sampled(deployment: Deployment, seconds: float) -> dict[str, list[tuple[float, float]]]:
    """Hours and MB of each process."""
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in (*deployment.web(), *deployment.writers())}
    began = time.monotonic()
    while (at := time.monotonic() - began) < seconds:
        for name, points in samples.items():
            process = deployment.processes[name].process
            assert process is not None
            points.append((at / 3600, rss_mb([process.pid])))
        line = ", ".join(f"{name} {points[-1][1]:.0f} MB" for name, points in samples.items())
        print(f"{at:.0f} s: {line}", file=sys.stderr, flush=True)
        await asyncio.sleep(_SAMPLE_S)
    return samples


def _connections(port: int) -> int:
    """Of this machine to `port`, established or half closed by one side."""
    wanted = f":{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(wanted) and row[3] in ("01", "08") for row in rows)
