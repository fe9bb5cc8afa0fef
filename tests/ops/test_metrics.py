"""An operator at 3 a.m.: what the metrics say, who may read them, and that they name nobody."""

from __future__ import annotations

import asyncio
import random

import httpx
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from rememberd.telemetry.metrics import FLUSH_S, count, flush, observe
from tests.support.proxy_server import Proxy, ask, eventually, remembered


def test_the_metrics_cover_all_processes_of_the_host(served: Proxy, user: str) -> None:
    """The web process answers for the writer too; two workers would add up."""
    with served.client(user) as client:
        ask(client, "I live in Drammen.")
        remembered(client, "Drammen", "fact")

    def text() -> str:
        return httpx.get(f"{served.url}/metrics").text

    for name in (
        'rememberd_requests_total{path="/v1/chat/completions",status="200"}',
        'rememberd_memory_status_total{status="miss"}',
        'rememberd_queue_puts_total{outcome="queued"}',
        'rememberd_turns_total{outcome="written"}',
        "rememberd_overhead_seconds_bucket",
        "rememberd_queue_depth",
        "rememberd_queue_age_seconds",
        "rememberd_dead_letters",
    ):
        eventually(lambda: name in text())  # noqa: B023 - used in this round only
    assert user not in text()


async def test_what_is_noted_is_what_the_library_would_have_counted() -> None:
    """Nothing is lost or put into another bucket by being added up later, and a second flush adds nothing."""
    chance, registries = random.Random(5), (CollectorRegistry(), CollectorRegistry())
    ours, library = (Histogram("took", "", buckets=(0.1, 0.5, 1), registry=each) for each in registries)
    noted, counted = (Counter("answers", "", registry=each) for each in registries)
    for seconds in (0.0, 0.1, 0.5, 1.0, 7.0, *(chance.expovariate(2) for _ in range(200))):
        seconds = round(seconds, 3) // 0.125 * 0.125  # numbers whose sum does not depend on the order
        observe(ours, seconds)
        library.observe(seconds)
        count(noted)
        counted.inc()
        if chance.random() < 0.1:
            flush()
    flush()
    flush()

    def values(registry: CollectorRegistry) -> list[str]:
        return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]

    assert values(registries[0]) == values(registries[1])


async def test_what_is_noted_is_added_up_soon() -> None:
    """Also where nobody asks this process for its metrics."""
    registry = CollectorRegistry()
    noted = Counter("answers", "", registry=registry)
    for expected in (1, 2):
        count(noted)
        async with asyncio.timeout(60):
            while registry.get_sample_value("answers_total") != expected:
                await asyncio.sleep(FLUSH_S)
